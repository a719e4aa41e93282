//! Formats times and rows of values in mails. Single values are formatted by the [`Unit`] of a metric.

use std::time::Duration;

use jiff::{Timestamp, tz::Offset};

use crate::fleet::metric::Unit;

/// The longest subject, in characters. Mail programs show about this much, and it is far below the limit of a header.
pub(super) const SUBJECT_CHARS: usize = 150;

/// The longest text from a client in a mail, in characters.
pub(super) const TEXT_CHARS: usize = 300;

/// The most values in a line of history. They fit into two lines on a phone.
const SERIES_VALUES: usize = 8;

/// A moment: `2026-03-01 12:00:00 UTC`.
pub(super) fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// A time span by a client's clock, which may have any value: `2026-03-01 03:10:00 to 03:14:59`.
pub(super) fn span_of_their_clock(first_unix_ms: i64, last_unix_ms: i64) -> String {
    let shown = |unix_ms, format| match Timestamp::from_millisecond(unix_ms) {
        Ok(at) => at.strftime(format).to_string(),
        Err(_) => format!("{unix_ms} ms"),
    };
    let first = shown(first_unix_ms, "%Y-%m-%d %H:%M:%S");
    let (first_day, last_day) = (shown(first_unix_ms, "%Y-%m-%d"), shown(last_unix_ms, "%Y-%m-%d"));
    let last = shown(last_unix_ms, if first_day == last_day { "%H:%M:%S" } else { "%Y-%m-%d %H:%M:%S" });
    if first.ends_with(&last) { first } else { format!("{first} to {last}") }
}

/// A time relative to `now`: without the date if it is the same day.
fn short_moment(at: Timestamp, now: Timestamp) -> String {
    let same_day = Offset::UTC.to_datetime(at).date() == Offset::UTC.to_datetime(now).date();
    at.strftime(if same_day { "%H:%M UTC" } else { "%Y-%m-%d %H:%M UTC" }).to_string()
}

/// The duration between two times; 0 if the clock was set back.
pub(super) fn lasting(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}

/// A duration in its two largest units: `12 d 3 h`, `2 h 10 min`, `30 s`.
pub(super) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let units = [(seconds / 86400, "d"), (seconds / 3600 % 24, "h"), (seconds / 60 % 60, "min"), (seconds % 60, "s")];
    let parts: Vec<String> = units
        .iter()
        .skip_while(|(count, _)| *count == 0)
        .take(2)
        .filter(|(count, _)| *count > 0)
        .map(|(count, unit)| format!("{count} {unit}"))
        .collect();
    if parts.is_empty() { "0 s".to_owned() } else { parts.join(" ") }
}

/// A line of history, oldest first, with the time of its first value. `None` if there is nothing before `now`. Of many
/// values, evenly spaced ones are shown, including the first and the last.
pub(super) fn series(unit: Unit, before: &[(Timestamp, f64)], value: f64, now: Timestamp) -> Option<Series> {
    let mut points: Vec<(Timestamp, f64)> = before.iter().copied().filter(|(at, _)| *at < now).collect();
    let (since, _) = *points.first()?;
    points.push((now, value));
    let last = points.len() - 1;
    let shown = points.len().min(SERIES_VALUES);
    let values: Vec<String> = (0..shown)
        .filter_map(|place| points.get(place * last / (shown - 1)))
        .map(|(_, value)| unit.show_in_series(*value))
        .collect();
    Some(Series { since: short_moment(since, now), values: values.join(" → ") })
}

/// A line of history.
#[derive(Debug, PartialEq, Eq, serde::Serialize)]
pub(super) struct Series {
    /// The time of the first value.
    pub(super) since: String,
    /// The values with arrows between them.
    pub(super) values: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_of_a_client_s_clock_is_as_short_as_it_can_be() {
        const AT: i64 = 1_772_334_600_000;
        for (first, last, shown) in [
            (AT, AT, "2026-03-01 03:10:00"),
            (AT, AT + 999, "2026-03-01 03:10:00"),
            (AT, AT + 299_000, "2026-03-01 03:10:00 to 03:14:59"),
            (AT, AT + 86_400_000, "2026-03-01 03:10:00 to 2026-03-02 03:10:00"),
            (i64::MIN, i64::MAX, "-9223372036854775808 ms to 9223372036854775807 ms"),
            (i64::MAX, i64::MAX, "9223372036854775807 ms"),
        ] {
            assert_eq!(span_of_their_clock(first, last), shown);
        }
    }

    #[test]
    fn a_duration_is_told_in_its_two_largest_units() {
        let start: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        for (seconds, shown) in [
            (0, "0 s"),
            (-5, "0 s"),
            (59, "59 s"),
            (3599, "59 min 59 s"),
            (3601, "1 h"),
            (7865, "2 h 11 min"),
            (90061, "1 d 1 h"),
            (86430, "1 d"),
        ] {
            let end = start.checked_add(jiff::SignedDuration::from_secs(seconds)).unwrap();
            assert_eq!(duration(lasting(start, end)), shown);
        }
    }

    #[test]
    fn a_line_of_history_is_thinned_out_and_keeps_both_ends() {
        let now: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        let ago = |minutes: i64| now.checked_sub(jiff::SignedDuration::from_mins(minutes)).unwrap();
        let check = |before: &[(Timestamp, f64)], expected: Option<(&str, &str)>| {
            let expected = expected.map(|(since, values)| Series { since: since.into(), values: values.into() });
            assert_eq!(series(Unit::Percent, before, 93.0, now), expected);
        };
        check(&[], None);
        check(&[(now, 93.0)], None);
        check(&[(ago(2), 40.2), (ago(1), 55.0), (now, 93.0)], Some(("11:58 UTC", "40 % → 55 % → 93 %")));
        check(&[(ago(1440), 40.0)], Some(("2026-02-28 12:00 UTC", "40 % → 93 %")));
        let many: Vec<_> = (1..=50).rev().map(|minutes| (ago(minutes), 100.0 - minutes as f64)).collect();
        let thinned = "50 % → 57 % → 64 % → 71 % → 78 % → 85 % → 92 % → 93 %";
        check(&many, Some(("11:10 UTC", thinned)));
    }
}
