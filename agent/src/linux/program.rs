//! Runs a program of the machine: until a deadline, and with a limit of its output.

use std::{
    io::{self, Read},
    process::{Child, Command, ExitStatus, Stdio},
    time::Instant,
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// The output of a program, as far as it was read.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) bytes: Vec<u8>,
    /// Its exit status; `None` if it was stopped.
    pub(crate) ended: Option<ExitStatus>,
    pub(crate) stopped: Stopped,
}

/// Why reading ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// The program ended.
    Ended,
    /// There is more output.
    Full,
    /// The time is over.
    TimedOut,
}

/// Runs a program and reads at most `max_bytes` of its standard output. It gets no standard input, and is killed when
/// the time is over or the output is full.
///
/// # Errors
/// If it cannot be started, or its output cannot be read.
pub(crate) fn run(command: &mut Command, deadline: Instant, max_bytes: usize) -> io::Result<Output> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let read = take_output(&mut child, deadline, max_bytes);
    let ended = match read {
        Ok((_, Stopped::Ended)) => child.wait().ok(),
        Ok(_) | Err(_) => {
            // It may have ended by itself, so that there is nothing to kill.
            let _ = child.kill();
            let _ = child.wait();
            None
        }
    };
    let (bytes, stopped) = read?;
    Ok(Output { bytes, ended, stopped })
}

fn take_output(child: &mut Child, deadline: Instant, max_bytes: usize) -> io::Result<(Vec<u8>, Stopped)> {
    let mut bytes = Vec::new();
    let Some(stdout) = child.stdout.as_mut() else { return Ok((bytes, Stopped::Ended)) };
    let mut buffer = [0; 8192];
    while bytes.len() < max_bytes {
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
