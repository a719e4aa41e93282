//! The sessions with bastions, through which clients are reached. One session serves all clients behind a bastion. If the
//! server opens no more connections in it, further sessions are opened.
//!
//! A bastion that cannot be used is tried once in a sweep for all clients behind it. The clients fail with
//! [`FailureKind::NotReached`], which is not counted as their failure.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
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
    host_key::HostKeyPurpose,
    login_record::LoginRecord,
    session::Session,
    span,
    transport::{Forwarded, Transport},
};
use crate::{
    config::{AgentKeeping, Bastion, Client, HostKeyPolicy},
    fleet::{ClientId, Failure, FailureKind, Stage, SweepId, failure::Retry},
};

/// How often a bastion is tried before it fails, where another attempt may succeed.
const ATTEMPTS: u32 = 2;
/// The most sessions with one bastion.
const MOST_SESSIONS: usize = 64;
/// How long a bastion that refused the login is not tried again, because another attempt could lock the account.
const AFTER_REFUSAL: Duration = Duration::from_secs(60 * 60);

/// All bastions, and how clients are reached through them.
pub(super) struct Bastions {
    access: Arc<Access>,
    host_keys: HostKeyPolicy,
    timeout: Duration,
    gates: Mutex<HashMap<Vec<String>, Arc<Gate>>>,
}

/// One bastion, reached in one way.
struct Gate {
    bastion: Arc<Bastion>,
    /// The bastion before it.
    before: Option<Arc<Gate>>,
    access: Arc<Access>,
    host_keys: HostKeyPolicy,
    timeout: Duration,
    /// The places for clients that connect and log in.
    places: Arc<Semaphore>,
    /// Locked while a session is opened, so that all clients wait for the same one.
    state: tokio::sync::Mutex<State>,
}

struct State {
    sessions: Vec<Arc<Carrier>>,
    /// The most connections that one session carries, as far as it is known.
    limit: usize,
    /// The last failure, and until when the bastion is not tried again.
    failed: Option<(Until, Failure)>,
}

/// Until when a bastion is not tried again after a failure.
enum Until {
    /// Until a sweep other than this one.
    NextSweep(SweepId),
    /// Until this time.
    Time(Instant),
}

/// A session with a bastion.
struct Carrier {
    session: Session,
    /// Connections that are open, or being opened.
    asked: AtomicUsize,
    /// Connections that are open.
    open: AtomicUsize,
}

/// One connection in the counts of a session.
struct Carried {
    carrier: Arc<Carrier>,
    is_open: bool,
}

impl Carried {
    fn new(carrier: &Arc<Carrier>) -> Self {
        carrier.asked.fetch_add(1, Ordering::Relaxed);
        Self { carrier: Arc::clone(carrier), is_open: false }
    }

    fn opened(&mut self) {
        self.is_open = true;
        self.carrier.open.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Carried {
    fn drop(&mut self) {
        self.carrier.asked.fetch_sub(1, Ordering::Relaxed);
        if self.is_open {
            self.carrier.open.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// The way to a client.
pub(super) struct Route {
    /// The last bastion before it, and the sweep that it is for.
    through: Option<(Arc<Gate>, Option<SweepId>)>,
    /// Held until the client is logged in.
    _place: Option<OwnedSemaphorePermit>,
}

impl Route {
    /// Opens the connection to a client, within about `allowed` where it is a direct one.
    pub(super) fn open(
        &self,
        client: &ClientId,
        allowed: Duration,
    ) -> impl Future<Output = Result<Transport, Failure>> + Send + use<> {
        let (through, client) = (self.through.clone(), client.clone());
        async move {
            match through {
                Some((gate, sweep)) => gate.open(sweep, client).await,
                None => connect::tcp(&client, allowed).await.map(Transport::Tcp),
            }
        }
    }

    /// The bastions on the way, each with the host key of its session.
    pub(super) async fn host_keys(&self) -> Vec<String> {
        let mut shown = Vec::new();
        let mut next = self.through.as_ref().map(|(gate, _)| gate);
        while let Some(gate) = next {
            let state = gate.state.lock().await;
            if let Some(key) = state.sessions.first().and_then(|carrier| carrier.session.host_key()) {
                shown.push(format!(
                    "{} {} {}",
                    gate.bastion.label(),
                    key.algorithm(),
                    key.fingerprint(HashAlg::Sha256)
                ));
            }
            next = gate.before.as_ref();
        }
        shown.reverse();
        shown
    }
}

impl Bastions {
    /// No session yet. `timeout` is that of an attempt at a client.
    pub(super) fn new(access: &Arc<Access>, host_keys: HostKeyPolicy, timeout: Duration) -> Self {
        Self { access: Arc::clone(access), host_keys, timeout, gates: Mutex::default() }
    }

    /// The way to a client. Behind a bastion it waits for a session with it and for a place, so that neither takes any
    /// of the client's time. A bastion that failed is tried again in the next `sweep`; without one, at once.
    ///
    /// # Errors
    /// [`FailureKind::NotReached`] or [`FailureKind::Cancelled`]
    pub(super) async fn route(
        &self,
        client: &Client,
        sweep: Option<SweepId>,
        cancel: &CancellationToken,
    ) -> Result<Route, Failure> {
        let Some(gate) = self.gate(&client.via) else { return Ok(Route { through: None, _place: None }) };
        let ready = async {
            let place = Arc::clone(&gate.places).acquire_owned().await;
            gate.session(sweep).await?;
            Ok(Route { through: Some((Arc::clone(&gate), sweep)), _place: place.ok() })
        };
        cancel
            .run_until_cancelled(ready)
            .await
            .unwrap_or_else(|| Err(Failure::new(Stage::Connect, FailureKind::Cancelled)))
    }

    /// The bastion at the end of a chain.
    fn gate(&self, chain: &[Arc<Bastion>]) -> Option<Arc<Gate>> {
        let (last, before) = chain.split_last()?;
        let before = self.gate(before);
        let key = chain.iter().map(|bastion| key(bastion)).collect();
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        let gate = gates.entry(key).or_insert_with(|| {
            Arc::new(Gate {
                bastion: Arc::clone(last),
                before,
                access: Arc::clone(&self.access),
                host_keys: self.host_keys,
                timeout: self.timeout,
                places: Arc::new(Semaphore::new(last.max_logins.get())),
                state: tokio::sync::Mutex::new(State { sessions: Vec::new(), limit: usize::MAX, failed: None }),
            })
        });
        Some(Arc::clone(gate))
    }

    /// Ends every session. Those of clients behind it should have ended before.
    pub(super) async fn close(&self) {
        let gates: Vec<_> = self.gates.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        for gate in gates {
            let sessions = std::mem::take(&mut gate.state.lock().await.sessions);
            let closing = sessions.into_iter().filter_map(Arc::into_inner).map(|c| c.session.close());
            futures_util::future::join_all(closing).await;
        }
    }
}

/// The data that distinguishes bastions. The same account with another key is a different one.
fn key(bastion: &Bastion) -> String {
    let key = bastion.login.key.as_ref().map(|key| key.path.display().to_string());
    format!("{} {}@{} {}", bastion.name, bastion.username, bastion.id, key.unwrap_or_default())
}

impl Gate {
    /// Opens a connection to a client.
    async fn open(self: Arc<Self>, sweep: Option<SweepId>, client: ClientId) -> Result<Transport, Failure> {
        // In each round, one more session turns out to be full or to have ended.
        for _ in 0..MOST_SESSIONS {
            let mut carried = self.session(sweep).await?;
            let (name, target) = (self.bastion.name.clone(), client.clone());
            // The task continues if the caller gives up, so that a connection that is opened late is closed.
            let opening = tokio::spawn(
                async move {
                    let opened = carried.carrier.session.forward(&target, &name).await;
                    if opened.is_ok() {
                        carried.opened();
                    }
                    (opened, carried)
                }
                .in_current_span(),
            );
            let (opened, carried) =
                opening.await.map_err(|error| Failure::new(Stage::Connect, FailureKind::Defect).because(error))?;
            match opened {
                Ok(stream) => {
                    let allowance = carried.carrier.session.allowance();
                    return Ok(Transport::Forwarded(Box::new(Forwarded::new(stream, allowance, carried))));
                }
                Err(ForwardError::Refused(failure)) => return Err(failure),
                Err(ForwardError::Ended) => {}
                Err(ForwardError::Full(words)) => self.note_limit(&carried.carrier, &words).await?,
            }
        }
        Err(self.not_reached("its sessions end as soon as they are opened"))
    }

    /// A session carries no more connections than it does now.
    async fn note_limit(&self, carrier: &Carrier, words: &str) -> Result<(), Failure> {
        let open = carrier.open.load(Ordering::Relaxed);
        if open == 0 {
            return Err(self.not_reached(&format!("it opens no connection: {words}")));
        }
        let mut state = self.state.lock().await;
        state.limit = state.limit.min(open);
        Ok(())
    }

    /// A place in a session that carries one more connection, opened if there is none.
    fn session(&self, sweep: Option<SweepId>) -> Pin<Box<dyn Future<Output = Result<Carried, Failure>> + Send + '_>> {
        // Boxed because bastions may stand behind each other.
        Box::pin(async move {
            let mut state = self.state.lock().await;
            state.sessions.retain(|carrier| carrier.session.is_open());
            let limit = state.limit;
            if let Some(carrier) = state.sessions.iter().find(|carrier| carrier.asked.load(Ordering::Relaxed) < limit) {
                return Ok(Carried::new(carrier));
            }
            if let Some((until, failure)) = &state.failed {
                let is_fresh = match until {
                    Until::NextSweep(failed_in) => sweep == Some(*failed_in),
                    Until::Time(time) => Instant::now() < *time,
                };
                if is_fresh {
                    return Err(failure.clone());
                }
            }
            state.failed = None;
            if state.sessions.len() == MOST_SESSIONS {
                return Err(self.not_reached("it carries no more connections"));
            }
            match self.log_in(sweep).instrument(span::of_bastion(&self.bastion.id)).await {
                Ok(session) => {
                    let carrier = Arc::new(Carrier { session, asked: AtomicUsize::new(0), open: AtomicUsize::new(0) });
                    let carried = Carried::new(&carrier);
                    state.sessions.push(carrier);
                    Ok(carried)
                }
                Err(failure) => {
                    let is_refusal = failure.kind == FailureKind::AuthenticationRefused;
                    let is_of_one_before = failure.kind == FailureKind::NotReached;
                    let failure = if is_of_one_before { failure } else { self.not_reached(&failure.to_string()) };
                    state.failed = match (is_refusal, sweep) {
                        (true, _) => Some((Until::Time(Instant::now() + AFTER_REFUSAL), failure.clone())),
                        (false, Some(sweep)) => Some((Until::NextSweep(sweep), failure.clone())),
                        (false, None) => None,
                    };
                    Err(failure)
                }
            }
        })
    }

    /// A new session with the bastion, logged in.
    async fn log_in(&self, sweep: Option<SweepId>) -> Result<Session, Failure> {
        let (server, never) = (as_client(&self.bastion), CancellationToken::new());
        let logins = LoginRecord::default();
        let mut tried = 0;
        loop {
            tried += 1;
            let deadlines = Deadlines::start(self.timeout, Duration::ZERO, &never);
            let route = Route { through: self.before.clone().map(|gate| (gate, sweep)), _place: None };
            let opening = route.open(&server.id, deadlines.of(Stage::Connect));
            let purpose = HostKeyPurpose::Enter(self.host_keys);
            let entered = async {
                let mut session =
                    self.access.connect(&server, opening, &deadlines, purpose, ChannelBuffer::Connections).await?;
                self.access.authenticate(&mut session, &server, &deadlines, &logins).await?;
                Ok(session)
            };
            match entered.await {
                Ok(session) => {
                    tracing::debug!("a session with the bastion is open");
                    return Ok(session);
                }
                Err::<_, Failure>(failure) if tried < ATTEMPTS && failure.kind.spec().retry == Retry::Counted => {
                    tracing::debug!(%failure, "the bastion is tried again");
                    let pause = backoff::pause(tried, rand::rng().random());
                    tokio::time::sleep(pause).await;
                }
                Err(failure) => return Err(failure),
            }
        }
    }

    fn not_reached(&self, why: &str) -> Failure {
        Failure::new(Stage::Connect, FailureKind::NotReached).because(self.bastion.label()).because(why)
    }
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
        agent: AgentKeeping::Keep,
        events: None,
        redact: None,
        legacy: bastion.legacy,
        via: Arc::default(),
    }
}
