//! Formats times, sizes and percentages for the screen: short, and with a stable width.

use jiff::Timestamp;

use super::text::{columns_of, letters};

/// `9s`, `14m`, `3h`, `12d`, `3y`: at most three columns for any realistic age.
pub(super) fn age(milliseconds: i64) -> String {
    let seconds = milliseconds.max(0) / 1000;
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        86_400..8_640_000 => format!("{}d", seconds / 86_400),
        8_640_000..31_536_000 => format!("{}w", seconds / 604_800),
        _ => format!("{}y", seconds / 31_536_000),
    }
}

/// The age of `then` at `now`.
pub(super) fn since(then: Timestamp, now: Timestamp) -> String {
    age(now.as_millisecond().saturating_sub(then.as_millisecond()))
}

/// `0:38`, `12:05`, `1:02:03`.
pub(super) fn clock_span(seconds: u64) -> String {
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

/// `312ms`, `1.24s`, `12.3s`, `4m`: at most five columns.
pub(super) fn took(milliseconds: u64) -> String {
    let seconds = milliseconds as f64 / 1000.0;
    match milliseconds {
        0..1000 => format!("{milliseconds}ms"),
        // A value that would be rounded up to another digit has one decimal less.
        1000..9995 => format!("{seconds:.2}s"),
        9995..99_950 => format!("{seconds:.1}s"),
        _ => age(i64::try_from(milliseconds).unwrap_or(i64::MAX)),
    }
}

/// The time of the day in UTC.
pub(super) fn time(at: Timestamp) -> String {
    at.strftime("%H:%M:%S").to_string()
}

/// The time of the day; the date in the same width if it is another day.
pub(super) fn time_or_date(at: Timestamp, now: Timestamp) -> String {
    if at.strftime("%F").to_string() == now.strftime("%F").to_string() {
        time(at)
    } else {
        at.strftime("%d %b  ").to_string()
    }
}

/// The time of the day in UTC; with the date if it is another day.
pub(super) fn clock_or_date(at: Timestamp, now: Timestamp) -> String {
    let is_today = at.strftime("%F").to_string() == now.strftime("%F").to_string();
    at.strftime(if is_today { "%H:%M" } else { "%d %b %H:%M" }).to_string()
}

/// A number of seconds in its two largest units.
pub(super) fn uptime(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours) {
        (0, 0) => format!("{minutes}m"),
        (0, hours) => format!("{hours}h {minutes}m"),
        (days, hours) => format!("{days}d {hours}h"),
    }
}

/// A number with thousands separators: `1,234`.
pub(super) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut grouped = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// The text while a query is running.
pub(super) fn asking(unicode: bool) -> &'static str {
    if unicode { "asking…" } else { "asking..." }
}

/// `1 row unreadable`, as a suffix; empty if there is none.
pub(super) fn unreadable(rows: u64) -> String {
    match rows {
        0 => String::new(),
        1 => " · 1 row unreadable".to_owned(),
        rows => format!(" · {} rows unreadable", grouped(rows)),
    }
}

/// `s` after a number that is not one.
pub(super) fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// Wraps a text into lines of at most `width` columns. A longer word is split between its letters.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let columns = |text: &str| usize::from(columns_of(text));
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line_width = lines.last().map_or(0, |line| columns(line));
        let gap = usize::from(line_width > 0);
        if line_width > 0 && line_width + gap + columns(word) > width {
            lines.push(String::new());
        } else if gap > 0
            && let Some(line) = lines.last_mut()
        {
            line.push(' ');
        }
        for (letter, letter_width) in letters(word) {
            if lines.last().is_some_and(|line| columns(line) + letter_width > width) {
                lines.push(String::new());
            }
            if let Some(line) = lines.last_mut() {
                line.push_str(letter);
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short() {
        for (milliseconds, shown) in [
            (-5, "0s"),
            (9_400, "9s"),
            (60_000, "1m"),
            (7_200_000, "2h"),
            (1_054_800_000, "12d"),
            (8_640_000_000, "14w"),
            (94_608_000_000, "3y"),
        ] {
            assert_eq!(age(milliseconds), shown);
        }
        for (milliseconds, shown) in
            [(7, "7ms"), (1240, "1.24s"), (9999, "10.0s"), (12_340, "12.3s"), (99_999, "1m"), (250_000, "4m")]
        {
            assert_eq!(took(milliseconds), shown);
        }
        assert_eq!((clock_span(38).as_str(), clock_span(3723).as_str()), ("0:38", "1:02:03"));
    }

    #[test]
    fn thousands_stand_apart() {
        for (count, shown) in
            [(0, "0"), (7, "7"), (999, "999"), (1000, "1,000"), (12_345, "12,345"), (1_234_567, "1,234,567")]
        {
            assert_eq!(grouped(count), shown);
        }
    }

    #[test]
    fn words_are_broken_into_lines() {
        assert_eq!(wrap("check that sshd runs there", 11), ["check that", "sshd runs", "there"]);
        assert_eq!(wrap("abcdefgh", 3), ["abc", "def", "gh"]);
        // No grapheme is split: a wide letter, an emoji of several characters, a combining mark.
        assert_eq!(wrap("机房东", 4), ["机房", "东"]);
        assert_eq!(wrap("a👩\u{200d}👧e\u{301}", 3), ["a👩\u{200d}👧", "e\u{301}"]);
        assert_eq!(wrap("", 3), [""]);
    }
}
