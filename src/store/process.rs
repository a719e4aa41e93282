//! Identifies a process among all that had the same id, and tells whether it still runs.

use std::fs;

/// The status of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProcessStatus {
    /// It runs.
    Runs,
    /// It has ended, so it owns no locks any more.
    Ended,
    /// It cannot be seen from here: it ran on another machine, before a reboot, or in another container.
    Elsewhere,
}

/// The mark of a process on this machine: boot id, process namespace and start time; `None` if the system does not
/// provide them.
#[must_use]
pub fn mark(pid: u32) -> Option<String> {
    let started = started(pid)?;
    Some(format!("{}/{started}", place()?))
}

/// The boot and the process namespace, within which process ids are unique at a time.
fn place() -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let numbering = fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{}/{}", boot.trim(), numbering.display()))
}

/// When a process was started, in clock ticks since boot; `None` if it does not run.
fn started(pid: u32) -> Option<u64> {
    started_by(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The same from `/proc/PID/stat` (proc(5)). The name in parentheses may contain anything. After it, the state is the
/// first field and the start time the twentieth.
fn started_by(stat: &str) -> Option<u64> {
    let (_, behind) = stat.rsplit_once(')')?;
    let mut fields = behind.split_ascii_whitespace();
    // A zombie process owns no locks any more.
    if matches!(fields.next()?, "Z" | "X" | "x") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

/// The status of the process with this id and mark.
pub(super) fn status(pid: u32, mark: &str) -> ProcessStatus {
    let here = place().is_some_and(|place| mark.strip_prefix(place.as_str()).is_some_and(|rest| rest.starts_with('/')));
    if !here {
        ProcessStatus::Elsewhere
    } else if self::mark(pid).as_deref() == Some(mark) {
        ProcessStatus::Runs
    } else {
        ProcessStatus::Ended
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_process_is_told_from_another_of_its_number() {
        let own = std::process::id();
        let marked = mark(own).unwrap();
        assert_eq!(status(own, &marked), ProcessStatus::Runs);
        assert_eq!(status(own, &format!("{}/1", place().unwrap())), ProcessStatus::Ended);
        assert_eq!(status(own, "another start/pid:[1]/1"), ProcessStatus::Elsewhere);
        assert_eq!(status(own, ""), ProcessStatus::Elsewhere);
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let marked = mark(child.id()).unwrap();
        assert_eq!(status(child.id(), &marked), ProcessStatus::Runs);
        child.kill().unwrap();
        // It was not waited for, so its id still exists without a running process.
        let ended = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while status(child.id(), &marked) == ProcessStatus::Runs && std::time::Instant::now() < ended {
            std::thread::yield_now();
        }
        assert_eq!(status(child.id(), &marked), ProcessStatus::Ended);
        child.wait().unwrap();
        assert_eq!(status(child.id(), &marked), ProcessStatus::Ended);
    }

    #[test]
    fn the_start_is_found_behind_any_name() {
        let fields = "S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20";
        for (stat, expected) in [
            (format!("12 (fleetsweep) {fields}"), Some(4711)),
            (format!("12 (a) Z (b) {fields}"), Some(4711)),
            (format!("12 (gone) Z {}", fields.trim_start_matches("S ")), None),
            ("12 (short) S 1 2".to_owned(), None),
            (String::new(), None),
        ] {
            assert_eq!(started_by(&stat), expected, "{stat}");
        }
    }
}
