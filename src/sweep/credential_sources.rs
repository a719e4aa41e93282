//! Reads our own credentials (key files and secrets) with a deadline. A source that hangs must not count as a client
//! that does not answer.

use std::{sync::Arc, time::Duration};

use russh::keys::PrivateKey;
use secrecy::SecretString;
use tokio::time::{Instant, timeout_at};

use super::{
    keyring::Keyring,
    secrets::Secrets,
    shortage::{self, CredentialError},
};
use crate::config::{KeyFile, secret::SecretSource};

/// How old a secret may be where a change of it is looked for.
const RECENT: Duration = Duration::from_secs(60);

/// The sources of one login.
pub(super) struct CredentialSources<'a> {
    keyring: &'a Keyring,
    secrets: &'a Secrets,
    patience: Duration,
    until: Instant,
}

impl<'a> CredentialSources<'a> {
    /// The sources with a time limit for each of them, and a deadline for all.
    pub(super) fn new(keyring: &'a Keyring, secrets: &'a Secrets, patience: Duration, until: Instant) -> Self {
        Self { keyring, secrets, patience, until }
    }

    /// The deadline of a source that is asked now. The time that the server takes between two of them is not theirs.
    pub(super) fn until(&self) -> Instant {
        self.until.min(Instant::now() + self.patience)
    }

    /// Waits for a source of ours with the name `what`.
    ///
    /// # Errors
    /// The error of the source, or a timeout.
    pub(super) async fn wait_for<T>(
        &self,
        what: &str,
        source: impl Future<Output = Result<T, CredentialError>>,
    ) -> Result<T, CredentialError> {
        match timeout_at(self.until(), source).await {
            Ok(result) => result,
            Err(_) => Err(CredentialError::new(format!("{what} did not come in time: look why it hangs"))),
        }
    }

    /// The key in a file.
    ///
    /// # Errors
    /// The reason why it cannot be used.
    pub(super) async fn key(&self, file: &KeyFile) -> Result<Arc<PrivateKey>, CredentialError> {
        self.wait_for("the key file", self.keyring.get(file, self.secrets)).await
    }

    /// A password.
    ///
    /// # Errors
    /// The reason why there is none.
    pub(super) async fn password(&self, source: &SecretSource) -> Result<SecretString, CredentialError> {
        let fetching = async {
            self.secrets
                .get(source)
                .await
                .map_err(|error| CredentialError::after(&error, format!("the password: {}", shortage::chain(&error))))
        };
        self.wait_for("the password", fetching).await
    }

    /// A password, as its source gave it a moment ago: one that was changed is noticed, and a source that many clients
    /// share is not asked for each of them.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) async fn recent_password(&self, source: &SecretSource) -> Result<SecretString, CredentialError> {
        self.secrets.forget_old(source, RECENT).await;
        self.password(source).await
    }

    /// Removes a refused password from the cache, so that it is read again next time.
    pub(super) async fn forget(&self, source: &SecretSource) {
        self.secrets.forget(source).await;
    }
}
