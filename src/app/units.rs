//! Durations in the unit of the stream and the database.

use std::time::Duration;

/// Whole milliseconds; the largest number where there are more than it can hold.
#[must_use]
pub fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
