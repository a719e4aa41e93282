//! The pause before the next attempt of a collection. Pure; [`super::collector`] waits.

use std::time::Duration;

/// Before the second attempt, without jitter.
const FIRST: Duration = Duration::from_millis(500);
/// The longest pause without jitter, so that a sweep does not wait long for one client.
const LONGEST: Duration = Duration::from_secs(8);

/// The pause after `failed` attempts (counted from 1). It is doubled each time, then multiplied by a factor from 0.5 to
/// 1.5 that depends on `jitter` (0 to 1), so that clients that failed together are not all retried together. Servers
/// that drop logins above `MaxStartups` need this.
pub(super) fn pause(failed: u32, jitter: f64) -> Duration {
    let doublings = failed.saturating_sub(1).min(16);
    let plain = FIRST.saturating_mul(1 << doublings).min(LONGEST);
    plain.mul_f64(0.5 + jitter.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_limit_and_spread_around_it() {
        for (failed, jitter, expected_ms) in [
            (1, 0.5, 500),
            (2, 0.5, 1000),
            (3, 0.5, 2000),
            (5, 0.5, 8000),
            (6, 0.5, 8000),
            (u32::MAX, 0.5, 8000),
            (1, 0.0, 250),
            (1, 1.0, 750),
            (0, 0.5, 500),
        ] {
            assert_eq!(pause(failed, jitter), Duration::from_millis(expected_ms), "{failed} {jitter}");
        }
    }
}
