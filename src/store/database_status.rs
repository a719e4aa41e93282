//! The status of the database, as the store reports it to watchers.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;

use super::StoreError;

/// The current outage and the last one that ended.
#[derive(Debug, Clone, Default)]
pub struct DatabaseStatus {
    /// The current outage; `None` while the database accepts changes.
    pub away: Option<Away>,
    /// The last outage that ended.
    pub ended: Option<Ended>,
}

/// A current outage: changes wait in the spool.
#[derive(Debug, Clone)]
pub struct Away {
    /// Counts the outages from 1.
    pub number: u64,
    /// When it began.
    pub since: Timestamp,
    /// How many changes wait in the spool.
    pub waiting: u64,
    /// The error of the last attempt.
    pub why: Arc<StoreError>,
}

/// An outage that ended. Everything that waited is stored.
#[derive(Debug, Clone)]
pub struct Ended {
    /// As in [`Away`].
    pub number: u64,
    /// When it began.
    pub since: Timestamp,
    /// The error of the last failed attempt.
    pub why: Arc<StoreError>,
    /// How many changes were stored from the spool.
    pub stored: u64,
    /// How long it lasted.
    pub after: Duration,
}
