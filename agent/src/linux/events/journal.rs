//! The systemd journal, read with `journalctl`: permissions, the command, and the limits of its output. Entries are
//! parsed in [`entry`].

mod entry;

use std::{
    fs::{self, File},
    io::ErrorKind,
    iter,
    path::Path,
    process::{Command, ExitStatus},
    time::{Duration, Instant},
};

use entry::Entry;
use fleetsweep_agent::request::FurtherLog;

use super::{
    super::program::{self, Stopped},
    Found, MAX_EVENTS, MAX_TEXT_BYTES, Place, Position, Trouble,
};

/// The directories of journald's files, with a subdirectory per machine.
const ROOTS: &[&str] = &["/var/log/journal", "/run/log/journal"];
/// Authentication (facilities auth and authpriv) and the kernel's audit.
const WHICH: &[&str] = &["SYSLOG_FACILITY=4", "SYSLOG_FACILITY=10", "+", "_TRANSPORT=audit"];
const FIELDS: &str = "MESSAGE,PRIORITY,SYSLOG_IDENTIFIER,SYSLOG_FACILITY,_PID,_SYSTEMD_UNIT,_TRANSPORT";
/// The most output that is read. It contains thousands of entries, of which only the first are used.
const MAX_OUTPUT_BYTES: usize = 2 << 20;

/// The names of the facilities of syslog, by number.
const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "ntp",
    "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
];
/// What the names of units end with.
const UNITS: [&str; 5] = [".service", ".socket", ".timer", ".mount", ".scope"];

/// The condition that selects the entries of a further log; `None` if the journal has no such log.
pub(super) fn filter(channel: &str) -> Option<String> {
    if UNITS.iter().any(|ending| channel.ends_with(ending)) {
        return Some(format!("_SYSTEMD_UNIT={channel}"));
    }
    let facility = FACILITIES.iter().position(|name| *name == channel)?;
    Some(format!("SYSLOG_FACILITY={facility}"))
}

/// Checks whether there is a system journal that this account can read. `journalctl` does not report this: without
/// access, it finds no entries and succeeds.
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
            // The directory of a machine without a system journal.
            Err(_) => {}
        }
    }
    result
}

/// Reads the entries after `from`, for at most `patience`.
pub(super) fn read(journalctl: &Path, from: &Place, logs: &[FurtherLog], patience: Duration) -> Result<Found, Trouble> {
    let deadline = Instant::now() + patience;
    let since = format!("--since=@{}", from.at_ms.max(0) / 1000);
    if let Position::Cursor(cursor) = &from.position {
        // Including the entry of the bookmark, to check whether it still exists. If not, `--after-cursor` would skip
        // the first entry after it.
        let output = run(journalctl, &format!("--cursor={cursor}"), logs, deadline)?;
        let is_there = output.first(&mut &*output.bytes).is_some_and(|entry| entry.cursor == *cursor);
        // A cursor that the journal does not understand is an error. Then the time is used.
        if output.ended.is_none_or(|status| status.success()) {
            let after_ms = if is_there { i64::MIN } else { from.at_ms };
            let found = found(output, from, after_ms, logs);
            if !(is_there && found.truncated && found.events.is_empty()) {
                return Ok(found);
            }
            // The entry of the bookmark is so large that nothing else was read.
            let output = run(journalctl, &format!("--after-cursor={cursor}"), logs, deadline)?;
            return Ok(self::found(output, from, i64::MIN, logs));
        }
    }
    let output = run(journalctl, &since, logs, deadline)?;
    match output.ended {
        Some(status) if !status.success() => Err(Trouble::Broken(format!("journalctl ended with {status}"))),
        Some(_) | None => Ok(found(output, from, from.at_ms, logs)),
    }
}

/// The output of `journalctl`, as far as it was read.
struct Output {
    bytes: Vec<u8>,
    /// Its exit status; `None` if it was stopped.
    ended: Option<ExitStatus>,
    timed_out: bool,
    /// Whether there is more output.
    is_full: bool,
}

impl Output {
    /// Removes and returns the first entry. An incomplete entry is left for the next collection, unless it can never be
    /// complete, because the next collections would wait for it for ever.
    fn first(&self, rest: &mut &[u8]) -> Option<Entry> {
        Entry::take(rest).or_else(|| self.is_full.then(|| Entry::cut(rest)))
    }
}

fn run(journalctl: &Path, from: &str, logs: &[FurtherLog], deadline: Instant) -> Result<Output, Trouble> {
    let mut command = Command::new(journalctl);
    command
        .args(["--output=export", "--no-pager", "--quiet", "--output-fields", FIELDS, from])
        .args(WHICH)
        .args(logs.iter().filter_map(|log| filter(log.channel())).flat_map(|filter| ["+".to_owned(), filter]));
    let program::Output { bytes, ended, stopped } =
        program::run(&mut command, deadline, MAX_OUTPUT_BYTES).map_err(|error| {
            Trouble::Broken(if error.kind() == ErrorKind::NotFound {
                "there is a journal but no journalctl to read it".to_owned()
            } else {
                format!("journalctl cannot be run: {error}")
            })
        })?;
    Ok(Output { bytes, ended, timed_out: stopped == Stopped::TimedOut, is_full: stopped == Stopped::Full })
}

/// The entries later than `after_ms`, except that of the bookmark, within the limits.
fn found(output: Output, from: &Place, after_ms: i64, logs: &[FurtherLog]) -> Found {
    let mut found = Found {
        events: Vec::new(),
        truncated: output.ended.is_none(),
        cleared: false,
        place: from.clone(),
        trouble: output.timed_out.then(|| "journalctl took too long: what it had said by then was taken".to_owned()),
    };
    let mut rest = &*output.bytes;
    let first = output.first(&mut rest);
    let mut text_bytes = 0;
    for entry in first.into_iter().chain(iter::from_fn(|| Entry::take(&mut rest))) {
        let Some((event, cursor)) = entry.into_event(logs) else { continue };
        if event.occurred_unix_ms <= after_ms || from.position == Position::Cursor(cursor.clone()) {
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

/// The events for this output of `journalctl`, or for its beginning if it is full.
#[cfg(any(test, fuzzing))]
pub(super) fn found_in(bytes: &[u8], is_full: bool, from: &Place) -> Found {
    let ended = (!is_full).then(ExitStatus::default);
    found(Output { bytes: bytes.to_vec(), ended, timed_out: false, is_full }, from, i64::MIN, &[])
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::PermissionsExt, path::PathBuf};

    use fleetsweep_agent::report::MAX_MESSAGE_BYTES;

    use super::*;

    const TWO: &[u8] = b"__CURSOR=s=1;i=a\n__REALTIME_TIMESTAMP=1700000000123456\n_TRANSPORT=syslog\nPRIORITY=5\n\
        SYSLOG_IDENTIFIER=sshd\nMESSAGE=Accepted = yes\n_PID=42\n\n\
        __CURSOR=s=1;i=b\n__REALTIME_TIMESTAMP=1700000001000000\n_TRANSPORT=audit\nMESSAGE\n\x0b\0\0\0\0\0\0\0two\nlines\n\xff\n\n";

    fn place() -> Place {
        Place { at_ms: 1_600_000_000_000, position: Position::Cursor("s=1;i=9".into()) }
    }

    fn entries(bytes: &[u8]) -> Found {
        found_in(bytes, false, &place())
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
    fn entries_of_further_logs_name_the_log() {
        let logs = ["nginx.service", "cron", "Security"].map(|name| FurtherLog::new(name, vec![]).unwrap());
        let filters: Vec<_> = logs.iter().map(|log| filter(log.channel())).collect();
        assert_eq!(filters, [Some("_SYSTEMD_UNIT=nginx.service".into()), Some("SYSLOG_FACILITY=9".into()), None]);
        for (fields, expected) in [
            ("SYSLOG_FACILITY=3\n_SYSTEMD_UNIT=nginx.service\n", Some("nginx.service")),
            ("_SYSTEMD_UNIT=nginx.service\n", Some("nginx.service")),
            ("SYSLOG_FACILITY=9\n_SYSTEMD_UNIT=cron.service\n", Some("cron")),
            ("SYSLOG_FACILITY=10\n_SYSTEMD_UNIT=nginx.service\n", None),
            ("_TRANSPORT=audit\n_SYSTEMD_UNIT=nginx.service\n", None),
            ("SYSLOG_FACILITY=99\n", None),
            ("", None),
        ] {
            let text = format!("__CURSOR=a\n__REALTIME_TIMESTAMP=1000\n{fields}MESSAGE=m\n\n");
            let output =
                Output { bytes: text.into(), ended: Some(ExitStatus::default()), timed_out: false, is_full: false };
            let found = found(output, &place(), i64::MIN, &logs);
            assert_eq!(found.events[0].channel.as_deref(), expected, "{fields}");
        }
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
        let long = "x".repeat(MAX_MESSAGE_BYTES);
        let fit = MAX_TEXT_BYTES / MAX_MESSAGE_BYTES;
        let long: Vec<u8> = (0..=fit)
            .flat_map(|n| format!("__CURSOR=c{n}\n__REALTIME_TIMESTAMP=1{n:03}000\nMESSAGE={long}\n\n").into_bytes())
            .collect();
        let found = entries(&long);
        assert_eq!((found.events.len(), found.truncated), (fit, true));
    }

    #[test]
    fn a_message_larger_than_all_of_a_report_does_not_stand_in_the_way() {
        let huge = "x".repeat(MAX_TEXT_BYTES + 1);
        let text = format!(
            "__CURSOR=a\n__REALTIME_TIMESTAMP=1000\nMESSAGE={huge}\n\n__CURSOR=b\n__REALTIME_TIMESTAMP=2000\nMESSAGE=m\n\n"
        );
        let found = entries(text.as_bytes());
        assert_eq!(found.place.to_string(), "journal 2 b");
        assert_eq!(found.events.iter().map(|event| event.message.len()).collect::<Vec<_>>(), [MAX_MESSAGE_BYTES, 1]);
        // Of an entry that cannot be read completely, the beginning counts.
        for field in [format!("MESSAGE={huge}"), format!("MESSAGE\n\0\0\0\0\x01\0\0\0{huge}")] {
            let found = found_in(format!("__CURSOR=a\n__REALTIME_TIMESTAMP=1000\n{field}").as_bytes(), true, &place());
            assert_eq!((found.events.len(), found.truncated), (1, true));
            assert_eq!(
                (found.place.to_string().as_str(), found.events[0].message.len()),
                ("journal 1 a", MAX_MESSAGE_BYTES)
            );
        }
    }

    /// Found by fuzzing: 500 lines with a long program name, which any user can log, were too large for an envelope,
    /// and they were the same in every collection.
    #[test]
    fn long_names_of_programs_do_not_make_a_report_too_large() {
        let name = "\"".repeat(MAX_MESSAGE_BYTES);
        let many: String = (0..MAX_EVENTS)
            .map(|n| {
                format!(
                    "__CURSOR=c{n}\n__REALTIME_TIMESTAMP=1{n:03}000\nSYSLOG_IDENTIFIER={name}\nMESSAGE={}\n\n",
                    "\"".repeat(1000)
                )
            })
            .collect();
        let found = entries(many.as_bytes());
        assert_eq!(found.events.len(), MAX_EVENTS);
        assert_eq!(found.events[0].source.len(), 64);
        super::super::fuzzing::check(found);
    }

    /// A script in place of `journalctl`, in a temporary directory.
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
        let body = "case \"$*\" in *--cursor=s=1\\;i=9*) exit 1;; *--since=@1600000000*) \
                    printf '__CURSOR=a\\n__REALTIME_TIMESTAMP=1600000000000999\\nMESSAGE=old\\n\\n\
                    __CURSOR=b\\n__REALTIME_TIMESTAMP=1600000000001000\\nMESSAGE=new\\n\\n';; *) exit 9;; esac";
        let (folder, path) = script("cursor", body);
        let found = read(&path, &place(), &[], support::SOON).ok().unwrap();
        fs::remove_dir_all(folder).unwrap();
        assert_eq!(found.events.iter().map(|event| &*event.message).collect::<Vec<_>>(), ["new"]);
        assert_eq!(found.place.to_string(), "journal 1600000000001 b");
    }

    #[test]
    fn the_first_event_after_a_bookmark_whose_entry_is_gone_is_not_left_out() {
        let entry = |cursor: &str, ms: i64| {
            format!("__CURSOR={cursor}\\n__REALTIME_TIMESTAMP={ms}000\\nMESSAGE={cursor}\\n\\n")
        };
        let [ours, one, other] = [("s=1;i=9", 0), ("b", 1), ("c", 2)].map(|(c, ms)| entry(c, 1_600_000_000_000 + ms));
        for (said, expected) in [(format!("{ours}{one}{other}"), ["b", "c"]), (format!("{one}{other}"), ["b", "c"])] {
            let body = format!("case \"$*\" in *--cursor=s=1\\;i=9*) printf '{said}';; *) exit 9;; esac");
            let (folder, path) = script("gone", &body);
            let found = read(&path, &place(), &[], support::SOON).ok().unwrap();
            fs::remove_dir_all(folder).unwrap();
            assert_eq!(found.events.iter().map(|event| &*event.message).collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn a_journalctl_that_hangs_is_stopped_and_said() {
        let (folder, path) = script(
            "hangs",
            "printf '__CURSOR=a\\n__REALTIME_TIMESTAMP=1700000000000000\\nMESSAGE=m\\n\\n'; exec sleep 1000",
        );
        let begun = Instant::now();
        let found = read(&path, &place(), &[], Duration::from_secs(3)).ok().unwrap();
        fs::remove_dir_all(folder).unwrap();
        assert!(begun.elapsed() < support::SOON);
        assert!(found.truncated && found.trouble.is_some());
        assert_eq!(found.events.len(), 1);
    }

    #[test]
    fn a_journalctl_that_fails_or_is_missing_is_broken() {
        let (folder, path) = script("fails", "exit 3");
        let fails = read(&path, &place(), &[], support::SOON).err();
        let missing = read(&folder.join("none"), &place(), &[], support::SOON).err();
        fs::remove_dir_all(folder).unwrap();
        assert_eq!(fails, Some(Trouble::Broken("journalctl ended with exit status: 3".into())));
        assert_eq!(missing, Some(Trouble::Broken("there is a journal but no journalctl to read it".into())));
    }
}
