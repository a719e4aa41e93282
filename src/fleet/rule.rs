//! A rule: one `<alert>` of the configuration, after its text has been checked. Not its judgement.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Metric;

/// How often an open alert is mailed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Repeat {
    /// At every collection over the limit.
    Every,
    /// Once when it is raised, then a reminder after each such time.
    After(Duration),
}

/// One limit of one client.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// What is looked at.
    pub metric: Metric,
    /// Exceeded when the value is strictly greater. Percent, load per core or a count, after the metric.
    pub limit: f64,
    /// An open alert ends when the value is at or below this; never above `limit`.
    pub clear: f64,
    /// Sweeps in a row over the limit before the alert is raised; at least 1.
    pub for_sweeps: u32,
    /// How often it is mailed while it lasts.
    pub repeat: Repeat,
    /// Whether its end is mailed.
    pub recovery: bool,
}
