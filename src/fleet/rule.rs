//! A rule: one validated `<alert>` of the configuration. It is applied in [`super::judge`].

use std::time::Duration;

use fleetsweep_agent::request::{FurtherLog, QuestionError, Questions};
use serde::{Deserialize, Serialize};

use super::{
    Metric,
    metric::{Instance, InstancePattern, Scope},
};

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
    /// The instances that a rule for every instance leaves out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<InstancePattern>,
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

impl Rule {
    /// Whether it is for this instance alone.
    #[must_use]
    pub fn is_only_for(&self, instance: &Instance) -> bool {
        self.instance.as_ref().is_some_and(|own| instance.is_named(own))
    }

    /// Whether it is for every instance, and this one is not left out.
    #[must_use]
    pub fn is_also_for(&self, instance: &Instance) -> bool {
        self.instance.is_none() && !self.exclude.iter().any(|pattern| pattern.matches(instance))
    }
}

/// The longest text of all questions to a client, bytes.
pub const MAX_QUESTION_BYTES: usize = Questions::MAX_BYTES;

/// The most logs that a client is asked for beside its security log.
pub const MAX_LOGS: usize = Questions::MAX_LOGS;

/// What a client is asked for because of its rules and further logs.
///
/// # Errors
/// [`QuestionError`] if the names of processes and logs are too long together. Of mount points, as many are asked for as there
/// is space left.
pub fn questions(rules: &[Rule], logs: &[FurtherLog]) -> Result<Questions, QuestionError> {
    let mut questions = Questions::default();
    for rule in rules {
        let scope = rule.metric.spec().scope;
        questions.units |= scope == Scope::Service;
        if let (Scope::Process, Some(name)) = (scope, &rule.instance) {
            questions.ask_for_process(name.name())?;
        }
    }
    for log in logs {
        questions.ask_for_log(log.clone())?;
    }
    let mounts = rules.iter().filter(|rule| rule.metric.spec().scope == Scope::Mount);
    for mount in mounts.filter_map(|rule| rule.instance.as_ref()) {
        // One for which no space is left is only reported if no other mount point shows its file system.
        let _ = questions.ask_for_mount(mount.name());
    }
    Ok(questions)
}
