//! The input of metrics: one collection and the previous ones.

use crate::fleet::{Failure, Reading, failure::Blame, states::States};

/// The result of a collection.
#[derive(Debug, Clone, Copy)]
pub enum Observation<'a> {
    /// It succeeded.
    Reading(&'a Reading),
    /// It failed, so nothing was measured.
    Failed(&'a Failure),
}

/// Data of previous collections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Previous {
    /// How many of them failed in a row.
    pub failed_in_a_row: u32,
}

/// The input of a metric.
#[derive(Debug, Clone, Copy, Default)]
pub struct Observed<'a> {
    /// The reading; `None` if the collection failed.
    pub reading: Option<&'a Reading>,
    /// How many collections failed in a row, including this one. `None` if this one failed because of the collector,
    /// which says nothing about the client.
    pub failed_in_a_row: Option<u32>,
}

impl<'a> Observed<'a> {
    /// The input from the result of a collection and the previous ones.
    #[must_use]
    pub fn new(observation: Observation<'a>, previous: Previous) -> Self {
        match observation {
            Observation::Reading(reading) => Self::reading(reading),
            Observation::Failed(failure) => {
                let failed_in_a_row = match failure.kind.blame() {
                    Blame::Collector => None,
                    Blame::Network | Blame::Client => Some(previous.failed_in_a_row.saturating_add(1)),
                };
                Self { reading: None, failed_in_a_row }
            }
        }
    }

    /// The states in the reading.
    #[must_use]
    pub fn states(&self) -> Option<&'a States> {
        self.reading.map(|reading| &reading.states)
    }

    /// The input from a successful collection.
    #[must_use]
    pub fn reading(reading: &'a Reading) -> Self {
        Self { reading: Some(reading), failed_in_a_row: Some(0) }
    }
}
