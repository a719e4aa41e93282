//! Determines which credentials of a client are held, and how a collection changes that. The rules are in
//! [`crate::fleet::login_hold`]. This module reads the credentials.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::{
    certificates,
    credential::{self, Credential, CredentialId},
    credential_sources::CredentialSources,
    login_marks::Substance,
    login_record::LoginRecord,
    shared::Shared,
    ssh_agent,
};
use crate::{
    config::Client,
    fleet::{
        Failure, FailureKind,
        login_hold::{HeldCredential, HeldVerdict, HoldChange, LoginHold},
    },
};

/// The time limit for reading a credential.
const PATIENCE: Duration = Duration::from_secs(10);

impl Shared {
    /// The record of a login that does not send the held credentials.
    ///
    /// # Errors
    /// [`FailureKind::LoginHeld`] if no credential has changed. The client is not contacted then.
    pub(super) async fn respect(
        &self,
        client: &Client,
        hold: Option<&LoginHold>,
        now: Timestamp,
    ) -> Result<LoginRecord, Failure> {
        let Some(hold) = hold.filter(|hold| hold.lasts(now)) else { return Ok(LoginRecord::default()) };
        let (mut held, mut has_changed) = (Vec::new(), false);
        for credential in distinct(client) {
            let substance = self.substance(client, credential, None).await;
            let verdict = match &substance {
                Some(substance) => {
                    self.marks.mark(&hold.salt, client, substance).await.and_then(|mark| hold.verdict(&mark))
                }
                None => None,
            };
            match verdict {
                Some(HeldVerdict::Refused) => held.push(credential.id()),
                Some(HeldVerdict::NotEnough) => {}
                None => has_changed = true,
            }
        }
        if has_changed { Ok(LoginRecord::holding(hold.clone(), held)) } else { Err(hold.failure()) }
    }

    /// How a collection changes the hold of its client.
    pub(super) async fn hold_after(
        &self,
        client: &Client,
        before: Option<&LoginHold>,
        logins: &LoginRecord,
        failure: Option<&Failure>,
        now: Timestamp,
    ) -> HoldChange {
        if logins.was_accepted() {
            return if before.is_some() { HoldChange::Released } else { HoldChange::Unchanged };
        }
        let is_refusal = |failure: &&Failure| failure.kind == FailureKind::AuthenticationRefused && logins.has_sent();
        // Whether the server has refused the whole login. Otherwise only the credentials that it refused are held.
        let is_whole = failure.as_ref().is_some_and(is_refusal);
        let Some(failure) = failure.filter(|_| is_whole || logins.has_refused()) else {
            return HoldChange::Unchanged;
        };
        let salt = before.map_or(self.marks.salt(), |before| &before.salt).to_owned();
        let mut credentials = Vec::new();
        for credential in distinct(client) {
            let id = credential.id();
            let verdict = match logins.is_refused(&id) {
                true => HeldVerdict::Refused,
                false if is_whole => HeldVerdict::NotEnough,
                false => continue,
            };
            let Some(substance) = self.substance(client, credential, Some(logins)).await else { continue };
            if let Some(mark) = self.marks.mark(&salt, client, &substance).await {
                credentials.push(HeldCredential { mark, verdict });
            }
        }
        HoldChange::Held(LoginHold::after(before, now, failure, salt, credentials))
    }

    /// The data that identifies a credential; `None` if the credential cannot be used. For a password that was sent, it is
    /// the sent one, because its source may return another one now.
    async fn substance(
        &self,
        client: &Client,
        credential: Credential<'_>,
        sent: Option<&LoginRecord>,
    ) -> Option<Substance> {
        let ours =
            CredentialSources::new(&self.access.keyring, &self.access.secrets, PATIENCE, Instant::now() + PATIENCE);
        match credential {
            Credential::Key(file) | Credential::DefaultKey(file) => {
                let found = tokio::fs::metadata(&file.path).await.ok()?;
                let (mut bytes, mut modified) = (found.len(), found.modified().ok());
                // A new certificate makes another credential of the same key.
                for certificate in certificates::files(&client.login, Some(file)) {
                    let Ok(found) = tokio::fs::metadata(&certificate).await else { continue };
                    bytes += found.len();
                    modified = modified.max(found.modified().ok());
                }
                Some(Substance::File { path: file.path.clone(), bytes, modified })
            }
            Credential::Agent => Some(Substance::AgentKeys(ssh_agent::keys(&client.login, &ours).await.ok()?)),
            Credential::Password(source) | Credential::KeyboardInteractive(source) => {
                let password = match sent.and_then(LoginRecord::password) {
                    Some(password) => password,
                    None => ours.recent_password(source).await.ok()?,
                };
                Some(Substance::Password(password))
            }
        }
    }
}

/// The credentials of a client. One that can be sent in several ways occurs once.
fn distinct(client: &Client) -> Vec<Credential<'_>> {
    let mut seen: Vec<CredentialId> = Vec::new();
    let mut all = credential::in_order(client);
    all.retain(|credential| {
        let id = credential.id();
        let is_new = !seen.contains(&id);
        seen.push(id);
        is_new
    });
    all
}
