//! A security log in a text file of a syslog daemon, followed across log rotation.
//!
//! Lines begin with an RFC 3339 time or with `Nov 22 09:42:01`. The latter has no year and no time zone, so both are
//! derived from the file's modification time, which is when its last line was written. (Lines from before a change of
//! daylight saving time are off by an hour.)

use std::{
    fs::{self, File},
    io::{self, ErrorKind, Read, Seek, SeekFrom},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use fleetsweep_agent::report::{MAX_MESSAGE_BYTES, SecurityEvent};

use super::{Found, MAX_EVENTS, MAX_TEXT_BYTES, Place, Position, Trouble};
use crate::calendar::{days, number, rfc3339, second_of_day};

/// The most bytes that are read at a time.
const MAX_READ_BYTES: u64 = 1 << 20;

/// Reads the lines after `from`.
pub(super) fn read(path: &Path, from: &Place) -> Result<Found, Trouble> {
    let current = Log::open(path).map_err(|error| {
        if error.kind() == ErrorKind::NotFound {
            Trouble::Absent
        } else if error.kind() == ErrorKind::PermissionDenied {
            Trouble::Denied
        } else {
            Trouble::Broken(error.to_string())
        }
    })?;
    let mut found = Found {
        events: Vec::new(),
        truncated: false,
        cleared: false,
        place: Place { at_ms: from.at_ms, position: Position::File { inode: current.inode, offset: 0 } },
        trouble: None,
    };
    let result = match from.position {
        Position::File { inode, offset } if inode == current.inode && offset <= current.size => {
            current.read_from(offset, i64::MIN, &mut found)
        }
        // The same file is shorter now, so it was truncated.
        Position::File { inode, .. } if inode == current.inode => {
            found.cleared = true;
            current.read_from(0, i64::MIN, &mut found)
        }
        Position::File { inode, offset } => match rotated(path, inode) {
            Some(old) => old.read_from(offset, i64::MIN, &mut found).and_then(|()| {
                // If the old file has more events than one report can hold, the next report continues there.
                if found.truncated { Ok(()) } else { current.read_from(0, i64::MIN, &mut found) }
            }),
            None => {
                found.trouble = Some("it was rotated out of reach: events may be missing".to_owned());
                current.read_from(0, from.at_ms, &mut found)
            }
        },
        // There is no known offset. Reads the end of the file, within the limit and without old lines.
        Position::Time | Position::Cursor(_) => {
            let start = current.size.saturating_sub(MAX_READ_BYTES);
            current.line_after(start).and_then(|start| current.read_from(start, from.at_ms, &mut found))
        }
    };
    result.map_err(|error| Trouble::Broken(error.to_string()))?;
    Ok(found)
}

/// The rotated file next to `path` with this inode, for example `auth.log.1` or `secure-20260101`.
fn rotated(path: &Path, inode: u64) -> Option<Log> {
    let name = path.file_name()?.to_str()?;
    let candidates = fs::read_dir(path.parent()?).ok()?.filter_map(Result::ok);
    let old: PathBuf = candidates
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(name))
        .find(|entry| entry.metadata().is_ok_and(|metadata| metadata.ino() == inode))?
        .path();
    Log::open(&old).ok()
}

/// An open log file.
struct Log {
    file: File,
    inode: u64,
    size: u64,
    modified_ms: i64,
}

impl Log {
    fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        let modified_ms = metadata.mtime().saturating_mul(1000);
        Ok(Self { inode: metadata.ino(), size: metadata.size(), file, modified_ms })
    }

    fn bytes(&self, offset: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        (&self.file).seek(SeekFrom::Start(offset))?;
        (&self.file).take(MAX_READ_BYTES).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// The start of the first complete line at or after `offset`.
    fn line_after(&self, offset: u64) -> io::Result<u64> {
        if offset == 0 {
            return Ok(0);
        }
        let line_end = self.bytes(offset)?.iter().position(|byte| *byte == b'\n');
        Ok(offset + line_end.map_or(0, |at| at as u64 + 1))
    }

    /// Adds the lines from `offset` on that are later than `after_ms`. Only complete lines are read, because the last
    /// one may still be being written.
    fn read_from(&self, offset: u64, after_ms: i64, found: &mut Found) -> io::Result<()> {
        let bytes = self.bytes(offset)?;
        let zone_ms = zone(&bytes, self.modified_ms);
        let mut at = offset;
        let mut text_bytes: usize = found.events.iter().map(|event| event.message.len()).sum();
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let whole = line.ends_with(b"\n");
            if !whole && (line.len() as u64) < MAX_READ_BYTES {
                break;
            }
            text_bytes += line.len().min(MAX_MESSAGE_BYTES);
            if found.events.len() >= MAX_EVENTS || text_bytes > MAX_TEXT_BYTES {
                found.truncated = true;
                break;
            }
            let record_id = format!("{}:{at}", self.inode);
            at += line.len() as u64;
            // Not longer than a message in a report, so that a single line never exceeds the limits.
            let line = line.get(..MAX_MESSAGE_BYTES).unwrap_or(line);
            let event = event(&String::from_utf8_lossy(line), record_id, self.modified_ms, zone_ms);
            if event.occurred_unix_ms > after_ms {
                found.place.at_ms = event.occurred_unix_ms;
                found.events.push(event);
            }
        }
        found.truncated |= offset + (bytes.len() as u64) < self.size;
        found.place.position = Position::File { inode: self.inode, offset: at };
        Ok(())
    }
}

/// A line as an event. Without a time in the line, the time of the file is used.
fn event(line: &str, record_id: String, modified_ms: i64, zone_ms: i64) -> SecurityEvent {
    let line = line.trim_end();
    let (occurred_unix_ms, rest) = match time(line) {
        Some((Time::Exact(ms), rest)) => (ms, rest),
        Some((Time::Local(local), rest)) => (local.before(modified_ms, zone_ms), rest),
        None => (modified_ms, line),
    };
    // HOST TAG[PID]: MESSAGE
    let (tag, message) = rest
        .split_once(' ')
        .and_then(|(_host, rest)| rest.split_once(": "))
        .filter(|(tag, _)| !tag.contains(' '))
        .unwrap_or(("", rest));
    let (source, pid) = match tag.strip_suffix(']').and_then(|tag| tag.split_once('[')) {
        Some((source, pid)) => (source, Some(pid)),
        None => (tag, None),
    };
    SecurityEvent {
        record_id,
        event_id: None,
        level: "information".to_owned(),
        occurred_unix_ms,
        source: source.to_owned(),
        user: None,
        message: message.to_owned(),
        data: pid.map(|pid| ("pid".to_owned(), pid.to_owned())).into_iter().collect(),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Time {
    /// Milliseconds since the Unix epoch.
    Exact(i64),
    Local(Local),
}

/// A time without a year and a zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Local {
    month: i64,
    day: i64,
    second_of_day: i64,
}

const DAY_MS: i64 = 24 * 3600 * 1000;
const QUARTER_HOUR_MS: i64 = 15 * 60 * 1000;

impl Local {
    /// As if it were UTC, in the latest year in which it is at most a day after `limit_ms`.
    fn as_utc_before(self, limit_ms: i64) -> i64 {
        let year = civil_year(limit_ms.div_euclid(DAY_MS));
        let in_year = |year| days(year, self.month, self.day) * DAY_MS + self.second_of_day * 1000;
        [year + 1, year]
            .into_iter()
            .map(in_year)
            .find(|ms| *ms <= limit_ms + DAY_MS)
            .unwrap_or_else(|| in_year(year - 1))
    }

    fn before(self, modified_ms: i64, zone_ms: i64) -> i64 {
        self.as_utc_before(modified_ms) - zone_ms
    }
}

/// The offset of local time from UTC, because the last complete line was written when the file was last changed.
/// Offsets are multiples of 15 minutes.
fn zone(bytes: &[u8], modified_ms: i64) -> i64 {
    let last = bytes.rsplit(|byte| *byte == b'\n').nth(1).map(String::from_utf8_lossy);
    match last.as_deref().and_then(time) {
        Some((Time::Local(local), _)) => {
            let ahead = local.as_utc_before(modified_ms) - modified_ms;
            let rounded = (ahead + QUARTER_HOUR_MS / 2).div_euclid(QUARTER_HOUR_MS) * QUARTER_HOUR_MS;
            // No zone has such an offset: the file was touched later, or read in part. UTC is the most likely zone of a
            // server.
            if (-12 * 3_600_000..=14 * 3_600_000).contains(&rounded) { rounded } else { 0 }
        }
        Some((Time::Exact(_), _)) | None => 0,
    }
}

/// The time at the start of a line, and the rest.
fn time(line: &str) -> Option<(Time, &str)> {
    let exact = || {
        let (stamp, rest) = line.split_once(' ')?;
        Some((Time::Exact(rfc3339(stamp)?), rest))
    };
    exact().or_else(|| traditional(line))
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
    Some((Time::Local(Local { month, day, second_of_day }), rest))
}

/// The year of a day since the Unix epoch.
fn civil_year(day: i64) -> i64 {
    // Estimated with the mean length of a year, so it can be off by one.
    let guess = 1970 + day.saturating_mul(10_000).div_euclid(3_652_425);
    [guess + 1, guess].into_iter().find(|year| days(*year, 1, 1) <= day).unwrap_or(guess - 1)
}

#[cfg(test)]
mod tests {
    use std::{fs::OpenOptions, io::Write};

    use super::*;

    #[test]
    fn a_year_has_the_days_from_its_first_to_its_last() {
        for year in 1970..2400 {
            assert_eq!(civil_year(days(year, 1, 1)), year);
            assert_eq!(civil_year(days(year, 12, 31)), year);
        }
    }

    #[test]
    fn times_are_read_in_both_spellings() {
        let local = |month, day, second_of_day| Some(Time::Local(Local { month, day, second_of_day }));
        for (line, expected) in [
            ("Nov 22 09:42:01 host", local(11, 22, 34_921)),
            ("Jan  2 00:00:00 host", local(1, 2, 0)),
            ("Nov 32 09:42:01 host", None),
            ("Nov 22 24:42:01 host", None),
            ("anF 22 09:42:01 host", None),
            ("2026-11-22T09:42:01+00:00 host", Some(Time::Exact(1_795_340_521_000))),
            ("2026-11-22T09:42:01.123456+01:00 host", Some(Time::Exact(1_795_336_921_123))),
            ("2026-11-22T09:42:01.5Z host", Some(Time::Exact(1_795_340_521_500))),
            ("2026-11-22T04:12:01-05:30 host", Some(Time::Exact(1_795_340_521_000))),
            ("2026-13-22T09:42:01Z host", None),
            ("2026-11-22T09:42:01 host", None),
            ("größer als man denkt, und ohne Zeit", None),
            ("", None),
        ] {
            assert_eq!(time(line).map(|(time, _)| time), expected, "{line}");
        }
    }

    #[test]
    fn a_local_time_gets_its_year_and_zone_from_the_file() {
        let modified_ms = 1_767_225_661_000; // 2026-01-01T00:01:01Z, an hour later in Berlin
        let lines = b"Dec 31 23:59:59 web sshd[7]: before\nJan  1 01:01:00 web sudo: after\n";
        let zone_ms = zone(lines, modified_ms);
        assert_eq!(zone_ms, 3_600_000);
        let event = |line| event(line, String::new(), modified_ms, zone_ms);
        let before = event("Dec 31 23:59:59 web sshd[7]: before");
        assert_eq!(before.occurred_unix_ms, 1_767_221_999_000);
        assert_eq!((&*before.source, &*before.message), ("sshd", "before"));
        assert_eq!(before.data, [("pid".to_owned(), "7".to_owned())]);
        let after = event("Jan  1 01:01:00 web sudo: root : TTY=x");
        assert_eq!(
            (after.occurred_unix_ms, &*after.source, &*after.message),
            (1_767_225_660_000, "sudo", "root : TTY=x")
        );
        let odd = event("no time at all");
        assert_eq!((odd.occurred_unix_ms, &*odd.source, &*odd.message), (modified_ms, "", "no time at all"));
    }

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("fleetsweep-agent-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn log(&self) -> PathBuf {
            self.0.join("auth.log")
        }

        fn append(&self, text: &str) {
            let mut file = OpenOptions::new().create(true).append(true).open(self.log()).unwrap();
            file.write_all(text.as_bytes()).unwrap();
        }

        #[track_caller]
        fn check(&self, from: &Place, expected: &[&str]) -> Found {
            let found = read(&self.log(), from).ok().unwrap();
            assert_eq!(found.events.iter().map(|event| &*event.message).collect::<Vec<_>>(), expected);
            found
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    fn line(message: &str) -> String {
        format!("2026-11-22T09:42:01Z web sshd[7]: {message}\n")
    }

    const EARLIER: Place = Place { at_ms: 1_795_340_520_000, position: Position::Time };

    #[test]
    fn a_log_is_followed_across_its_rotation() {
        let folder = Folder::new("rotation");
        folder.append(&line("one").replace("2026", "2025"));
        folder.append(&line("two"));
        folder.append("2026-11-22T09:42:02Z web sshd[7]: half a l");
        let first = folder.check(&EARLIER, &["two"]);
        assert!(!first.cleared && !first.truncated && first.trouble.is_none());
        folder.append("ine\n");
        let second = folder.check(&first.place, &["half a line"]);
        folder.check(&second.place, &[]);
        folder.append(&line("three"));
        fs::rename(folder.log(), folder.0.join("auth.log.1")).unwrap();
        folder.append(&line("four"));
        let third = folder.check(&second.place, &["three", "four"]);
        folder.check(&third.place, &[]);
        fs::remove_file(folder.0.join("auth.log.1")).unwrap();
        let lost = folder.check(&second.place, &[]);
        assert_eq!(lost.trouble.as_deref(), Some("it was rotated out of reach: events may be missing"));
        fs::write(folder.log(), "").unwrap();
        folder.append(&line("x"));
        let longer = Place {
            position: match third.place.position {
                Position::File { inode, offset } => Position::File { inode, offset: offset + 100 },
                Position::Time | Position::Cursor(_) => panic!("a file's place is an offset"),
            },
            ..third.place
        };
        assert!(folder.check(&longer, &["x"]).cleared);
    }

    #[test]
    fn more_lines_than_a_report_carries_come_with_the_next() {
        let folder = Folder::new("many");
        folder.append(&(0..600).map(|n| line(&n.to_string())).collect::<String>());
        let first = read(&folder.log(), &EARLIER).ok().unwrap();
        assert_eq!((first.events.len(), first.truncated), (500, true));
        let second = read(&folder.log(), &first.place).ok().unwrap();
        assert_eq!((second.events.len(), second.truncated), (100, false));
        assert_eq!(second.events[0].message, "500");
    }

    #[test]
    fn a_line_larger_than_all_of_a_report_does_not_stand_in_the_way() {
        let folder = Folder::new("huge");
        let huge = line(&"x".repeat(MAX_TEXT_BYTES + 1));
        folder.append(&format!("{huge}{}", line("then")));
        let found = read(&folder.log(), &Place { at_ms: 0, position: Position::Time }).ok().unwrap();
        assert_eq!((found.events.len(), found.truncated), (2, false));
        assert!(found.events[0].message.len() <= MAX_MESSAGE_BYTES && found.events[1].message == "then");
    }

    #[test]
    fn what_is_not_there_is_absent() {
        let folder = Folder::new("absent");
        assert_eq!(read(&folder.log(), &EARLIER).err(), Some(Trouble::Absent));
    }
}
