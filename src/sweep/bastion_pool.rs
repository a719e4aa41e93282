//! The sessions with one bastion. One session carries the connections to all clients behind it. If the server opens no
//! more connections in a session, another one is opened. Which bastions a client is behind is in [`super::bastions`].
//!
//! A bastion that cannot be used is tried once in a sweep for all clients behind it.

use std::{
    pin::Pin,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use rand::RngExt;
use russh::keys::HashAlg;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::{
    access::Access,
    backoff,
    connect::{self, ChannelBuffer},
    deadline::Deadlines,
    forwarding::ForwardError,
    host_key::{HostKeyPurpose, PinnedBefore, PinnedOthers, ShownHostKey},
    login_record::LoginRecord,
    pooled_session::{Connection, PooledSession},
    session::Session,
    span,
    transport::{Forwarded, Transport},
};
use crate::{
    config::{AgentDelivery, Bastion, Client, HostKeyPolicy},
    fleet::{ClientId, Failure, FailureKind, Stage, SweepId, failure::Retry, login_hold::HeldLogins},
};

/// How often a bastion is tried before it fails, where another attempt may succeed.
const ATTEMPTS: u32 = 2;
/// The most sessions with one bastion.
const MOST_SESSIONS: usize = 64;
/// How long a bastion that refused the login is not tried again, because another attempt could lock the account.
const AFTER_REFUSAL: Duration = Duration::from_secs(60 * 60);

/// Which host keys of bastions are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BastionKeys {
    /// As for clients.
    ByPolicy(HostKeyPolicy),
    /// Only pinned ones. Another one is pinned, and the bastion is not logged in to: its fingerprint should be compared
    /// before a credential is sent.
    Pinned,
}

/// What a bastion is needed for.
#[derive(Debug, Clone, Copy)]
pub(super) struct RouteOrder {
    /// The sweep. A bastion that failed is tried again in the next one.
    pub(super) sweep: SweepId,
    /// Whether a bastion that refused the login in an earlier sweep is left alone.
    pub(super) held_logins: HeldLogins,
}

/// The sessions with one bastion, which is reached in one way.
pub(super) struct BastionPool {
    bastion: Arc<Bastion>,
    /// The bastion before it.
    before: Option<Arc<BastionPool>>,
    access: Arc<Access>,
    keys: BastionKeys,
    /// The time of one attempt.
    timeout: Duration,
    /// Limits the clients that connect and log in at the same time.
    logins: Arc<Semaphore>,
    /// Locked while a session is opened, so that all clients wait for the same one.
    state: tokio::sync::Mutex<State>,
}

struct State {
    sessions: Vec<Arc<PooledSession>>,
    /// The most connections that one session carries, as far as it is known.
    limit: usize,
    last_failure: Option<PoolFailure>,
    last_loss: Option<SessionLoss>,
}

impl State {
    /// Removes the sessions that take no further connections.
    async fn remove_unusable(&mut self) {
        let (usable, others) = std::mem::take(&mut self.sessions).into_iter().partition(|pooled| pooled.is_usable());
        self.sessions = usable;
        for pooled in others {
            // Another one still carries its connections.
            if !pooled.session.is_open() {
                let why = pooled.session.lost(Stage::Connect).await.to_string();
                self.last_loss = Some(SessionLoss { noticed_at: Instant::now(), why });
            }
        }
    }
}

/// That a session ended by itself.
struct SessionLoss {
    noticed_at: Instant,
    why: String,
}

/// Why the bastion could not be used.
struct PoolFailure {
    sweep: SweepId,
    /// When it refused the login, if it did.
    refused_at: Option<Instant>,
    failure: Failure,
}

impl PoolFailure {
    /// Whether it stands for another attempt.
    fn holds(&self, order: RouteOrder, now: Instant) -> bool {
        let is_held =
            |at: Instant| now.duration_since(at) < AFTER_REFUSAL && order.held_logins == HeldLogins::Respected;
        self.sweep == order.sweep || self.refused_at.is_some_and(is_held)
    }
}

/// Opens a connection to a server: through a bastion, through a command, or within about `allowed` from here.
///
/// # Errors
/// Any failure of the stage `connect` before SSH begins.
pub(super) async fn open(
    through: Option<(Arc<BastionPool>, RouteOrder)>,
    server: ClientId,
    command: Option<String>,
    allowed: Duration,
) -> Result<Transport, Failure> {
    match (through, command) {
        (Some((pool, order)), _) => pool.open(order, &server).await,
        (None, Some(command)) => connect::by_command(&command),
        (None, None) => connect::tcp(&server, allowed).await.map(Transport::Tcp),
    }
}

impl BastionPool {
    /// No session yet. `timeout` is that of an attempt at a client.
    pub(super) fn new(
        bastion: Arc<Bastion>,
        before: Option<Arc<Self>>,
        access: Arc<Access>,
        keys: BastionKeys,
        timeout: Duration,
    ) -> Self {
        let logins = Arc::new(Semaphore::new(bastion.max_logins.get()));
        let state = tokio::sync::Mutex::new(State {
            sessions: Vec::new(),
            limit: usize::MAX,
            last_failure: None,
            last_loss: None,
        });
        Self { bastion, before, access, keys, timeout, logins, state }
    }

    /// Waits until one more client may connect and log in, and until there is a session for it.
    ///
    /// # Errors
    /// [`FailureKind::NotReached`], or a lack of resources of this machine.
    pub(super) async fn ready(&self, order: RouteOrder) -> Result<Option<OwnedSemaphorePermit>, Failure> {
        // The semaphore is never closed.
        let permit = Arc::clone(&self.logins).acquire_owned().await.ok();
        self.session(order).await?;
        Ok(permit)
    }

    /// The bastions on the way, each with the host key of its session.
    pub(super) async fn host_keys(&self) -> Vec<String> {
        let mut shown = Vec::new();
        let mut next = Some(self);
        while let Some(pool) = next {
            let state = pool.state.lock().await;
            if let Some(key) = state.sessions.first().and_then(|pooled| pooled.session.host_key()) {
                let key = key.key();
                let fingerprint = key.fingerprint(HashAlg::Sha256);
                shown.push(format!("{} {} {fingerprint}", pool.bastion.label(), key.algorithm()));
            }
            next = pool.before.as_deref();
        }
        shown.reverse();
        shown
    }

    /// The failure of a client that lost its connection, if a session with a bastion on the way has ended since `began`:
    /// then it is not the failure of the client.
    pub(super) async fn lost_since(&self, began: Instant) -> Option<Failure> {
        let mut lost = None;
        let mut next = Some(self);
        while let Some(pool) = next {
            let mut state = pool.state.lock().await;
            state.remove_unusable().await;
            // The session with a bastion ends with that of the bastion before it.
            if let Some(loss) = state.last_loss.as_ref().filter(|loss| loss.noticed_at >= began) {
                lost = Some(pool.not_reached(&loss.why));
            }
            next = pool.before.as_deref();
        }
        lost
    }

    /// Closes the sessions.
    pub(super) async fn close(&self) {
        let sessions = std::mem::take(&mut self.state.lock().await.sessions);
        // One that still carries a connection is closed with it.
        let closing = sessions.into_iter().filter_map(Arc::into_inner).map(|pooled| pooled.session.close());
        futures_util::future::join_all(closing).await;
    }

    async fn open(&self, order: RouteOrder, client: &ClientId) -> Result<Transport, Failure> {
        let mut ended = 0;
        // In each round, one more session turns out to be full or to have ended.
        for _ in 0..MOST_SESSIONS {
            let connection = self.session(order).await?;
            let (name, target) = (self.bastion.name.clone(), client.clone());
            // The task continues if the caller gives up, so that a connection that is opened late is closed.
            let opening =
                tokio::spawn(async move { (connection.0.forward(&target, &name).await, connection) }.in_current_span());
            let (opened, connection) =
                opening.await.map_err(|error| Failure::new(Stage::Connect, FailureKind::Defect).because(error))?;
            let session = Arc::clone(&connection.0);
            match opened {
                Ok((stream, carried)) => {
                    let carrier = (carried, connection);
                    let forwarded = Forwarded::new(stream, session.session.allowance(), carrier);
                    return Ok(Transport::Forwarded(Box::new(forwarded)));
                }
                Err(ForwardError::Refused(failure)) => return Err(failure),
                Err(ForwardError::Full(words)) => {
                    drop(connection);
                    self.note_limit(session.connections(), &words).await?;
                }
                Err(ForwardError::Ended) => {
                    ended += 1;
                    if ended == ATTEMPTS {
                        let why = session.session.lost(Stage::Connect).await;
                        let failure = self.not_reached(&format!("its sessions end when a connection is opened: {why}"));
                        let last = PoolFailure { sweep: order.sweep, refused_at: None, failure: failure.clone() };
                        self.state.lock().await.last_failure = Some(last);
                        return Err(failure);
                    }
                }
            }
        }
        Err(self.not_reached("it carries no more connections"))
    }

    /// A session carries no more than these connections. Some of them may not be open yet: if they are refused, too, the
    /// limit becomes lower with each.
    async fn note_limit(&self, connections: usize, words: &str) -> Result<(), Failure> {
        if connections == 0 {
            return Err(self.not_reached(&format!("it opens no connection: {words}")));
        }
        let mut state = self.state.lock().await;
        state.limit = state.limit.min(connections);
        Ok(())
    }

    /// A place in a session that carries one more connection. Opens a session if there is none.
    fn session(&self, order: RouteOrder) -> Pin<Box<dyn Future<Output = Result<Connection, Failure>> + Send + '_>> {
        // Boxed because bastions may stand behind each other.
        Box::pin(async move {
            let mut state = self.state.lock().await;
            state.remove_unusable().await;
            let limit = state.limit;
            if let Some(pooled) = state.sessions.iter().find(|pooled| pooled.connections() < limit) {
                return Ok(Connection::begin(pooled));
            }
            if let Some(last) = state.last_failure.take_if(|last| !last.holds(order, Instant::now())) {
                tracing::debug!(before = %last.failure, "the bastion is tried again");
            }
            if let Some(last) = &state.last_failure {
                return Err(last.failure.clone());
            }
            if state.sessions.len() == MOST_SESSIONS {
                return Err(self.not_reached("it carries no more connections"));
            }
            match self.log_in(order).instrument(span::of_bastion(&self.bastion.id)).await {
                Ok(session) => {
                    let pooled = Arc::new(PooledSession::new(session));
                    let connection = Connection::begin(&pooled);
                    state.sessions.push(pooled);
                    Ok(connection)
                }
                Err(failure) if is_of_this_machine(failure.kind) => Err(failure),
                Err(failure) => {
                    let refused_at = (failure.kind == FailureKind::AuthenticationRefused).then(Instant::now);
                    let is_of_one_before = failure.kind == FailureKind::NotReached;
                    let failure = if is_of_one_before { failure } else { self.not_reached(&failure.to_string()) };
                    let last = PoolFailure { sweep: order.sweep, refused_at, failure: failure.clone() };
                    state.last_failure = Some(last);
                    Err(failure)
                }
            }
        })
    }

    /// A new session with the bastion, logged in.
    async fn log_in(&self, order: RouteOrder) -> Result<Session, Failure> {
        let logins = LoginRecord::default();
        let mut tried = 0;
        loop {
            tried += 1;
            match self.try_to_log_in(order, &logins).await {
                Ok(session) => {
                    tracing::debug!("a session with the bastion is open");
                    return Ok(session);
                }
                Err(failure) if tried < ATTEMPTS && failure.kind.spec().retry == Retry::Counted => {
                    tracing::debug!(%failure, "the bastion is tried again");
                    let pause = backoff::pause(tried, rand::rng().random());
                    tokio::time::sleep(pause).await;
                }
                Err(failure) => return Err(failure),
            }
        }
    }

    async fn try_to_log_in(&self, order: RouteOrder, logins: &LoginRecord) -> Result<Session, Failure> {
        let (server, never) = (as_client(&self.bastion), CancellationToken::new());
        let policy = match self.keys {
            BastionKeys::ByPolicy(policy) => policy,
            BastionKeys::Pinned => {
                self.check_pinned(&server, order).await?;
                HostKeyPolicy::Strict
            }
        };
        let deadlines = Deadlines::start(self.timeout, Duration::ZERO, &never);
        let mut session = self.connect(&server, order, &deadlines, HostKeyPurpose::Enter(policy)).await?;
        self.access.authenticate(&mut session, &server, &deadlines, logins).await?;
        Ok(session)
    }

    /// Pins the host key of the bastion, without logging in.
    ///
    /// # Errors
    /// If no key was pinned before.
    async fn check_pinned(&self, server: &Client, order: RouteOrder) -> Result<(), Failure> {
        let (shown, never) = (Arc::new(OnceLock::new()), CancellationToken::new());
        let deadlines = Deadlines::start(self.timeout, Duration::ZERO, &never);
        let purpose = HostKeyPurpose::Trust { shown: Arc::clone(&shown), others: PinnedOthers::Stay };
        let connected = self.connect(server, order, &deadlines, purpose).await;
        match (shown.get(), connected) {
            (Some(ShownHostKey { before: PinnedBefore::ThisKey, .. }), _) => Ok(()),
            (Some(ShownHostKey { fingerprint, algorithm, .. }), _) => Err(self.not_reached(&format!(
                "its host key is pinned now: {algorithm} {fingerprint}: compare it, then run `fleetsweep trust` again"
            ))),
            (None, Err(failure)) => Err(failure),
            (None, Ok(_)) => Err(self.not_reached("it showed no host key")),
        }
    }

    async fn connect(
        &self,
        server: &Client,
        order: RouteOrder,
        deadlines: &Deadlines<'_>,
        purpose: HostKeyPurpose,
    ) -> Result<Session, Failure> {
        let through = self.before.clone().map(|pool| (pool, order));
        let command = server.proxy_command().map(str::to_owned);
        let opening = open(through, server.endpoint(), command, deadlines.of(Stage::Connect));
        self.access.connect(server, opening, deadlines, purpose, ChannelBuffer::Connections).await
    }

    fn not_reached(&self, why: &str) -> Failure {
        Failure::new(Stage::Connect, FailureKind::NotReached).because(self.bastion.label()).because(why)
    }
}

/// Whether a failure says nothing about the bastion. It is reported as it is, and another attempt may follow.
fn is_of_this_machine(kind: FailureKind) -> bool {
    matches!(kind, FailureKind::CollectorShort | FailureKind::CollectorOffline | FailureKind::Cancelled)
}

/// A bastion as a server to connect to and to log in to.
fn as_client(bastion: &Bastion) -> Client {
    Client {
        id: bastion.id.clone(),
        name: bastion.name.clone(),
        username: bastion.username.clone(),
        login: bastion.login.clone(),
        mail: Vec::new(),
        rules: Vec::new(),
        agent: AgentDelivery::default(),
        events: None,
        events_mail: crate::fleet::rule::Repeat::Every,
        logs: Vec::new(),
        ignore: None,
        redact: None,
        legacy: bastion.legacy,
        via: Arc::default(),
        openssh: bastion.openssh.clone(),
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_failure_stands_for_its_sweep_and_a_refused_login_for_an_hour_unless_an_operator_asks() {
        let [this, next] = [1, 2].map(|number| SweepId(Uuid::from_u128(number)));
        let began = Instant::now();
        let (dead, refused) = (None, Some(began));
        for (refused_at, sweep, held_logins, minutes, expected) in [
            (dead, this, HeldLogins::Respected, 0, true),
            (dead, next, HeldLogins::Respected, 0, false),
            (refused, next, HeldLogins::Respected, 59, true),
            (refused, next, HeldLogins::Respected, 60, false),
            (refused, next, HeldLogins::Retried, 1, false),
            // All clients of one sweep share one attempt, whoever asked for it.
            (refused, this, HeldLogins::Retried, 1, true),
        ] {
            let failure = Failure::new(Stage::Connect, FailureKind::NotReached);
            let last = PoolFailure { sweep: this, refused_at, failure };
            let now = began + Duration::from_secs(minutes * 60);
            let order = RouteOrder { sweep, held_logins };
            assert_eq!(last.holds(order, now), expected, "{refused_at:?} {order:?} {minutes}");
        }
    }
}
