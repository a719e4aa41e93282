//! What all collections share, and the two steps that need it: connecting to a client, and logging in.

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

/// What all collections share.
pub(super) struct Shared {
    pub(super) publisher: Publisher,
    pub(super) hosts: Arc<KnownHosts>,
    pub(super) host_keys: HostKeyPolicy,
    pub(super) agents: Agents,
    pub(super) keyring: Keyring,
    pub(super) secrets: Secrets,
    pub(super) sessions: KeptSessions,
    /// Clients whose security log is read on at once, each of which takes some memory. Where all places are taken, the
    /// next collection reads on.
    pub(super) reading_on: Semaphore,
    pub(super) known_clients: KnownClients,
}

impl Shared {
    /// A new session whose host key was checked.
    ///
    /// # Errors
    /// Everything that fails in the stage `connect`.
    pub(super) async fn connect(&self, client: &Client, deadlines: &Deadlines<'_>) -> Result<Session, Failure> {
        self.connect_to(client, deadlines, HostKeyPurpose::Enter(self.host_keys)).await
    }

    /// The same, with a say in how the host key is met.
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
                // Something that talks, but not SSH, was taken for a slow server until now.
                not_ssh(&identification).unwrap_or_else(|| match identification.begun_line() {
                    Some(line) => failure.because(format!("all that came of its first line was: {line}")),
                    None => failure,
                })
            } else {
                failure
            }
        })
    }

    /// Judges the host key of an open session as the file has it now.
    ///
    /// # Errors
    /// The failure of a stage that it is.
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

    /// Enters a session, if its host key is still accepted.
    ///
    /// # Errors
    /// Everything that fails in the stage `authenticate`, and a host key that is not accepted any more.
    pub(super) async fn authenticate(
        &self,
        session: &mut Session,
        client: &Client,
        deadlines: &Deadlines<'_>,
    ) -> Result<(), Failure> {
        self.check_host_key_again(session, &client.id, Stage::Authenticate)?;
        session.log_in();
        // Before the stage's own end: what hangs on our side is told as that.
        let ours_until = tokio::time::Instant::now() + deadlines.of(Stage::Authenticate) * 9 / 10;
        let ours = CredentialSources::new(&self.keyring, &self.secrets, ours_until);
        deadlines.run(Stage::Authenticate, authenticate(session, client, &ours)).await
    }
}
