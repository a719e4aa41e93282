//! One client as the events told it: the collection under way, the last ones, the last reading. Not the fold of
//! the events.

use std::collections::VecDeque;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{ClientId, Failure, Reading, Sample, Stage, SweepId, alert::Exceeded, event::ClientCard};

/// How many ended collections of a client are remembered as samples.
pub(super) const SAMPLES_KEPT: usize = 60;

/// One client as the events told it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClientView {
    /// What the configuration says of it.
    pub card: ClientCard,
    /// The collection under way.
    pub running: Option<Running>,
    /// The last collection that ended.
    pub last: Option<Finished>,
    /// The last reading, and when it arrived: fresh where that is the last collection's.
    pub reading: Option<(Timestamp, Box<Reading>)>,
    /// The values of the metrics in the collection of that reading.
    #[serde(default)]
    pub sample: Sample,
    /// The limits exceeded at the last collection.
    pub exceeded: Vec<Exceeded>,
    /// The last collections in short, oldest first.
    pub recent: VecDeque<RecentCollection>,
    /// Whether the last collection belongs to what is being watched; false while it is only remembered
    /// from the database.
    pub live: bool,
}

impl ClientView {
    /// Whether the reading is of the last collection, and that one is being watched: neither is a newer
    /// collection under way nor did the last one fail.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        self.live && self.running.is_none() && self.last.as_ref().is_some_and(|last| last.failure.is_none())
    }

    /// Why the last collection failed; `None` where it did not.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        self.last.as_ref()?.failure.as_ref()
    }
}

/// One ended collection in short: enough for a small chart and for learning how long it takes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RecentCollection {
    /// When it ended.
    pub at: Timestamp,
    /// From leaving the queue to the end.
    pub duration_ms: u64,
    /// CPU use, percent; `None` where it was not measured or the collection failed.
    pub cpu_percent: Option<f64>,
    /// Memory use, percent; likewise.
    pub memory_percent: Option<f64>,
}

/// What the database remembers of a client from before the stream began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Remembered {
    /// Which client.
    pub client: ClientId,
    /// Its last collection.
    pub last: Option<Finished>,
    /// Its last reading, and when it arrived.
    pub reading: Option<(Timestamp, Box<Reading>)>,
    /// The values of the metrics in the collection of that reading; `None` where the reading is whole, so that it has
    /// them all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample: Option<Sample>,
    /// The limits exceeded at its last collection.
    pub exceeded: Vec<Exceeded>,
    /// Its last collections in short, oldest first.
    pub recent: Vec<RecentCollection>,
}

/// A collection under way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Running {
    /// In which sweep.
    pub sweep: SweepId,
    /// The attempt; counts from 1.
    pub attempt: u32,
    /// The stages of this attempt, with the time at which each was entered, in order.
    pub stages: Vec<(Stage, Timestamp)>,
    /// Why the attempt before failed.
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
    /// In which sweep.
    pub sweep: SweepId,
    /// Names the collection.
    pub collection: Uuid,
    /// When it ended.
    pub at: Timestamp,
    /// From leaving the queue to the end.
    pub duration_ms: u64,
    /// How many attempts it took.
    pub attempts: u32,
    /// Why it failed; `None` where it succeeded.
    pub failure: Option<Failure>,
    /// The stages of its last attempt, with the time at which each was entered, in order. Empty where
    /// that was not told.
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
