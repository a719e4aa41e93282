//! The login at a client: which credentials are tried, in which order, and when to stop.
//!
//! The order is key file, ssh-agent, password, keyboard-interactive with the password. A credential that was refused is
//! never sent again, neither in this attempt nor in another one, and is held for the next sweeps: see [`super::login_holds`].
//! Otherwise the account could be locked.

use russh::{MethodKind, MethodSet, client::KeyboardInteractiveAuthResponse, keys::PrivateKeyWithHashAlg};
use secrecy::{ExposeSecret, SecretString};

use super::{
    algorithms::AlgorithmSet,
    credential::{self, Credential, LoginAttempts, Outcome},
    credential_sources::CredentialSources,
    login_record::LoginRecord,
    second_factor,
    session::Session,
    session_state::Ending,
    ssh_agent,
};
use crate::{
    config::Client,
    fleet::{Failure, FailureKind, Stage},
};

/// Further questions that a keyboard-interactive server may ask after the password was given.
const MOST_QUESTIONS: usize = 4;

/// Tries what the client's login gives until one is accepted.
///
/// # Errors
/// [`FailureKind::AuthenticationRefused`] after everything was refused, [`FailureKind::CredentialUnusable`] where
/// something could not even be tried, [`FailureKind::ConnectionLost`].
pub(super) async fn authenticate(
    session: &mut Session,
    client: &Client,
    ours: &CredentialSources<'_>,
    logins: &LoginRecord,
) -> Result<(), Failure> {
    let mut waiting = credential::in_order(client);
    let held = logins.leave_out(&mut waiting);
    let mut tried = LoginAttempts { held, ..LoginAttempts::default() };
    while let Some(credential) = credential::next(&mut waiting, tried.offered.as_ref()) {
        match attempt(session, client, credential, ours, logins).await {
            Outcome::Accepted => {
                logins.accepted();
                return Ok(());
            }
            Outcome::OneMoreWanted(methods) => {
                logins.sent(credential);
                tried.accepted.push(credential.name());
                tried.offered = Some(methods);
            }
            Outcome::Refused(methods) => {
                logins.refused(credential);
                if let Credential::Password(source) = credential {
                    ours.forget(source).await;
                    if methods.contains(&MethodKind::Password) {
                        // The server has checked the password itself, so it is not sent again.
                        waiting.retain(|other| !matches!(other, Credential::KeyboardInteractive(_)));
                    }
                }
                tried.refused.push(credential.name());
                tried.offered = Some(methods);
            }
            Outcome::Unusable(unusable) => tried.unusable.push(unusable),
            Outcome::Unanswerable(words) => {
                logins.refused(credential);
                tried.unanswerable.push(words);
            }
            Outcome::Lost => {
                let failure = lost(session, tried, credential).await;
                if failure.kind == FailureKind::AuthenticationRefused {
                    logins.refused(credential);
                }
                return Err(failure);
            }
        }
    }
    let not_offered = waiting.into_iter().map(Credential::name).collect();
    Err(tried.failure(not_offered))
}

/// Handles a session that ended while a credential was tried or before. If something was refused already, or the server
/// reports too many failures, this counts as a refusal, because another attempt would be refused, too.
async fn lost(session: &Session, mut tried: LoginAttempts, during: Credential<'_>) -> Failure {
    let words = match session.ending().await {
        Some(Ending::Message(words)) => Some(words),
        Some(Ending::Abuse(_)) => return session.lost(Stage::Authenticate).await,
        Some(Ending::LoginRefused(words)) => {
            tried.refused.push(during.name());
            return tried.failure(Vec::new()).because(words);
        }
        Some(Ending::NoFurtherMethod) => {
            tried.offered = Some(MethodSet::empty());
            return tried.failure(Vec::new());
        }
        None => None,
    };
    let too_many = words.as_deref().is_some_and(|words| words.to_ascii_lowercase().contains("authentication"));
    if tried.refused.is_empty() && !too_many {
        return session.lost(Stage::Authenticate).await;
    }
    if too_many {
        tried.refused.push(during.name());
    }
    tried.failure(Vec::new()).because(words.unwrap_or_else(|| "the server closed the connection".to_owned()))
}

/// The meaning of the library's result. It reports a session that has ended as a refusal without further methods, which
/// a server may also send. Only the reason for the end of the session distinguishes them.
async fn judged(session: &Session, outcome: Option<Outcome>) -> Outcome {
    match outcome {
        Some(Outcome::Refused(methods)) if methods.is_empty() => match session.ending().await {
            Some(Ending::NoFurtherMethod) => Outcome::Refused(methods),
            Some(Ending::Message(_) | Ending::LoginRefused(_) | Ending::Abuse(_)) | None => Outcome::Lost,
        },
        Some(outcome) => outcome,
        None => Outcome::Lost,
    }
}

async fn attempt(
    session: &mut Session,
    client: &Client,
    credential: Credential<'_>,
    ours: &CredentialSources<'_>,
    logins: &LoginRecord,
) -> Outcome {
    let user = client.username.as_str();
    let outcome = match credential {
        Credential::Key(file) => match ours.key(file).await {
            Err(unusable) => return Outcome::Unusable(unusable),
            Ok(key) => {
                let hash =
                    if key.algorithm().is_rsa() { session.rsa_hash(AlgorithmSet::of(client)).await } else { None };
                let key = PrivateKeyWithHashAlg::new(key, hash);
                session.handle().authenticate_publickey(user, key).await.ok().map(Outcome::from)
            }
        },
        Credential::Agent => Some(ssh_agent::authenticate(session, client, ours).await),
        Credential::Password(source) => match ours.password(source).await {
            Err(unusable) => return Outcome::Unusable(unusable),
            Ok(password) => {
                logins.sends(&password);
                session.handle().authenticate_password(user, password.expose_secret()).await.ok().map(Outcome::from)
            }
        },
        Credential::KeyboardInteractive(source) => match ours.password(source).await {
            Err(unusable) => return Outcome::Unusable(unusable),
            Ok(password) => {
                logins.sends(&password);
                keyboard_interactive(session, user, &password).await
            }
        },
    };
    judged(session, outcome).await
}

/// Answers the first hidden question with the password, and no other one.
async fn keyboard_interactive(session: &mut Session, user: &str, password: &SecretString) -> Option<Outcome> {
    let handle = session.handle();
    let mut response = handle.authenticate_keyboard_interactive_start(user, None).await.ok()?;
    let mut given = false;
    for _ in 0..=MOST_QUESTIONS {
        let prompts = match response {
            KeyboardInteractiveAuthResponse::Success => return Some(Outcome::Accepted),
            KeyboardInteractiveAuthResponse::Failure { remaining_methods, partial_success: true } => {
                return Some(Outcome::OneMoreWanted(remaining_methods));
            }
            KeyboardInteractiveAuthResponse::Failure { remaining_methods, partial_success: false } => {
                return Some(Outcome::Refused(remaining_methods));
            }
            KeyboardInteractiveAuthResponse::InfoRequest { prompts, .. } => prompts,
        };
        let answers = match prompts.as_slice() {
            // Only a text to display.
            [] => Vec::new(),
            [question] if !question.echo && !given && !second_factor::is_wanted(&question.prompt) => {
                given = true;
                vec![password.expose_secret().to_owned()]
            }
            [question, ..] => {
                return Some(Outcome::Unanswerable(format!(
                    "the server asks `{}`, which only a person can answer",
                    question.prompt.trim()
                )));
            }
        };
        response = handle.authenticate_keyboard_interactive_respond(answers).await.ok()?;
    }
    Some(Outcome::Unanswerable("the server asks without end".to_owned()))
}
