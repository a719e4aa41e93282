//! The security log: the choice of the source, and the bookmark from which the next collection continues. The sources
//! are in the modules below.
//!
//! A readable journal is preferred, then `auth.log` or `secure`. If the account can read neither, the result is
//! [`EventAccess::Denied`] and not an empty log, which would look as if there were no events.

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod journal;
mod log_file;

use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use fleetsweep_agent::{
    report::{EventAccess, EventLog, SecurityEvent, Warning},
    request::{EventsWanted, FurtherLog},
};

use crate::places::{ABSENT, Places};

/// The most events of one report. The next report continues after the last one.
const MAX_EVENTS: usize = 500;
/// The most text of all events of a report, bytes. Escaped as XML, it still fits into an envelope.
const MAX_TEXT_BYTES: usize = 512 << 10;
/// How far back events are read if the bookmark is not understood.
const A_DAY_MS: i64 = 24 * 3600 * 1000;

/// The position in a log at which the last report ended.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    /// The time of the last event, milliseconds since the Unix epoch. It can also be used for another source.
    at_ms: i64,
    position: Position,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Position {
    /// Only a time: after all events until `at_ms`.
    Time,
    /// After an entry of the journal.
    Cursor(String),
    /// After this offset in the file with this inode. The fingerprint of the bytes in front of it shows whether it is
    /// still this file. Earlier agents had none.
    File { inode: u64, offset: u64, fingerprint: Option<u32> },
}

impl Place {
    fn parse(bookmark: &str) -> Option<Self> {
        let mut words = bookmark.split(' ');
        let (kind, at_ms) = (words.next()?, words.next()?.parse().ok()?);
        let position = match (kind, words.next(), words.next(), words.next()) {
            ("time", None, None, None) => Position::Time,
            ("journal", Some(cursor), None, None) => Position::Cursor(cursor.to_owned()),
            ("file", Some(inode), Some(offset), fingerprint) => Position::File {
                inode: inode.parse().ok()?,
                offset: offset.parse().ok()?,
                fingerprint: fingerprint.map(str::parse).transpose().ok()?,
            },
            _ => return None,
        };
        if words.next().is_some() {
            return None;
        }
        Some(Self { at_ms, position })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.position {
            Position::Time => write!(f, "time {}", self.at_ms),
            Position::Cursor(cursor) => write!(f, "journal {} {cursor}", self.at_ms),
            Position::File { inode, offset, fingerprint } => {
                write!(f, "file {} {inode} {offset}", self.at_ms)?;
                fingerprint.map_or(Ok(()), |fingerprint| write!(f, " {fingerprint}"))
            }
        }
    }
}

/// The result of reading a source.
struct Found {
    events: Vec<SecurityEvent>,
    /// Whether there are more than these.
    truncated: bool,
    /// Whether the log was cleared since the bookmark.
    cleared: bool,
    place: Place,
    /// A problem that does not affect the rest.
    trouble: Option<String>,
}

/// The reason why a source has no result.
#[derive(Debug, PartialEq, Eq)]
enum Trouble {
    /// It does not exist.
    Absent,
    /// The account cannot read it.
    Denied,
    /// Something else.
    Broken(String),
}

/// The level of a severity of syslog.
fn level(severity: Option<u8>) -> &'static str {
    match severity {
        Some(0) => "emergency",
        Some(1) => "alert",
        Some(2) => "critical",
        Some(3) => "error",
        Some(4) => "warning",
        Some(5) => "notice",
        Some(7) => "debug",
        Some(_) | None => "information",
    }
}

/// Reads the requested part of the security log and of further logs. `now_ms` is the time of this machine's clock.
///
/// Further logs are units and facilities of the journal, which has one position for all of them.
pub(super) fn look(
    wanted: &EventsWanted,
    logs: &[FurtherLog],
    now_ms: i64,
    patience: Duration,
) -> (Option<EventLog>, Vec<Warning>) {
    let mut warnings = Vec::new();
    let mut known = Places::default();
    let mut warn = |what: &str, why: String| warnings.push(Warning { what: what.to_owned(), why });
    let from = match wanted {
        EventsWanted::No => return (None, Vec::new()),
        EventsWanted::Within(age) => {
            let age_ms = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
            Place { at_ms: now_ms.saturating_sub(age_ms), position: Position::Time }
        }
        EventsWanted::After(bookmark) => {
            known = Places::parse(bookmark.as_str());
            known.security.as_deref().and_then(Place::parse).unwrap_or_else(|| {
                // Reporting an event twice is better than losing it.
                warn("security events", "the bookmark is not this agent's: a day was read again".to_owned());
                Place { at_ms: now_ms.saturating_sub(A_DAY_MS), position: Position::Time }
            })
        }
    };
    let mut denied = None;
    let sources = [(PathBuf::from("journal"), true)]
        .into_iter()
        .chain(["/var/log/auth.log", "/var/log/secure"].map(|path| (PathBuf::from(path), false)));
    for (path, is_journal) in sources {
        let source = path.display().to_string();
        let found = if is_journal {
            journal::access().and_then(|()| journal::read(Path::new("journalctl"), &from, logs, patience))
        } else {
            log_file::read(&path, &from, log_file::local_rules())
        };
        match found {
            Ok(found) => {
                if let Some(trouble) = found.trouble {
                    warn(&source, trouble);
                }
                let access = if found.cleared { EventAccess::Cleared } else { EventAccess::Read };
                let (truncated, events) = (found.truncated, found.events);
                let mut places = Places { security: Some(found.place.to_string()), further: Vec::new() };
                for log in logs.iter().filter(|log| !is_journal || journal::filter(log.channel()).is_none()) {
                    let channel = log.channel();
                    if known.of(channel).is_none() {
                        warn("further security events", format!("this machine has no log {channel}"));
                    }
                    places.further.push((channel.to_owned(), ABSENT.to_owned()));
                }
                let bookmark = places.to_text();
                return (Some(EventLog { source, access, bookmark, truncated, events }), warnings);
            }
            Err(Trouble::Absent) => {}
            Err(Trouble::Denied) => denied = denied.or(Some(source)),
            Err(Trouble::Broken(why)) => warn(&source, why),
        }
    }
    let access = match &denied {
        Some(source) => {
            warn(source, "this account may not read it: add it to the group adm or systemd-journal".to_owned());
            EventAccess::Denied
        }
        None => {
            warn(
                "security events",
                "neither a journal nor /var/log/auth.log or /var/log/secure can be read".to_owned(),
            );
            EventAccess::Unavailable
        }
    };
    (Some(EventLog { source: denied.unwrap_or_default(), access, ..EventLog::default() }), warnings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fleetsweep_agent::request::Bookmark;

    #[test]
    fn a_bookmark_comes_back() {
        for (text, position) in [
            ("time 17", Position::Time),
            ("journal 17 s=06;i=4f", Position::Cursor("s=06;i=4f".into())),
            ("file 17 99 1024", Position::File { inode: 99, offset: 1024, fingerprint: None }),
            ("file 17 99 1024 7", Position::File { inode: 99, offset: 1024, fingerprint: Some(7) }),
        ] {
            let place = Place { at_ms: 17, position };
            assert_eq!(place.to_string(), text);
            assert_eq!(Place::parse(text), Some(place));
        }
        for text in [
            "",
            "time",
            "time x",
            "time 1 2",
            "journal 17",
            "file 17 99",
            "file 17 -1 0",
            "other 17",
            "file 1 2 x",
            "file 1 2 3 -1",
            "file 1 2 3 4 5",
        ] {
            assert_eq!(Place::parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_not_wanted_is_not_read_and_a_foreign_bookmark_is_said() {
        assert_eq!(look(&EventsWanted::No, &[], 0, Duration::ZERO), (None, vec![]));
        let foreign = EventsWanted::After(Bookmark::new("elsewhere".into()).unwrap());
        let (log, warnings) = look(&foreign, &[], 0, Duration::from_secs(5));
        assert!(log.is_some());
        assert_eq!(warnings[0].why, "the bookmark is not this agent's: a day was read again");
    }
}
