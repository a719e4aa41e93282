//! The time zone of log lines that do not name one. Pure.
//!
//! `/etc/localtime` ends with the rule for the current years, in the format of the variable `TZ`. It applies to a file if
//! it agrees with the time at which the file was last changed. Otherwise the offset of the last line applies to all
//! lines, because the daemon that writes the file may have a zone of its own. Not read are irregular changes in advance
//! of the rule, which only Morocco has.

use crate::calendar::{civil_year, days, number};

pub(super) const DAY_MS: i64 = 24 * 3600 * 1000;
const QUARTER_HOUR_MS: i64 = 15 * 60 * 1000;
/// The last line is written at most this long before or after the time of the file.
const WRITTEN_WITHIN_MS: i64 = 30_000;
/// Lines of several processes can be out of order by this.
const DISORDER_MS: i64 = 5 * 60 * 1000;

/// When local time changes to summer time and back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::linux::events) struct Rules {
    standard_ms: i64,
    summer: Option<Summer>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Summer {
    offset_ms: i64,
    /// By the clock of standard time.
    begin: Change,
    /// By the clock of summer time.
    end: Change,
}

/// A weekday of a month in every year.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Change {
    month: i64,
    /// 1 to 5, where 5 is the last one.
    week: i64,
    /// 0 is Sunday.
    weekday: i64,
    time_ms: i64,
}

impl Rules {
    /// The rule at the end of a compiled time zone.
    pub(in crate::linux::events) fn of_file(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.strip_suffix(b"\n")?;
        Self::parse(str::from_utf8(bytes.rsplit(|byte| *byte == b'\n').next()?).ok()?)
    }

    /// `CET-1CEST,M3.5.0,M10.5.0/3`. Other ways to name a day than `M` are not in use.
    fn parse(text: &str) -> Option<Self> {
        let (west_ms, rest) = clock(name(text)?)?;
        let standard_ms = -west_ms;
        if rest.is_empty() {
            return Some(Self { standard_ms, summer: None });
        }
        let rest = name(rest)?;
        let (offset_ms, rest) = clock(rest).map_or((standard_ms + 3_600_000, rest), |(west_ms, rest)| (-west_ms, rest));
        let (begin, rest) = Change::parse(rest)?;
        let (end, rest) = Change::parse(rest)?;
        if !rest.is_empty() {
            return None;
        }
        // Ireland calls its summer time the standard one.
        let (standard_ms, summer) = if offset_ms < standard_ms {
            (offset_ms, Summer { offset_ms: standard_ms, begin: end, end: begin })
        } else {
            (standard_ms, Summer { offset_ms, begin, end })
        };
        Some(Self { standard_ms, summer: Some(summer) })
    }

    /// The time of a local time, which is given as if it were UTC. One that exists twice is the first that is not
    /// earlier than the line before.
    fn utc(&self, local_ms: i64, previous_ms: i64) -> i64 {
        let standard = local_ms - self.standard_ms;
        let Some(summer) = self.summer else { return standard };
        let shift_ms = summer.offset_ms - self.standard_ms;
        let first = local_ms - summer.offset_ms;
        let is_twice = !summer.contains(local_ms + shift_ms);
        let is_second = is_twice && first < previous_ms.saturating_sub(DISORDER_MS);
        if summer.contains(local_ms) && !is_second { first } else { standard }
    }
}

impl Summer {
    fn contains(&self, local_ms: i64) -> bool {
        let year = civil_year(local_ms.div_euclid(DAY_MS));
        let (begin, end) = (self.begin.in_year(year), self.end.in_year(year));
        if begin < end { (begin..end).contains(&local_ms) } else { !(end..begin).contains(&local_ms) }
    }
}

impl Change {
    /// `,M10.5.0/3`
    fn parse(text: &str) -> Option<(Self, &str)> {
        let text = text.strip_prefix(",M")?;
        let (rule, rest) = text.split_at(text.find(',').unwrap_or(text.len()));
        let (date, time) = rule.split_once('/').unwrap_or((rule, "2"));
        let mut parts = date.split('.').map(number);
        let (month, week, weekday) = (parts.next()??, parts.next()??, parts.next()??);
        let (time_ms, "") = clock(time)? else { return None };
        let fits = (1..=12).contains(&month) && (1..=5).contains(&week) && weekday < 7 && parts.next().is_none();
        fits.then_some((Self { month, week, weekday, time_ms }, rest))
    }

    fn in_year(self, year: i64) -> i64 {
        let first = days(year, self.month, 1);
        let next = if self.month == 12 { days(year + 1, 1, 1) } else { days(year, self.month + 1, 1) };
        // The first day of 1970 was a Thursday.
        let ahead = (self.weekday - (first + 4)).rem_euclid(7);
        let day = first + ahead + (self.week - 1) * 7;
        // There may be no fifth one.
        let day = if day < next { day } else { day - 7 };
        day * DAY_MS + self.time_ms
    }
}

/// The text after the name of a zone.
fn name(text: &str) -> Option<&str> {
    match text.strip_prefix('<') {
        Some(quoted) => quoted.split_once('>').map(|(_, rest)| rest),
        None => Some(text.trim_start_matches(|c: char| c.is_ascii_alphabetic())).filter(|rest| rest.len() < text.len()),
    }
}

/// `-3:30`, and the text after it.
fn clock(text: &str) -> Option<(i64, &str)> {
    let unsigned = text.trim_start_matches(['+', '-']);
    let end = unsigned.find(|c: char| !c.is_ascii_digit() && c != ':').unwrap_or(unsigned.len());
    let (digits, rest) = unsigned.split_at(end);
    let mut unit_ms = 3_600_000;
    let mut total_ms = 0;
    for part in digits.split(':') {
        total_ms += number(part)? * unit_ms;
        unit_ms /= 60;
    }
    Some((if text.starts_with('-') { -total_ms } else { total_ms }, rest))
}

/// The zone of the lines of one file.
#[derive(Debug, Clone, Copy)]
pub(super) enum Zone {
    Rules(Rules),
    /// The same offset for all lines.
    Fixed(i64),
}

impl Zone {
    /// The zone of a file whose last line has this local time, given as if it were UTC.
    pub(super) fn of(rules: Option<Rules>, last_ms: Option<i64>, modified_ms: i64) -> Self {
        let seen_ms = last_ms.and_then(|last_ms| offset(last_ms, modified_ms));
        match (rules, last_ms.zip(seen_ms)) {
            (Some(rules), None) => Self::Rules(rules),
            (Some(rules), Some((last_ms, seen_ms)))
                if [i64::MIN, i64::MAX].map(|previous| rules.utc(last_ms, previous)).contains(&(last_ms - seen_ms)) =>
            {
                Self::Rules(rules)
            }
            // UTC is the most likely zone of a server.
            _ => Self::Fixed(seen_ms.unwrap_or(0)),
        }
    }

    /// The time of a local time, which is given as if it were UTC.
    pub(super) fn utc(&self, local_ms: i64, previous_ms: i64) -> i64 {
        match self {
            Self::Rules(rules) => rules.utc(local_ms, previous_ms),
            Self::Fixed(offset_ms) => local_ms - offset_ms,
        }
    }
}

/// The offset of local time from UTC, because the last complete line was written when the file was last changed. Offsets
/// are multiples of 15 minutes. `None` if the file was touched later.
fn offset(last_ms: i64, modified_ms: i64) -> Option<i64> {
    let ahead_ms = last_ms - modified_ms;
    let rounded_ms = (ahead_ms + QUARTER_HOUR_MS / 2).div_euclid(QUARTER_HOUR_MS) * QUARTER_HOUR_MS;
    let is_offset = (-12 * 3_600_000..=14 * 3_600_000).contains(&rounded_ms);
    (is_offset && (ahead_ms - rounded_ms).abs() <= WRITTEN_WITHIN_MS).then_some(rounded_ms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::rfc3339;

    const BERLIN: &str = "CET-1CEST,M3.5.0,M10.5.0/3";

    fn ms(stamp: &str) -> i64 {
        rfc3339(stamp).unwrap()
    }

    #[test]
    fn local_times_become_times_by_the_rule_of_their_zone() {
        for (rule, local, expected) in [
            ("UTC0", "2026-07-01T12:00:00Z", "2026-07-01T12:00:00Z"),
            ("<+0530>-5:30", "2026-07-01T12:00:00Z", "2026-07-01T06:30:00Z"),
            ("EST5EDT,M3.2.0,M11.1.0", "2026-03-08T01:59:59Z", "2026-03-08T06:59:59Z"),
            ("EST5EDT,M3.2.0,M11.1.0", "2026-03-08T03:00:00Z", "2026-03-08T07:00:00Z"),
            ("EST5EDT,M3.2.0,M11.1.0", "2026-11-01T02:00:00Z", "2026-11-01T07:00:00Z"),
            (BERLIN, "2026-03-29T01:59:59Z", "2026-03-29T00:59:59Z"),
            (BERLIN, "2026-03-29T03:00:00Z", "2026-03-29T01:00:00Z"),
            (BERLIN, "2026-10-25T01:59:59Z", "2026-10-24T23:59:59Z"),
            (BERLIN, "2026-10-25T03:00:00Z", "2026-10-25T02:00:00Z"),
            (BERLIN, "2026-12-31T23:59:59Z", "2026-12-31T22:59:59Z"),
            ("IST-1GMT0,M10.5.0,M3.5.0/1", "2026-07-01T12:00:00Z", "2026-07-01T11:00:00Z"),
            ("IST-1GMT0,M10.5.0,M3.5.0/1", "2026-12-01T12:00:00Z", "2026-12-01T12:00:00Z"),
            ("<-03>3<-02>,M3.5.0/-2,M10.5.0/-1", "2026-07-01T12:00:00Z", "2026-07-01T14:00:00Z"),
            ("AEST-10AEDT,M10.1.0,M4.1.0/3", "2026-01-01T00:00:00Z", "2025-12-31T13:00:00Z"),
            ("AEST-10AEDT,M10.1.0,M4.1.0/3", "2026-07-01T12:00:00Z", "2026-07-01T02:00:00Z"),
            ("<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", "2026-01-01T12:00:00Z", "2026-01-01T01:00:00Z"),
        ] {
            let rules = Rules::parse(rule).unwrap();
            assert_eq!(rules.utc(ms(local), i64::MIN), ms(expected), "{rule} {local}");
        }
        for rule in
            ["", "0", "CET", "CET-1CEST,M3.5.0", "CET-1CEST,J60,J300", "CET-1CEST,M3.5.0,M10.5.0/3,", "CET-x", "<CET-1"]
        {
            assert_eq!(Rules::parse(rule), None, "{rule}");
        }
    }

    #[test]
    fn an_hour_that_exists_twice_is_told_apart_by_the_line_before() {
        let rules = Rules::parse(BERLIN).unwrap();
        let mut previous_ms = ms("2026-10-24T23:00:00Z");
        for (local, expected) in [
            ("2026-10-25T02:10:00Z", "2026-10-25T00:10:00Z"),
            ("2026-10-25T02:09:59Z", "2026-10-25T00:09:59Z"),
            ("2026-10-25T02:50:00Z", "2026-10-25T00:50:00Z"),
            ("2026-10-25T02:10:00Z", "2026-10-25T01:10:00Z"),
            ("2026-10-25T02:50:00Z", "2026-10-25T01:50:00Z"),
            ("2026-10-25T03:10:00Z", "2026-10-25T02:10:00Z"),
        ] {
            previous_ms = rules.utc(ms(local), previous_ms);
            assert_eq!(previous_ms, ms(expected), "{local}");
        }
    }

    #[test]
    fn the_rule_applies_unless_the_last_line_contradicts_it() {
        let berlin = Rules::parse(BERLIN);
        let modified = ms("2026-12-01T12:00:00Z");
        let summer = ms("2026-07-01T12:00:00Z");
        for (name, rules, last, expected) in [
            ("both agree", berlin, Some("2026-12-01T12:59:59Z"), "2026-07-01T10:00:00Z"),
            ("the daemon lives elsewhere", berlin, Some("2026-12-01T07:00:00Z"), "2026-07-01T17:00:00Z"),
            ("touched later", berlin, Some("2026-12-01T12:40:00Z"), "2026-07-01T10:00:00Z"),
            ("no line", berlin, None, "2026-07-01T10:00:00Z"),
            ("no rule", None, Some("2026-12-01T12:59:59Z"), "2026-07-01T11:00:00Z"),
            ("neither", None, None, "2026-07-01T12:00:00Z"),
        ] {
            let zone = Zone::of(rules, last.map(ms), modified);
            assert_eq!(zone.utc(summer, i64::MIN), ms(expected), "{name}");
        }
    }

    #[test]
    fn the_rule_is_the_last_line_of_a_compiled_zone() {
        assert_eq!(Rules::of_file(b"TZif2\0\0\nnoise\0\n\nUTC0\n"), Rules::parse("UTC0"));
        for bytes in [&b""[..], b"\n", b"UTC0", b"TZif2\0\0\n\n", b"\xff\xfe\n"] {
            assert_eq!(Rules::of_file(bytes), None, "{bytes:?}");
        }
    }
}
