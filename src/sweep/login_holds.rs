//! Which credentials of a client are held, and what the end of a collection changes about that. The decisions are in
//! [`crate::fleet::login_hold`]; this looks at the credentials.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::{
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

/// How long a source of a credential may take here.
const PATIENCE: Duration = Duration::from_secs(10);

impl Shared {
    /// What a login may send while a hold lasts.
    ///
    /// # Errors
    /// [`FailureKind::LoginHeld`], if nothing has changed: then the client is not contacted.
    pub(super) async fn respect(
        &self,
        client: &Client,
        hold: Option<&LoginHold>,
        now: Timestamp,
    ) -> Result<LoginRecord, Failure> {
        let Some(hold) = hold.filter(|hold| hold.lasts(now)) else { return Ok(LoginRecord::default()) };
        let (mut held, mut has_changed) = (Vec::new(), false);
        for credential in distinct(client) {
            let substance = self.substance(credential, None).await;
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

    /// What a collection changes about the hold of its client.
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
        // The server has judged the login as a whole; otherwise only what it refused before something else happened.
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
            let Some(substance) = self.substance(credential, Some(logins)).await else { continue };
            if let Some(mark) = self.marks.mark(&salt, client, &substance).await {
                credentials.push(HeldCredential { mark, verdict });
            }
        }
        HoldChange::Held(LoginHold::after(before, now, failure, salt, credentials))
    }

    /// What identifies a credential as it is now; `None` if it cannot be used. A password that was sent is that one: its
    /// source may give another one by now.
    async fn substance(&self, credential: Credential<'_>, sent: Option<&LoginRecord>) -> Option<Substance> {
        let ours = CredentialSources::new(&self.access.keyring, &self.access.secrets, Instant::now() + PATIENCE);
        match credential {
            Credential::Key(file) => {
                let found = tokio::fs::metadata(&file.path).await.ok()?;
                let (bytes, modified) = (found.len(), found.modified().ok());
                Some(Substance::File { path: file.path.clone(), bytes, modified })
            }
            Credential::Agent => Some(Substance::AgentKeys(ssh_agent::keys(&ours).await.ok()?)),
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

/// The credentials of a client, each once, however many ways there are to send it.
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
