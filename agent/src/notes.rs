//! The clock and the warnings, for all platforms.

use std::time::{SystemTime, UNIX_EPOCH};

use fleetsweep_agent::report::Warning;

/// The time of the machine's clock, milliseconds since the Unix epoch.
pub(crate) fn clock() -> Option<i64> {
    SystemTime::now().duration_since(UNIX_EPOCH).ok().and_then(|since| i64::try_from(since.as_millis()).ok())
}

/// The warnings so far.
#[derive(Default)]
pub(crate) struct Warnings(Vec<Warning>);

impl Warnings {
    /// Adds a warning.
    pub(crate) fn add(&mut self, what: &str, why: impl ToString) {
        self.0.push(Warning { what: what.to_owned(), why: why.to_string() });
    }

    /// Adds several warnings.
    pub(crate) fn extend(&mut self, warnings: Vec<Warning>) {
        self.0.extend(warnings);
    }

    /// Returns the value, or adds a warning.
    pub(crate) fn keep<T, E: ToString>(&mut self, what: &str, value: Result<T, E>) -> Option<T> {
        value.map_err(|why| self.add(what, why)).ok()
    }
}

impl From<Warnings> for Vec<Warning> {
    fn from(warnings: Warnings) -> Self {
        warnings.0
    }
}
