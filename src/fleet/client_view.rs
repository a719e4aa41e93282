//! The state of one client, folded from events: the running collection, the last ones and the last reading.

use std::collections::VecDeque;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{ClientId, Failure, Reading, Sample, Stage, SweepId, alert::Exceeded, event::ClientCard};

/// How many ended collections of a client are kept in short form.
pub(super) const SAMPLES_KEPT: usize = 60;

/// The state of one client, folded from events.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClientView {
    /// Its data from the configuration.
    pub card: ClientCard,
    /// The running collection.
    pub running: Option<Running>,
    /// The last collection that ended.
    pub last: Option<Finished>,
    /// The last reading and when it arrived. It is fresh if it is from the last collection.
    pub reading: Option<(Timestamp, Box<Reading>)>,
    /// The values of the metrics in the collection of that reading.
    #[serde(default)]
    pub sample: Sample,
    /// The limits exceeded at the last collection.
    pub exceeded: Vec<Exceeded>,
    /// The last collections in short form, oldest first.
    pub recent: VecDeque<RecentCollection>,
    /// Whether the last collection was received as an event; false if it is only known from the database.
    pub live: bool,
}

impl ClientView {
    /// Whether the reading is from the last collection and was received as an event: no newer collection is running,
    /// and the last one did not fail.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        self.live && self.running.is_none() && self.last.as_ref().is_some_and(|last| last.failure.is_none())
    }

    /// Why the last collection failed; `None` if it succeeded.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        self.last.as_ref()?.failure.as_ref()
    }
}

/// An ended collection in short form, for a small chart and for estimating durations.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RecentCollection {
    /// When it ended.
    pub at: Timestamp,
    /// From leaving the queue to the end.
    pub duration_ms: u64,
    /// CPU use, percent; `None` if it was not measured or the collection failed.
    pub cpu_percent: Option<f64>,
    /// Memory use, percent; `None` in the same cases.
    pub memory_percent: Option<f64>,
}

/// The stored history of a client from before the event stream began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Remembered {
    /// The client.
    pub client: ClientId,
    /// Its last collection.
    pub last: Option<Finished>,
    /// Its last reading, and when it arrived.
    pub reading: Option<(Timestamp, Box<Reading>)>,
    /// The values of the metrics in the collection of that reading; `None` if the reading is complete and has all of
    /// them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample: Option<Sample>,
    /// The limits exceeded at its last collection.
    pub exceeded: Vec<Exceeded>,
    /// Its last collections in short, oldest first.
    pub recent: Vec<RecentCollection>,
}

/// A running collection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Running {
    /// The sweep.
    pub sweep: SweepId,
    /// The attempt; counts from 1.
    pub attempt: u32,
    /// The stages of this attempt, with the time at which each was entered, in order.
    pub stages: Vec<(Stage, Timestamp)>,
    /// Why the previous attempt failed.
    pub failed_before: Option<Failure>,
}

impl Running {
    /// The stage it is in.
    #[must_use]
    pub fn stage(&self) -> Stage {
        self.stages.last().map_or(Stage::Queued, |(stage, _)| *stage)
    }
}

/// A collection that ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finished {
    /// The sweep.
    pub sweep: SweepId,
    /// The id of the collection.
    pub collection: Uuid,
    /// When it ended.
    pub at: Timestamp,
    /// From leaving the queue to the end.
    pub duration_ms: u64,
    /// How many attempts it took.
    pub attempts: u32,
    /// Why it failed; `None` if it succeeded.
    pub failure: Option<Failure>,
    /// The stages of its last attempt, with the time at which each was entered, in order. Empty if unknown.
    pub stages: Vec<(Stage, Timestamp)>,
}

impl Running {
    pub(super) fn new(sweep: SweepId) -> Self {
        Self { sweep, attempt: 1, stages: Vec::new(), failed_before: None }
    }
}

impl ClientView {
    pub(super) fn new(card: ClientCard) -> Self {
        Self {
            card,
            running: None,
            last: None,
            reading: None,
            sample: Sample::default(),
            exceeded: Vec::new(),
            recent: VecDeque::new(),
            live: false,
        }
    }

    pub(super) fn note_sample(
        &mut self,
        at: Timestamp,
        duration_ms: u64,
        cpu_percent: Option<f64>,
        memory_percent: Option<f64>,
    ) {
        if self.recent.len() >= SAMPLES_KEPT {
            self.recent.pop_front();
        }
        self.recent.push_back(RecentCollection { at, duration_ms, cpu_percent, memory_percent });
    }

    pub(super) fn finish(
        &mut self,
        sweep: SweepId,
        at: Timestamp,
        collection: Uuid,
        (duration_ms, attempts): (u64, u32),
        failure: Option<Failure>,
        exceeded: &[Exceeded],
    ) {
        let stages = self.running.take().map(|running| running.stages).unwrap_or_default();
        self.last = Some(Finished { sweep, collection, at, duration_ms, attempts, failure, stages });
        self.live = true;
        self.exceeded = exceeded.to_vec();
    }
}
