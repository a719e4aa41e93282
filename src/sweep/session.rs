//! An open SSH session, and the sessions that are kept for the next sweep. They are opened in [`super::connect`] and
//! [`super::authenticate`].

use std::{
    collections::HashMap,
    num::NonZeroUsize,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use russh::{
    Channel, Disconnect,
    client::{Handle, Msg},
    keys::{HashAlg, PublicKey},
};
use tokio_util::sync::DropGuard;

use super::{
    algorithms::AlgorithmSet,
    descriptor_budget::{DescriptorBudget, DescriptorPermit},
    session_handler::SessionHandler,
    session_state::{Ending, SessionState},
};
use crate::fleet::{ClientId, Failure, FailureKind, Stage, failure::SessionAfter};

/// How long closing a session properly may take. After that it is cut.
const GOODBYE: Duration = Duration::from_secs(1);

/// How long the task of a session that has ended may take to tell how. All that it waits for is the shutdown of a socket.
const TELLING: Duration = Duration::from_secs(1);

/// An open session. Dropping it cuts the connection at once and leaves no task behind.
pub(super) struct Session {
    handle: Handle<SessionHandler>,
    state: SessionState,
    names_windows: bool,
    _cut: DropGuard,
}

impl Session {
    /// A session of its parts; `cut` guards the stream beneath it.
    pub(super) fn new(
        handle: Handle<SessionHandler>,
        state: SessionState,
        names_windows: bool,
        cut: DropGuard,
    ) -> Self {
        Self { handle, state, names_windows, _cut: cut }
    }

    /// The host key that was accepted.
    pub(super) fn host_key(&self) -> Option<&PublicKey> {
        self.state.host_key.get()
    }

    /// The login begins.
    pub(super) fn log_in(&self) {
        self.state.allowance.log_in();
    }

    /// Whether the server's identification names Windows.
    pub(super) fn names_windows(&self) -> bool {
        self.names_windows
    }

    /// The library's end of it, for authentication.
    pub(super) fn handle(&mut self) -> &mut Handle<SessionHandler> {
        &mut self.handle
    }

    /// The hash with which an RSA key signs; `None` stands for SHA-1. A server that names none of SHA-2, or nothing as
    /// those before OpenSSH 7.2 do, gets SHA-256, which more know than SHA-512, or SHA-1 where that is allowed.
    pub(super) async fn rsa_hash(&self, allowed: AlgorithmSet) -> Option<HashAlg> {
        match (self.handle.best_supported_rsa_hash().await, allowed) {
            (Ok(Some(Some(hash))), _) => Some(hash),
            (Ok(Some(None) | None) | Err(_), AlgorithmSet::Sound) => Some(HashAlg::Sha256),
            (Ok(Some(None) | None) | Err(_), AlgorithmSet::Legacy) => None,
        }
    }

    /// Whether it is not known to have ended.
    pub(super) fn is_open(&self) -> bool {
        !self.handle.is_closed()
    }

    /// Why it ended, in a stage. For when it has: waits until its task has told how, a second at most.
    pub(super) async fn lost(&self, stage: Stage) -> Failure {
        match self.ending().await {
            Some(Ending::Abuse(abuse)) => Failure::new(stage, abuse.kind()).because(abuse),
            Some(Ending::Message(words)) => Failure::new(stage, FailureKind::ConnectionLost).because(words),
            Some(Ending::NoFurtherMethod) => Failure::new(stage, FailureKind::AuthenticationRefused),
            Some(Ending::LoginRefused(words)) => Failure::new(stage, FailureKind::AuthenticationRefused).because(words),
            None => Failure::new(stage, FailureKind::ConnectionLost).because("the client closed the connection"),
        }
    }

    /// How it ended, if anything is known of it. For when it has.
    pub(super) async fn ending(&self) -> Option<Ending> {
        // Others meet the end before the session's task has told how it came about.
        if tokio::time::timeout(TELLING, self.state.ended.cancelled()).await.is_err() {
            tracing::debug!("a session did not tell in time how it ended");
        }
        self.state.allowance.abuse().map(Ending::Abuse).or_else(|| self.state.ending.get())
    }

    /// Opens a channel for one command.
    ///
    /// # Errors
    /// [`FailureKind::CommandRefused`] or [`FailureKind::ConnectionLost`].
    pub(super) async fn channel(&self, stage: Stage) -> Result<Channel<Msg>, Failure> {
        self.state.allowance.work();
        match self.handle.channel_open_session().await {
            Ok(channel) => Ok(channel),
            Err(russh::Error::ChannelOpenFailure(reason)) => Err(Failure::new(stage, FailureKind::CommandRefused)
                .because(format!("the server opens no channel: {reason:?}"))),
            Err(_) => Err(self.lost(stage).await),
        }
    }

    /// Ends it after a failure: with a goodbye if the other side still answers.
    pub(super) async fn leave(self, failure: &Failure) {
        match failure.kind.spec().session {
            SessionAfter::Usable => self.close().await,
            SessionAfter::Unusable => drop(self),
        }
    }

    /// Ends it in the orderly way, which takes a moment.
    pub(super) async fn close(self) {
        let goodbye = async {
            if self.handle.disconnect(Disconnect::ByApplication, "done", "en").await.is_ok() {
                // How the session's task ended no longer matters: it has ended.
                drop(self.handle.await);
            }
        };
        if tokio::time::timeout(GOODBYE, goodbye).await.is_err() {
            tracing::debug!("a session did not end in time and was cut");
        }
    }
}

/// Whether sessions outlive a collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionKeeping {
    /// Up to so many stay open for the next sweep, one for each client.
    Keep(NonZeroUsize),
    /// Each ends with its collection.
    CloseAfterUse,
}

/// The sessions that wait for the next sweep.
pub(super) struct KeptSessions {
    keeping: SessionKeeping,
    /// The descriptor budget they count against; `None` if there is no limit.
    budget: Option<DescriptorBudget>,
    kept: Mutex<HashMap<ClientId, Kept>>,
}

/// A session that waits.
struct Kept {
    since: Instant,
    session: Session,
    _budget: Option<DescriptorPermit>,
}

impl KeptSessions {
    /// None yet.
    pub(super) fn new(keeping: SessionKeeping, budget: Option<DescriptorBudget>) -> Self {
        Self { keeping, budget, kept: Mutex::default() }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<ClientId, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes out the session of a client, if there is one that is not known to have ended.
    pub(super) fn take(&self, client: &ClientId) -> Option<Session> {
        let kept = self.lock().remove(client)?;
        kept.session.is_open().then_some(kept.session)
    }

    /// Keeps a session, or ends it where there is no place. Those that are kept already stay: sweeps visit clients in
    /// turn, so that the one kept longest is the one needed next.
    pub(super) async fn put(&self, client: &ClientId, session: Session) {
        session.state.allowance.rest(Instant::now());
        if let Some(superfluous) = self.insert(client, session) {
            superfluous.close().await;
        }
    }

    fn insert(&self, client: &ClientId, session: Session) -> Option<Session> {
        let places = match self.keeping {
            SessionKeeping::CloseAfterUse => return Some(session),
            SessionKeeping::Keep(places) => places.get(),
        };
        let mut kept = self.lock();
        let replaced = kept.remove(client).map(|kept| kept.session);
        if kept.len() >= places {
            kept.retain(|_, kept| kept.session.is_open());
        }
        if kept.len() >= places {
            return Some(session);
        }
        let budget = match self.budget.as_ref().map(DescriptorBudget::for_kept) {
            Some(None) => return Some(session),
            Some(Some(taken)) => Some(taken),
            None => None,
        };
        kept.insert(client.clone(), Kept { since: Instant::now(), session, _budget: budget });
        replaced
    }

    /// Ends the session that was kept longest; false where none is kept. For when descriptors are wanted.
    pub(super) async fn give_up_one(&self) -> bool {
        let oldest = {
            let mut kept = self.lock();
            let oldest = kept.iter().min_by_key(|(_, kept)| kept.since).map(|(client, _)| client.clone());
            oldest.and_then(|client| kept.remove(&client))
        };
        match oldest {
            Some(kept) => {
                kept.session.close().await;
                true
            }
            None => false,
        }
    }

    /// Ends all of them, together.
    pub(super) async fn close(&self) {
        let all: Vec<_> = self.lock().drain().map(|(_, kept)| kept.session.close()).collect();
        futures_util::future::join_all(all).await;
    }
}
