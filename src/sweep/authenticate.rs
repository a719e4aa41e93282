//! The login at a client: which credentials are tried, in which order, and when to stop.
//!
//! The order is key file, ssh-agent, default key files, password, keyboard-interactive with the password. First the server
//! is asked for its methods by the request `none`, which servers do not count as a failed login. A credential is only sent
//! by one of them: where only one failure is allowed (`MaxAuthTries 1`), another method would end the login.
//!
//! A credential that was refused is never sent again, neither in this attempt nor in another one, and is held for the next
//! sweeps: see [`super::login_holds`]. Otherwise the account could be locked.

use russh::{MethodKind, MethodSet};
use secrecy::ExposeSecret as _;

use super::{
    credential::{self, Credential, LoginAttempts, Outcome},
    credential_sources::CredentialSources,
    keyboard_interactive,
    login_record::LoginRecord,
    public_keys::PublicKeys,
    session::Session,
    session_state::Ending,
};
use crate::{
    config::Client,
    fleet::{Failure, FailureKind, Stage},
};

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
    let mut public_keys = PublicKeys::new(client, ours);
    let asking = session.handle().authenticate_none(&client.username).await.ok().map(Outcome::from);
    match judged(session, asking).await {
        Outcome::Accepted => {
            logins.accepted();
            return Ok(());
        }
        Outcome::OneMoreWanted(methods) | Outcome::Refused(methods) => tried.offered = Some(methods),
        Outcome::Unusable(_) | Outcome::ShownBefore | Outcome::Unanswerable(_) | Outcome::Lost => {
            return Err(lost(session, tried, None).await);
        }
    }
    while let Some(credential) = credential::next(&mut waiting, tried.offered.as_ref()) {
        session.forget_texts();
        let outcome = attempt(session, client, credential, ours, &mut public_keys, logins).await;
        tried.notes.append(&mut public_keys.notes);
        match outcome {
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
                tried.said.extend(session.take_texts());
                tried.offered = Some(methods);
            }
            Outcome::Unusable(unusable) if credential::is_unasked(client, credential) && !unusable.is_short => {
                tried.unasked.push(unusable);
            }
            Outcome::Unusable(unusable) => tried.unusable.push(unusable),
            Outcome::ShownBefore => {}
            Outcome::Unanswerable(words) => {
                logins.refused(credential);
                tried.unanswerable.push(words);
                tried.said.extend(session.take_texts());
                // The library hears nothing more from a server that waits for an answer.
                break;
            }
            Outcome::Lost => {
                let failure = lost(session, tried, Some(credential)).await;
                if failure.kind == FailureKind::AuthenticationRefused {
                    logins.refused(credential);
                }
                return Err(failure);
            }
        }
    }
    // A password that was sent by one method is not missing in another one.
    waiting.retain(|credential| !logins.was_sent(&credential.id()));
    let not_offered = waiting.into_iter().map(Credential::name).collect();
    Err(tried.failure(not_offered))
}

/// Handles a session that ended while a credential was tried or before. It counts as a refusal if something was refused
/// already, or if the server says why it ends, because another attempt would be refused, too.
async fn lost(session: &Session, mut tried: LoginAttempts, during: Option<Credential<'_>>) -> Failure {
    let is_refused_already = !tried.refused.is_empty();
    let ending = session.ending().await;
    let said = session.take_texts();
    let (is_refusal, words) = match ending {
        Some(Ending::Abuse(_)) => return session.lost(Stage::Authenticate).await,
        Some(Ending::NoFurtherMethod) => {
            tried.offered = Some(MethodSet::empty());
            tried.said.extend(said);
            return tried.failure(Vec::new());
        }
        Some(Ending::LoginRefused(words)) => (true, words),
        // A server that breaks off like this when it gets a credential does so each time.
        Some(Ending::Unsound(words)) => (is_refused_already || during.is_some(), words),
        Some(Ending::Farewell(words)) => (is_refused_already || said.is_some() || !words.trim().is_empty(), words),
        Some(Ending::Message(words)) => {
            (is_refused_already || words.to_ascii_lowercase().contains("authentication"), words)
        }
        None => (is_refused_already || said.is_some(), "the server closed the connection".to_owned()),
    };
    if !is_refusal {
        return session.lost(Stage::Authenticate).await;
    }
    tried.refused.extend(during.map(Credential::name));
    tried.said.extend(said);
    tried.offered = None;
    tried.failure(Vec::new()).because(words)
}

/// The meaning of the library's result. It reports a session that has ended as a refusal without further methods, which
/// a server may also send. Only the reason for the end of the session distinguishes them.
async fn judged(session: &Session, outcome: Option<Outcome>) -> Outcome {
    match outcome {
        Some(Outcome::Refused(methods)) if methods.is_empty() => match session.ending().await {
            Some(Ending::NoFurtherMethod) => Outcome::Refused(methods),
            Some(
                Ending::Message(_)
                | Ending::Farewell(_)
                | Ending::Unsound(_)
                | Ending::LoginRefused(_)
                | Ending::Abuse(_),
            )
            | None => Outcome::Lost,
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
    public_keys: &mut PublicKeys<'_>,
    logins: &LoginRecord,
) -> Outcome {
    let user = client.username.as_str();
    let outcome = match credential {
        Credential::Key(file) | Credential::DefaultKey(file) => public_keys.file(session, file).await,
        Credential::Agent => Some(public_keys.agent(session).await),
        Credential::Password(source) => match ours.password(source).await {
            Err(unusable) => return Outcome::Unusable(unusable),
            Ok(password) => {
                logins.sends(&password);
                session.sends(&password);
                session.handle().authenticate_password(user, password.expose_secret()).await.ok().map(Outcome::from)
            }
        },
        Credential::KeyboardInteractive(source) => match ours.password(source).await {
            Err(unusable) => return Outcome::Unusable(unusable),
            Ok(password) => {
                logins.sends(&password);
                session.sends(&password);
                keyboard_interactive::authenticate(session, user, &password).await
            }
        },
    };
    judged(session, outcome).await
}
