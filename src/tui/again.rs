//! When what failed is asked for again: soon, and ever later as long as it goes on failing. Pure; not what is asked.

use std::time::Duration;

use jiff::Timestamp;

/// The first and the longest pause.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// When to ask again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Again {
    /// How often in a row something failed.
    failures: u32,
    /// When; `None` where nothing failed, or was asked for again since.
    due: Option<Timestamp>,
}

impl Again {
    /// Something failed.
    pub(super) fn failed(&mut self, now: Timestamp) {
        let pause = FIRST_PAUSE.saturating_mul(1 << self.failures.min(8)).min(LONGEST_PAUSE);
        self.failures = self.failures.saturating_add(1);
        self.due = now.checked_add(pause).ok();
    }

    /// The database answers: it may answer what failed as well.
    pub(super) fn answers(&mut self, now: Timestamp) {
        self.failures = 0;
        let soon = now.checked_add(FIRST_PAUSE).unwrap_or(now);
        self.due = self.due.map(|due| due.min(soon));
    }

    /// The database is back: what failed is asked for at once.
    pub(super) fn is_back(&mut self, now: Timestamp) {
        *self = Self { failures: 0, due: Some(now) };
    }

    /// Whether to ask again now. Then it counts as asked.
    pub(super) fn take_due(&mut self, now: Timestamp) -> bool {
        self.due.take_if(|due| *due <= now).is_some()
    }

    /// In how many seconds; `None` where what failed has been asked for again.
    pub(super) fn seconds_left(&self, now: Timestamp) -> Option<u64> {
        let left = self.due?.as_millisecond().saturating_sub(now.as_millisecond());
        Some(u64::try_from(left).unwrap_or(0).div_ceil(1000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    #[test]
    fn the_pauses_grow_up_to_half_a_minute_and_begin_anew_after_an_answer() {
        let mut again = Again::default();
        assert_eq!((again.take_due(at(0)), again.seconds_left(at(0))), (false, None));
        let mut now = 0;
        for pause in [2, 4, 8, 16, 30, 30] {
            again.failed(at(now));
            assert_eq!(again.seconds_left(at(now)), Some(u64::try_from(pause).unwrap()));
            assert!(!again.take_due(at(now + pause - 1)) && again.take_due(at(now + pause)));
            assert_eq!((again.take_due(at(now + pause)), again.seconds_left(at(now + pause))), (false, None), "once");
            now += pause;
        }
        again.failed(at(now));
        again.answers(at(now));
        assert_eq!(again.seconds_left(at(now)), Some(2));
        again.failed(at(now));
        assert_eq!(again.seconds_left(at(now)), Some(2));
        again.failed(at(now));
        again.is_back(at(now));
        assert!(again.take_due(at(now)));
    }

    #[test]
    fn an_answer_where_nothing_failed_asks_for_nothing() {
        let mut again = Again::default();
        again.answers(at(0));
        assert_eq!(again, Again::default());
    }
}
