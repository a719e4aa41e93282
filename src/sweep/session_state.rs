//! The state that an SSH session shares with its handler and its stream, above all how the session ended.

use std::{
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Instant,
};

use russh::keys::PublicKey;
use tokio_util::sync::CancellationToken;

use super::{abuse::Abuse, allowance::Allowance};

/// The state that a session shares with its handler.
#[derive(Debug, Clone)]
pub(super) struct SessionState {
    /// What the client may send.
    pub(super) allowance: Allowance,
    /// How the session ended.
    pub(super) ending: SharedEnding,
    /// The session's task has ended, and has told how.
    pub(super) ended: CancellationToken,
    /// The host key that was accepted.
    pub(super) host_key: Arc<OnceLock<PublicKey>>,
}

impl SessionState {
    /// Of a session that begins.
    pub(super) fn new() -> Self {
        Self {
            allowance: Allowance::new(Instant::now()),
            ending: SharedEnding::default(),
            ended: CancellationToken::new(),
            host_key: Arc::new(OnceLock::new()),
        }
    }
}

/// How a session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ending {
    /// With these words of the other side, or of the library.
    Message(String),
    /// The login was refused, and the server named no further method. The library then ends the session.
    NoFurtherMethod,
    /// The server refused the login by ending the session, with these words.
    LoginRefused(String),
    /// By us, because of what the other side did.
    Abuse(Abuse),
}

/// How a session ended, if anything is known of it; shared with the session's task.
#[derive(Debug, Default, Clone)]
pub(super) struct SharedEnding(Arc<Mutex<Option<Ending>>>);

impl SharedEnding {
    /// Notes it.
    pub(super) fn note(&self, ending: Ending) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(ending);
    }

    /// How the session ended, if it has.
    pub(super) fn get(&self) -> Option<Ending> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
