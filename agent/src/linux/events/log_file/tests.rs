//! Log files of all kinds, read over several reports.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use super::*;
use crate::calendar::rfc3339;

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

    fn write(&self, name: &str, text: &str, modified: &str) {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        let since_epoch = Duration::from_millis(rfc3339(modified).unwrap().unsigned_abs());
        OpenOptions::new().append(true).open(path).unwrap().set_modified(SystemTime::UNIX_EPOCH + since_epoch).unwrap();
    }

    #[track_caller]
    fn check(&self, from: &Place, expected: &[&str]) -> Found {
        let found = read(&self.log(), from, None).ok().unwrap();
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
}

#[test]
fn more_lines_than_a_report_carries_come_with_the_next() {
    let folder = Folder::new("many");
    folder.append(&(0..600).map(|n| line(&n.to_string())).collect::<String>());
    let first = read(&folder.log(), &EARLIER, None).ok().unwrap();
    assert_eq!((first.events.len(), first.truncated), (500, true));
    let second = read(&folder.log(), &first.place, None).ok().unwrap();
    assert_eq!((second.events.len(), second.truncated), (100, false));
    assert_eq!(second.events[0].message, "500");
}

#[test]
fn a_line_larger_than_all_of_a_report_does_not_stand_in_the_way() {
    let folder = Folder::new("huge");
    let huge = line(&"x".repeat(MAX_TEXT_BYTES + 1));
    folder.append(&format!("{huge}{}", line("then")));
    let found = read(&folder.log(), &Place { at_ms: 0, position: Position::Time }, None).ok().unwrap();
    assert_eq!((found.events.len(), found.truncated), (2, false));
    assert!(found.events[0].message.len() <= MAX_MESSAGE_BYTES && found.events[1].message == "then");
}

#[test]
fn what_is_not_there_is_absent() {
    let folder = Folder::new("absent");
    assert_eq!(read(&folder.log(), &EARLIER, None).err(), Some(Trouble::Absent));
}

/// The offset of a place.
fn offset(place: &Place) -> u64 {
    match place.position {
        Position::File { offset, .. } => offset,
        Position::Time | Position::Cursor(_) => panic!("a file's place is an offset"),
    }
}

#[test]
fn a_log_that_was_emptied_was_cleared_unless_there_is_a_copy_of_it() {
    for name in ["", "auth.log.1", "auth.log.1.gz", "other.log.1"] {
        let folder = Folder::new("copytruncate");
        folder.append(&(line("one") + &line("two")));
        let first = folder.check(&EARLIER, &["one", "two"]);
        folder.append(&line("three"));
        if !name.is_empty() {
            fs::copy(folder.log(), folder.0.join(name)).unwrap();
        }
        let truncated = OpenOptions::new().write(true).open(folder.log()).unwrap();
        truncated.set_len(0).unwrap();
        let four = line(&"four".repeat(40));
        folder.append(&four);
        assert!(four.len() as u64 > offset(&first.place), "the length alone does not show it");
        let expected = ["three", &"four".repeat(40)];
        let expected = if name == "auth.log.1" { &expected[..] } else { &expected[1..] };
        let trouble = (name == "auth.log.1.gz").then_some("it was rotated out of reach: events may be missing");
        let expected = if trouble.is_some() { &[][..] } else { expected };
        let second = folder.check(&first.place, expected);
        assert_eq!(second.cleared, ["", "other.log.1"].contains(&name), "{name}");
        assert_eq!(second.trouble.as_deref(), trouble, "{name}");
        folder.check(&second.place, &[]);
    }
}

#[test]
fn two_rotations_between_two_collections_lose_nothing() {
    let folder = Folder::new("twice");
    folder.append(&line("one"));
    let first = folder.check(&EARLIER, &["one"]);
    let (log, once, twice) = (folder.log(), folder.0.join("auth.log.1"), folder.0.join("auth.log.2"));
    folder.append(&line("two"));
    fs::rename(&log, &twice).unwrap();
    folder.write("auth.log.1", &line("three"), "2036-11-22T10:00:00Z");
    folder.append(&line("four"));
    let second = folder.check(&first.place, &["two", "three", "four"]);
    assert_eq!((second.trouble, second.cleared, once.exists()), (None, false, true));
    // A bookmark of an earlier agent.
    let position = match first.place.position {
        Position::File { inode, offset, .. } => Position::File { inode, offset, fingerprint: None },
        other @ (Position::Time | Position::Cursor(_)) => other,
    };
    folder.check(&Place { position, ..first.place }, &["two", "three", "four"]);
}

#[test]
fn at_first_contact_the_whole_day_is_read_also_from_a_rotated_file() {
    let at = |hour: u32, message: &str| format!("2026-11-22T{hour:02}:00:00Z web sshd[7]: {message}\n");
    let from = Place { at_ms: rfc3339("2026-11-22T05:30:00Z").unwrap(), position: Position::Time };
    let folder = Folder::new("first");
    folder.write("auth.log.2", &(at(1, "old") + &at(5, "still old")), "2026-11-22T05:00:00Z");
    folder.write(
        "auth.log.1",
        &(at(5, "old") + &at(6, "one") + &at(4, "by a wrong clock") + &at(7, "two")),
        "2026-11-22T07:00:00Z",
    );
    folder.write("auth.log", &at(8, "three"), "2026-11-22T08:00:00Z");
    assert_eq!(folder.check(&from, &["one", "by a wrong clock", "two", "three"]).trouble, None);
    // Just rotated.
    folder.write("auth.log", "", "2026-11-22T08:00:00Z");
    let found = folder.check(&from, &["one", "by a wrong clock", "two"]);
    assert_eq!(found.trouble, None);
    fs::rename(folder.0.join("auth.log.1"), folder.0.join("auth.log.2.gz")).unwrap();
    folder.write("auth.log", &at(8, "three"), "2026-11-22T08:00:00Z");
    let why = "auth.log.2.gz is compressed and was not read: older events are missing";
    assert_eq!(folder.check(&from, &["three"]).trouble.as_deref(), Some(why));
    // Of this age, there is nothing in it.
    let later = Place { at_ms: rfc3339("2026-11-22T07:30:00Z").unwrap(), position: Position::Time };
    assert_eq!(folder.check(&later, &["three"]).trouble, None);
}

#[test]
fn a_long_day_is_read_from_its_first_line_on() {
    let folder = Folder::new("long");
    let text: String = (0..86_400)
        .step_by(3)
        .map(|second| {
            let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
            format!("2026-11-22T{hour:02}:{minute:02}:{second:02}Z web sshd[7]: Failed password for root from 192.0.2.7 port 4\n")
        })
        .collect();
    assert!(text.len() as u64 > 2 * MAX_READ_BYTES);
    folder.append(&text);
    let from = Place { at_ms: rfc3339("2026-11-22T03:00:00Z").unwrap(), position: Position::Time };
    let (mut place, mut times) = (from, Vec::new());
    loop {
        let found = read(&folder.log(), &place, None).ok().unwrap();
        times.extend(found.events.iter().map(|event| event.occurred_unix_ms));
        place = found.place;
        if !found.truncated {
            break;
        }
    }
    let expected: Vec<i64> = (0..).map(|n| rfc3339("2026-11-22T03:00:03Z").unwrap() + n * 3000).take(25_199).collect();
    assert!(times == expected, "{} {:?} {:?}", times.len(), times.first(), times.last());
}

/// 18,500 of 30,000 times were wrong by up to 225 minutes, because the offset was taken from the last line of what was
/// read at a time.
#[test]
fn a_backlog_has_the_times_of_its_zone() {
    let berlin = Rules::of_file(b"\nCET-1CEST,M3.5.0,M10.5.0/3\n");
    for (rules, zone) in [(berlin, "Berlin"), (None, "that of the last line")] {
        let folder = Folder::new("backlog");
        let lines: String = (0..30_000)
            .map(|n| {
                let (hour, minute, second) = (n / 3600, n / 60 % 60, n % 60);
                format!(
                    "Nov 22 {hour:02}:{minute:02}:{second:02} web sshd[7]: Failed password for root from 192.0.2.7\n"
                )
            })
            .collect();
        folder.write("auth.log", &lines, "2026-11-22T07:19:59Z");
        let (mut place, mut next_ms) =
            (Place { at_ms: 0, position: Position::Time }, rfc3339("2026-11-21T23:00:00Z").unwrap());
        loop {
            let found = read(&folder.log(), &place, rules).ok().unwrap();
            for event in &found.events {
                assert_eq!(event.occurred_unix_ms, next_ms, "{zone}");
                next_ms += 1000;
            }
            place = found.place;
            if !found.truncated {
                break;
            }
        }
        assert_eq!(next_ms, rfc3339("2026-11-22T07:20:00Z").unwrap());
    }
}

#[test]
fn lines_from_before_a_change_of_the_clock_are_not_off_by_an_hour() {
    let berlin = Rules::of_file(b"\nCET-1CEST,M3.5.0,M10.5.0/3\n");
    let folder = Folder::new("summer");
    let lines = ["Oct 24 12:00:00", "Oct 25 02:30:00", "Oct 25 02:30:00", "Oct 25 12:00:00"]
        .map(|time| format!("{time} web su: x\n"));
    folder.write("auth.log", &lines.concat(), "2026-10-25T11:00:00Z");
    let found = read(&folder.log(), &Place { at_ms: 0, position: Position::Time }, berlin).ok().unwrap();
    let times: Vec<_> = found.events.iter().map(|event| event.occurred_unix_ms).collect();
    let expected = ["2026-10-24T10:00:00Z", "2026-10-25T00:30:00Z", "2026-10-25T00:30:00Z", "2026-10-25T11:00:00Z"];
    assert_eq!(times, expected.map(|stamp| rfc3339(stamp).unwrap()));
}

#[test]
fn blank_lines_are_nothing_and_a_line_without_a_time_belongs_to_the_one_before() {
    let folder = Folder::new("continued");
    folder.append(&format!("\n  \n{}\tat x\n\n{}", line("one"), line("two")));
    let first = folder.check(&EARLIER, &["one\n\tat x", "two"]);
    let at_ms = first.events[1].occurred_unix_ms;
    // Its beginning was reported already.
    folder.append(&format!("  late\n  later\n{}", line("three")));
    let second = folder.check(&first.place, &["late\n  later", "three"]);
    assert_eq!(second.events[0].occurred_unix_ms, at_ms);
    let long = "x".repeat(MAX_MESSAGE_BYTES / 2);
    folder.append(&format!("{}{long}\n{long}\n{long}\n", line("long")));
    let third = read(&folder.log(), &second.place, None).ok().unwrap();
    let [event] = third.events.as_slice() else { panic!("{}", third.events.len()) };
    assert!(event.message.len() <= MAX_MESSAGE_BYTES && event.message.ends_with("x\n…"));
}

#[test]
fn a_file_without_times_has_an_event_for_each_line() {
    let folder = Folder::new("untimed");
    folder.write("auth.log", "one: x\n\ntwo\n", "2026-11-22T09:42:01Z");
    let found = folder.check(&EARLIER, &["one: x", "two"]);
    assert_eq!(found.events[1].occurred_unix_ms, 1_795_340_521_000);
}

#[test]
fn a_local_time_gets_its_year_from_the_file() {
    let folder = Folder::new("year");
    folder.write(
        "auth.log",
        "Dec 31 23:59:59 web sshd[7]: before\nJan  1 01:01:00 web sudo: root : TTY=x\n",
        "2026-01-01T00:01:01Z",
    );
    let found = folder.check(&Place { at_ms: 0, position: Position::Time }, &["before", "root : TTY=x"]);
    let [before, after] = found.events.as_slice() else { panic!("{:?}", found.events) };
    assert_eq!((before.occurred_unix_ms, &*before.source), (1_767_221_999_000, "sshd"));
    assert_eq!(before.data, [("pid".to_owned(), "7".to_owned())]);
    assert_eq!((after.occurred_unix_ms, &*after.source), (1_767_225_660_000, "sudo"));
}
