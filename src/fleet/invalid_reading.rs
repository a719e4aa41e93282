//! Why a part of a client's report is not accepted.

use fleetsweep_agent::report::MAX_WARNINGS;

use super::clean_text::text;

/// Why a part is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{part}: {problem}")]
pub struct InvalidReading {
    /// The part of the report.
    pub part: String,
    /// What is wrong with it.
    pub problem: String,
}

impl InvalidReading {
    /// A problem of a part. The part may contain text of the client.
    pub(super) fn new(part: &str, problem: impl ToString) -> Self {
        Self { part: text(part), problem: problem.to_string() }
    }
}

/// The parts of a report that are left out, each with the reason. The rest of the report counts.
#[derive(Debug, Default)]
pub(super) struct LeftOut(Vec<String>);

impl LeftOut {
    /// The value, or `None` and a warning.
    pub(super) fn keep<T>(&mut self, value: Result<T, InvalidReading>) -> Option<T> {
        value.map_err(|invalid| self.add(invalid.to_string())).ok()
    }

    /// Adds a warning about a part that is not invalid.
    pub(super) fn add(&mut self, warning: String) {
        if self.0.len() < MAX_WARNINGS {
            self.0.push(warning);
        }
    }

    /// The warnings.
    pub(super) fn into_warnings(self) -> Vec<String> {
        self.0
    }
}
