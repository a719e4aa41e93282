//! The output of a run without a screen: the result as a table, JSON or metrics, rows of the database, progress, log
//! lines.
//!
//! Like the dashboard, it only reads events and decides nothing.

pub mod json;
pub mod log;
pub mod metrics;
pub mod progress;
pub mod rows;
pub mod table;
