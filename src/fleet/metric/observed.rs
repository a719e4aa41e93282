//! What a metric takes its values from: one collection and what is known of those before. Not the values.

use crate::fleet::{Failure, Reading, failure::Blame};

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

/// What a metric looks at.
#[derive(Debug, Clone, Copy, Default)]
pub struct Observed<'a> {
    /// What the client reported; `None` where the collection failed.
    pub reading: Option<&'a Reading>,
    /// How many collections failed in a row, up to and with this one. `None` where this one failed for a cause
    /// of the collector and so says nothing about the client.
    pub failed_in_a_row: Option<u32>,
}

impl<'a> Observed<'a> {
    /// What a collection showed, with what is known of those before.
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

    /// A collection that succeeded.
    #[must_use]
    pub fn reading(reading: &'a Reading) -> Self {
        Self { reading: Some(reading), failed_in_a_row: Some(0) }
    }
}
