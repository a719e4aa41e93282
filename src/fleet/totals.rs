//! What a collector has done since it was started, as counters that never go back.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Event, EventKind, FailureKind};

/// The counters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Totals {
    /// Sweeps that ended.
    pub sweeps: u64,
    /// Collections that succeeded.
    pub collected: u64,
    /// Collections that failed, by the kind of failure. A kind that has not occurred is absent.
    pub failed: BTreeMap<FailureKind, u64>,
}

impl Totals {
    pub(super) fn apply(&mut self, event: &Event) {
        match &event.kind {
            EventKind::SweepEnded { .. } => self.sweeps += 1,
            EventKind::Collected { .. } => self.collected += 1,
            EventKind::CollectionFailed { failure, .. } => *self.failed.entry(failure.kind).or_default() += 1,
            EventKind::Configured { .. }
            | EventKind::SweepStarted { .. }
            | EventKind::StageEntered { .. }
            | EventKind::AttemptFailed { .. }
            | EventKind::Alert { .. }
            | EventKind::Acknowledged { .. }
            | EventKind::Unacknowledged { .. }
            | EventKind::Mail { .. }
            | EventKind::SchedulePaused { .. }
            | EventKind::DatabaseAway { .. }
            | EventKind::DatabaseBack { .. }
            | EventKind::ConfigurationRefused { .. } => {}
        }
    }
}
