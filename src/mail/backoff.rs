//! The pause before the next attempt to send a mail. Pure: randomness is passed in.

use std::time::Duration;

/// The pause after the first failed attempt. It doubles with each further one.
const FIRST: Duration = Duration::from_secs(30);

/// The longest pause.
const LONGEST: Duration = Duration::from_secs(3600);

/// The fraction by which `jitter` may shorten a pause, so that mails that failed together are not all retried together.
const SPREAD: f64 = 0.25;

/// The pause after `attempts` failed attempts (at least one): 30 s, doubled with each further attempt up to an hour,
/// then shortened by up to a quarter. `jitter` is a random number from 0 to 1.
#[must_use]
pub fn rest(attempts: u32, jitter: f64) -> Duration {
    let doublings = attempts.saturating_sub(1).min(31);
    let whole = FIRST.saturating_mul(1 << doublings).min(LONGEST);
    let jitter = if jitter.is_nan() { 0.0 } else { jitter.clamp(0.0, 1.0) };
    whole.mul_f64(1.0 - SPREAD * jitter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rest_doubles_up_to_an_hour_and_jitter_shortens_it_by_a_quarter_at_most() {
        for (attempts, jitter, seconds) in [
            (0, 0.0, 30.0),
            (1, 0.0, 30.0),
            (2, 0.0, 60.0),
            (3, 0.0, 120.0),
            (7, 0.0, 1920.0),
            (8, 0.0, 3600.0),
            (u32::MAX, 0.0, 3600.0),
            (1, 1.0, 22.5),
            (2, 0.5, 52.5),
            (u32::MAX, 1.0, 2700.0),
            (1, -3.0, 30.0),
            (1, 9.0, 22.5),
            (1, f64::NAN, 30.0),
        ] {
            assert_eq!(rest(attempts, jitter).as_secs_f64(), seconds, "{attempts} {jitter}");
        }
    }
}
