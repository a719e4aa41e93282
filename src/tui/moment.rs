//! Parses times that an operator types: `-1h`, `14:30`, `yesterday 3:00`. All are UTC, like all times on the screen,
//! unless they have an offset.

use jiff::{
    SignedDuration, Timestamp, ToSpan as _,
    civil::{Date, DateTime, Time},
    tz::TimeZone,
};

/// The formats, for display.
pub(super) const FORMS: &str = "-1h  -2d  14:30  yesterday 3:00  2026-11-20 03:00  (UTC)";

/// The reason why a text is not a valid time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotATime {
    /// It has none of the formats.
    #[error("not a time: write -1h, -2d, 14:30, yesterday 3:00, 2026-11-20 03:00 or 2026-11-20T03:00Z")]
    Unknown,
    /// It is outside of the range of times.
    #[error("no calendar has this time: write -1h, -2d, 14:30, yesterday 3:00 or 2026-11-20 03:00")]
    OutOfRange,
    /// It is in the future.
    #[error("this time has not come yet: write an earlier one, as -1h or yesterday 3:00")]
    Future,
}

/// Parses a time. `now` is the current time. A time of the day is the last one that has passed.
pub(super) fn parse(text: &str, now: Timestamp) -> Result<Timestamp, NotATime> {
    let text = text.trim();
    let at = match text.strip_prefix('-') {
        Some(back) => {
            let back = ago(back)?;
            now.checked_sub(back).map_err(|_| NotATime::OutOfRange)?
        }
        None => absolute(text, now)?,
    };
    if at > now { Err(NotATime::Future) } else { Ok(at) }
}

/// A duration such as `90m` or `1d12h`: numbers with units.
fn ago(text: &str) -> Result<SignedDuration, NotATime> {
    let mut sum = SignedDuration::ZERO;
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(NotATime::Unknown);
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or(NotATime::Unknown)?;
        let (number, unit) = rest.split_at_checked(digits).ok_or(NotATime::Unknown)?;
        let number: i64 =
            number.parse().map_err(|_| if digits > 0 { NotATime::OutOfRange } else { NotATime::Unknown })?;
        let seconds = match unit.chars().next() {
            Some('s') => 1,
            Some('m') => 60,
            Some('h') => 3600,
            Some('d') => 86_400,
            Some('w') => 7 * 86_400,
            Some(_) | None => return Err(NotATime::Unknown),
        };
        let part = number.checked_mul(seconds).map(SignedDuration::from_secs).ok_or(NotATime::OutOfRange)?;
        sum = sum.checked_add(part).ok_or(NotATime::OutOfRange)?;
        rest = unit.get(1..).unwrap_or_default().trim_start();
    }
    Ok(sum)
}

fn absolute(text: &str, now: Timestamp) -> Result<Timestamp, NotATime> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    let today = now.to_zoned(TimeZone::UTC).date();
    let lower = text.to_lowercase();
    let (day, time) = match lower.split_once(char::is_whitespace) {
        Some((day, time)) => (Some(day), Some(time.trim())),
        None if lower.contains(':') && !lower.contains('t') => (None, Some(lower.as_str())),
        None => (Some(lower.as_str()), None),
    };
    let day = match day {
        None => None,
        Some("today") => Some(today),
        Some("yesterday") => Some(today.checked_sub(1.day()).map_err(|_| NotATime::OutOfRange)?),
        Some(day) => match (day.parse::<Date>(), time) {
            (Ok(date), _) if !day.contains('t') => Some(date),
            (_, None) => return utc(text.parse().map_err(|_| NotATime::Unknown)?),
            (_, Some(_)) => return Err(NotATime::Unknown),
        },
    };
    let time = time.map_or(Ok(Time::midnight()), time_of_day)?;
    match day {
        Some(day) => utc(day.to_datetime(time)),
        None => {
            let at = utc(today.to_datetime(time))?;
            if at > now { at.checked_sub(24.hours()).map_err(|_| NotATime::OutOfRange) } else { Ok(at) }
        }
    }
}

/// `3:00`, `14:30`, `14:30:15`, with or without a `z` at the end.
fn time_of_day(text: &str) -> Result<Time, NotATime> {
    let text = text.strip_suffix('z').unwrap_or(text);
    let parts: Vec<&str> = text.split(':').collect();
    let number = |part: &str| -> Result<i8, NotATime> {
        let has_digits = (1..=2).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
        if has_digits { part.parse().map_err(|_| NotATime::Unknown) } else { Err(NotATime::Unknown) }
    };
    let (hour, minute, second) = match parts.as_slice() {
        [hour, minute] => (number(hour)?, number(minute)?, 0),
        [hour, minute, second] => (number(hour)?, number(minute)?, number(second)?),
        _ => return Err(NotATime::Unknown),
    };
    Time::new(hour, minute, second, 0).map_err(|_| NotATime::OutOfRange)
}

fn utc(at: DateTime) -> Result<Timestamp, NotATime> {
    at.to_zoned(TimeZone::UTC).map(|at| at.timestamp()).map_err(|_| NotATime::OutOfRange)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, expected: Result<&str, NotATime>) {
        let now = "2026-11-26T14:07:30Z".parse().unwrap();
        assert_eq!(parse(text, now), expected.map(|at| at.parse().unwrap()), "{text:?}");
    }

    #[test]
    fn times_are_understood_as_they_are_typed() {
        for (text, expected) in [
            ("-1h", "2026-11-26T13:07:30Z"),
            ("-2d", "2026-11-24T14:07:30Z"),
            (" -90m ", "2026-11-26T12:37:30Z"),
            ("-1d12h", "2026-11-25T02:07:30Z"),
            ("-1w 30s", "2026-11-19T14:07:00Z"),
            ("-0s", "2026-11-26T14:07:30Z"),
            ("13:30", "2026-11-26T13:30:00Z"),
            // The last one that has passed.
            ("14:30", "2026-11-25T14:30:00Z"),
            ("3:00", "2026-11-26T03:00:00Z"),
            ("14:07:30", "2026-11-26T14:07:30Z"),
            ("14:07:29Z", "2026-11-26T14:07:29Z"),
            ("today 3:00", "2026-11-26T03:00:00Z"),
            ("today", "2026-11-26T00:00:00Z"),
            ("yesterday 3:00", "2026-11-25T03:00:00Z"),
            ("Yesterday  15:00", "2026-11-25T15:00:00Z"),
            ("yesterday", "2026-11-25T00:00:00Z"),
            ("2026-11-20 03:00", "2026-11-20T03:00:00Z"),
            ("2026-11-20 03:00:15Z", "2026-11-20T03:00:15Z"),
            ("2026-11-20", "2026-11-20T00:00:00Z"),
            ("2026-11-20T03:00", "2026-11-20T03:00:00Z"),
            ("2026-11-20T03:00:00Z", "2026-11-20T03:00:00Z"),
            ("2026-11-20T03:00:00+02:00", "2026-11-20T01:00:00Z"),
        ] {
            check(text, Ok(expected));
        }
    }

    #[test]
    fn what_is_no_time_is_refused_with_the_forms() {
        use NotATime::{Future, OutOfRange, Unknown};
        for (text, expected) in [
            ("", Unknown),
            ("-", Unknown),
            ("-h", Unknown),
            ("-1", Unknown),
            ("-1x", Unknown),
            ("1h", Unknown),
            ("noon", Unknown),
            ("14", Unknown),
            ("14:3x", Unknown),
            ("1:2:3:4", Unknown),
            ("yesterday noon", Unknown),
            ("20.11.2026 03:00", Unknown),
            ("25:00", OutOfRange),
            ("14:60", OutOfRange),
            ("-99999999999999999999d", OutOfRange),
            ("-9999999999999d", OutOfRange),
            ("today 15:00", Future),
            ("2027-01-01", Future),
            ("2026-11-26T15:00:00Z", Future),
        ] {
            check(text, Err(expected));
            assert!(expected.to_string().contains("-1h") && expected.to_string().contains("yesterday 3:00"));
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_or_name_the_future(text in "\\PC{0,24}", near in "[-0-9:ztdhmw yestrda+]{0,16}") {
            let now = Timestamp::from_second(1_800_000_000).unwrap();
            for text in [text, near] {
                if let Ok(at) = parse(&text, now) {
                    prop_assert!(at <= now);
                }
            }
        }
    }
}
