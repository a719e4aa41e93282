//! The state that an SSH session shares with its handler and its stream, mainly the reason for its end.

use std::{
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Instant,
};

use tokio_util::sync::CancellationToken;

use super::{
    abuse::Abuse,
    allowance::Allowance,
    forwarding::{CarriedChannels, Refusals},
    sent_secrets::SentSecrets,
    server_key::ServerKey,
    server_texts::ServerTexts,
};

/// The state that a session shares with its handler.
#[derive(Debug, Clone)]
pub(super) struct SessionState {
    /// The limits for the client.
    pub(super) allowance: Allowance,
    /// The reason for the end of the session.
    pub(super) ending: SharedEnding,
    /// Cancelled when the session's task has ended and has reported the reason.
    pub(super) ended: CancellationToken,
    /// The messages with which the server refuses channels.
    pub(super) refusals: Refusals,
    /// The channels that carry connections to other servers.
    pub(super) carried: CarriedChannels,
    /// What the server shows during the login.
    pub(super) texts: ServerTexts,
    /// The passwords that were sent to it.
    pub(super) secrets: SentSecrets,
    /// The accepted host key.
    pub(super) host_key: Arc<OnceLock<ServerKey>>,
}

impl SessionState {
    /// The state of a new session.
    pub(super) fn new() -> Self {
        Self {
            allowance: Allowance::new(Instant::now()),
            ending: SharedEnding::default(),
            ended: CancellationToken::new(),
            refusals: Refusals::default(),
            carried: CarriedChannels::default(),
            texts: ServerTexts::default(),
            secrets: SentSecrets::default(),
            host_key: Arc::new(OnceLock::new()),
        }
    }
}

/// The reason for the end of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ending {
    /// A message of the other side or of the library.
    Message(String),
    /// A message with which the other side ended the session, and that names no technical reason. During a login, it says
    /// why the login is refused.
    Farewell(String),
    /// The library could not make sense of what the other side sent.
    Unsound(String),
    /// The login was refused, and the server named no further method. The library then ends the session.
    NoFurtherMethod,
    /// The server refused the login by ending the session, with this message.
    LoginRefused(String),
    /// We ended it because of the behaviour of the other side.
    Abuse(Abuse),
}

impl Ending {
    /// The same without the secrets that were sent.
    pub(super) fn without(self, secrets: &SentSecrets) -> Self {
        match self {
            Self::Message(words) => Self::Message(secrets.hide_in(&words)),
            Self::Farewell(words) => Self::Farewell(secrets.hide_in(&words)),
            Self::Unsound(words) => Self::Unsound(secrets.hide_in(&words)),
            Self::LoginRefused(words) => Self::LoginRefused(secrets.hide_in(&words)),
            Self::NoFurtherMethod | Self::Abuse(_) => self,
        }
    }
}

/// The reason for the end of a session, if it is known. Shared with the session's task.
#[derive(Debug, Default, Clone)]
pub(super) struct SharedEnding(Arc<Mutex<Option<Ending>>>);

impl SharedEnding {
    /// Stores the reason.
    pub(super) fn note(&self, ending: Ending) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(ending);
    }

    /// The reason, if the session has ended.
    pub(super) fn get(&self) -> Option<Ending> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
