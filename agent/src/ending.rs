//! Ends the agent, even if other threads hang: at its deadline, when the collector hangs up, after failures and panics.
//! The meaning of the exit codes is in the library, for the collector.

#[cfg_attr(windows, path = "ending/windows.rs")]
#[cfg_attr(not(windows), path = "ending/linux.rs")]
mod system;

use std::{fmt::Display, io, panic, thread, time::Instant};

use fleetsweep_agent::exit;

pub(crate) use system::end;

use crate::STACK_BYTES;

/// Starts the thread that ends the process at `deadline`, and on Linux as soon as standard input ends.
///
/// # Errors
/// If no thread can be created.
pub(crate) fn watch(deadline: Instant) -> io::Result<()> {
    thread::Builder::new().stack_size(STACK_BYTES).spawn(move || system::wait(deadline)).map(drop)
}

/// Makes a panic print its location but not its message, which could contain text of this machine.
pub(crate) fn tame_panics() {
    panic::set_hook(Box::new(|panic| match panic.location() {
        Some(location) => fail(exit::FAULT, &format_args!("a fault at {location}")),
        None => fail(exit::FAULT, &"a fault"),
    }));
}

/// Ends with one line on standard error.
pub(crate) fn fail(code: u8, why: &dyn Display) -> ! {
    system::say(&format!("fleetsweep-agent: {why}\n"));
    end(code)
}

fn deadline_passed() -> ! {
    fail(exit::DEADLINE, &"the deadline passed")
}
