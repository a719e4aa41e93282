//! The wheel: one turn is one sweep, the due clients side by side up to the bound.
//!
//! `--once` is one turn of it, the schedule turns it again and again. What happens to one client is the
//! pipeline's.

use std::{
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Instant,
};

use futures_util::FutureExt as _;
use tokio::{sync::Semaphore, task::JoinSet};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    fleet::{ClientId, EventKind, Failure, FailureKind, Stage, SweepId, event::Trigger},
    spine::Spine,
};

use super::{
    ledger::{Claim, Ledger},
    pipeline::Pipeline,
};

/// Turns sweeps. One for the whole process; outlives every configuration.
#[derive(Debug)]
pub struct Wheel {
    ledger: Arc<Ledger>,
    spine: Spine,
    turns: AtomicU64,
}

impl Wheel {
    /// A wheel that has not turned.
    #[must_use]
    pub fn new(ledger: Arc<Ledger>, spine: Spine) -> Self {
        Self { ledger, spine, turns: AtomicU64::new(0) }
    }

    /// One sweep over the clients of `pipeline` that are not being collected already. Every client it
    /// takes up gets an outcome, however the sweep ends.
    pub async fn turn(&self, pipeline: &Arc<Pipeline>, trigger: Trigger, cancel: &CancellationToken) -> SweepId {
        let started = Instant::now();
        let sweep = SweepId(Uuid::now_v7());
        let number = self.turns.fetch_add(1, Ordering::Relaxed) + 1;
        let (due, busy): (Vec<_>, Vec<_>) = pipeline
            .clients()
            .iter()
            .map(|client| (client.clone(), self.ledger.claim(&client.id)))
            .partition(|(_, claim)| claim.is_some());
        for (client, _) in busy {
            tracing::warn!(client = %client.id, "still being collected by an earlier sweep: left out of this one");
        }
        let clients = due.iter().map(|(client, _)| client.id.clone()).collect();
        self.spine.tell(Some(sweep), None, EventKind::SweepStarted { number, trigger, clients }).await;

        let places = Arc::new(Semaphore::new(pipeline.concurrency()));
        let ok = Arc::new(AtomicU32::new(0));
        let failed = Arc::new(AtomicU32::new(0));
        let mut collections = JoinSet::new();
        for (client, claim) in due {
            let place = tokio::select! {
                biased;
                () = cancel.cancelled() => None,
                place = places.clone().acquire_owned() => place.ok(),
            };
            let Some(place) = place else {
                self.tell_failure(sweep, &client.id, FailureKind::Cancelled, "the run ended before its turn").await;
                failed.fetch_add(1, Ordering::Relaxed);
                continue;
            };
            let (pipeline, cancel, spine) = (pipeline.clone(), cancel.clone(), self.spine.clone());
            let (ok, failed) = (ok.clone(), failed.clone());
            collections.spawn(async move {
                let held: (Option<Claim>, _) = (claim, place);
                let visit = AssertUnwindSafe(pipeline.visit(&client, sweep, &cancel)).catch_unwind().await;
                let collected = match visit {
                    Ok(collected) => collected,
                    Err(_) => {
                        let kind = failure(FailureKind::Defect, "see the log");
                        spine.tell(Some(sweep), Some(&client.id), kind).await;
                        false
                    }
                };
                let count = if collected { ok } else { failed };
                count.fetch_add(1, Ordering::Relaxed);
                drop(held);
            });
            while collections.try_join_next().is_some() {}
        }
        while collections.join_next().await.is_some() {}

        let (ok, failed) = (ok.load(Ordering::Relaxed), failed.load(Ordering::Relaxed));
        let duration_ms = super::milliseconds(started.elapsed());
        self.spine.tell(Some(sweep), None, EventKind::SweepEnded { number, duration_ms, ok, failed }).await;
        sweep
    }

    async fn tell_failure(&self, sweep: SweepId, client: &ClientId, kind: FailureKind, cause: &str) {
        self.spine.tell(Some(sweep), Some(client), failure(kind, cause)).await;
    }
}

/// The outcome of a collection that never got anywhere.
fn failure(kind: FailureKind, cause: &str) -> EventKind {
    EventKind::CollectionFailed {
        collection: Uuid::now_v7(),
        duration_ms: 0,
        attempts: 0,
        failure: Failure::new(Stage::Queued, kind).because(cause),
        alerts: Vec::new(),
    }
}
