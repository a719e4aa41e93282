//! Formats durations in the form that the configuration uses. Parsing them is elsewhere.

use std::time::Duration;

/// A duration in its largest whole unit: `90d`, `36h`, `1500ms`.
#[must_use]
pub fn show_duration(time: Duration) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];
    if time.subsec_nanos() != 0 || time.is_zero() {
        return format!("{}ms", time.as_millis());
    }
    let seconds = time.as_secs();
    UNITS
        .iter()
        .find(|(unit, _)| seconds.is_multiple_of(*unit))
        .map_or_else(|| format!("{seconds}s"), |(unit, letter)| format!("{}{letter}", seconds / unit))
}
