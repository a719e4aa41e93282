//! The processes that the kernel killed because memory ran out, from its own log. It is only read if there were any since
//! the start of the machine, and only its end.

use std::ffi::{c_char, c_int};

use fleetsweep_agent::report::MAX_VICTIMS;

/// How much of the end of the log is read. What the kernel writes about one kill ends with the line that is looked for.
const LOG_BYTES: usize = 128 << 10;
/// `SYSLOG_ACTION_READ_ALL`: the end of the log, without removing anything.
const READ_ALL: c_int = 3;

#[expect(unsafe_code, reason = "a function of the C library, for which there is no safe one")]
mod foreign {
    use super::{c_char, c_int};

    unsafe extern "C" {
        fn klogctl(action: c_int, buffer: *mut c_char, length: c_int) -> c_int;
    }

    /// Reads the end of the log; `None` without the right to do so.
    pub(super) fn read(action: c_int, buffer: &mut [u8]) -> Option<&[u8]> {
        let length = c_int::try_from(buffer.len()).ok()?;
        // SAFETY: the buffer has room for `length` bytes and lives through the call.
        let read = unsafe { klogctl(action, buffer.as_mut_ptr().cast(), length) };
        buffer.get(..usize::try_from(read).ok()?)
    }
}

/// The last victims, oldest first; empty if this account must not read the log.
pub(super) fn victims() -> Vec<String> {
    let mut buffer = vec![0; LOG_BYTES];
    foreign::read(READ_ALL, &mut buffer).map(victims_in).unwrap_or_default()
}

/// `NAME (ID)` of each line like `<3>[123.456] Out of memory: Killed process 1234 (java) total-vm:1000kB, …`.
fn victims_in(log: &[u8]) -> Vec<String> {
    let log = String::from_utf8_lossy(log);
    let victim = |line: &str| {
        let (_, victim) = line.split_once("Killed process ")?;
        let (pid, rest) = victim.split_once(" (")?;
        let (name, _) = rest.rsplit_once(") total-vm:")?;
        pid.parse::<u32>().ok().map(|pid| format!("{name} ({pid})"))
    };
    let mut victims: Vec<String> = log.lines().rev().filter_map(victim).take(MAX_VICTIMS).collect();
    victims.reverse();
    victims
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_victims_are_named() {
        let log = "<6>[    0.1] Killed process\n<4>[12.5] java invoked oom-killer: gfp_mask=0x0, order=0\n\
            <3>[12.6] Out of memory: Killed process 1234 (java) total-vm:1kB, anon-rss:1kB, UID:0 oom_score_adj:0\n\
            <3>[13.0] Memory cgroup out of memory: Killed process 99 (a) total-vm:) total-vm:5kB, anon-rss:1kB\n\
            <3>[14.0] Killed process x (y) total-vm:1kB\n<3>[15.0] Killed process 7 (cut";
        assert_eq!(victims_in(log.as_bytes()), ["java (1234)", "a) total-vm: (99)"]);
        let many: String = (0..100).map(|pid| format!("Killed process {pid} (p) total-vm:1kB\n")).collect();
        let last = victims_in(many.as_bytes());
        assert_eq!((last.len(), &*last[0], &*last[MAX_VICTIMS - 1]), (MAX_VICTIMS, "p (84)", "p (99)"));
        assert_eq!(victims_in(b"\xff\xff\0\n"), [""; 0]);
    }
}
