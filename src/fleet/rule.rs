//! A rule: one `<alert>` of the configuration, after its text has been checked. Not its judgement.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};

/// What a rule looks at. A client has at most one rule for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Metric {
    /// CPU use over the sampling window, percent.
    Cpu,
    /// Used memory, percent.
    Memory,
    /// Used swap, percent.
    Swap,
    /// Use of the fullest mounted file system, percent.
    Disk,
    /// One-minute load average per core, a number.
    Load,
    /// Failed sweeps in a row, a count.
    Unreachable,
}

impl Metric {
    /// Every metric, in the order in which mails list them.
    pub const ALL: [Self; 6] = [Self::Cpu, Self::Memory, Self::Swap, Self::Disk, Self::Load, Self::Unreachable];

    /// Its word in the configuration, in JSON and in the database.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Swap => "swap",
            Self::Disk => "disk",
            Self::Load => "load",
            Self::Unreachable => "unreachable",
        }
    }

    /// Shows a value of this metric with its unit: `93.0 %`, `1.25`, `3 failed sweeps in a row`.
    #[must_use]
    pub fn show(self, value: f64) -> String {
        match self {
            Self::Cpu | Self::Memory | Self::Swap | Self::Disk => format!("{value:.1} %"),
            Self::Load => format!("{value:.2} per core"),
            Self::Unreachable if value == 1.0 => "1 failed sweep".to_owned(),
            Self::Unreachable => format!("{value:.0} failed sweeps in a row"),
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// A word that names no metric.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no alert type")]
pub struct NotAMetric(pub String);

impl FromStr for Metric {
    type Err = NotAMetric;

    fn from_str(word: &str) -> Result<Self, NotAMetric> {
        Self::ALL.into_iter().find(|metric| metric.word() == word).ok_or_else(|| NotAMetric(word.to_owned()))
    }
}

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
