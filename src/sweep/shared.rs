//! The state that all collections share, and the two steps that need it: connecting and logging in.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::{
    agents::Agents,
    authenticate::authenticate,
    connect::{connect, not_ssh},
    credential_sources::CredentialSources,
    deadline::Deadlines,
    host_key::{self, HostKeyPurpose},
    keyring::Keyring,
    known_clients::KnownClients,
    known_hosts::KnownHosts,
    secrets::Secrets,
    session::{KeptSessions, Session},
    stream::PeerIdentification,
};
use crate::{
    bus::Publisher,
    config::{Client, HostKeyPolicy},
    fleet::{ClientId, Failure, FailureKind, Stage},
};

/// The state that all collections share.
pub(super) struct Shared {
    pub(super) publisher: Publisher,
    pub(super) hosts: Arc<KnownHosts>,
    pub(super) host_keys: HostKeyPolicy,
    pub(super) agents: Agents,
    pub(super) keyring: Keyring,
    pub(super) secrets: Secrets,
    pub(super) sessions: KeptSessions,
    /// Limits the collections that request further reports at the same time, because each takes some memory. If the
    /// limit is reached, the next collection continues.
    pub(super) reading_on: Semaphore,
    pub(super) known_clients: KnownClients,
}

impl Shared {
    /// A new session with a checked host key.
    ///
    /// # Errors
    /// Any failure of the stage `connect`.
    pub(super) async fn connect(&self, client: &Client, deadlines: &Deadlines<'_>) -> Result<Session, Failure> {
        self.connect_to(client, deadlines, HostKeyPurpose::Enter(self.host_keys)).await
    }

    /// A new session whose host key is checked for this purpose.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub(super) async fn connect_to(
        &self,
        client: &Client,
        deadlines: &Deadlines<'_>,
        purpose: HostKeyPurpose,
    ) -> Result<Session, Failure> {
        let identification = PeerIdentification::default();
        let allowed = deadlines.of(Stage::Connect);
        let connecting = connect(client, &self.hosts, purpose, &identification, allowed);
        deadlines.run(Stage::Connect, connecting).await.map_err(|failure| {
            if failure.kind == FailureKind::TimedOut {
                // A service that sends something other than SSH looked like a slow server until now.
                not_ssh(&identification).unwrap_or_else(|| match identification.begun_line() {
                    Some(line) => failure.because(format!("all that came of its first line was: {line}")),
                    None => failure,
                })
            } else {
                failure
            }
        })
    }

    /// Checks the host key of an open session with the current `known_hosts` file.
    ///
    /// # Errors
    /// The failure in this stage.
    pub(super) fn check_host_key_again(
        &self,
        session: &Session,
        client: &ClientId,
        stage: Stage,
    ) -> Result<(), Failure> {
        match session.host_key() {
            Some(key) => host_key::judge_again(&self.hosts, client, self.host_keys, stage, key),
            None => Err(Failure::new(stage, FailureKind::Defect).because("a session without a host key")),
        }
    }

    /// Logs in to a session, if its host key is still accepted.
    ///
    /// # Errors
    /// Any failure of the stage `authenticate`, or a host key that is no longer accepted.
    pub(super) async fn authenticate(
        &self,
        session: &mut Session,
        client: &Client,
        deadlines: &Deadlines<'_>,
    ) -> Result<(), Failure> {
        self.check_host_key_again(session, &client.id, Stage::Authenticate)?;
        session.log_in();
        // Before the end of the stage, so that a source of ours that hangs is reported as such.
        let ours_until = tokio::time::Instant::now() + deadlines.of(Stage::Authenticate) * 9 / 10;
        let ours = CredentialSources::new(&self.keyring, &self.secrets, ours_until);
        deadlines.run(Stage::Authenticate, authenticate(session, client, &ours)).await
    }
}
