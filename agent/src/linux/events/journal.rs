//! The systemd journal, through `journalctl` in its export format: `NAME=value` lines, or for values with
//! line ends the name, a length of eight bytes and the value; an empty line ends an entry. Unlike its JSON it
//! needs no library and carries any bytes.

use std::{
    fs::{self, File},
    io::{ErrorKind, Read},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use fleetsweep_agent::report::SecurityEvent;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{Found, MAX_EVENTS, MAX_TEXT_BYTES, Place, Position, Trouble};

/// Where journald keeps its files, one directory a machine.
const ROOTS: &[&str] = &["/var/log/journal", "/run/log/journal"];
/// Authentication (facilities auth and authpriv) and the kernel's audit.
const WHICH: &[&str] = &["SYSLOG_FACILITY=4", "SYSLOG_FACILITY=10", "+", "_TRANSPORT=audit"];
const FIELDS: &str = "MESSAGE,PRIORITY,SYSLOG_IDENTIFIER,_PID,_TRANSPORT";
/// The most output that is read: thousands of entries, of which the first are taken.
const MAX_OUTPUT_BYTES: usize = 2 << 20;

/// Whether there is a system journal that this account may read. `journalctl` itself does not say: without
/// access it finds no entries and succeeds.
pub(super) fn access() -> Result<(), Trouble> {
    let journals = ROOTS
        .iter()
        .filter_map(|root| fs::read_dir(root).ok())
        .flatten()
        .filter_map(|machine| Some(machine.ok()?.path().join("system.journal")));
    let mut result = Err(Trouble::Absent);
    for journal in journals {
        match File::open(journal) {
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::PermissionDenied => result = Err(Trouble::Denied),
            // A machine's directory without a system journal.
            Err(_) => {}
        }
    }
    result
}

/// Reads what follows `from`, for no longer than `patience`.
pub(super) fn read(journalctl: &Path, from: &Place, patience: Duration) -> Result<Found, Trouble> {
    let deadline = Instant::now() + patience;
    let since = format!("--since=@{}", from.at_ms.max(0) / 1000);
    if let Position::Cursor(cursor) = &from.position {
        let output = run(journalctl, &format!("--after-cursor={cursor}"), deadline)?;
        // A cursor that the journal does not understand is an error; then the time must do.
        if output.ended.is_none_or(|status| status.success()) {
            return Ok(found(output, from, i64::MIN));
        }
    }
    let output = run(journalctl, &since, deadline)?;
    match output.ended {
        Some(status) if !status.success() => Err(Trouble::Broken(format!("journalctl ended with {status}"))),
        Some(_) | None => Ok(found(output, from, from.at_ms)),
    }
}

/// What `journalctl` said, as far as it was read.
struct Output {
    bytes: Vec<u8>,
    /// How it ended; `None` where it was stopped.
    ended: Option<ExitStatus>,
    timed_out: bool,
}

fn run(journalctl: &Path, from: &str, deadline: Instant) -> Result<Output, Trouble> {
    let mut child = Command::new(journalctl)
        .args(["--output=export", "--no-pager", "--quiet", "--output-fields", FIELDS, from])
        .args(WHICH)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| {
            Trouble::Broken(if error.kind() == ErrorKind::NotFound {
                "there is a journal but no journalctl to read it".to_owned()
            } else {
                format!("journalctl cannot be run: {error}")
            })
        })?;
    let read = take_output(&mut child, deadline);
    let ended = match read {
        Ok((_, Stopped::Ended)) => child.wait().ok(),
        Ok(_) | Err(_) => {
            // It may have ended by itself just now; then there is nothing to kill.
            let _ = child.kill();
            let _ = child.wait();
            None
        }
    };
    let (bytes, stopped) = read.map_err(|error| Trouble::Broken(format!("journalctl cannot be read: {error}")))?;
    Ok(Output { bytes, ended, timed_out: stopped == Stopped::TimedOut })
}

#[derive(Debug, PartialEq, Eq)]
enum Stopped {
    Ended,
    Full,
    TimedOut,
}

fn take_output(child: &mut Child, deadline: Instant) -> std::io::Result<(Vec<u8>, Stopped)> {
    let mut bytes = Vec::new();
    let Some(stdout) = child.stdout.as_mut() else { return Ok((bytes, Stopped::Ended)) };
    let mut buffer = [0; 8192];
    while bytes.len() < MAX_OUTPUT_BYTES {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: left.subsec_nanos().into() };
        match poll(&mut [PollFd::new(&*stdout, PollFlags::IN)], Some(&left)) {
            Ok(0) => return Ok((bytes, Stopped::TimedOut)),
            Err(rustix::io::Errno::INTR) => continue,
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        match stdout.read(&mut buffer)? {
            0 => return Ok((bytes, Stopped::Ended)),
            count => bytes.extend_from_slice(buffer.get(..count).unwrap_or_default()),
        }
    }
    Ok((bytes, Stopped::Full))
}

/// The entries later than `after_ms`, up to the caps.
fn found(output: Output, from: &Place, after_ms: i64) -> Found {
    let mut found = Found {
        events: Vec::new(),
        truncated: output.ended.is_none(),
        cleared: false,
        place: from.clone(),
        trouble: output.timed_out.then(|| "journalctl took too long: what it had said by then was taken".to_owned()),
    };
    let mut rest = &*output.bytes;
    let mut text_bytes = 0;
    while let Some(entry) = Entry::take(&mut rest) {
        let Some((event, cursor)) = entry.into_event() else { continue };
        if event.occurred_unix_ms <= after_ms {
            continue;
        }
        text_bytes += event.message.len();
        if found.events.len() >= MAX_EVENTS || text_bytes > MAX_TEXT_BYTES {
            found.truncated = true;
            break;
        }
        found.place = Place { at_ms: event.occurred_unix_ms, position: Position::Cursor(cursor) };
        found.events.push(event);
    }
    found
}

/// One entry's fields.
#[derive(Default)]
struct Entry {
    cursor: String,
    realtime_us: Option<i64>,
    message: String,
    priority: String,
    identifier: String,
    pid: String,
    transport: String,
}

impl Entry {
    /// Takes one whole entry from the front; `None` where there is none any more.
    fn take(rest: &mut &[u8]) -> Option<Self> {
        let mut entry = Self::default();
        let mut left = *rest;
        let mut some = false;
        loop {
            let (line, after) = split_line(left)?;
            left = after;
            if line.is_empty() {
                // Empty lines between entries are no entries.
                if some {
                    *rest = left;
                    return Some(entry);
                }
                continue;
            }
            some = true;
            let (name, value) = match line.iter().position(|byte| *byte == b'=') {
                Some(at) => (line.get(..at)?, line.get(at + 1..)?),
                None => {
                    let (length, after) = left.split_first_chunk::<8>()?;
                    let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
                    let value = after.get(..length)?;
                    left = after.get(length..)?.strip_prefix(b"\n")?;
                    (line, value)
                }
            };
            entry.set(name, &String::from_utf8_lossy(value));
        }
    }

    fn set(&mut self, name: &[u8], value: &str) {
        let field = match name {
            b"__CURSOR" => &mut self.cursor,
            b"MESSAGE" => &mut self.message,
            b"PRIORITY" => &mut self.priority,
            b"SYSLOG_IDENTIFIER" => &mut self.identifier,
            b"_PID" => &mut self.pid,
            b"_TRANSPORT" => &mut self.transport,
            b"__REALTIME_TIMESTAMP" => {
                self.realtime_us = value.parse().ok();
                return;
            }
            _ => return,
        };
        value.clone_into(field);
    }

    /// The event and its cursor; `None` for an entry without a place in time or in the journal.
    fn into_event(self) -> Option<(SecurityEvent, String)> {
        if self.cursor.is_empty() {
            return None;
        }
        let level = match &*self.priority {
            "0" => "emergency",
            "1" => "alert",
            "2" => "critical",
            "3" => "error",
            "4" => "warning",
            "5" => "notice",
            "7" => "debug",
            _ => "information",
        };
        let data = if self.pid.is_empty() { Vec::new() } else { vec![("pid".to_owned(), self.pid)] };
        let event = SecurityEvent {
            record_id: self.cursor.clone(),
            event_id: None,
            level: level.to_owned(),
            occurred_unix_ms: self.realtime_us?.div_euclid(1000),
            source: if self.identifier.is_empty() { self.transport } else { self.identifier },
            user: None,
            message: self.message,
            data,
        };
        Some((event, self.cursor))
    }
}

fn split_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    Some((bytes.get(..end)?, bytes.get(end + 1..)?))
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::PermissionsExt, path::PathBuf};

    use super::*;

    const TWO: &[u8] = b"__CURSOR=s=1;i=a\n__REALTIME_TIMESTAMP=1700000000123456\n_TRANSPORT=syslog\nPRIORITY=5\n\
        SYSLOG_IDENTIFIER=sshd\nMESSAGE=Accepted = yes\n_PID=42\n\n\
        __CURSOR=s=1;i=b\n__REALTIME_TIMESTAMP=1700000001000000\n_TRANSPORT=audit\nMESSAGE\n\x0b\0\0\0\0\0\0\0two\nlines\n\xff\n\n";

    fn place() -> Place {
        Place { at_ms: 1_600_000_000_000, position: Position::Cursor("s=1;i=9".into()) }
    }

    fn entries(bytes: &[u8]) -> Found {
        found(
            Output { bytes: bytes.to_vec(), ended: Some(ExitStatus::default()), timed_out: false },
            &place(),
            i64::MIN,
        )
    }

    #[test]
    fn entries_become_events_in_order() {
        let found = entries(TWO);
        assert!(!found.truncated);
        assert_eq!(found.place.to_string(), "journal 1700000001000 s=1;i=b");
        let [first, second] = &found.events[..] else { panic!("{:?}", found.events) };
        assert_eq!((&*first.level, &*first.source, &*first.message), ("notice", "sshd", "Accepted = yes"));
        assert_eq!((first.occurred_unix_ms, &*first.record_id), (1_700_000_000_123, "s=1;i=a"));
        assert_eq!(first.data, [("pid".to_owned(), "42".to_owned())]);
        assert_eq!(
            (&*second.level, &*second.source, &*second.message),
            ("information", "audit", "two\nlines\n\u{fffd}")
        );
    }

    #[test]
    fn half_an_entry_waits_for_the_next_collection() {
        for length in 0..TWO.len() {
            assert!(entries(&TWO[..length]).events.len() < 2, "{length}");
        }
        assert_eq!(entries(b"").place, place());
        assert!(entries(b"MESSAGE\n\xff\xff\xff\xff\xff\xff\xff\xff\n\n").events.is_empty());
        assert!(entries(b"\n\n\nMESSAGE=no cursor\n\n").events.is_empty());
    }

    #[test]
    fn more_than_a_report_carries_is_cut_and_said() {
        let many: Vec<u8> = (0..600)
            .flat_map(|n| format!("__CURSOR=c{n}\n__REALTIME_TIMESTAMP=1{n:03}000\nMESSAGE=m\n\n").into_bytes())
            .collect();
        let found = entries(&many);
        assert_eq!((found.events.len(), found.truncated), (500, true));
        assert_eq!(found.place.to_string(), "journal 1499 c499");
        let long = "x".repeat(MAX_TEXT_BYTES / 2);
        let long: Vec<u8> = (0..3)
            .flat_map(|n| format!("__CURSOR=c{n}\n__REALTIME_TIMESTAMP=1{n:03}000\nMESSAGE={long}\n\n").into_bytes())
            .collect();
        let found = entries(&long);
        assert_eq!((found.events.len(), found.truncated), (2, true));
    }

    /// A `journalctl` of our own, in a directory that goes with it.
    fn script(name: &str, body: &str) -> (PathBuf, PathBuf) {
        let folder = std::env::temp_dir().join(format!("fleetsweep-agent-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("journalctl");
        fs::write(&path, format!("#!/bin/sh\n{body}")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        (folder, path)
    }

    #[test]
    fn a_cursor_that_is_not_understood_gives_way_to_the_time_without_repeats() {
        let body = "case \"$*\" in *--after-cursor=s=1\\;i=9*) exit 1;; *--since=@1600000000*) \
                    printf '__CURSOR=a\\n__REALTIME_TIMESTAMP=1600000000000999\\nMESSAGE=old\\n\\n\
                    __CURSOR=b\\n__REALTIME_TIMESTAMP=1600000000001000\\nMESSAGE=new\\n\\n';; *) exit 9;; esac";
        let (folder, path) = script("cursor", body);
        let found = read(&path, &place(), Duration::from_secs(20)).ok().unwrap();
        fs::remove_dir_all(folder).unwrap();
        assert_eq!(found.events.iter().map(|event| &*event.message).collect::<Vec<_>>(), ["new"]);
        assert_eq!(found.place.to_string(), "journal 1600000000001 b");
    }

    #[test]
    fn a_journalctl_that_hangs_is_stopped_and_said() {
        let (folder, path) =
            script("hangs", "printf '__CURSOR=a\\n__REALTIME_TIMESTAMP=1000\\nMESSAGE=m\\n\\n'; exec sleep 1000");
        let begun = Instant::now();
        let found = read(&path, &place(), Duration::from_secs(1)).ok().unwrap();
        fs::remove_dir_all(folder).unwrap();
        assert!(begun.elapsed() < Duration::from_secs(20));
        assert!(found.truncated && found.trouble.is_some());
        assert_eq!(found.events.len(), 1);
    }

    #[test]
    fn a_journalctl_that_fails_or_is_missing_is_broken() {
        let (folder, path) = script("fails", "exit 3");
        let fails = read(&path, &place(), Duration::from_secs(20)).err();
        let missing = read(&folder.join("none"), &place(), Duration::from_secs(20)).err();
        fs::remove_dir_all(folder).unwrap();
        assert_eq!(fails, Some(Trouble::Broken("journalctl ended with exit status: 3".into())));
        assert_eq!(missing, Some(Trouble::Broken("there is a journal but no journalctl to read it".into())));
    }
}
