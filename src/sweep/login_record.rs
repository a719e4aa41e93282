//! A record of one login: which credentials are held and therefore not sent, which were sent, and which were refused.

use std::sync::{Mutex, MutexGuard, PoisonError};

use secrecy::SecretString;

use super::credential::{Credential, CredentialId};
use crate::fleet::login_hold::LoginHold;

/// The record of the logins of one collection.
#[derive(Default)]
pub(super) struct LoginRecord {
    /// The credentials that are held, and the hold.
    held: Option<(LoginHold, Vec<CredentialId>)>,
    seen: Mutex<Seen>,
}

/// What happened so far.
#[derive(Default)]
struct Seen {
    accepted: bool,
    sent: Vec<CredentialId>,
    refused: Vec<CredentialId>,
    password: Option<SecretString>,
}

impl LoginRecord {
    /// The record of a login that does not send these credentials.
    pub(super) fn holding(hold: LoginHold, credentials: Vec<CredentialId>) -> Self {
        Self { held: Some((hold, credentials)), ..Self::default() }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes the credentials that must not be sent, and returns the reason for each.
    pub(super) fn leave_out(&self, waiting: &mut Vec<Credential<'_>>) -> Vec<String> {
        let mut words = Vec::new();
        waiting.retain(|credential| {
            let id = credential.id();
            let why = match &self.held {
                Some((hold, held)) if held.contains(&id) => hold.words(),
                _ if self.was_refused(&id) => "the client refused it a moment ago".to_owned(),
                Some(_) | None => return true,
            };
            words.push(format!("{} was not sent: {why}", credential.name()));
            false
        });
        words
    }

    /// Notes the password that is sent next.
    pub(super) fn sends(&self, password: &SecretString) {
        self.seen().password = Some(password.clone());
    }

    /// Notes a credential that was sent and was not sufficient by itself.
    pub(super) fn sent(&self, credential: Credential<'_>) {
        self.seen().sent.push(credential.id());
    }

    /// Notes a credential that was refused, or that led to a question that only a person can answer.
    pub(super) fn refused(&self, credential: Credential<'_>) {
        self.sent(credential);
        self.seen().refused.push(credential.id());
    }

    /// Notes that the login succeeded.
    pub(super) fn accepted(&self) {
        self.seen().accepted = true;
    }

    /// Whether the login succeeded.
    pub(super) fn was_accepted(&self) -> bool {
        self.seen().accepted
    }

    /// Whether anything was sent.
    pub(super) fn has_sent(&self) -> bool {
        !self.seen().sent.is_empty()
    }

    /// Whether this credential was sent.
    pub(super) fn was_sent(&self, id: &CredentialId) -> bool {
        self.seen().sent.contains(id)
    }

    /// Whether anything was refused.
    pub(super) fn has_refused(&self) -> bool {
        !self.seen().refused.is_empty()
    }

    /// Whether a credential must not be sent again: it was refused now, or is held.
    pub(super) fn is_refused(&self, id: &CredentialId) -> bool {
        self.was_refused(id) || self.held.as_ref().is_some_and(|(_, held)| held.contains(id))
    }

    fn was_refused(&self, id: &CredentialId) -> bool {
        self.seen().refused.contains(id)
    }

    /// The password that was sent.
    pub(super) fn password(&self) -> Option<SecretString> {
        self.seen().password.clone()
    }
}
