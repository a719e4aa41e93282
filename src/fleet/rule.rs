//! A rule: one `<alert>` of the configuration, after its text has been checked. Not its judgement.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Metric, metric::Instance};

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
    /// What is measured.
    pub metric: Metric,
    /// The one instance to which it applies; `None` for every instance that has no rule of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<Instance>,
    /// Exceeded when the value is strictly worse; in the metric's unit.
    pub limit: f64,
    /// An open alert ends when the value is no worse than this; never worse than `limit`.
    pub clear: f64,
    /// Sweeps in a row over the limit before the alert is raised; at least 1.
    pub for_sweeps: u32,
    /// How often it is mailed while it lasts.
    pub repeat: Repeat,
    /// Whether its end is mailed.
    pub recovery: bool,
}
