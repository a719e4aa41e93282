//! The operations on a client: collect, clean, trust, and look at its host key. One attempt of a collection is in
//! [`super::attempt`].

use std::{
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use rand::RngExt;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;
use uuid::Uuid;

use super::{
    access::Access,
    agents::{Agents, AgentsError},
    attempt::Attempt,
    audit_trail::AuditTrail,
    backoff,
    bastion_pool::{BastionKeys, RouteOrder},
    bastions::{Bastions, Route},
    collection::{Collection, CollectionOrder},
    connect::ChannelBuffer,
    deadline::{Deadlines, WINDOW},
    delivery::{self, Patience},
    descriptor_budget::DescriptorBudget,
    host_key::{HostKeyPurpose, PinnedBefore, PinnedOthers, ShownHostKey},
    keyring::Keyring,
    known_as::KnownAs,
    known_clients::KnownClients,
    known_hosts::{KnownHosts, KnownHostsError},
    login_marks::LoginMarks,
    login_record::LoginRecord,
    recognition,
    secrets::Secrets,
    session::{KeptSessions, SessionKeeping},
    shared::Shared,
    span,
};
use crate::{
    bus::Publisher,
    config::{AgentDelivery, Client, Config, safe_text},
    fleet::{
        ClientId, EventKind, Failure, FailureKind, Stage, SweepId,
        audit::AuditNote,
        failure::Retry,
        login_hold::{HeldLogins, HoldChange},
    },
};

/// The environment variable with a directory of agents for further platforms.
const AGENTS_FOLDER: &str = "FLEETSWEEP_AGENTS";

/// The most collections that request further reports at the same time. Each takes up to 32 MiB.
const READING_ON: usize = 8;

/// The reason why there is no collector.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// The `known_hosts` file cannot be used.
    #[error(transparent)]
    KnownHosts(#[from] KnownHostsError),
    /// The agents cannot be used.
    #[error(transparent)]
    Agents(#[from] AgentsError),
}

/// The result of `clean` for a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CleanResult {
    /// These directories were removed, in the form of the client; empty if nothing was kept.
    Removed(Vec<String>),
    /// The agent is installed there: nothing of ours is kept, and the client was not contacted.
    Installed,
}

/// The result of `trust` for a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustResult {
    /// What was pinned before. If it was not this key, its fingerprint should be compared with that on the client's
    /// console.
    pub before: PinnedBefore,
    /// Such as `ssh-ed25519`.
    pub algorithm: String,
    /// `SHA256:…`
    pub fingerprint: String,
    /// The bastions on the way, each with its host key.
    pub bastions: Vec<String>,
}

/// A host key that a client has shown and proved to own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenHostKey {
    /// Its name in files of host keys.
    known_as: ClientId,
    shown: ShownHostKey,
}

impl SeenHostKey {
    /// Such as `ssh-ed25519`.
    #[must_use]
    pub fn algorithm(&self) -> &str {
        &self.shown.algorithm
    }

    /// `SHA256:…`
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.shown.fingerprint
    }

    /// Whether it was pinned before.
    #[must_use]
    pub fn is_pinned(&self) -> bool {
        self.shown.before == PinnedBefore::ThisKey
    }
}

/// How often, and since when, a collection failed because this machine lacks a resource.
#[derive(Debug, Default)]
struct Shortage {
    times: u32,
    since: Option<tokio::time::Instant>,
}

impl Shortage {
    /// Counts a failure. Returns the pause before the next attempt, or `None` if `longest` has passed since the first
    /// one.
    fn pause(&mut self, longest: Duration, jitter: f64) -> Option<Duration> {
        let since = *self.since.get_or_insert_with(tokio::time::Instant::now);
        self.times += 1;
        (since.elapsed() < longest).then(|| backoff::pause(self.times.min(4), jitter))
    }
}

/// Runs operations on clients, and keeps what they share: pinned host keys, agents, decoded keys, secrets, open
/// sessions. There is one per configuration, shared by all tasks.
pub struct Collector {
    shared: Shared,
    /// The bastions for `trust`, which also pins the host keys of the bastions on the way to a client.
    trusting: Bastions,
    /// What `trust` and `clean` need bastions for: each of them visits all its clients as a sweep does.
    command: RouteOrder,
    /// The deadline of one attempt.
    timeout: Duration,
    /// The most further attempts of a collection.
    retries: u32,
    trail: AuditTrail,
}

/// The directory of agents for further platforms in the environment.
#[must_use]
pub fn agents_folder() -> Option<PathBuf> {
    std::env::var_os(AGENTS_FOLDER).map(PathBuf::from)
}

/// The available agents.
///
/// # Errors
/// If the directory in the environment cannot be used.
pub fn agents() -> Result<Agents, AgentsError> {
    agents_folder().map_or_else(|| Ok(Agents::embedded()), |folder| Agents::with_folder(&folder))
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collector").finish_non_exhaustive()
    }
}

impl Collector {
    /// A collector for a configuration. Opens no connection.
    ///
    /// # Errors
    /// [`SweepError`]
    pub fn new(config: &Config, keeping: SessionKeeping, publisher: Publisher) -> Result<Self, SweepError> {
        let agents = agents()?;
        let trail = AuditTrail::default();
        let hosts = KnownHosts::load(&config.ssh.known_hosts)?.with_trail(trail.clone());
        for bad in hosts.bad_lines() {
            tracing::warn!("{}:{}: {}", safe_text::path(hosts.path()), bad.line, bad.problem);
        }
        let timeout = config.collector.timeout;
        let access = Arc::new(Access {
            hosts: Arc::new(hosts),
            system_hosts: config.ssh.config.known_hosts(),
            host_keys: config.ssh.host_keys,
            keyring: Keyring::default(),
            secrets: Secrets::new(trail.clone()),
        });
        let trusting = Bastions::new(&access, BastionKeys::Pinned, timeout);
        let shared = Shared {
            publisher,
            bastions: Bastions::new(&access, BastionKeys::ByPolicy(access.host_keys), timeout),
            access,
            agents,
            sessions: KeptSessions::new(keeping, None),
            reading_on: Semaphore::new(READING_ON),
            known_clients: KnownClients::default(),
            marks: LoginMarks::default(),
        };
        let command = RouteOrder { sweep: SweepId(Uuid::now_v7()), held_logins: HeldLogins::Respected };
        Ok(Self { shared, trusting, command, timeout, retries: config.collector.retries, trail })
    }

    /// Uses a descriptor budget that kept sessions share with others.
    #[must_use]
    pub fn with_budget(mut self, keeping: SessionKeeping, budget: DescriptorBudget) -> Self {
        self.shared.sessions = KeptSessions::new(keeping, Some(budget));
        self
    }

    /// Collects from one client, with as many further attempts as configured. Publishes an event for each stage and for
    /// each failed attempt that is repeated, but not for the result, which is not stored yet. An attempt that fails
    /// because this machine lacks a resource does not count, and is repeated for as long as one attempt may take. A
    /// client whose login is held is not contacted.
    pub async fn collect(&self, client: &Client, order: CollectionOrder, cancel: &CancellationToken) -> Collection {
        let started_at = Timestamp::now();
        let id = Uuid::now_v7();
        let CollectionOrder { sweep, events, login_hold, held_logins } = order;
        let held = login_hold.as_ref().filter(|_| held_logins == HeldLogins::Respected);
        let looked = tokio::select! {
            biased;
            looked = self.shared.respect(client, held, started_at) => looked,
            () = cancel.cancelled() => Err(Failure::new(Stage::Authenticate, FailureKind::Cancelled)),
        };
        let logins = match looked {
            Ok(logins) => logins,
            Err(failure) => {
                let outcome = Err(failure);
                let (client, stages, login_hold) = (client.id.clone(), Vec::new(), HoldChange::Unchanged);
                return Collection { id, client, sweep, started_at, attempts: 0, stages, outcome, login_hold };
            }
        };
        let (mut attempts, mut short) = (0, Shortage::default());
        let entered = Mutex::new(Vec::new());
        let outcome = loop {
            attempts += 1;
            let began = Instant::now();
            entered.lock().unwrap_or_else(PoisonError::into_inner).clear();
            let attempting = async {
                let route = self.shared.bastions.route(client, RouteOrder { sweep, held_logins }, cancel).await?;
                let attempt = Attempt {
                    shared: &self.shared,
                    client,
                    sweep,
                    collection: id,
                    number: attempts,
                    events: &events,
                    logins: &logins,
                    entered: &entered,
                    // It begins when the way is open: the time of a bastion is not the client's.
                    deadlines: Deadlines::start(self.timeout, WINDOW, cancel),
                };
                attempt.make(route).await
            };
            let failure = match attempting.await {
                Ok(received) => break Ok(received),
                Err(failure) => failure,
            };
            let counted = attempts - short.times;
            let pause = match failure.kind.spec().retry {
                Retry::Never => break Err(failure),
                Retry::Counted if counted > self.retries => {
                    break Err(self.shared.bastions.blamed(client, failure, began).await);
                }
                Retry::Counted => backoff::pause(counted, rand::rng().random()),
                Retry::NotCounted => {
                    let Some(pause) = short.pause(self.timeout, rand::rng().random()) else { break Err(failure) };
                    // An idle session may hold the missing resource.
                    self.shared.sessions.give_up_one().await;
                    pause
                }
            };
            let retry_in_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
            let stage = failure.stage;
            tracing::debug!(%stage, %failure, retry_in_ms, "an attempt failed");
            let kind = EventKind::AttemptFailed { attempt: attempts, failure, retry_in_ms };
            self.shared.publisher.publish(Some(sweep), Some(&client.id), kind).await;
            if cancel.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                break Err(Failure::new(stage, FailureKind::Cancelled));
            }
        };
        let stages = entered.into_inner().unwrap_or_else(PoisonError::into_inner);
        let failure = outcome.as_ref().err();
        let login_hold = self.shared.hold_after(client, login_hold.as_ref(), &logins, failure, Timestamp::now()).await;
        Collection { id, client: client.id.clone(), sweep, started_at, attempts, stages, outcome, login_hold }
    }

    /// Removes the kept files on a client: agents and private directory.
    ///
    /// # Errors
    /// The failure. Nothing is retried.
    pub async fn clean(&self, client: &Client, cancel: &CancellationToken) -> Result<CleanResult, Failure> {
        let began = Instant::now();
        match self.clean_client(client, cancel).instrument(span::of_client(client)).await {
            Ok(result) => Ok(result),
            Err(failure) => Err(self.shared.bastions.blamed(client, failure, began).await),
        }
    }

    async fn clean_client(&self, client: &Client, cancel: &CancellationToken) -> Result<CleanResult, Failure> {
        const STAGE: Stage = Stage::Execute;
        if let AgentDelivery::Installed(_) = client.agent {
            return Ok(CleanResult::Installed);
        }
        let route = self.shared.bastions.route(client, self.command, cancel).await?;
        let deadlines = Deadlines::start(self.timeout, Duration::ZERO, cancel);
        let mut session = self.shared.connect(client, &route, &deadlines).await?;
        let cleaning = async {
            // An operator asks for it, so that a login that is held is tried.
            self.shared.access.authenticate(&mut session, client, &deadlines, &LoginRecord::default()).await?;
            let platform =
                recognition::recognise(&self.shared.known_clients, &session, &client.id, STAGE, &deadlines).await?;
            let clean = async |platform| {
                let patience = Patience::within(deadlines.of(STAGE));
                deadlines.run(STAGE, delivery::clean(&session, platform, client, patience)).await
            };
            match clean(&platform).await {
                Ok(removed) => Ok(removed),
                Err(failure) => match recognition::reconsider(
                    &self.shared.known_clients,
                    &session,
                    &client.id,
                    &platform,
                    &failure,
                    &deadlines,
                )
                .await
                {
                    Some(other) => clean(&other).await,
                    None => Err(failure),
                },
            }
        };
        match cleaning.await {
            Ok(removed) => {
                session.close().await;
                Ok(CleanResult::Removed(removed))
            }
            Err(failure) => {
                session.leave(&failure).await;
                Err(failure)
            }
        }
    }

    /// Connects to a client to get its host key, and pins the key if none is pinned, regardless of `host-keys`. No
    /// credential is sent.
    ///
    /// # Errors
    /// The failure: [`FailureKind::HostKeyChanged`] if another key is pinned and is to stay.
    pub async fn trust(
        &self,
        client: &Client,
        others: PinnedOthers,
        cancel: &CancellationToken,
    ) -> Result<TrustResult, Failure> {
        let began = Instant::now();
        match self.trust_client(client, others, cancel).instrument(span::of_client(client)).await {
            Ok(result) => Ok(result),
            Err(failure) => Err(self.trusting.blamed(client, failure, began).await),
        }
    }

    async fn trust_client(
        &self,
        client: &Client,
        others: PinnedOthers,
        cancel: &CancellationToken,
    ) -> Result<TrustResult, Failure> {
        let route = self.trusting.route(client, self.command, cancel).await?;
        let met = Arc::new(OnceLock::new());
        let purpose = HostKeyPurpose::Trust { shown: Arc::clone(&met), others };
        let ShownHostKey { fingerprint, algorithm, before, key: _ } =
            self.shown_key(client, &route, purpose, &met, cancel).await?;
        Ok(TrustResult { before, algorithm, fingerprint, bastions: route.host_keys().await })
    }

    /// Connects to a client to see its host key. Nothing is pinned, and no credential is sent to the client.
    ///
    /// # Errors
    /// The failure: [`FailureKind::HostKeyChanged`] if another key is pinned.
    pub async fn look(&self, client: &Client, cancel: &CancellationToken) -> Result<SeenHostKey, Failure> {
        let began = Instant::now();
        let looking = async {
            let route = self.shared.bastions.route(client, self.command, cancel).await?;
            let met = Arc::new(OnceLock::new());
            let purpose = HostKeyPurpose::Look { shown: Arc::clone(&met) };
            self.shown_key(client, &route, purpose, &met, cancel).await
        };
        match looking.instrument(span::of_client(client)).await {
            Ok(shown) => Ok(SeenHostKey { known_as: KnownAs::of(client, &[]).id, shown }),
            Err(failure) => Err(self.shared.bastions.blamed(client, failure, began).await),
        }
    }

    /// Pins a host key that was seen.
    ///
    /// # Errors
    /// [`KnownHostsError`] if the file cannot be written, or pins another key by now.
    pub fn pin(&self, seen: &SeenHostKey) -> Result<(), KnownHostsError> {
        self.shared.access.hosts.pin(seen.known_as.address(), seen.known_as.port(), &seen.shown.key)
    }

    /// The host key that a client shows to a connection with this purpose, which ends there.
    async fn shown_key(
        &self,
        client: &Client,
        route: &Route,
        purpose: HostKeyPurpose,
        met: &OnceLock<ShownHostKey>,
        cancel: &CancellationToken,
    ) -> Result<ShownHostKey, Failure> {
        let deadlines = Deadlines::start(self.timeout, Duration::ZERO, cancel);
        let opening = route.open(client, deadlines.of(Stage::Connect));
        let failure =
            match self.shared.access.connect(client, opening, &deadlines, purpose, ChannelBuffer::Commands).await {
                Ok(session) => {
                    session.close().await;
                    Failure::new(Stage::Connect, FailureKind::NotSsh).because("it showed no host key")
                }
                Err(failure) => failure,
            };
        met.get().cloned().ok_or(failure)
    }

    /// Takes the notes about host keys and secrets for the audit since the last call.
    #[must_use]
    pub fn take_audit_notes(&self) -> Vec<AuditNote> {
        self.trail.take()
    }

    /// Closes all kept sessions. The collector can still be used.
    pub async fn close(&self) {
        self.shared.sessions.close().await;
        self.shared.bastions.close().await;
        self.trusting.close().await;
    }
}
