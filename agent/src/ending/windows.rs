//! Ending on Windows: by the deadline alone. Standard input says nothing there: the SSH server gives a pipe that
//! may be closed from the start or never. When the collector hangs up, the session's job ends the process.

use std::{
    io::{self, Write},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use super::deadline_passed;
use crate::STACK_BYTES;

/// How long standard error may take the last line.
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

/// Ends, whatever other threads do: the ordinary end would wait for one that loads or unloads a library.
pub(crate) fn end(code: u8) -> ! {
    crate::windows::terminate(code)
}
