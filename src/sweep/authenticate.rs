//! Proving to a client who we are: which credentials are tried, in which order, and when to stop.
//!
//! The order is key file, ssh-agent, password, keyboard-interactive with the password. A credential that
//! was refused is never sent again: not in this attempt, and not in another one either, since
//! [`FailureKind::AuthenticationRefused`] is not retried. An account must not be locked by its collector.

use russh::{
    MethodKind, MethodSet,
    client::{AuthResult, KeyboardInteractiveAuthResponse},
    keys::{
        HashAlg, PrivateKeyWithHashAlg,
        agent::{AgentIdentity, client::AgentClient},
    },
};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::{Instant, timeout_at};

use super::{
    keyring::Keyring,
    secrets::Secrets,
    session::{Ending, Session},
    shortage::{self, Unusable},
};
use crate::{
    config::{Client, KeyFile, harmless, secret::SecretSource},
    fleet::{Failure, FailureKind, Stage},
};

/// Further questions that a keyboard-interactive server may ask after the password was given.
const MOST_QUESTIONS: usize = 4;

/// Where credentials come from.
struct Ours<'a> {
    keyring: &'a Keyring,
    secrets: &'a Secrets,
    /// A source of ours that hangs must not count as a client that does not answer.
    until: Instant,
}

impl Ours<'_> {
    /// Waits for something of ours.
    async fn wait_for<T>(&self, what: &str, had: impl Future<Output = Result<T, Unusable>>) -> Result<T, Unusable> {
        match timeout_at(self.until, had).await {
            Ok(had) => had,
            Err(_) => Err(Unusable::new(format!("{what} did not come in time: look why it hangs"))),
        }
    }
}

/// One thing that can be tried.
#[derive(Debug, Clone, Copy)]
enum Credential<'a> {
    Key(&'a KeyFile),
    Agent,
    Password(&'a SecretSource),
    KeyboardInteractive(&'a SecretSource),
}

impl Credential<'_> {
    /// The SSH method that carries it.
    fn method(self) -> MethodKind {
        match self {
            Self::Key(_) | Self::Agent => MethodKind::PublicKey,
            Self::Password(_) => MethodKind::Password,
            Self::KeyboardInteractive(_) => MethodKind::KeyboardInteractive,
        }
    }

    fn name(self) -> String {
        match self {
            Self::Key(file) => format!("key {}", harmless::path(&file.path)),
            Self::Agent => "ssh-agent".to_owned(),
            Self::Password(_) => "password".to_owned(),
            Self::KeyboardInteractive(_) => "keyboard-interactive with the password".to_owned(),
        }
    }
}

/// What became of one credential.
enum Outcome {
    /// We are in.
    Accepted,
    /// It was taken, and the server wants another one as well, by one of these methods.
    OneMoreWanted(MethodSet),
    /// It was not, and the server would listen to these methods.
    Refused(MethodSet),
    /// It could not be tried; why.
    Unusable(Unusable),
    /// The server asks what we cannot answer; what, in words. That is its doing, not ours.
    Unanswerable(String),
    /// The session ended meanwhile.
    Lost,
}

impl From<AuthResult> for Outcome {
    fn from(result: AuthResult) -> Self {
        match result {
            AuthResult::Success => Self::Accepted,
            AuthResult::Failure { remaining_methods, partial_success: true } => Self::OneMoreWanted(remaining_methods),
            AuthResult::Failure { remaining_methods, partial_success: false } => Self::Refused(remaining_methods),
        }
    }
}

/// What was learnt while trying.
#[derive(Default)]
struct Tried {
    accepted: Vec<String>,
    refused: Vec<String>,
    unusable: Vec<Unusable>,
    unanswerable: Vec<String>,
    /// What the server listens to; `None` until it said so.
    offered: Option<MethodSet>,
}

impl Tried {
    fn failure(self, not_offered: Vec<String>) -> Failure {
        // That we are short of something passes: another try may do.
        let kind = match self.unusable.iter().find(|unusable| unusable.is_short).or(self.unusable.first()) {
            Some(unusable) => unusable.kind(),
            None => FailureKind::AuthenticationRefused,
        };
        let mut failure = Failure::new(Stage::Authenticate, kind);
        for unusable in self.unusable {
            failure = failure.because(unusable);
        }
        for words in self.unanswerable {
            failure = failure.because(words);
        }
        for name in self.accepted {
            failure = failure.because(format!("{name} was accepted, and the server wants another credential as well"));
        }
        for name in self.refused {
            failure = failure.because(format!("{name} was refused"));
        }
        let Some(methods) = self.offered.as_deref() else { return failure };
        if methods.is_empty() {
            return failure.because("the server takes no other credential");
        }
        for name in not_offered {
            failure = failure.because(format!("{name} was not tried: the server does not take it"));
        }
        let names: Vec<String> = methods.iter().map(String::from).collect();
        failure.because(format!("the server takes {}", names.join(", ")))
    }
}

/// Tries what the client's login gives until the session is entered. What we need for it from our own side (key
/// files, secrets, the ssh-agent) is waited for until `ours_until`.
///
/// # Errors
/// [`FailureKind::AuthenticationRefused`] after everything was refused, [`FailureKind::CredentialUnusable`]
/// where something could not even be tried, [`FailureKind::ConnectionLost`].
pub(super) async fn authenticate(
    session: &mut Session,
    client: &Client,
    keyring: &Keyring,
    secrets: &Secrets,
    ours_until: Instant,
) -> Result<(), Failure> {
    let ours = Ours { keyring, secrets, until: ours_until };
    let mut waiting = credentials(client);
    let mut tried = Tried::default();
    while let Some(credential) = next(&mut waiting, tried.offered.as_ref()) {
        match attempt(session, client, credential, &ours).await {
            Outcome::Accepted => return Ok(()),
            Outcome::OneMoreWanted(methods) => {
                tried.accepted.push(credential.name());
                tried.offered = Some(methods);
            }
            Outcome::Refused(methods) => {
                if let Credential::Password(source) = credential {
                    secrets.forget(source).await;
                    if methods.contains(&MethodKind::Password) {
                        // The server has judged the password itself: it is not sent a second time.
                        waiting.retain(|other| !matches!(other, Credential::KeyboardInteractive(_)));
                    }
                }
                tried.refused.push(credential.name());
                tried.offered = Some(methods);
            }
            Outcome::Unusable(unusable) => tried.unusable.push(unusable),
            Outcome::Unanswerable(words) => tried.unanswerable.push(words),
            Outcome::Lost => return Err(lost(session, tried, credential).await),
        }
    }
    let not_offered = waiting.into_iter().map(Credential::name).collect();
    Err(tried.failure(not_offered))
}

/// Everything the login gives, in order.
fn credentials(client: &Client) -> Vec<Credential<'_>> {
    let login = &client.login;
    let key = login.key.iter().map(Credential::Key);
    let agent = login.ssh_agent.then_some(Credential::Agent);
    let password = login
        .password
        .iter()
        .flat_map(|source| [Credential::Password(source), Credential::KeyboardInteractive(source)]);
    key.chain(agent).chain(password).collect()
}

/// Takes out the first credential that the server listens to.
fn next<'a>(waiting: &mut Vec<Credential<'a>>, offered: Option<&MethodSet>) -> Option<Credential<'a>> {
    let listens = |credential: &Credential<'_>| offered.is_none_or(|methods| methods.contains(&credential.method()));
    let position = waiting.iter().position(listens)?;
    Some(waiting.remove(position))
}

/// The session ended while a credential was tried, or before it could be. Where something was refused already, or the
/// server says that it was one failure too many, that is a refusal: trying again would refuse again.
async fn lost(session: &Session, mut tried: Tried, during: Credential<'_>) -> Failure {
    let words = match session.ending().await {
        Some(Ending::Said(words)) => Some(words),
        Some(Ending::Abuse(_)) => return session.lost(Stage::Authenticate).await,
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

/// What the library's answer amounts to. It reports a session that has ended as a refusal that names no further method,
/// which a server may also say; only how the session ended tells the two apart.
async fn judged(session: &Session, outcome: Option<Outcome>) -> Outcome {
    match outcome {
        Some(Outcome::Refused(methods)) if methods.is_empty() => match session.ending().await {
            Some(Ending::NoFurtherMethod) => Outcome::Refused(methods),
            Some(Ending::Said(_) | Ending::Abuse(_)) | None => Outcome::Lost,
        },
        Some(outcome) => outcome,
        None => Outcome::Lost,
    }
}

async fn attempt(session: &mut Session, client: &Client, credential: Credential<'_>, ours: &Ours<'_>) -> Outcome {
    let user = client.username.as_str();
    let outcome = match credential {
        Credential::Key(file) => match ours.wait_for("the key file", ours.keyring.get(file, ours.secrets)).await {
            Err(unusable) => return Outcome::Unusable(unusable),
            Ok(key) => {
                let hash = if key.algorithm().is_rsa() { rsa_hash(session).await } else { None };
                let key = PrivateKeyWithHashAlg::new(key, hash);
                session.handle().authenticate_publickey(user, key).await.ok().map(Outcome::from)
            }
        },
        Credential::Agent => Some(ssh_agent(session, user, ours).await),
        Credential::Password(source) | Credential::KeyboardInteractive(source) => match password(source, ours).await {
            Err(unusable) => return Outcome::Unusable(unusable),
            Ok(password) => match credential {
                Credential::KeyboardInteractive(_) => keyboard_interactive(session, user, &password).await,
                Credential::Password(_) | Credential::Key(_) | Credential::Agent => {
                    session.handle().authenticate_password(user, password.expose_secret()).await.ok().map(Outcome::from)
                }
            },
        },
    };
    judged(session, outcome).await
}

async fn password(source: &SecretSource, ours: &Ours<'_>) -> Result<SecretString, Unusable> {
    let fetching = async {
        ours.secrets
            .get(source)
            .await
            .map_err(|error| Unusable::after(&error, format!("the password: {}", shortage::chain(&error))))
    };
    ours.wait_for("the password", fetching).await
}

/// The hash with which an RSA key signs. A server that does not say what it takes gets SHA-256: SHA-1 is
/// never used, and SHA-512 is known to fewer.
async fn rsa_hash(session: &mut Session) -> Option<HashAlg> {
    match session.handle().best_supported_rsa_hash().await {
        Ok(Some(Some(hash))) => Some(hash),
        Ok(Some(None) | None) | Err(_) => Some(HashAlg::Sha256),
    }
}

/// Tries every key of the ssh-agent that `SSH_AUTH_SOCK` names.
async fn ssh_agent(session: &mut Session, user: &str, ours: &Ours<'_>) -> Outcome {
    let binding = session.handle().agent_session_binding();
    let asking = async {
        let mut agent = AgentClient::connect_env()
            .await
            .map_err(|error| Unusable::after(&error, format!("no ssh-agent: {error}")))?;
        if let Some(binding) = binding
            && let Err(error) = agent.bind_session(binding, false).await
        {
            // Agents before OpenSSH 8.9 do not know it, and need it for no key of theirs.
            tracing::debug!(%error, "the ssh-agent was not bound to the session");
        }
        let identities = agent
            .request_identities()
            .await
            .map_err(|error| Unusable::after(&error, format!("the ssh-agent does not list its keys: {error}")))?;
        Ok((agent, identities))
    };
    let (mut agent, identities) = match ours.wait_for("the list of the ssh-agent's keys", asking).await {
        Ok(asked) => asked,
        Err(unusable) => return Outcome::Unusable(unusable),
    };
    let mut refused = None;
    let mut failed = None;
    for identity in identities {
        let hash = if identity.public_key().algorithm().is_rsa() { rsa_hash(session).await } else { None };
        let handle = session.handle();
        let result = match identity {
            AgentIdentity::PublicKey { key, .. } => {
                handle.authenticate_publickey_with(user, key, hash, &mut agent).await
            }
            AgentIdentity::Certificate { certificate, .. } => {
                handle.authenticate_certificate_with(user, certificate, hash, &mut agent).await
            }
        };
        match result.map(Outcome::from) {
            Ok(Outcome::Refused(methods)) if !methods.is_empty() => refused = Some(methods),
            // One was refused. How the session ended is told with the next credential.
            Ok(Outcome::Refused(_)) if refused.is_some() => break,
            Ok(outcome) => return outcome,
            Err(_) if !session.is_open() => {
                if refused.is_none() {
                    return Outcome::Lost;
                }
                break;
            }
            // A key that needs a confirmation or a token which is not there; the others may do.
            Err(error) => failed = Some(error.to_string()),
        }
    }
    match (refused, failed) {
        (Some(methods), _) => Outcome::Refused(methods),
        (None, Some(error)) => Outcome::Unusable(Unusable::new(format!("the ssh-agent does not sign: {error}"))),
        (None, None) => {
            Outcome::Unusable(Unusable::new("the ssh-agent holds no key: add one with `ssh-add`".to_owned()))
        }
    }
}

/// Answers the first hidden question with the password, and none twice.
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
            // Only something to read.
            [] => Vec::new(),
            [question] if !question.echo && !given => {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_credential_is_the_first_that_the_server_listens_to() {
        let key = KeyFile { path: "/k".into(), passphrase: None };
        let source = SecretSource::Literal("secret".into());
        let all = [
            Credential::Key(&key),
            Credential::Agent,
            Credential::Password(&source),
            Credential::KeyboardInteractive(&source),
        ];
        use MethodKind::{KeyboardInteractive, Password, PublicKey};
        for (offered, expected) in [
            (None, vec!["key /k", "ssh-agent", "password", "keyboard-interactive with the password"]),
            (Some(vec![PublicKey]), vec!["key /k", "ssh-agent"]),
            (Some(vec![KeyboardInteractive, Password]), vec!["password", "keyboard-interactive with the password"]),
            (Some(vec![KeyboardInteractive]), vec!["keyboard-interactive with the password"]),
            (Some(vec![]), vec![]),
        ] {
            let mut waiting = all.to_vec();
            let offered = offered.map(|methods| MethodSet::from(methods.as_slice()));
            let order: Vec<_> =
                std::iter::from_fn(|| next(&mut waiting, offered.as_ref())).map(Credential::name).collect();
            assert_eq!(order, expected, "{offered:?}");
        }
    }

    #[test]
    fn a_refusal_names_what_was_refused_and_what_the_server_takes() {
        let methods = MethodSet::from([MethodKind::PublicKey, MethodKind::Password].as_slice());
        let tried =
            || Tried { refused: vec!["password".to_owned()], offered: Some(methods.clone()), ..Tried::default() };
        assert_eq!(
            tried().failure(Vec::new()).to_string(),
            "authentication refused: password was refused: the server takes publickey, password"
        );
        let half_way = Tried { accepted: vec!["key /k".to_owned()], ..tried() };
        assert_eq!(
            half_way.failure(Vec::new()).to_string(),
            "authentication refused: key /k was accepted, and the server wants another credential as well: password was refused: the server takes publickey, password"
        );
        let locked = Tried { unusable: vec![Unusable::new("the key file /k is locked".to_owned())], ..tried() };
        assert_eq!(
            locked.failure(Vec::new()).to_string(),
            "credential unusable: the key file /k is locked: password was refused: the server takes publickey, password"
        );
    }
}
