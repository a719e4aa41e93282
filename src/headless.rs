//! What a run without a screen shows: the result as a table, JSON or metrics, rows of the database,
//! progress, log lines.
//!
//! A reader of events like the dashboard: it decides nothing. It is not where the log goes to, nor
//! where sweeps are run.

pub mod json;
pub mod log;
pub mod metrics;
pub mod progress;
pub mod rows;
pub mod table;
