//! How many changes one transaction may have, learned from how long the last ones took. Pure. The deadline of a transaction
//! is in [`super::deadlines`].
//!
//! With a fixed number, a distant or busy database could not store a full batch within the deadline. It would count as
//! unreachable, and the same batch would be tried again, in vain, for ever.

use std::time::Duration;

/// The most changes of one transaction.
pub(super) const MOST: usize = 256;

/// The size at first, until it is known how fast the database is.
const FIRST: usize = 32;

/// How long a transaction should take: well below the deadline.
const AIM: Duration = Duration::from_secs(5);

/// The most changes of the next transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BatchSize(usize);

impl Default for BatchSize {
    fn default() -> Self {
        Self(FIRST)
    }
}

impl BatchSize {
    /// The most changes, 1 to [`MOST`].
    pub(super) fn get(self) -> usize {
        self.0
    }

    /// A transaction of so many changes took so long, whether it ended or was given up: at this speed, the next one takes
    /// as long as it should. It is at most twice as large, because its changes may be more expensive.
    pub(super) fn adjust(&mut self, changes: usize, took: Duration) {
        let possible = AIM.as_micros().saturating_mul(changes as u128) / took.as_micros().max(1);
        let possible = usize::try_from(possible).unwrap_or(MOST);
        self.0 = possible.min(self.0.saturating_mul(2)).clamp(1, MOST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_takes_as_long_as_it_should_on_fast_and_slow_databases() {
        let check = |before: usize, changes: usize, took_ms: u64, expected: usize| {
            let mut size = BatchSize(before);
            size.adjust(changes, Duration::from_millis(took_ms));
            assert_eq!(size.get(), expected, "{before}: {changes} in {took_ms} ms");
        };
        // A local database: it grows up to the limit.
        check(32, 32, 40, 64);
        check(256, 256, 300, 256);
        check(32, 1, 0, 64);
        // 150 ms per change: given up after 30 s, or finished late.
        check(256, 200, 30_000, 33);
        check(32, 32, 4_800, 33);
        // So slow that one change takes longer than it should.
        check(32, 32, 30_000, 5);
        check(5, 5, 30_000, 1);
        check(1, 1, 30_000, 1);
        check(1, 1, 6_000, 1);
        // It recovers.
        check(1, 1, 10, 2);
        check(0, 0, 10, 1);
    }
}
