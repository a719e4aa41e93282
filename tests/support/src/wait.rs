//! Waiting for a condition with a deadline, and time limits that depend on the load of the machine.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

/// How often a condition is checked.
const EVERY: Duration = Duration::from_millis(10);

/// The time limit for anything that is expected to happen. It is long, because a busy machine takes ten times as long
/// as an idle one.
pub const SOON: Duration = Duration::from_secs(120);

/// Waits until a condition holds.
///
/// # Panics
/// If it does not hold in time. `what` names the condition: "the mail to arrive".
pub async fn wait_until(what: &str, within: Duration, mut condition: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !condition().await {
        assert!(started.elapsed() < within, "waited {within:?} in vain for {what}");
        tokio::time::sleep(EVERY).await;
    }
}

/// The time limit on this machine at its current load, for something that takes at most `time` on an idle one.
#[must_use]
pub fn allowance(time: Duration) -> Duration {
    time.mul_f64(crowding())
}

/// The number of runnable threads per processor, at least one: now or on average over the last minute, whichever is
/// higher.
pub(crate) fn crowding() -> f64 {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let processors = thread::available_parallelism().map_or(1, usize::from);
    (wanting(&load) / processors as f64).max(1.0)
}

/// The higher of the two in a line such as `0.20 0.18 0.12 1/80 11206`.
fn wanting(load: &str) -> f64 {
    let mut words = load.split_whitespace();
    let last_minute = words.next().and_then(|word| word.parse().ok());
    let now = words.nth(2).and_then(|word| word.split('/').next()?.parse().ok());
    last_minute.unwrap_or(0.0_f64).max(now.unwrap_or(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_load_is_that_of_now_or_of_the_last_minute() {
        for (load, expected) in [("0.20 9 9 1/80 11206\n", 1.0), ("16.01 1 1 2/80 7\n", 16.01), ("", 0.0), ("x y", 0.0)]
        {
            assert!((wanting(load) - expected).abs() < 1e-9, "{load:?}");
        }
        assert!(allowance(Duration::from_secs(1)) >= Duration::from_secs(1));
    }
}
