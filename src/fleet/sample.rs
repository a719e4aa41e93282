//! A sample: the numbers of one collection, as they are judged, compared, stored and exported. It is made from
//! what the collection showed and from what is known of the one before. It holds no text for display: that is in
//! the [`Reading`].

use serde::{Deserialize, Serialize};

use super::{Failure, Percent, Reading, failure::Blame, reading::Usage};

/// What a collection showed.
#[derive(Debug, Clone, Copy)]
pub enum Observation<'a> {
    /// It succeeded.
    Reading(&'a Reading),
    /// It failed; nothing was measured.
    Failed(&'a Failure),
}

/// What is known from the collections before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Previous {
    /// How many of them failed in a row.
    pub failed_in_a_row: u32,
}

/// The numbers of one collection. What was not measured is `None`, never 0.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Sample {
    /// How many collections failed in a row, up to and with this one. `None` where this one failed for a cause
    /// of the collector and so says nothing about the client.
    pub failed_in_a_row: Option<u32>,
    /// CPU use, all cores together.
    pub cpu: Option<Percent>,
    /// How many cores there are.
    pub core_count: Option<u32>,
    /// Memory; `None` where it was not measured.
    pub memory: Option<Usage>,
    /// Swap; `None` where there is none.
    pub swap: Option<Usage>,
    /// Seconds since boot.
    pub uptime_seconds: Option<u64>,
    /// Load averages of the whole machine over 1, 5 and 15 minutes.
    pub load: Option<[f64; 3]>,
    /// Use of the fullest mounted file system.
    pub fullest_disk: Option<Percent>,
}

impl Sample {
    /// The sample of a collection.
    #[must_use]
    pub fn new(observation: Observation<'_>, previous: Previous) -> Self {
        match observation {
            Observation::Reading(reading) => Self::of_reading(reading),
            Observation::Failed(failure) => {
                let failed_in_a_row = match failure.kind.blame() {
                    Blame::Collector => None,
                    Blame::Network | Blame::Client => Some(previous.failed_in_a_row.saturating_add(1)),
                };
                Self { failed_in_a_row, ..Self::default() }
            }
        }
    }

    /// The sample of a collection that succeeded.
    #[must_use]
    pub fn of_reading(reading: &Reading) -> Self {
        Self {
            failed_in_a_row: Some(0),
            cpu: reading.cpu,
            core_count: u32::try_from(reading.cores.len()).ok().filter(|count| *count > 0),
            memory: reading.memory,
            swap: reading.swap,
            uptime_seconds: reading.uptime_seconds,
            load: reading.load,
            fullest_disk: reading.disk_percent(),
        }
    }

    /// One-minute load average per core.
    #[must_use]
    pub fn load_per_core(&self) -> Option<f64> {
        let [one, _, _] = self.load?;
        Some(one / f64::from(self.core_count?))
    }
}
