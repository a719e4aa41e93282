//! Converts dates and times of day in logs to numbers, in the Gregorian calendar. Pure.

/// `2026-11-22T09:42:01.123456+01:00` to milliseconds since the Unix epoch; finer digits are cut.
pub(crate) fn rfc3339(stamp: &str) -> Option<i64> {
    let (date, clock) = stamp.split_once('T')?;
    let mut date = date.split('-').map(number);
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    if date.next().is_some() || !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day)
    {
        return None;
    }
    let (clock, after) = clock.split_at_checked(8)?;
    let zone_at = after.find(['Z', '+', '-'])?;
    let (fraction, zone) = after.split_at_checked(zone_at)?;
    let mut digits = fraction.strip_prefix('.').unwrap_or_default().bytes().chain(*b"000");
    let mut millis = 0;
    for _ in 0..3 {
        millis = millis * 10 + i64::from(char::from(digits.next()?).to_digit(10)?);
    }
    let zone_seconds = match zone.split_at_checked(1)? {
        ("Z", "") => 0,
        (sign, zone) => {
            let (hours, minutes) = zone.split_once(':').or_else(|| zone.split_at_checked(2))?;
            let seconds = number(hours)? * 3600 + number(minutes)? * 60;
            if sign == "-" { -seconds } else { seconds }
        }
    };
    let seconds = days(year, month, day) * 24 * 3600 + second_of_day(clock)? - zone_seconds;
    Some(seconds * 1000 + millis)
}

/// `09:42:01`
pub(crate) fn second_of_day(clock: &str) -> Option<i64> {
    let mut parts = clock.split(':').map(number);
    let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next()??);
    let fits = hours < 24 && minutes < 60 && seconds <= 60 && parts.next().is_none();
    fits.then_some(hours * 3600 + minutes * 60 + seconds)
}

/// Parses up to four digits.
pub(crate) fn number(text: &str) -> Option<i64> {
    let digits = (1..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

/// The number of days from the Unix epoch to a date of the Gregorian calendar. Calculated with years of 365.2425 days
/// that begin in March, so that the leap day is the last day of a year.
pub(crate) fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leap_days + (153 * month + 2) / 5 + day - 1 - 719_468
}

/// The year of a day since the Unix epoch.
#[cfg(any(not(windows), test))]
pub(crate) fn civil_year(day: i64) -> i64 {
    // Estimated with the mean length of a year, so it can be off by one.
    let guess = 1970 + day.saturating_mul(10_000).div_euclid(3_652_425);
    [guess + 1, guess].into_iter().find(|year| days(*year, 1, 1) <= day).unwrap_or(guess - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_agree_with_the_calendar() {
        for (year, month, day, expected) in
            [(1970, 1, 1, 0), (1970, 12, 31, 364), (2000, 2, 29, 11_016), (2000, 3, 1, 11_017), (2026, 11, 22, 20_779)]
        {
            assert_eq!(days(year, month, day), expected, "{year}-{month}-{day}");
        }
    }

    #[test]
    fn a_year_has_the_days_from_its_first_to_its_last() {
        for year in 1970..2400 {
            assert_eq!(civil_year(days(year, 1, 1)), year);
            assert_eq!(civil_year(days(year, 12, 31)), year);
        }
    }

    #[test]
    fn stamps_are_read_with_their_zone_and_fraction() {
        for (stamp, expected) in [
            ("2026-11-22T09:42:01Z", Some(1_795_340_521_000)),
            ("2026-11-22T09:42:01.9876543Z", Some(1_795_340_521_987)),
            ("2026-11-22T09:42:01.5+01:00", Some(1_795_336_921_500)),
            ("2026-11-22T09:42:01+0100", Some(1_795_336_921_000)),
            ("2026-11-22T09:42:01-0530", Some(1_795_360_321_000)),
            ("2026-11-22T09:42:01+01", None),
            ("2026-11-22T09:42:01+1", None),
            ("2026-11-22T09:42:01", None),
            ("2026-11-22", None),
            ("", None),
        ] {
            assert_eq!(rfc3339(stamp), expected, "{stamp}");
        }
    }
}
