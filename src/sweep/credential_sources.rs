//! Reads our own credentials (key files and secrets) with a deadline. A source that hangs must not count as a client
//! that does not answer.

use std::sync::Arc;

use russh::keys::PrivateKey;
use secrecy::SecretString;
use tokio::time::{Instant, timeout_at};

use super::{
    keyring::Keyring,
    secrets::Secrets,
    shortage::{self, CredentialError},
};
use crate::config::{KeyFile, secret::SecretSource};

/// The sources of one login.
pub(super) struct CredentialSources<'a> {
    keyring: &'a Keyring,
    secrets: &'a Secrets,
    until: Instant,
}

impl<'a> CredentialSources<'a> {
    /// Sources that are waited for until `until`.
    pub(super) fn new(keyring: &'a Keyring, secrets: &'a Secrets, until: Instant) -> Self {
        Self { keyring, secrets, until }
    }

    /// Until when a source is waited for.
    pub(super) fn until(&self) -> Instant {
        self.until
    }

    /// Waits for something of ours, which `what` names.
    ///
    /// # Errors
    /// Its own, or that it did not come in time.
    pub(super) async fn wait_for<T>(
        &self,
        what: &str,
        source: impl Future<Output = Result<T, CredentialError>>,
    ) -> Result<T, CredentialError> {
        match timeout_at(self.until, source).await {
            Ok(result) => result,
            Err(_) => Err(CredentialError::new(format!("{what} did not come in time: look why it hangs"))),
        }
    }

    /// The key in a file.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub(super) async fn key(&self, file: &KeyFile) -> Result<Arc<PrivateKey>, CredentialError> {
        self.wait_for("the key file", self.keyring.get(file, self.secrets)).await
    }

    /// A password.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) async fn password(&self, source: &SecretSource) -> Result<SecretString, CredentialError> {
        let fetching = async {
            self.secrets
                .get(source)
                .await
                .map_err(|error| CredentialError::after(&error, format!("the password: {}", shortage::chain(&error))))
        };
        self.wait_for("the password", fetching).await
    }

    /// Has a password that was refused fetched again the next time.
    pub(super) async fn forget(&self, source: &SecretSource) {
        self.secrets.forget(source).await;
    }
}
