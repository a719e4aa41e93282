//! One line of a log of a syslog daemon. Pure.
//!
//! A line begins with `<86>` or not, and then with an RFC 3339 time, with such a time that lacks the zone, or with
//! `Nov 22 09:42:01`. Lines by RFC 5424 have fixed fields after it, all others `HOST TAG[PID]: MESSAGE`.

use crate::{
    calendar::{civil_year, days, number, rfc3339, second_of_day},
    linux::events::level,
};

use super::zone::{DAY_MS, Zone};

/// The parts of a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    pub(super) time: Time,
    pub(super) level: &'static str,
    pub(super) source: &'a str,
    pub(super) pid: Option<&'a str>,
    pub(super) message: &'a str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Time {
    /// Milliseconds since the Unix epoch.
    Exact(i64),
    /// A time without a zone, as if it were UTC.
    Local(i64),
    /// A time without a year and a zone.
    Yearless { month: i64, day: i64, second_of_day: i64 },
    /// The daemon did not know it.
    Unknown,
}

impl Time {
    /// The local time as if it were UTC; `None` if it is not local. Without a year, it is in the latest year in which it
    /// is at most a day after `limit_ms`.
    pub(super) fn local_ms(self, limit_ms: i64) -> Option<i64> {
        let (month, day, second_of_day) = match self {
            Self::Yearless { month, day, second_of_day } => (month, day, second_of_day),
            Self::Local(ms) => return Some(ms),
            Self::Exact(_) | Self::Unknown => return None,
        };
        let in_year = |year| days(year, month, day) * DAY_MS + second_of_day * 1000;
        let year = civil_year(limit_ms.div_euclid(DAY_MS));
        let years = [year + 1, year].into_iter().map(in_year);
        Some(years.into_iter().find(|ms| *ms <= limit_ms + DAY_MS).unwrap_or_else(|| in_year(year - 1)))
    }

    /// The time in milliseconds since the Unix epoch, in a file that was changed at `modified_ms`.
    pub(super) fn unix_ms(self, modified_ms: i64, zone: &Zone, previous_ms: i64) -> i64 {
        match (self, self.local_ms(modified_ms)) {
            (Self::Exact(ms), _) => ms,
            (_, Some(local_ms)) => zone.utc(local_ms, previous_ms),
            (_, None) => previous_ms,
        }
    }
}

impl<'a> Line<'a> {
    /// Parses a line; `None` if it does not begin with a time.
    pub(super) fn parse(line: &'a str) -> Option<Self> {
        let (severity, line) = priority(line);
        let level = level(severity);
        if let Some(fields) = line.strip_prefix("1 ").filter(|_| severity.is_some()) {
            return by_rfc_5424(fields, level);
        }
        let (time, rest) = time(line)?;
        let (_host, rest) = rest.split_once(' ').unwrap_or(("", rest));
        // The daemon of busybox writes `auth.info` in front of the tag.
        let (tag, message) = rest
            .split_once(": ")
            .map(|(tag, message)| {
                (tag.split_once(' ').filter(|(name, _)| name.contains('.')).map_or(tag, |(_, tag)| tag), message)
            })
            .filter(|(tag, _)| !tag.contains(' '))
            .unwrap_or(("", rest));
        let (source, pid) = match tag.strip_suffix(']').and_then(|tag| tag.split_once('[')) {
            Some((source, pid)) => (source, Some(pid)),
            None => (tag, None),
        };
        Some(Self { time, level, source, pid, message })
    }
}

/// `<86>`: the severity is in its lowest three bits.
fn priority(line: &str) -> (Option<u8>, &str) {
    let parsed = || {
        let (digits, rest) = line.strip_prefix('<')?.split_once('>')?;
        number(digits).filter(|priority| *priority < 192)?;
        Some((Some(digits.parse::<u8>().ok()? & 7), rest))
    };
    parsed().unwrap_or((None, line))
}

/// `TIME HOST PROGRAM PID ID DATA MESSAGE`, where `-` stands for a field without a value.
fn by_rfc_5424<'a>(fields: &'a str, level: &'static str) -> Option<Line<'a>> {
    let mut fields = fields.splitn(6, ' ');
    let (stamp, _host, source, pid, _id) =
        (fields.next()?, fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    let rest = fields.next()?;
    let time = if stamp == "-" { Time::Unknown } else { Time::Exact(rfc3339(stamp)?) };
    let message = rest.strip_prefix('-').unwrap_or_else(|| after_data(rest));
    let message = message.strip_prefix(' ').unwrap_or(message);
    let some = |text: &'a str| (text != "-").then_some(text);
    Some(Line {
        time,
        level,
        source: some(source).unwrap_or_default(),
        pid: some(pid),
        message: message.strip_prefix('\u{feff}').unwrap_or(message),
    })
}

/// The text after elements such as `[id name="value \] \""]`.
fn after_data(text: &str) -> &str {
    let (mut is_inside, mut is_quoted, mut is_escaped) = (false, false, false);
    let ends = |c: char| {
        let ends = !is_inside && c != '[';
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = is_quoted,
            '"' => is_quoted = !is_quoted,
            '[' if !is_quoted => is_inside = true,
            ']' if !is_quoted => is_inside = false,
            _ => {}
        }
        ends
    };
    let at = text.find(ends);
    let at = at.unwrap_or(if is_inside { 0 } else { text.len() });
    text.get(at..).unwrap_or_default()
}

/// The time at the start of a line, and the rest.
fn time(line: &str) -> Option<(Time, &str)> {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    if let Some(ms) = rfc3339(word) {
        return Some((Time::Exact(ms), rest));
    }
    if let Some(ms) = rfc3339(&format!("{word}Z")) {
        return Some((Time::Local(ms), rest));
    }
    traditional(line)
}

/// `Nov 22 09:42:01 rest`, where the day may have a blank in place of a leading zero.
fn traditional(line: &str) -> Option<(Time, &str)> {
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let (date, rest) = line.split_at_checked(16)?;
    let (name, date) = date.split_at_checked(3)?;
    let month = MONTHS.find(name).filter(|at| at % 3 == 0)? / 3 + 1;
    let (day, clock) = date.strip_prefix(' ')?.split_at_checked(2)?;
    let day = number(day.trim_start()).filter(|day| (1..=31).contains(day))?;
    let second_of_day = clock.strip_prefix(' ')?.strip_suffix(' ').and_then(second_of_day)?;
    let month = i64::try_from(month).ok()?;
    Some((Time::Yearless { month, day, second_of_day }, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_all_spellings() {
        let local = |month, day, second_of_day| Some(Time::Yearless { month, day, second_of_day });
        for (line, expected) in [
            ("Nov 22 09:42:01 host", local(11, 22, 34_921)),
            ("Jan  2 00:00:00 host", local(1, 2, 0)),
            ("Nov 32 09:42:01 host", None),
            ("Nov 22 24:42:01 host", None),
            ("anF 22 09:42:01 host", None),
            ("2026-11-22T09:42:01+00:00 host", Some(Time::Exact(1_795_340_521_000))),
            ("2026-11-22T09:42:01+0000 host", Some(Time::Exact(1_795_340_521_000))),
            ("2026-11-22T09:42:01.123456+01:00 host", Some(Time::Exact(1_795_336_921_123))),
            ("2026-11-22T09:42:01.5Z host", Some(Time::Exact(1_795_340_521_500))),
            ("2026-11-22T04:12:01-05:30 host", Some(Time::Exact(1_795_340_521_000))),
            ("2026-13-22T09:42:01Z host", None),
            ("2026-11-22T09:42:01 host", Some(Time::Local(1_795_340_521_000))),
            ("größer als man denkt, und ohne Zeit", None),
            ("", None),
        ] {
            assert_eq!(time(line).map(|(time, _)| time), expected, "{line}");
        }
    }

    #[test]
    fn lines_are_read_in_the_formats_of_all_daemons() {
        for (line, expected) in [
            ("Nov 22 09:42:01 web sshd[7]: a: b", ("information", "sshd", Some("7"), "a: b")),
            ("Nov 22 09:42:01 web sudo: root : TTY=x", ("information", "sudo", None, "root : TTY=x")),
            (
                "Nov 22 09:42:01 web last message repeated 2 times",
                ("information", "", None, "last message repeated 2 times"),
            ),
            ("Nov 22 09:42:01 web auth.info sshd[7]: a", ("information", "sshd", Some("7"), "a")),
            ("Nov 22 09:42:01 web sshd.old x: a", ("information", "x", None, "a")),
            ("<86>Nov 22 09:42:01 web sshd[7]: a", ("information", "sshd", Some("7"), "a")),
            ("<83>{time} web sshd[7]: a", ("error", "sshd", Some("7"), "a")),
            ("<86>1 {time} web sshd 7 - - a", ("information", "sshd", Some("7"), "a")),
            ("<84>1 {time} web sshd - ID - \u{feff}a b", ("warning", "sshd", None, "a b")),
            ("<85>1 {time} web - - - [x@1 k=\"] \\\"[\" j=\"\"][y] a [b]", ("notice", "", None, "a [b]")),
            ("<80>1 {time} web sshd 7 - [x]", ("emergency", "sshd", Some("7"), "")),
            ("<80>1 {time} web sshd 7 - [x", ("emergency", "sshd", Some("7"), "[x")),
            ("<80>1 - web sshd 7 - - a", ("emergency", "sshd", Some("7"), "a")),
        ] {
            let text = line.replace("{time}", "2026-11-22T09:42:01Z");
            let line = Line::parse(&text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!((line.level, line.source, line.pid, line.message), expected, "{text}");
        }
        for text in [
            "",
            "<86>",
            "<192>Nov 22 09:42:01 web a: b",
            "<86>1 x web sshd 7 - - a",
            "1 {time} web sshd 7 - - a",
            "   at x",
        ] {
            assert_eq!(Line::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_time_without_a_year_is_in_the_latest_year_that_has_it() {
        let limit_ms = rfc3339("2026-01-01T00:01:01Z").unwrap();
        for (line, expected) in [
            ("Dec 31 23:59:59 web", "2025-12-31T23:59:59Z"),
            ("Jan  1 01:01:00 web", "2026-01-01T01:01:00Z"),
            ("Jan  3 00:00:00 web", "2025-01-03T00:00:00Z"),
        ] {
            assert_eq!(time(line).unwrap().0.local_ms(limit_ms), rfc3339(expected), "{line}");
        }
    }
}
