//! How the agent ends, whatever else hangs: its alarm, the collector's hanging up, failures, panics. Not
//! what the codes mean: that is in the library, for the collector.

use std::{
    fmt::Display,
    fs::File,
    io::{self, Read, Write},
    panic, process, thread,
    time::Instant,
};

use fleetsweep_agent::exit;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Starts the thread that ends the process at `deadline`, or as soon as standard input ends.
///
/// # Errors
/// Where the system grants no thread.
pub(crate) fn watch(deadline: Instant) -> io::Result<()> {
    // Small, because a client's limits may be; it calls nothing deep.
    thread::Builder::new().stack_size(64 << 10).spawn(move || wait(deadline)).map(drop)
}

fn wait(deadline: Instant) {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            fail(exit::DEADLINE, &"the deadline passed");
        }
        let left = Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: left.subsec_nanos().into() };
        match poll(&mut [PollFd::new(&io::stdin(), PollFlags::IN)], Some(&left)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            // What is sent means nothing. An end or an error of standard input means: nobody waits any more.
            Ok(_) => match io::stdin().read(&mut [0; 512]) {
                Ok(1..) => {}
                Ok(0) | Err(_) => fail(exit::HUNG_UP, &"standard input ended before the answer was given"),
            },
            Err(_) => fail(exit::HUNG_UP, &"standard input cannot be watched"),
        }
    }
}

/// Makes a panic say where, never what: its message could hold text of this machine.
pub(crate) fn tame_panics() {
    panic::set_hook(Box::new(|panic| match panic.location() {
        Some(location) => fail(exit::FAULT, &format_args!("a fault at {location}")),
        None => fail(exit::FAULT, &"a fault"),
    }));
}

/// Ends with one line on standard error.
pub(crate) fn fail(code: u8, why: &dyn Display) -> ! {
    // The alarm must not wait for somebody to read standard error.
    let stderr = io::stderr();
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    if matches!(poll(&mut [PollFd::new(&stderr, PollFlags::OUT)], Some(&at_once)), Ok(1..)) {
        // There is nowhere left to say that this failed.
        let _ = writeln!(&stderr, "fleetsweep-agent: {why}");
    }
    end(code)
}

/// Ends.
///
/// A thread that hangs in the kernel, on a dead file system, can outlive the process for a while and keep
/// its files open; then whoever reads them would wait. So they are let go first.
pub(crate) fn end(code: u8) -> ! {
    if let Ok(nowhere) = File::options().read(true).write(true).open("/dev/null") {
        // In a directory tree without /dev/null, or where one of these fails, the system's own end must do.
        let _ = rustix::stdio::dup2_stdout(&nowhere);
        let _ = rustix::stdio::dup2_stdin(&nowhere);
        let _ = rustix::stdio::dup2_stderr(&nowhere);
    }
    process::exit(code.into())
}
