//! The credentials of a login: the order in which they are tried, and the result of the server's answers. Pure;
//! [`super::authenticate`] tries them.

use std::path::PathBuf;

use russh::{MethodKind, MethodSet, client::AuthResult};

use super::shortage::CredentialError;
use crate::{
    config::{Client, KeyFile, safe_text, secret::SecretSource},
    fleet::{Failure, FailureKind, Stage},
};

/// A credential to try.
#[derive(Debug, Clone, Copy)]
pub(super) enum Credential<'a> {
    Key(&'a KeyFile),
    Agent,
    /// A key file that `ssh` tries without being told.
    DefaultKey(&'a KeyFile),
    Password(&'a SecretSource),
    KeyboardInteractive(&'a SecretSource),
}

/// Names a credential within a login, however it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CredentialId {
    Key(PathBuf),
    Agent,
    Password,
}

impl Credential<'_> {
    /// Which one of the login's it is.
    pub(super) fn id(self) -> CredentialId {
        match self {
            Self::Key(file) | Self::DefaultKey(file) => CredentialId::Key(file.path.clone()),
            Self::Agent => CredentialId::Agent,
            Self::Password(_) | Self::KeyboardInteractive(_) => CredentialId::Password,
        }
    }

    /// Its SSH authentication method.
    fn method(self) -> MethodKind {
        match self {
            Self::Key(_) | Self::DefaultKey(_) | Self::Agent => MethodKind::PublicKey,
            Self::Password(_) => MethodKind::Password,
            Self::KeyboardInteractive(_) => MethodKind::KeyboardInteractive,
        }
    }

    /// Its name in error messages.
    pub(super) fn name(self) -> String {
        match self {
            Self::Key(file) | Self::DefaultKey(file) => format!("key {}", safe_text::path(&file.path)),
            Self::Agent => "ssh-agent".to_owned(),
            Self::Password(_) => "password".to_owned(),
            Self::KeyboardInteractive(_) => "keyboard-interactive with the password".to_owned(),
        }
    }
}

/// All credentials of a login, in order.
pub(super) fn in_order(client: &Client) -> Vec<Credential<'_>> {
    let login = &client.login;
    let key = login.key.iter().chain(&login.identities).map(Credential::Key);
    let agent = login.ssh_agent.then_some(Credential::Agent);
    let defaults = login.defaults.iter().map(Credential::DefaultKey);
    let password = login
        .password
        .iter()
        .flat_map(|source| [Credential::Password(source), Credential::KeyboardInteractive(source)]);
    key.chain(agent).chain(defaults).chain(password).collect()
}

/// Whether a login goes on without a word if this credential cannot be used: nobody has named it.
pub(super) fn is_unasked(client: &Client, credential: Credential<'_>) -> bool {
    match credential {
        Credential::DefaultKey(_) => true,
        Credential::Agent => !client.login.identities.is_empty() || !client.login.defaults.is_empty(),
        Credential::Key(_) | Credential::Password(_) | Credential::KeyboardInteractive(_) => false,
    }
}

/// Removes and returns the first credential whose method the server accepts.
pub(super) fn next<'a>(waiting: &mut Vec<Credential<'a>>, offered: Option<&MethodSet>) -> Option<Credential<'a>> {
    let listens = |credential: &Credential<'_>| offered.is_none_or(|methods| methods.contains(&credential.method()));
    let position = waiting.iter().position(listens)?;
    Some(waiting.remove(position))
}

/// The result of trying a credential.
pub(super) enum Outcome {
    /// The login succeeded.
    Accepted,
    /// It was accepted, and the server requires another one by one of these methods.
    OneMoreWanted(MethodSet),
    /// It was refused; the server would accept these methods.
    Refused(MethodSet),
    /// It could not be tried, for this reason.
    Unusable(CredentialError),
    /// All of it was refused before, as another credential.
    ShownBefore,
    /// The server asks a question that we cannot answer.
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

/// The results of all attempts to log in.
#[derive(Default)]
pub(super) struct LoginAttempts {
    /// Accepted credentials, if the server requires another one.
    pub(super) accepted: Vec<String>,
    /// Credentials that were refused.
    pub(super) refused: Vec<String>,
    /// Why credentials were not sent, although they could have been.
    pub(super) held: Vec<String>,
    /// Credentials that could not be tried.
    pub(super) unusable: Vec<CredentialError>,
    /// Those of which nobody has named the credential: they count only if nothing else could be tried.
    pub(super) unasked: Vec<CredentialError>,
    /// What else is known about the keys.
    pub(super) notes: Vec<String>,
    /// Questions of the server that only a person can answer.
    pub(super) unanswerable: Vec<String>,
    /// What the server said to that.
    pub(super) said: Vec<String>,
    /// The methods that the server accepts; `None` if it has not named any yet.
    pub(super) offered: Option<MethodSet>,
}

impl LoginAttempts {
    /// The resulting failure; `not_offered` are the credentials that were not tried.
    pub(super) fn failure(mut self, not_offered: Vec<String>) -> Failure {
        let is_tried = !(self.accepted.is_empty() && self.refused.is_empty() && self.unanswerable.is_empty());
        if !is_tried && self.held.is_empty() && self.unusable.is_empty() {
            self.unusable.append(&mut self.unasked);
        }
        // A lack of resources is temporary, so another attempt may succeed.
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
        for words in self.said {
            failure = failure.because(words);
        }
        for words in self.held.into_iter().chain(self.notes) {
            failure = failure.because(words);
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
        let tried = || LoginAttempts {
            refused: vec!["password".to_owned()],
            offered: Some(methods.clone()),
            ..LoginAttempts::default()
        };
        assert_eq!(
            tried().failure(Vec::new()).to_string(),
            "authentication refused: password was refused: the server takes publickey, password"
        );
        let half_way = LoginAttempts { accepted: vec!["key /k".to_owned()], ..tried() };
        assert_eq!(
            half_way.failure(Vec::new()).to_string(),
            "authentication refused: key /k was accepted, and the server wants another credential as well: password was refused: the server takes publickey, password"
        );
        let locked =
            LoginAttempts { unusable: vec![CredentialError::new("the key file /k is locked".to_owned())], ..tried() };
        assert_eq!(
            locked.failure(Vec::new()).to_string(),
            "credential unusable: the key file /k is locked: password was refused: the server takes publickey, password"
        );
    }
}
