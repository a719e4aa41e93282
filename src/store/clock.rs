//! The trusted time, by which [`super::retention`] deletes. A clock can jump, so it is trusted only as far as time is
//! known to have passed.
//!
//! The database stores the trusted time. It follows the clock, but advances at most [`SPEED`] times as fast as the
//! machine's uptime since it was last stored. If the machine was restarted in between, or another machine stores it,
//! the time that the machine was off is unknown, and it advances by at most [`PER_BOOT`]. Thus a clock that is 100 days
//! ahead for an hour costs eight hours of the oldest history, and after 100 days without power, old data is deleted
//! within two weeks.

use std::{
    sync::LazyLock,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use uuid::Uuid;

use super::{
    convert::{from_ms, to_ms},
    pool::{Transaction, execute, fetch_all},
};

/// How many times faster than real time the trusted time may advance to catch up with the clock.
pub const SPEED: i64 = 8;

/// How far it advances at most for a time in which the machine was off.
pub const PER_BOOT: Duration = Duration::from_secs(86_400);

/// A clock before this time has not been set: 2026-01-01T00:00:00Z, before this program existed.
pub(super) const EARLIEST_MS: i64 = 1_767_225_600_000;

/// The clock and the uptime of a machine at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClockReading {
    /// The clock, in milliseconds since the epoch.
    pub wall: Timestamp,
    /// Identifies the boot of the machine.
    pub boot: String,
    /// The uptime since that boot, by a monotonic clock, in milliseconds.
    pub uptime: Duration,
}

impl ClockReading {
    /// The reading of this machine now. If the system does not report its uptime, that of the process is used.
    #[must_use]
    pub fn of_system() -> Self {
        /// Replaces the boot id if the system has none.
        static PROCESS: LazyLock<(Uuid, Instant)> = LazyLock::new(|| (Uuid::new_v4(), Instant::now()));
        let read = |file| std::fs::read_to_string(file).ok();
        let boot = read("/proc/sys/kernel/random/boot_id").map(|text| text.trim().to_owned());
        let uptime = read("/proc/uptime").and_then(|text| seconds(&text));
        let (boot, uptime) = match boot.zip(uptime) {
            Some((boot, uptime)) if (1..=64).contains(&boot.len()) => (boot, uptime),
            Some(_) | None => (PROCESS.0.to_string(), PROCESS.1.elapsed()),
        };
        Self { wall: Timestamp::now(), boot, uptime }
    }
}

/// The first number of `/proc/uptime`.
fn seconds(text: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(text.split_whitespace().next()?.parse().ok()?).ok()
}

/// The trusted time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrustedTime {
    /// The trusted time in milliseconds since the epoch; `None` as long as the clock was never set.
    pub now: Option<Timestamp>,
    /// How far the clock is ahead of it.
    pub behind: Duration,
}

/// The last reading, as stored in the database.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Noted {
    at_ms: i64,
    boot: String,
    uptime_ms: i64,
}

/// What to store after another reading; `None` if nothing changes. `newest_ms` is when the last collection was stored,
/// for a database without a stored reading.
fn advance(noted: Option<&Noted>, newest_ms: Option<i64>, wall_ms: i64, boot: &str, uptime_ms: i64) -> Option<Noted> {
    let per_boot_ms = i64::try_from(PER_BOOT.as_millis()).unwrap_or(i64::MAX);
    let at_ms = match noted {
        // An unset clock only provides the uptime.
        Some(noted) if wall_ms < EARLIEST_MS => noted.at_ms,
        None if wall_ms < EARLIEST_MS => return None,
        Some(noted) => {
            let has_passed_ms = if noted.boot == boot && uptime_ms >= noted.uptime_ms {
                (uptime_ms - noted.uptime_ms).saturating_mul(SPEED)
            } else {
                per_boot_ms
            };
            // It follows the clock backwards at once, because that deletes nothing.
            wall_ms.min(noted.at_ms.saturating_add(has_passed_ms))
        }
        None => wall_ms.min(newest_ms.map_or(i64::MAX, |newest_ms| newest_ms.saturating_add(per_boot_ms))),
    };
    Some(Noted { at_ms, boot: boot.to_owned(), uptime_ms })
}

/// Stores a reading and returns the trusted time. The clock of a database server limits it too.
pub(super) async fn observe(transaction: &mut Transaction, witness: &ClockReading) -> Result<TrustedTime, sqlx::Error> {
    let rows: Vec<(Option<i64>, Option<String>, Option<i64>)> = fetch_all!(
        transaction,
        (Option<i64>, Option<String>, Option<i64>),
        "SELECT clock_ms, clock_boot, clock_uptime_ms FROM collectors"
    )?;
    let noted = rows.into_iter().next().and_then(|(at_ms, boot, uptime_ms)| {
        Some(Noted { at_ms: at_ms?, boot: boot.unwrap_or_default(), uptime_ms: uptime_ms.unwrap_or(i64::MAX) })
    });
    let newest_ms = match noted {
        Some(_) => None,
        None => {
            let newest: Vec<(i64,)> =
                fetch_all!(transaction, (i64,), "SELECT started_at_ms FROM collections ORDER BY id DESC LIMIT 1")?;
            newest.first().map(|(newest_ms,)| *newest_ms)
        }
    };
    let wall_ms = to_ms(witness.wall).min(of_server(transaction).await?.unwrap_or(i64::MAX));
    let uptime_ms = i64::try_from(witness.uptime.as_millis()).unwrap_or(i64::MAX);
    let Some(next) = advance(noted.as_ref(), newest_ms, wall_ms, &witness.boot, uptime_ms) else {
        return Ok(TrustedTime { now: None, behind: Duration::ZERO });
    };
    execute!(
        transaction,
        "UPDATE collectors SET clock_ms = ?, clock_boot = ?, clock_uptime_ms = ?",
        next.at_ms,
        &next.boot,
        next.uptime_ms
    )?;
    let behind = Duration::from_millis(u64::try_from(wall_ms.saturating_sub(next.at_ms)).unwrap_or(0));
    Ok(TrustedTime { now: Some(from_ms(next.at_ms.min(wall_ms))?), behind })
}

/// The trusted time as it was last stored.
pub(super) async fn trusted_ms(transaction: &mut Transaction) -> Result<Option<i64>, sqlx::Error> {
    let rows: Vec<(Option<i64>,)> = fetch_all!(transaction, (Option<i64>,), "SELECT clock_ms FROM collectors")?;
    Ok(rows.into_iter().next().and_then(|(at_ms,)| at_ms))
}

/// The clock of a database server; `None` for a file.
async fn of_server(transaction: &mut Transaction) -> Result<Option<i64>, sqlx::Error> {
    let (at_ms,): (i64,) = match transaction {
        Transaction::Sqlite(_) => return Ok(None),
        Transaction::Postgres(transaction) => {
            sqlx::query_as("SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)")
                .fetch_one(&mut **transaction)
                .await?
        }
        Transaction::MySql(transaction) => {
            sqlx::query_as("SELECT CAST(UNIX_TIMESTAMP(SYSDATE(3)) * 1000 AS SIGNED)")
                .fetch_one(&mut **transaction)
                .await?
        }
    };
    Ok(Some(at_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1000;
    const HOUR: i64 = 3600 * SECOND;
    const DAY: i64 = 24 * HOUR;
    /// A day on which the clock is right.
    const NOW: i64 = EARLIEST_MS + 300 * DAY;

    fn noted(at_ms: i64, boot: &str, uptime_ms: i64) -> Noted {
        Noted { at_ms, boot: boot.to_owned(), uptime_ms }
    }

    #[test]
    fn the_trusted_time_follows_the_clock_only_as_far_as_time_has_passed() {
        for (what, wall, boot, uptime, expected) in [
            ("a sweep later", NOW + 60 * SECOND, "a", HOUR + 60 * SECOND, NOW + 60 * SECOND),
            ("the same moment", NOW, "a", HOUR, NOW),
            ("a leap of 100 days within a minute", NOW + 100 * DAY, "a", HOUR + 60 * SECOND, NOW + 480 * SECOND),
            ("100 days of running", NOW + 100 * DAY, "a", HOUR + 100 * DAY, NOW + 100 * DAY),
            ("a leap to 2099", NOW + 26_700 * DAY, "a", HOUR + 60 * SECOND, NOW + 480 * SECOND),
            ("a leap of 100 days across a boot", NOW + 100 * DAY, "b", 30 * SECOND, NOW + DAY),
            ("an hour off", NOW + HOUR, "b", 30 * SECOND, NOW + HOUR),
            ("an uptime that runs backwards is another boot", NOW + 100 * DAY, "a", 0, NOW + DAY),
            ("a leap back", NOW - 10 * DAY, "a", HOUR + 60 * SECOND, NOW - 10 * DAY),
            ("a clock that was never set", 5 * DAY, "b", 30 * SECOND, NOW),
            ("the end of all time", i64::MAX, "a", i64::MAX, i64::MAX),
        ] {
            let found = advance(Some(&noted(NOW, "a", HOUR)), None, wall, boot, uptime);
            assert_eq!(found, Some(noted(expected, boot, uptime)), "{what}");
        }
    }

    #[test]
    fn a_database_that_remembers_nothing_begins_at_its_newest_collection() {
        for (what, newest, wall, expected) in [
            ("an empty one", None, NOW, Some(NOW)),
            ("one that is in use", Some(NOW - HOUR), NOW, Some(NOW)),
            ("a leap before the first note", Some(NOW), NOW + 100 * DAY, Some(NOW + DAY)),
            ("collections from a clock that was ahead", Some(NOW + 100 * DAY), NOW, Some(NOW)),
            ("a clock that was never set", Some(NOW), 0, None),
        ] {
            let found = advance(None, newest, wall, "a", HOUR).map(|noted| noted.at_ms);
            assert_eq!(found, expected, "{what}");
        }
    }

    #[test]
    fn hours_with_a_wrong_clock_cost_days_and_not_the_history() {
        let mut noted = noted(NOW, "a", 0);
        for minute in 1..=600 {
            noted =
                advance(Some(&noted), None, NOW + 100 * DAY + minute * 60 * SECOND, "a", minute * 60 * SECOND).unwrap();
        }
        assert_eq!(noted.at_ms, NOW + 600 * 60 * SECOND * SPEED);
        // And back immediately when the clock is right again.
        assert_eq!(advance(Some(&noted), None, NOW + 10 * HOUR, "a", 10 * HOUR).unwrap().at_ms, NOW + 10 * HOUR);
    }

    #[test]
    fn the_system_tells_how_long_it_has_been_running() {
        let [before, after] = [ClockReading::of_system(), ClockReading::of_system()];
        assert_eq!(before.boot, after.boot);
        assert!(before.uptime <= after.uptime && !before.boot.is_empty());
        assert_eq!(seconds("12.34 99.0\n"), Some(Duration::from_millis(12_340)));
        assert_eq!((seconds("many"), seconds("-1 2"), seconds("")), (None, None, None));
    }
}
