//! Connecting to a server and logging in, with the keys, secrets and host keys that all sessions share.

use std::{path::PathBuf, sync::Arc};

use super::{
    authenticate::authenticate,
    connect::{ChannelBuffer, connect, not_ssh},
    credential_sources::CredentialSources,
    deadline::Deadlines,
    host_key::{self, HostKeyPurpose},
    keyring::Keyring,
    known_as::KnownAs,
    known_hosts::KnownHosts,
    login_record::LoginRecord,
    secrets::Secrets,
    session::Session,
    stream::PeerIdentification,
    transport::Transport,
};
use crate::{
    config::{Client, HostKeyPolicy},
    fleet::{Failure, FailureKind, Stage},
};

/// The only answer to a password that the library ignores.
const NEW_PASSWORD: &str = "the server answered the password with something else than yes or no, probably the request for a \
                            new password, which only a person can choose";

/// What sessions share.
pub(super) struct Access {
    pub(super) hosts: Arc<KnownHosts>,
    /// Further files of host keys, for all servers that name no others.
    pub(super) system_hosts: Vec<PathBuf>,
    pub(super) host_keys: HostKeyPolicy,
    pub(super) keyring: Keyring,
    pub(super) secrets: Secrets,
}

impl Access {
    /// A new session with a host key that was checked for this purpose. `opening` opens the connection under it.
    ///
    /// # Errors
    /// Any failure of the stage `connect`.
    pub(super) async fn connect(
        &self,
        client: &Client,
        opening: impl Future<Output = Result<Transport, Failure>> + Send + 'static,
        deadlines: &Deadlines<'_>,
        purpose: HostKeyPurpose,
        buffer: ChannelBuffer,
    ) -> Result<Session, Failure> {
        let identification = PeerIdentification::default();
        let known_as = KnownAs::of(client, &self.system_hosts);
        let connecting = connect(client, known_as, opening, &self.hosts, purpose, buffer, &identification);
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
    pub(super) fn check_host_key_again(&self, session: &Session, client: &Client, stage: Stage) -> Result<(), Failure> {
        match session.host_key() {
            Some(key) => {
                let known_as = KnownAs::of(client, &self.system_hosts);
                host_key::judge_again(&self.hosts, &known_as, self.host_keys, stage, key)
            }
            None => Err(Failure::new(stage, FailureKind::Defect).because("a session without a host key")),
        }
    }

    /// Logs in to a session, if its host key is still accepted. `logins` says which credentials may be sent, and notes
    /// which ones were.
    ///
    /// # Errors
    /// Any failure of the stage `authenticate`, or a host key that is no longer accepted.
    pub(super) async fn authenticate(
        &self,
        session: &mut Session,
        client: &Client,
        deadlines: &Deadlines<'_>,
        logins: &LoginRecord,
    ) -> Result<(), Failure> {
        self.check_host_key_again(session, client, Stage::Authenticate)?;
        session.log_in();
        // Before the end of the stage, so that a source of ours that hangs is reported as such.
        let ours_until = tokio::time::Instant::now() + deadlines.of(Stage::Authenticate) * 9 / 10;
        let ours = CredentialSources::new(&self.keyring, &self.secrets, deadlines.of_our_own(), ours_until);
        let entering = deadlines.run(Stage::Authenticate, authenticate(session, client, &ours, logins)).await;
        entering.map_err(|failure| {
            if failure.kind != FailureKind::TimedOut {
                return failure;
            }
            match session.take_texts() {
                Some(said) => failure.because(said),
                None if session.has_ignored_answer() => failure.because(NEW_PASSWORD),
                None => failure,
            }
        })
    }
}
