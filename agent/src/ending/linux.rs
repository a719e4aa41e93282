//! Ending on Linux: the end of standard input means that nobody waits any more.

use std::{
    fs::File,
    io::{self, Read, Write},
    process,
    time::Instant,
};

use fleetsweep_agent::exit;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{deadline_passed, fail};

/// Waits for the deadline or for the end of standard input, and ends the process.
pub(super) fn wait(deadline: Instant) {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            deadline_passed();
        }
        let left = Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: left.subsec_nanos().into() };
        match poll(&mut [PollFd::new(&io::stdin(), PollFlags::IN)], Some(&left)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            // Data on standard input is ignored. Its end or an error means that nobody waits any more.
            Ok(_) => match io::stdin().read(&mut [0; 512]) {
                Ok(1..) => {}
                Ok(0) | Err(_) => fail(exit::HUNG_UP, &"standard input ended before the answer was given"),
            },
            Err(_) => fail(exit::HUNG_UP, &"standard input cannot be watched"),
        }
    }
}

/// Writes to standard error only if that does not block, because the deadline must not depend on a reader.
pub(super) fn say(line: &str) {
    let stderr = io::stderr();
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    if matches!(poll(&mut [PollFd::new(&stderr, PollFlags::OUT)], Some(&at_once)), Ok(1..)) {
        // A failure of this cannot be reported.
        let _ = (&stderr).write_all(line.as_bytes());
    }
}

/// Ends the process.
///
/// A thread that hangs in the kernel, for example on a dead file system, can outlive the process for a while and keep
/// its files open. The reader of standard output would then wait, so the standard streams are closed first.
pub(crate) fn end(code: u8) -> ! {
    if let Ok(nowhere) = File::options().read(true).write(true).open("/dev/null") {
        // Without /dev/null, or if one of these calls fails, only the process is ended.
        let _ = rustix::stdio::dup2_stdout(&nowhere);
        let _ = rustix::stdio::dup2_stdin(&nowhere);
        let _ = rustix::stdio::dup2_stderr(&nowhere);
    }
    process::exit(code.into())
}
