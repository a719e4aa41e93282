//! Whether a collector does its work, and if not, why. Pure: what is known of it comes in as a value.

use std::{fmt, time::Duration};

use jiff::Timestamp;

/// How much later than due the next sweep may begin, besides one more interval.
const SWEEP_SLACK: Duration = Duration::from_secs(30);

/// How much longer a collection may take than its attempts.
const COLLECTION_SLACK: Duration = Duration::from_secs(60);

/// What is known of a collector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Observed {
    /// Its database.
    pub database: Database,
    /// Whether an operator has paused the schedule.
    pub is_paused: bool,
    /// From the start of one sweep to the start of the next.
    pub interval: Duration,
    /// The longest time for all attempts at one client.
    pub attempts: Duration,
    /// The time since a sweep of the schedule began, or since the collector was started or resumed.
    pub since_sweep: Duration,
    /// The time since a collection ended, or since the first of the current ones began.
    pub since_outcome: Duration,
    /// How many clients are being collected.
    pub collecting: usize,
}

/// The database of a collector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Database {
    /// It accepts changes.
    Ready,
    /// It is away.
    Away {
        /// When that began.
        since: Timestamp,
        /// How many changes wait in the spool.
        waiting: u64,
    },
    /// Another collector uses it.
    Taken,
}

/// Why a collector does not do its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    /// It has not started yet: it opens its database, or waits for another collector to end.
    Starting,
    /// It is ending.
    Ending,
    /// Another collector uses its database.
    Taken,
    /// Its database is away.
    DatabaseAway {
        /// When that began.
        since: Timestamp,
        /// How many changes wait in the spool.
        waiting: u64,
    },
    /// No sweep has begun for too long.
    NoSweep {
        /// The time since the last one.
        since: Duration,
        /// From the start of one sweep to the start of the next.
        interval: Duration,
    },
    /// No collection has ended for too long.
    NoOutcome {
        /// The time since the last one.
        since: Duration,
        /// How many clients are being collected.
        collecting: usize,
    },
}

impl Observed {
    /// Why the collector does not do its work; `None` if it does. A sweep may be late by another interval and 30 seconds,
    /// and a collection by a minute.
    #[must_use]
    pub fn problem(&self) -> Option<Problem> {
        let Self { database, is_paused, interval, attempts, since_sweep, since_outcome, collecting } = *self;
        match database {
            Database::Taken => return Some(Problem::Taken),
            Database::Away { since, waiting } => return Some(Problem::DatabaseAway { since, waiting }),
            Database::Ready => {}
        }
        if !is_paused && since_sweep > interval.saturating_mul(2).saturating_add(SWEEP_SLACK) {
            return Some(Problem::NoSweep { since: since_sweep, interval });
        }
        let is_stuck = collecting > 0 && since_outcome > attempts.saturating_add(COLLECTION_SLACK);
        is_stuck.then_some(Problem::NoOutcome { since: since_outcome, collecting })
    }
}

/// On one line.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Starting => f.write_str("starting: this process does not collect yet"),
            Self::Ending => f.write_str("ending: this process does not collect any more"),
            Self::Taken => f.write_str("another collector uses the database"),
            Self::DatabaseAway { since, waiting } => {
                write!(f, "the database is away since {since:.0}: {waiting} changes wait in the spool")
            }
            Self::NoSweep { since, interval } => write!(
                f,
                "no sweep has begun for {} s, and one is due every {} s",
                since.as_secs(),
                interval.as_secs_f64()
            ),
            Self::NoOutcome { since, collecting } => {
                let clients = if *collecting == 1 { "client is" } else { "clients are" };
                let since = since.as_secs();
                write!(f, "no collection has ended for {since} s, while {collecting} {clients} being collected")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Observed = Observed {
        database: Database::Ready,
        is_paused: false,
        interval: Duration::from_secs(60),
        attempts: Duration::from_secs(90),
        since_sweep: Duration::from_secs(59),
        since_outcome: Duration::from_secs(10),
        collecting: 3,
    };

    #[test]
    fn what_keeps_a_collector_from_its_work_is_said_on_one_line() {
        let seconds = Duration::from_secs;
        let since = Timestamp::UNIX_EPOCH;
        for (observed, expected) in [
            (GOOD, None),
            (Observed { since_sweep: seconds(150), ..GOOD }, None),
            (
                Observed { since_sweep: seconds(151), ..GOOD },
                Some("no sweep has begun for 151 s, and one is due every 60 s"),
            ),
            (Observed { since_sweep: seconds(9_000), is_paused: true, ..GOOD }, None),
            (Observed { since_outcome: seconds(150), ..GOOD }, None),
            (
                Observed { since_outcome: seconds(151), ..GOOD },
                Some("no collection has ended for 151 s, while 3 clients are being collected"),
            ),
            (
                Observed { since_outcome: seconds(151), collecting: 1, is_paused: true, ..GOOD },
                Some("no collection has ended for 151 s, while 1 client is being collected"),
            ),
            (Observed { since_outcome: seconds(9_000), collecting: 0, ..GOOD }, None),
            (Observed { database: Database::Taken, ..GOOD }, Some("another collector uses the database")),
            (
                Observed { database: Database::Away { since, waiting: 7 }, is_paused: true, ..GOOD },
                Some("the database is away since 1970-01-01T00:00:00Z: 7 changes wait in the spool"),
            ),
            (Observed { interval: Duration::MAX, attempts: Duration::MAX, since_outcome: Duration::MAX, ..GOOD }, None),
        ] {
            assert_eq!(observed.problem().map(|problem| problem.to_string()).as_deref(), expected, "{observed:?}");
        }
    }
}
