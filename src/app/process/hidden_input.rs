//! Reads a secret that somebody types, without showing it, or from standard input. What is done with it is decided
//! elsewhere.

use std::{
    io::{self, IsTerminal as _, Read as _, Write as _},
    os::fd::AsFd as _,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr},
};
use secrecy::zeroize::Zeroizing;
use tokio_util::sync::CancellationToken;

/// The most bytes that are read. Longer secrets are refused.
const MOST_BYTES: usize = 8192;
/// The longest line of a terminal, in bytes. A longer one is cut by the operating system.
const LONGEST_LINE: usize = 4095;
/// How often it is checked whether the operator has interrupted the program.
const CHECKED_EVERY: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// Why nothing could be read.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// The operator interrupted it.
    #[error("interrupted: nothing was written")]
    Stopped,
    /// The line is longer than a terminal passes on.
    #[error("a terminal passes on at most 4095 bytes of a line: use a pipe or a file as standard input")]
    LongLine,
    /// The terminal or standard input failed.
    #[error("the secret cannot be read from standard input")]
    Failed(#[from] io::Error),
}

/// Whether somebody can be asked.
#[must_use]
pub fn is_terminal() -> bool {
    io::stdin().is_terminal()
}

/// Asks for a line on the terminal. It is not shown while it is typed.
///
/// # Errors
/// [`InputError`].
pub async fn ask(question: &'static str, stop: &CancellationToken) -> Result<Zeroizing<Vec<u8>>, InputError> {
    let stop = stop.clone();
    let asked = tokio::task::spawn_blocking(move || {
        let echo = EchoOff::new()?;
        write!(io::stderr(), "{question}")?;
        let read = line(&stop);
        drop(echo);
        // The line break that was typed has not been shown.
        writeln!(io::stderr())?;
        read
    });
    asked.await.map_err(io::Error::from)?
}

/// Everything on standard input, up to more bytes than a secret may have.
///
/// # Errors
/// [`InputError`].
pub async fn read(stop: &CancellationToken) -> Result<Zeroizing<Vec<u8>>, InputError> {
    let reading = tokio::task::spawn_blocking(|| {
        // Allocated at full size, because growing would leave copies of the secret in memory.
        let mut bytes = Zeroizing::new(Vec::with_capacity(MOST_BYTES));
        io::stdin().lock().take(MOST_BYTES as u64).read_to_end(&mut bytes)?;
        Ok::<_, io::Error>(bytes)
    });
    tokio::select! {
        () = stop.cancelled() => Err(InputError::Stopped),
        read = reading => Ok(read.map_err(io::Error::from)??),
    }
}

/// A line of the terminal, with its end unless the operator ended the input.
pub(super) fn line(stop: &CancellationToken) -> Result<Zeroizing<Vec<u8>>, InputError> {
    let stdin = io::stdin();
    let mut bytes = Zeroizing::new(Vec::with_capacity(MOST_BYTES));
    let mut buffer = Zeroizing::new([0_u8; LONGEST_LINE + 1]);
    while !bytes.contains(&b'\n') {
        if stop.is_cancelled() {
            return Err(InputError::Stopped);
        }
        match poll(&mut [PollFd::new(&stdin, PollFlags::IN)], Some(&CHECKED_EVERY)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => continue,
            Ok(_) => {}
            Err(error) => return Err(io::Error::from(error).into()),
        }
        // Not through the buffer of the standard library, which is not cleared.
        let read = rustix::io::read(stdin.as_fd(), buffer.as_mut_slice()).map_err(io::Error::from)?;
        if read == 0 {
            break;
        }
        bytes.extend(buffer.iter().take(read));
        if bytes.len() >= LONGEST_LINE {
            return Err(InputError::LongLine);
        }
    }
    Ok(bytes)
}

/// Keeps the terminal from showing what is typed, until it is dropped.
struct EchoOff {
    before: Termios,
}

impl EchoOff {
    fn new() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut without = before.clone();
        without.local_modes.remove(LocalModes::ECHO | LocalModes::ECHONL);
        // Discards what was typed before the question, which may have been shown.
        tcsetattr(io::stdin(), OptionalActions::Flush, &without)?;
        Ok(Self { before })
    }
}

impl Drop for EchoOff {
    fn drop(&mut self) {
        if let Err(error) = tcsetattr(io::stdin(), OptionalActions::Now, &self.before) {
            tracing::warn!("the terminal still hides what is typed, run `stty echo`: {error}");
        }
    }
}
