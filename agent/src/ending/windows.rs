//! Ending on Windows: only at the deadline. Standard input is not used, because the SSH server passes a pipe that may
//! be closed from the start or never. When the collector closes the connection, the job of the session ends the
//! process.

use std::{
    io::{self, Write},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use super::deadline_passed;
use crate::STACK_BYTES;

/// The time limit for writing the last line to standard error.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// Waits for the deadline, and ends the process.
pub(super) fn wait(deadline: Instant) {
    thread::sleep(deadline.saturating_duration_since(Instant::now()));
    deadline_passed();
}

/// Writes to standard error from a separate thread, because the deadline must not depend on a reader.
pub(super) fn say(line: &str) {
    let (said, heard) = mpsc::sync_channel(1);
    let line = line.to_owned();
    let speaker = thread::Builder::new().stack_size(STACK_BYTES).spawn(move || {
        // A failure of this cannot be reported.
        let _ = io::stderr().write_all(line.as_bytes());
        let _ = said.send(());
    });
    if speaker.is_ok() {
        // If it is not read in time, it is lost.
        let _ = heard.recv_timeout(LAST_WORDS);
    }
}

/// Ends the process immediately. The normal end would wait for threads that load or unload a library.
pub(crate) fn end(code: u8) -> ! {
    crate::windows::terminate(code)
}
