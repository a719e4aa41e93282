//! Why a report of a client is not accepted.

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
