//! The scheduler runs sweeps: the due clients concurrently, up to the limit.
//!
//! `--once` runs one sweep, the schedule runs one per interval. What happens to one client is in the pipeline.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Instant,
};

use jiff::Timestamp;
use tokio::{sync::Semaphore, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, error_span};

use crate::{
    app::{audit, error::chain, units::milliseconds},
    bus::Publisher,
    config::Client,
    fleet::{
        ClientId, EventKind, Failure, FailureKind, Stage, SweepId, event::Trigger, failure::Blame,
        login_hold::HeldLogins,
    },
    store::{Store, StoreError},
    sweep::span,
};

use super::{
    client_states::{ClientGuard, ClientStates},
    pipeline::{CollectionSlot, Pipeline},
};

/// The clients of a sweep.
#[derive(Debug, Default)]
pub struct ClaimedClients {
    /// The clients that will be collected, with their guards.
    pub due: Vec<(Arc<Client>, ClientGuard)>,
    /// The clients that another sweep is collecting.
    pub busy: Vec<ClientId>,
}

/// Runs sweeps. Exists once per process and survives reloads of the configuration.
#[derive(Debug)]
pub struct Scheduler {
    client_states: Arc<ClientStates>,
    publisher: Publisher,
    store: Store,
    turns: AtomicU64,
    /// The causes that were logged, while they last.
    said: Mutex<BTreeSet<Cause>>,
}

impl Scheduler {
    /// A scheduler that continues numbering after this many sweeps.
    #[must_use]
    pub fn new(client_states: Arc<ClientStates>, publisher: Publisher, store: Store, turns: u64) -> Self {
        Self { client_states, publisher, store, turns: AtomicU64::new(turns), said: Mutex::default() }
    }

    /// Acquires the clients of `wanted` that are not being collected.
    #[must_use]
    pub fn claim(&self, wanted: &[Arc<Client>]) -> ClaimedClients {
        let mut taken = ClaimedClients::default();
        for client in wanted {
            match self.client_states.try_acquire(&client.id) {
                Some(guard) => taken.due.push((client.clone(), guard)),
                None => taken.busy.push(client.id.clone()),
            }
        }
        taken
    }

    /// Acquires all clients of `wanted`, and waits for those that are being collected. `wanted` must be in the order of
    /// the configuration, so that two callers cannot deadlock.
    pub async fn claim_in_turn(&self, wanted: &[Arc<Client>]) -> ClaimedClients {
        let mut taken = ClaimedClients::default();
        for client in wanted {
            taken.due.push((client.clone(), self.client_states.acquire(&client.id).await));
        }
        taken
    }

    /// Runs one sweep over acquired clients. Each client gets an outcome, however the sweep ends. `held` says whether
    /// logins that are held are tried.
    pub async fn run_sweep(
        &self,
        pipeline: &Arc<Pipeline>,
        sweep: SweepId,
        (trigger, held): (Trigger, HeldLogins),
        taken_up: ClaimedClients,
        cancel: &CancellationToken,
    ) {
        let span = error_span!("sweep", sweep = %sweep.0);
        self.sweep(pipeline, sweep, (trigger, held), taken_up, cancel).instrument(span).await;
    }

    async fn sweep(
        &self,
        pipeline: &Arc<Pipeline>,
        sweep: SweepId,
        (trigger, held): (Trigger, HeldLogins),
        ClaimedClients { due, busy }: ClaimedClients,
        cancel: &CancellationToken,
    ) {
        let started = Instant::now();
        let number = self.turns.fetch_add(1, Ordering::Relaxed) + 1;
        let busy_count = busy.len();
        for client in busy {
            tracing::warn!(%client, "skipped: still being collected by an earlier sweep");
        }
        let clients: Vec<_> = due.iter().map(|(client, _)| client.id.clone()).collect();
        let is_whole = pipeline.is_whole(due.len() + busy_count);
        let due: Vec<_> = due
            .into_iter()
            .map(|(client, guard)| {
                let answered = self.client_states.answered_last(&client.id);
                (client, guard, answered)
            })
            .collect();
        let evidence = pipeline.evidence(due.iter().filter(|(_, _, answered)| *answered).count(), is_whole);
        let due: Vec<_> =
            due.into_iter().map(|(client, guard, answered)| (client, guard, evidence.client(answered))).collect();
        note(self.store.sweep_started(sweep, number, trigger, Timestamp::now(), clients.len()).await);
        self.publisher.publish(Some(sweep), None, EventKind::SweepStarted { number, trigger, clients }).await;

        let places = Arc::new(Semaphore::new(pipeline.concurrency()));
        let ok = Arc::new(AtomicU32::new(0));
        let failed = Arc::new(AtomicU32::new(0));
        let ours = Arc::new(Mutex::new(OwnFailures::default()));
        let mut collections = JoinSet::new();
        for (client, guard, evidence) in due {
            let place = tokio::select! {
                biased;
                () = cancel.cancelled() => Err("the run ended before its turn"),
                () = guard.cancelled().cancelled() => Err("cancelled before its turn"),
                place = async { (places.clone().acquire_owned().await, pipeline.descriptors().await) } => Ok(place),
            };
            let place = match place {
                Ok(place) => place,
                Err(cause) => {
                    failed.fetch_add(1, Ordering::Relaxed);
                    let pipeline = pipeline.clone();
                    let failure = Failure::new(Stage::Queued, FailureKind::Cancelled).because(cause);
                    // Concurrently, so that many of them share one transaction.
                    let span = span::of_client(&client);
                    let failing = async move {
                        // The failure has been published already.
                        let _cancelled = pipeline.fail(&client, sweep, failure).await;
                        drop(guard);
                    };
                    collections.spawn(failing.instrument(span));
                    continue;
                }
            };
            let pipeline = pipeline.clone();
            let (ok, failed, ours) = (ok.clone(), failed.clone(), ours.clone());
            let end = cancel.child_token();
            let span = span::of_client(&client);
            let collecting = async move {
                let visit = pipeline.visit(&client, (sweep, held), CollectionSlot { place, evidence }, &end);
                // An operator may cancel this client alone.
                let ended_alone = async {
                    guard.cancelled().cancelled().await;
                    end.cancel();
                    std::future::pending::<Result<(), Failure>>().await
                };
                let visit = async {
                    tokio::select! {
                        collected = visit => collected,
                        never = ended_alone => never,
                    }
                };
                let collected = match pipeline.catch_panic(&client, sweep, visit).await {
                    Ok(()) => true,
                    Err(failure) => {
                        ours.lock().unwrap_or_else(PoisonError::into_inner).note(failure);
                        false
                    }
                };
                let count = if collected { ok } else { failed };
                count.fetch_add(1, Ordering::Relaxed);
                drop(guard);
            };
            collections.spawn(collecting.instrument(span));
            while collections.try_join_next().is_some() {}
        }
        while collections.join_next().await.is_some() {}
        pipeline.conclude(&evidence, is_whole);
        if let Err(error) = audit::write(&self.store, &pipeline.collector.take_audit_notes()).await {
            tracing::error!("pinned host keys and secrets that were read are not in the audit: {}", chain(&error));
        }

        let (ok, failed) = (ok.load(Ordering::Relaxed), failed.load(Ordering::Relaxed));
        self.own_up(&std::mem::take(&mut *ours.lock().unwrap_or_else(PoisonError::into_inner)), is_whole && ok > 0);
        let duration_ms = milliseconds(started.elapsed());
        note(self.store.sweep_ended(sweep, Timestamp::now(), duration_ms, ok, failed).await);
        self.publisher.publish(Some(sweep), None, EventKind::SweepEnded { number, duration_ms, ok, failed }).await;
    }

    /// Logs failures that are not the fault of clients: once for each cause when it begins, and once when it is
    /// over, which a part of the clients does not show.
    fn own_up(&self, ours: &OwnFailures, shows_ends: bool) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        for (cause, (count, first)) in &ours.0 {
            if said.insert(cause.clone()) {
                let clients = if *count == 1 { "1 client was".to_owned() } else { format!("{count} clients were") };
                let whose = match &cause.bastion {
                    Some(_) => "because of a bastion",
                    None => "because of a problem of this collector",
                };
                tracing::error!("{clients} not collected {whose}: {first}: {}", first.kind.next_step());
            }
        }
        if shows_ends {
            for cause in said.extract_if(.., |cause| !ours.0.contains_key(cause)) {
                let of = cause.bastion.map(|bastion| format!(": {bastion}")).unwrap_or_default();
                tracing::info!("clients are collected again; resolved: {}{of}", cause.kind.words());
            }
        }
    }
}

/// Why clients were not collected, where it is not their fault.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Cause {
    kind: FailureKind,
    /// The bastion that could not be used.
    bastion: Option<String>,
}

/// The failures of one sweep that are not those of clients: how many for each cause, and the first.
#[derive(Debug, Default)]
struct OwnFailures(BTreeMap<Cause, (u32, Failure)>);

impl OwnFailures {
    fn note(&mut self, failure: Failure) {
        // These are reported elsewhere.
        let is_told = matches!(failure.kind, FailureKind::Cancelled | FailureKind::StoreFailed | FailureKind::Defect);
        if failure.kind.blame() == Blame::Collector && !is_told {
            let bastion = if failure.kind == FailureKind::NotReached { failure.causes.first().cloned() } else { None };
            self.0.entry(Cause { kind: failure.kind, bastion }).or_insert((0, failure)).0 += 1;
        }
    }
}

/// Without its row, a sweep cannot be shown in time travel. The errors of its collections are reported by themselves.
fn note(written: Result<(), StoreError>) {
    if let Err(error) = written {
        tracing::error!("a sweep could not be recorded in the history: {}", chain(&error));
    }
}
