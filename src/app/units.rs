//! Durations in milliseconds, the unit of events and the database.

use std::time::Duration;

/// Whole milliseconds; saturates at the largest number.
#[must_use]
pub fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
