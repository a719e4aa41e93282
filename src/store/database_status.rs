//! Whether the database is there, as the store tells it to whoever watches. Not how it is found out.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;

use super::StoreError;

/// How it stands, and how the last outage ended.
#[derive(Debug, Clone, Default)]
pub struct DatabaseStatus {
    /// The outage that lasts; `None` while the database takes what it is given.
    pub away: Option<Away>,
    /// The last one that ended.
    pub ended: Option<Ended>,
}

/// The database is away: changes wait in the spool.
#[derive(Debug, Clone)]
pub struct Away {
    /// Counts the outages from 1.
    pub number: u64,
    /// Since when.
    pub since: Timestamp,
    /// How many changes wait.
    pub waiting: u64,
    /// Why, when it was last tried.
    pub why: Arc<StoreError>,
}

/// An outage that ended: everything that waited is stored.
#[derive(Debug, Clone)]
pub struct Ended {
    /// As in [`Away`].
    pub number: u64,
    /// Since when it was away.
    pub since: Timestamp,
    /// Why, when it was last tried in vain.
    pub why: Arc<StoreError>,
    /// How many changes were stored from the spool.
    pub stored: u64,
    /// How long it lasted.
    pub after: Duration,
}
