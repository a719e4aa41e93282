//! The agent: gathers a report about its machine and prints it, sealed.
//!
//! `fleetsweep-agent REQUEST` prints an envelope on standard output and nothing else. If this fails, it prints one line
//! on standard error and exits with a code of [`exit`]. `--version` prints its version. It stores and changes nothing,
//! opens no port, and ends by itself at its deadline. Without an argument, it takes the request from the command that
//! sshd puts into the environment, see [`forced_command`].
//!
//! On Linux it also ends **when its standard input ends**, because this happens when the collector closes the
//! connection. To run it by hand, leave standard input connected to the terminal or to a pipe that stays open. With
//! `/dev/null`, it ends immediately with code 68. On Windows, standard input is not used, because the SSH server may
//! close it immediately or never. There, the job of the session ends the agent.

#[cfg(not(any(target_os = "linux", all(windows, target_pointer_width = "64"))))]
compile_error!("the agent knows how to look at Linux and at 64-bit Windows alone");

mod calendar;
mod ending;
mod file_systems;
mod forced_command;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(all(target_os = "linux", panic = "abort"))]
mod no_backtrace;
mod notes;
mod patience;
mod places;
mod shares;
// Its pure parts are tested on every platform.
#[cfg(any(windows, test))]
mod windows;

use std::{
    env,
    ffi::OsString,
    io::{self, Write},
    time::Instant,
};

use fleetsweep_agent::{
    SysRng, VERSION, envelope, exit,
    request::{Request, RequestError},
};
use forced_command::Refusal;
#[cfg(target_os = "linux")]
use linux::look;
#[cfg(windows)]
use windows::look;

/// The stack size of threads. It is small, because limits on a client may be low and there are no deep calls. On
/// Windows it is larger, because security software of other vendors runs on it.
const STACK_BYTES: usize = if cfg!(windows) { 256 << 10 } else { 64 << 10 };

const NO_ARGUMENT: &str = "one argument is needed: a request or --version";

fn main() -> ! {
    let started = Instant::now();
    ending::tame_panics();
    let mut arguments = env::args_os().skip(1);
    let request = match (arguments.next().map(OsString::into_string), arguments.next()) {
        (None, _) => match env::var_os(forced_command::VARIABLE).map(OsString::into_string) {
            Some(command) => forced_command::request(&command.unwrap_or_default()),
            None => ending::fail(exit::BAD_REQUEST, &NO_ARGUMENT),
        },
        (Some(Ok(argument)), None) if argument == "--version" => {
            // The collector finds the version by this text in the file, so it must be one piece.
            print(&format!("fleetsweep-agent {} (wire {VERSION})\n", env!("CARGO_PKG_VERSION")))
        }
        (Some(Ok(argument)), None) => Request::parse(&argument).map_err(Refusal::Request),
        (Some(_), _) => ending::fail(exit::BAD_REQUEST, &NO_ARGUMENT),
    };
    let request = match request {
        Ok(request) => request,
        Err(refusal @ Refusal::Request(RequestError::OtherVersion(_))) => ending::fail(
            exit::OTHER_VERSION,
            &format_args!("{refusal} (fleetsweep-agent {})", env!("CARGO_PKG_VERSION")),
        ),
        Err(refusal) => ending::fail(exit::BAD_REQUEST, &refusal),
    };
    if let Err(error) = ending::watch(started + request.deadline) {
        ending::fail(exit::FAULT, &format_args!("no thread for the alarm: {error}"));
    }
    let mut report = look(&request, started);
    report.fit();
    match envelope::seal(report.to_xml().as_bytes(), &request, &mut SysRng) {
        Ok(answer) => print(&answer),
        Err(error) => ending::fail(exit::NOT_SEALED, &error),
    }
}

/// Prints the answer and exits.
fn print(answer: &str) -> ! {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(answer.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => ending::end(exit::ANSWERED),
        Err(error) => ending::fail(exit::NOT_WRITTEN, &format_args!("the answer was not taken: {error}")),
    }
}
