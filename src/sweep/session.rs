//! An open SSH session, and the sessions that are kept for the next sweep. They are opened in [`super::connect`] and
//! [`super::authenticate`].

use std::{
    collections::HashMap,
    num::NonZeroUsize,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use russh::{
    Channel, ChannelStream, Disconnect,
    client::{Handle, Msg},
    keys::HashAlg,
};
use secrecy::SecretString;
use tokio_util::sync::DropGuard;

use super::{
    algorithms::AlgorithmSet,
    allowance::Allowance,
    descriptor_budget::{DescriptorBudget, DescriptorPermit},
    forwarding::{self, CarriedChannel, ForwardError},
    sent_secrets::SentSecrets,
    server_key::ServerKey,
    session_handler::SessionHandler,
    session_state::{Ending, SessionState},
};
use crate::fleet::{ClientId, Failure, FailureKind, Stage, failure::SessionAfter};

/// How long closing a session properly may take. After that it is cut.
const GOODBYE: Duration = Duration::from_secs(1);

/// How long the task of a session that has ended may take to report the reason. It only waits for the shutdown of a
/// socket.
const TELLING: Duration = Duration::from_secs(1);

/// What arrives this long after a password may be the reply to a keepalive.
const ANSWER_BEFORE: Duration = Duration::from_secs(25);

/// An open session. Dropping it cuts the connection immediately and leaves no task behind.
pub(super) struct Session {
    handle: Handle<SessionHandler>,
    state: SessionState,
    names_windows: bool,
    /// When a password was sent.
    password_sent_at: Option<Instant>,
    /// Whether the server waits for an answer that it does not get. The library hears nothing else then.
    is_asked: bool,
    /// The shortest time in which the server opened a channel, microseconds.
    round_trip_us: AtomicU64,
    _cut: DropGuard,
}

impl Session {
    /// Creates a session. `cut` cuts its stream when it is dropped.
    pub(super) fn new(
        handle: Handle<SessionHandler>,
        state: SessionState,
        names_windows: bool,
        cut: DropGuard,
    ) -> Self {
        let round_trip_us = AtomicU64::new(u64::MAX);
        Self { handle, state, names_windows, password_sent_at: None, is_asked: false, round_trip_us, _cut: cut }
    }

    /// The accepted host key.
    pub(super) fn host_key(&self) -> Option<&ServerKey> {
        self.state.host_key.get()
    }

    /// The login begins.
    pub(super) fn log_in(&self) {
        self.state.allowance.log_in();
    }

    /// A text that the server shows during the login.
    pub(super) fn note_text(&self, text: &str) {
        self.state.texts.note(text);
    }

    /// A request begins. What the server showed before it is not about it.
    pub(super) fn forget_texts(&self) {
        self.state.texts.forget();
    }

    /// Removes and returns what the server showed since the last request.
    pub(super) fn take_texts(&self) -> Option<String> {
        self.state.texts.take().map(|text| format!("the server says: {}", self.state.secrets.hide_in(&text)))
    }

    /// This password is sent next.
    pub(super) fn sends(&mut self, password: &SecretString) {
        self.state.secrets.note(password);
        self.state.allowance.requested();
        self.password_sent_at = Some(Instant::now());
    }

    /// Whether the server has answered a password that was sent, although the library reports no answer. The library
    /// ignores the request for a new password.
    pub(super) fn has_ignored_answer(&self) -> bool {
        self.password_sent_at.is_some_and(|sent| {
            let is_answer = |heard: Instant| heard.duration_since(sent) < ANSWER_BEFORE;
            self.state.allowance.heard_at().is_some_and(is_answer)
        })
    }

    /// The passwords that were sent.
    pub(super) fn secrets(&self) -> &SentSecrets {
        &self.state.secrets
    }

    /// The server gets no answer to its question, so that the session can only be cut.
    pub(super) fn leave_unanswered(&mut self) {
        self.is_asked = true;
    }

    /// Whether the server's identification names Windows.
    pub(super) fn names_windows(&self) -> bool {
        self.names_windows
    }

    /// The handle of the library, for authentication.
    pub(super) fn handle(&mut self) -> &mut Handle<SessionHandler> {
        &mut self.handle
    }

    /// The hash for signatures with an RSA key; `None` stands for SHA-1. If a server does not announce SHA-2, or
    /// announces nothing like those before OpenSSH 7.2, it gets SHA-256, which is more common than SHA-512, or SHA-1 if
    /// that is allowed.
    pub(super) async fn rsa_hash(&self, allowed: AlgorithmSet) -> Option<HashAlg> {
        match (self.handle.best_supported_rsa_hash().await, allowed) {
            (Ok(Some(Some(hash))), _) => Some(hash),
            (Ok(Some(None) | None) | Err(_), AlgorithmSet::Sound) => Some(HashAlg::Sha256),
            (Ok(Some(None) | None) | Err(_), AlgorithmSet::Legacy) => None,
        }
    }

    /// Whether it has not ended, as far as known.
    pub(super) fn is_open(&self) -> bool {
        !self.handle.is_closed()
    }

    /// The failure of a session that has ended. Waits up to a second until its task has reported the reason.
    pub(super) async fn lost(&self, stage: Stage) -> Failure {
        match self.ending().await {
            Some(Ending::Abuse(abuse)) => Failure::new(stage, abuse.kind()).because(abuse),
            Some(Ending::Message(words) | Ending::Farewell(words) | Ending::Unsound(words)) => {
                Failure::new(stage, FailureKind::ConnectionLost).because(words)
            }
            Some(Ending::NoFurtherMethod) => Failure::new(stage, FailureKind::AuthenticationRefused),
            Some(Ending::LoginRefused(words)) => Failure::new(stage, FailureKind::AuthenticationRefused).because(words),
            None => Failure::new(stage, FailureKind::ConnectionLost).because("the server closed the connection"),
        }
    }

    /// The reason for its end, if it is known. Only called after its end.
    pub(super) async fn ending(&self) -> Option<Ending> {
        // The end may be noticed before the session's task has reported the reason.
        if tokio::time::timeout(TELLING, self.state.ended.cancelled()).await.is_err() {
            tracing::debug!("a session did not tell in time how it ended");
        }
        let ending = self.state.allowance.abuse().map(Ending::Abuse).or_else(|| self.state.ending.get());
        ending.map(|ending| ending.without(&self.state.secrets))
    }

    /// Opens a channel for one command.
    ///
    /// # Errors
    /// [`FailureKind::CommandRefused`] or [`FailureKind::ConnectionLost`].
    pub(super) async fn channel(&self, stage: Stage) -> Result<Channel<Msg>, Failure> {
        self.state.allowance.work();
        let asked = Instant::now();
        match self.handle.channel_open_session().await {
            Ok(channel) => {
                let took_us = u64::try_from(asked.elapsed().as_micros()).unwrap_or(u64::MAX);
                self.round_trip_us.fetch_min(took_us, Ordering::Relaxed);
                Ok(channel)
            }
            Err(russh::Error::ChannelOpenFailure(reason)) => Err(Failure::new(stage, FailureKind::CommandRefused)
                .because(format!("the server opens no channel: {reason:?}"))),
            Err(_) => Err(self.lost(stage).await),
        }
    }

    /// The time that a question to the server and its answer take on the network; 0 if no channel was opened yet.
    pub(super) fn round_trip(&self) -> Duration {
        match self.round_trip_us.load(Ordering::Relaxed) {
            u64::MAX => Duration::ZERO,
            us => Duration::from_micros(us),
        }
    }

    /// Opens a connection from this server to a client; `name` is the server's in errors.
    ///
    /// # Errors
    /// [`ForwardError`]
    pub(super) async fn forward(
        &self,
        client: &ClientId,
        name: &str,
    ) -> Result<(ChannelStream<Msg>, CarriedChannel), ForwardError> {
        self.state.allowance.forward();
        let port = u32::from(client.port());
        // Where the connection comes from is only for the server's log, and not the business of the client.
        match self.handle.channel_open_direct_tcpip(client.address(), port, "127.0.0.1", 0).await {
            Ok(channel) => {
                let carried = self.state.carried.carry(channel.id());
                Ok((channel.into_stream(), carried))
            }
            Err(russh::Error::ChannelOpenFailure(reason)) => {
                let words = self.state.secrets.hide_in(&self.state.refusals.take().await);
                Err(forwarding::refused(&reason, &words, name, client))
            }
            Err(_) => Err(ForwardError::Ended),
        }
    }

    /// What the other side may send.
    pub(super) fn allowance(&self) -> Allowance {
        self.state.allowance.clone()
    }

    /// Closes it after a failure, properly if the other side still answers.
    pub(super) async fn leave(self, failure: &Failure) {
        match failure.kind.spec().session {
            SessionAfter::Usable if !self.is_asked => self.close().await,
            SessionAfter::Usable | SessionAfter::Unusable => drop(self),
        }
    }

    /// Closes it properly, which takes a moment.
    pub(super) async fn close(self) {
        let goodbye = async {
            if self.handle.disconnect(Disconnect::ByApplication, "done", "en").await.is_ok() {
                // The result of the session's task is not needed.
                drop(self.handle.await);
            }
        };
        if tokio::time::timeout(GOODBYE, goodbye).await.is_err() {
            tracing::debug!("a session did not end in time and was cut");
        }
    }
}

/// Whether sessions are kept after a collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionKeeping {
    /// At most this many stay open for the next sweep, one per client.
    Keep(NonZeroUsize),
    /// Each is closed with its collection.
    CloseAfterUse,
}

/// The sessions that are kept for the next sweep.
pub(super) struct KeptSessions {
    keeping: SessionKeeping,
    /// The descriptor budget they count against; `None` if there is no limit.
    budget: Option<DescriptorBudget>,
    kept: Mutex<HashMap<ClientId, Kept>>,
}

/// A kept session.
struct Kept {
    since: Instant,
    session: Session,
    _budget: Option<DescriptorPermit>,
}

impl KeptSessions {
    /// Without sessions.
    pub(super) fn new(keeping: SessionKeeping, budget: Option<DescriptorBudget>) -> Self {
        Self { keeping, budget, kept: Mutex::default() }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<ClientId, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes and returns the session of a client, if there is one that has not ended as far as known.
    pub(super) fn take(&self, client: &ClientId) -> Option<Session> {
        let kept = self.lock().remove(client)?;
        kept.session.is_open().then_some(kept.session)
    }

    /// Keeps a session, or closes it if there is no space. Kept sessions stay, because sweeps visit clients in order,
    /// so that the oldest one is needed next.
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

    /// Closes the oldest kept session to free descriptors. Returns false if there is none.
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

    /// Closes all of them at the same time.
    pub(super) async fn close(&self) {
        let all: Vec<_> = self.lock().drain().map(|(_, kept)| kept.session.close()).collect();
        futures_util::future::join_all(all).await;
    }
}
