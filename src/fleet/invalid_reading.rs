//! Why a report of a client, or a part of it, is not accepted.

use fleetsweep_agent::report::MAX_WARNINGS;

use super::clean_text::text;

/// Why a report is invalid.
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

/// The parts of a report that are left out because they are invalid: one of many file systems, disks or processes, or a
/// value that says nothing about the others. The rest of the report counts.
#[derive(Debug, Default)]
pub(super) struct LeftOut(Vec<String>);

impl LeftOut {
    /// The value, or `None` and a warning.
    pub(super) fn keep<T>(&mut self, value: Result<T, InvalidReading>) -> Option<T> {
        let add = |invalid: &InvalidReading| {
            if self.0.len() < MAX_WARNINGS {
                self.0.push(invalid.to_string());
            }
        };
        value.inspect_err(add).ok()
    }

    /// The warnings.
    pub(super) fn into_warnings(self) -> Vec<String> {
        self.0
    }
}
