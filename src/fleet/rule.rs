//! A rule: one validated `<alert>` of the configuration. It is applied in [`super::judge`].

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Metric, metric::Instance};

/// How often an open alert is mailed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Repeat {
    /// At every collection over the limit.
    Every,
    /// Once when it is raised, then a reminder after each of these intervals.
    After(Duration),
}

/// One limit of one client.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// The metric.
    pub metric: Metric,
    /// The instance that it applies to; `None` for every instance without a rule of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<Instance>,
    /// The limit in the metric's unit. It is exceeded if the value is strictly worse.
    pub limit: f64,
    /// An open alert ends when the value is no worse than this. Never worse than `limit`.
    pub clear: f64,
    /// Sweeps in a row over the limit before the alert is raised; at least 1.
    pub for_sweeps: u32,
    /// How often the alert is mailed while it lasts.
    pub repeat: Repeat,
    /// Whether the end of the alert is mailed.
    pub recovery: bool,
}
