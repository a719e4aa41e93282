//! Lists the processes of `/proc`. Of each, only the file `stat` is read: it has all that is reported, and reading more
//! files would take most of the agent's time.

use std::{
    fs::{self, File},
    io::Read,
    str,
};

/// Longer than any of these files: its numbers have at most 20 digits, and names are short.
const MAX_STAT_BYTES: usize = 2048;
/// The unit of CPU times in these files, whatever the tick of the kernel is.
const MS_PER_TICK: u64 = 10;

/// What the kernel says of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stat {
    /// Its name; at most 15 bytes, except for threads of the kernel.
    pub(crate) name: String,
    /// Whether it has ended and only waits for its parent to take notice.
    pub(crate) is_zombie: bool,
    /// CPU time of all its threads.
    pub(crate) spent_ms: u64,
    /// When it was started, ticks since the start of the machine.
    pub(crate) started_ticks: u64,
    /// Resident memory, pages.
    pub(crate) resident_pages: u64,
}

/// All processes by their ids.
///
/// # Errors
/// If `/proc` cannot be listed.
pub(crate) fn all() -> Result<Vec<(u32, Stat)>, String> {
    let folder = fs::read_dir("/proc").map_err(|error| format!("/proc: {error}"))?;
    let mut buffer = [0; MAX_STAT_BYTES];
    let mut processes = Vec::new();
    for entry in folder.flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        // One that ended meanwhile is left out. The kernel gives the whole file at once.
        let read = File::open(format!("/proc/{pid}/stat")).and_then(|mut file| file.read(&mut buffer));
        let Ok(length) = read else { continue };
        processes.extend(parse(buffer.get(..length).unwrap_or_default()).map(|stat| (pid, stat)));
    }
    Ok(processes)
}

/// `PID (NAME) STATE PARENT …`. The name may contain any bytes, also `)` and spaces.
fn parse(stat: &[u8]) -> Option<Stat> {
    let begin = stat.iter().position(|byte| *byte == b'(')? + 1;
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    let name = String::from_utf8_lossy(stat.get(begin..end)?).into_owned();
    let mut words = str::from_utf8(stat.get(end + 1..)?).ok()?.split_ascii_whitespace();
    let is_zombie = matches!(words.next()?, "Z" | "X" | "x");
    // The first of the rest is the fourth field of proc_pid_stat(5).
    let mut field = |skipped| words.nth(skipped)?.parse::<u64>().ok();
    let (user, system) = (field(10)?, field(0)?);
    let started_ticks = field(6)?;
    // Negative for some kernels while a process ends.
    let resident_pages = field(1).unwrap_or(0);
    let spent_ms = user.saturating_add(system).saturating_mul(MS_PER_TICK);
    Some(Stat { name, is_zombie, spent_ms, started_ticks, resident_pages })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_process_is_read_whatever_its_name_is() {
        let rest = "S 1 42 42 0 -1 4194560 9 8 7 6 250 50 1 2 20 0 3 0 7788 123456789 321 18446744073709551615 1 1";
        for (name, expected) in
            [("bash", "bash"), ("a) R 1 (b", "a) R 1 (b"), ("", ""), ("two words", "two words"), ("\n)", "\n)")]
        {
            let stat = parse(format!("42 ({name}) {rest}\n").as_bytes());
            let expected = Stat {
                name: expected.into(),
                is_zombie: false,
                spent_ms: 3000,
                started_ticks: 7788,
                resident_pages: 321,
            };
            assert_eq!(stat, Some(expected), "{name}");
        }
        let zombie = parse(format!("42 (x) {}", rest.replacen('S', "Z", 1).replace("321", "-3")).as_bytes()).unwrap();
        assert_eq!((zombie.is_zombie, zombie.resident_pages), (true, 0));
        assert_eq!(
            parse(b"42 (\xff\xfe) S 1 2 3 4 5 6 7 8 9 10 1 2 3 4 5 6 7 8 9 10 11").unwrap().name,
            "\u{fffd}\u{fffd}"
        );
        for wrong in
            ["", "42", "42 (x", "42 x) S 1", "42 (x) S 1 2 3", ") (", "42 (x) S 1 2 3 4 5 6 7 8 9 10 a b c d e f g h i"]
        {
            assert_eq!(parse(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn this_process_is_among_all() {
        let all = all().unwrap();
        let (_, own) = all.iter().find(|(pid, _)| *pid == std::process::id()).unwrap();
        assert!(own.resident_pages > 0 && own.started_ticks > 0 && !own.is_zombie, "{own:?}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_without_a_fault(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
        }
    }
}
