//! The agent with a real systemd journal, which is created from text by a program of systemd and read by the real
//! `journalctl`. The parser has its own unit tests.
//!
//! The agent reads `/var/log/journal`, so it is executed where the journal of the test is mounted there, with nothing
//! else in `/var/log` or `/run/log`.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test says what failed by panicking"
)]

use std::{
    fs,
    io::Read as _,
    process::{Command, Stdio},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use fleetsweep_agent::{
    SysRng, envelope,
    report::{EventAccess, EventLog, MAX_MESSAGE_BYTES, Report},
    request::{Bookmark, EventsWanted, Questions, Request},
};
use support::path_of;
use tempfile::TempDir;
use uuid::Uuid;

support::trials! {
    needs(Journal, Root) =>
        logins_sudo_and_audit_of_the_last_day_are_told_and_nothing_else,
        the_next_collection_goes_on_after_the_bookmark,
        a_bookmark_that_the_journal_does_not_know_gives_way_to_the_time,
        more_than_a_report_carries_comes_with_the_next_ones,
        a_message_that_fills_all_that_is_read_hides_nothing_after_it,
        an_account_that_may_not_read_the_journal_is_denied;
}

const DAY: Duration = Duration::from_secs(24 * 3600);
const HOUR: u64 = 3600;

/// The syslog facilities, by number.
const DAEMON: &str = "3";
const AUTH: &str = "4";
const AUTHPRIV: &str = "10";

/// A new entry that is `ago` seconds old.
struct Entry {
    ago: u64,
    fields: Vec<(&'static str, Vec<u8>)>,
}

fn entry(ago: u64, facility: &'static str, identifier: &'static str, message: impl Into<Vec<u8>>) -> Entry {
    let fields = [("SYSLOG_FACILITY", facility), ("SYSLOG_IDENTIFIER", identifier), ("_TRANSPORT", "syslog")];
    let mut fields: Vec<_> = fields.map(|(name, value)| (name, value.into())).into();
    fields.push(("MESSAGE", message.into()));
    Entry { ago, fields }
}

/// The log of a machine, in its own file system.
struct Log {
    directory: TempDir,
    /// The time of the start of the test, microseconds since the Unix epoch. Ages are relative to it.
    began_us: u64,
}

impl Log {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        // Accounts without permission for the journal must see that it exists.
        fs::set_permissions(directory.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let began = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let log = Self { directory, began_us: began.as_micros().try_into().unwrap() };
        fs::create_dir_all(log.journal().parent().unwrap()).unwrap();
        log
    }

    /// The journal file, in the directory of this machine.
    fn journal(&self) -> std::path::PathBuf {
        let machine = fs::read_to_string("/etc/machine-id").unwrap();
        self.directory.path().join("journal").join(machine.trim()).join("system.journal")
    }

    /// Adds entries to the journal in the export format.
    fn add(&self, entries: &[Entry]) {
        let mut text = Vec::new();
        for Entry { ago, fields } in entries {
            let at_us = self.began_us - ago * 1_000_000;
            // The machine was booted a year ago.
            let since_boot_us = 365 * DAY.as_micros() - u128::from(ago * 1_000_000);
            let head = format!(
                "__REALTIME_TIMESTAMP={at_us}\n__MONOTONIC_TIMESTAMP={since_boot_us}\n_BOOT_ID={:032x}\n_PID=42\nPRIORITY=5\n",
                7
            );
            text.extend(head.into_bytes());
            for (name, value) in fields {
                text.extend([name.as_bytes(), b"\n", &(value.len() as u64).to_le_bytes(), value, b"\n"].concat());
            }
            text.push(b'\n');
        }
        let export = self.directory.path().join("export");
        fs::write(&export, text).unwrap();
        let output = Command::new(path_of("systemd-journal-remote"))
            .arg("-o")
            .arg(self.journal())
            .arg(&export)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        fs::remove_file(export).unwrap();
    }

    /// Loses all entries, as if the disk had been too full for them.
    fn lose(&self) {
        fs::remove_file(self.journal()).unwrap();
    }

    /// The result of the agent when it is executed with this command.
    fn told_to(&self, wanted: EventsWanted, through: &[&str]) -> (EventLog, Vec<String>) {
        let secret = envelope::fresh_secret(&mut SysRng).unwrap();
        let request = Request {
            collection: Uuid::from_u128(7),
            server_key: secret.public_key(),
            window: Duration::from_millis(200),
            deadline: Duration::from_secs(60),
            events: wanted,
            questions: Questions::default(),
        };
        let mount = "mount --bind \"$0\" /var/log; [ ! -d /run/log ] || mount -t tmpfs none /run/log; exec \"$@\"";
        let mut running = support::own_mounts()
            .args(["/bin/sh", "-ec", mount])
            .arg(self.directory.path())
            .args(through)
            .args([env!("CARGO_BIN_EXE_fleetsweep-agent"), &request.to_argument()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // The agent ends when its input ends.
        let input = running.stdin.take();
        let mut answer = Vec::new();
        running.stdout.take().unwrap().read_to_end(&mut answer).unwrap();
        assert!(running.wait().unwrap().success());
        drop(input);
        let report = Report::from_xml(&envelope::open(&answer, &request, &secret).unwrap()).unwrap();
        let warnings = report.warnings.into_iter().map(|warning| format!("{}: {}", warning.what, warning.why));
        (report.events.unwrap(), warnings.filter(|warning| !warning.starts_with("file system")).collect())
    }

    /// The result for root, without warnings, because root can read everything.
    fn told(&self, wanted: EventsWanted) -> EventLog {
        let (log, warnings) = self.told_to(wanted, &["env"]);
        assert_eq!(warnings, [""; 0]);
        assert_eq!((log.source.as_str(), log.access), ("journal", EventAccess::Read));
        log
    }

    fn told_after(&self, bookmark: &str) -> EventLog {
        self.told(EventsWanted::After(Bookmark::new(bookmark.to_owned()).unwrap()))
    }
}

fn messages(log: &EventLog) -> Vec<&str> {
    log.events.iter().map(|event| event.message.as_str()).collect()
}

async fn logins_sudo_and_audit_of_the_last_day_are_told_and_nothing_else() {
    let log = Log::new();
    let audit = [("_TRANSPORT", "audit"), ("MESSAGE", "USER_LOGIN acct=root res=failed")];
    let silent = [("SYSLOG_FACILITY", AUTH), ("SYSLOG_IDENTIFIER", "su"), ("_TRANSPORT", "syslog")];
    let fields = |fields: &[(&'static str, &str)]| {
        fields.iter().map(|(name, value)| (*name, value.as_bytes().to_vec())).collect()
    };
    log.add(&[
        entry(25 * HOUR, AUTHPRIV, "sshd", "Failed password for root from 10.0.0.7 port 1 ssh2"),
        entry(23 * HOUR, AUTHPRIV, "sshd", "Failed password for root from 10.0.0.7 port 2 ssh2"),
        entry(HOUR, DAEMON, "named", "a zone was loaded"),
        entry(HOUR, AUTHPRIV, "sudo", "ops : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/sh"),
        Entry { ago: 120, fields: fields(&audit) },
        entry(60, AUTH, "sshd", b"user \xff\x00\x1b[2J\nfrom nowhere"),
        Entry { ago: 30, fields: fields(&silent) },
    ]);
    let told = log.told(EventsWanted::Within(DAY));
    let events: Vec<_> = told.events.iter().map(|event| (event.source.as_str(), event.message.as_str())).collect();
    assert_eq!(
        events,
        [
            ("sshd", "Failed password for root from 10.0.0.7 port 2 ssh2"),
            ("sudo", "ops : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/sh"),
            ("audit", "USER_LOGIN acct=root res=failed"),
            // Text that is not UTF-8 or invalid in a report is replaced.
            ("sshd", "user \u{fffd}\u{fffd}\u{fffd}[2J\nfrom nowhere"),
            ("su", ""),
        ]
    );
    assert!(!told.truncated);
    let first = &told.events[0];
    assert_eq!((first.level.as_str(), &first.data), ("notice", &vec![("pid".to_owned(), "42".to_owned())]));
    assert_eq!(u64::try_from(first.occurred_unix_ms).unwrap(), (log.began_us - 23 * HOUR * 1_000_000) / 1000);
}

async fn the_next_collection_goes_on_after_the_bookmark() {
    let log = Log::new();
    log.add(&[entry(2 * HOUR, AUTH, "sshd", "one"), entry(HOUR, AUTH, "sshd", "two")]);
    let first = log.told(EventsWanted::Within(DAY));
    assert_eq!(messages(&first), ["one", "two"]);
    let bookmark = first.bookmark.unwrap();
    let nothing = log.told_after(&bookmark);
    assert_eq!((messages(&nothing), nothing.bookmark.as_deref()), (vec![], Some(bookmark.as_str())));
    // With the same time as the last one, to the microsecond, and later.
    log.add(&[entry(HOUR, AUTH, "sshd", "three"), entry(60, DAEMON, "cron", "x"), entry(60, AUTH, "sshd", "four")]);
    let next = log.told_after(&bookmark);
    assert_eq!(messages(&next), ["three", "four"]);
    assert_eq!(messages(&log.told_after(&next.bookmark.unwrap())), [""; 0]);
}

async fn a_bookmark_that_the_journal_does_not_know_gives_way_to_the_time() {
    let log = Log::new();
    log.add(&[entry(2 * HOUR, AUTH, "sshd", "one"), entry(HOUR, AUTH, "sshd", "two")]);
    let bookmark = log.told(EventsWanted::Within(DAY)).bookmark.unwrap();
    let [kind, at_ms, _cursor] = bookmark.split(' ').collect::<Vec<_>>()[..] else { panic!("{bookmark}") };
    log.add(&[entry(60, AUTH, "sshd", "three"), entry(30, AUTH, "sshd", "four")]);
    for malformed in ["nonsense", "s=;i=;b=", "s=1"] {
        let told = log.told_after(&format!("{kind} {at_ms} {malformed}"));
        assert_eq!(messages(&told), ["three", "four"], "{malformed}");
    }
    // A new journal, with and without the old entries.
    for (kept, expected) in [(true, ["three", "four"]), (false, ["three", "four"])] {
        log.lose();
        if kept {
            log.add(&[entry(2 * HOUR, AUTH, "sshd", "one"), entry(HOUR, AUTH, "sshd", "two")]);
        }
        log.add(&[entry(60, AUTH, "sshd", "three"), entry(30, AUTH, "sshd", "four")]);
        assert_eq!(messages(&log.told_after(&bookmark)), expected, "kept: {kept}");
    }
}

async fn more_than_a_report_carries_comes_with_the_next_ones() {
    const COUNT: usize = 1203;
    let log = Log::new();
    let all: Vec<String> = (0..COUNT).map(|number| format!("Failed password for user{number}")).collect();
    let ago = |number: usize| (COUNT - number) as u64;
    log.add(&all.iter().enumerate().map(|(n, text)| entry(ago(n), AUTH, "sshd", text.as_str())).collect::<Vec<_>>());
    let mut told = vec![log.told(EventsWanted::Within(DAY))];
    while told.last().unwrap().truncated {
        assert!(told.len() < COUNT, "it never ends");
        let bookmark = told.last().unwrap().bookmark.clone().unwrap();
        told.push(log.told_after(&bookmark));
    }
    assert_eq!(told.iter().map(|log| log.events.len()).collect::<Vec<_>>(), [500, 500, 203]);
    assert_eq!(told.iter().flat_map(messages).collect::<Vec<_>>(), all);
}

async fn a_message_that_fills_all_that_is_read_hides_nothing_after_it() {
    let log = Log::new();
    let huge = || vec![b'x'; 3 << 20];
    log.add(&[entry(50, AUTH, "sshd", "before"), entry(40, AUTH, "logger", huge()), entry(30, AUTH, "sshd", "after")]);
    let mut told = vec![log.told(EventsWanted::Within(DAY))];
    while told.last().unwrap().truncated {
        assert!(told.len() < 10, "it never ends");
        let bookmark = told.last().unwrap().bookmark.clone().unwrap();
        told.push(log.told_after(&bookmark));
    }
    let lengths: Vec<usize> = told.iter().flat_map(messages).map(str::len).collect();
    assert_eq!(lengths, ["before".len(), MAX_MESSAGE_BYTES, "after".len()]);
}

async fn an_account_that_may_not_read_the_journal_is_denied() {
    let log = Log::new();
    log.add(&[entry(60, AUTH, "sshd", "a secret")]);
    let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    let (told, warnings) = log.told_to(EventsWanted::Within(DAY), &nobody);
    assert_eq!((told.source.as_str(), told.access, messages(&told)), ("journal", EventAccess::Denied, vec![]));
    assert_eq!(warnings, ["journal: this account may not read it: add it to the group adm or systemd-journal"]);
}
