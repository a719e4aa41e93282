//! Takes the terminal and gives it back, on every way out. Not what is drawn.
//!
//! Giving back is one function that any thread may call at any time, twice as well as once: the screen
//! when it ends, the panic hook, and `app` when a signal ends the run.

use std::{
    io::{self, Write},
    sync::{
        Mutex, MutexGuard, PoisonError, TryLockError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crossterm::{
    cursor::{Hide, Show},
    event::{DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture},
    queue,
    style::ResetColor,
    terminal::{
        DisableLineWrap, EnableLineWrap, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen,
        disable_raw_mode, enable_raw_mode,
    },
};
use rustix::event::{PollFd, PollFlags, Timespec};

/// Whether the terminal is ours now.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Held while a frame is written: whoever gives the terminal back lets it end first.
static FRAME: Mutex<()> = Mutex::new(());

/// How long a frame is waited for. A terminal that reads nothing never takes it, and a thread that panics
/// while it draws never ends it.
const FRAME_PATIENCE: Duration = Duration::from_millis(100);

/// How long a terminal that reads may take to make room for the last sequence.
const TAKES_PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };

/// How long a stop takes to reach every thread of this process; it is far less.
const STOP_PATIENCE: Duration = Duration::from_millis(50);

/// Keeps the terminal for the time of a frame; `None` where it has been given back: nothing may be
/// written any more.
#[must_use]
pub fn while_ours() -> Option<MutexGuard<'static, ()>> {
    let frame = FRAME.lock().unwrap_or_else(PoisonError::into_inner);
    TAKEN.load(Ordering::SeqCst).then_some(frame)
}

/// Takes the terminal: raw mode, alternate screen, no cursor, bracketed paste; the mouse where wanted.
///
/// # Errors
/// Where the terminal refuses raw mode or cannot be written to; it is given back then.
pub fn take(mouse: bool) -> io::Result<()> {
    enable_raw_mode()?;
    TAKEN.store(true, Ordering::SeqCst);
    let mut out = io::stdout().lock();
    let taken = queue!(out, EnterAlternateScreen, EnableBracketedPaste, DisableLineWrap, Hide)
        .and_then(|()| if mouse { queue!(out, EnableMouseCapture) } else { Ok(()) })
        .and_then(|()| out.flush());
    drop(out);
    if taken.is_err() {
        restore();
    }
    taken
}

/// Gives the terminal back as it was. Does nothing where it is not ours.
///
/// Cooked mode comes first: it needs no room in the terminal's queue, so that even a terminal that has
/// stopped reading is left with a line discipline that works.
pub fn restore() {
    if !TAKEN.swap(false, Ordering::SeqCst) {
        return;
    }
    let deadline = Instant::now() + FRAME_PATIENCE;
    let _no_frame = loop {
        match FRAME.try_lock() {
            Ok(frame) => break Some(frame),
            Err(TryLockError::Poisoned(frame)) => break Some(frame.into_inner()),
            Err(TryLockError::WouldBlock) if Instant::now() >= deadline => break None,
            Err(TryLockError::WouldBlock) => thread::sleep(Duration::from_millis(2)),
        }
    };
    if let Err(error) = disable_raw_mode() {
        tracing::debug!("the terminal's mode could not be restored: {error}");
    }
    // Written in one piece. The lock is not waited for: a thread that holds it is stuck in a terminal
    // that reads nothing, or has panicked while drawing.
    let mut sequence = Vec::new();
    let queued = queue!(
        sequence,
        EndSynchronizedUpdate,
        DisableMouseCapture,
        DisableBracketedPaste,
        EnableLineWrap,
        ResetColor,
        LeaveAlternateScreen,
        Show
    );
    let written = queued.and_then(|()| {
        let mut sequence = sequence.as_slice();
        while !sequence.is_empty() {
            if !takes_more()? {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "the terminal reads nothing"));
            }
            match rustix::io::write(rustix::stdio::stdout(), sequence) {
                Ok(count) => sequence = sequence.get(count..).unwrap_or_default(),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    });
    if let Err(error) = written {
        tracing::debug!("the terminal could not be restored: {error}");
    }
}

/// Whether the terminal takes more text within a moment: a write to one that reads nothing never ends.
fn takes_more() -> io::Result<bool> {
    let mut stdout = [PollFd::from_borrowed_fd(rustix::stdio::stdout(), PollFlags::OUT)];
    match rustix::event::poll(&mut stdout, Some(&TAKES_PATIENCE)) {
        Ok(ready) => Ok(ready > 0),
        Err(rustix::io::Errno::INTR) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

/// Turns mouse reports on or off.
///
/// # Errors
/// Where the terminal cannot be written to.
pub fn set_mouse(on: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if on {
        queue!(out, EnableMouseCapture)?;
    } else {
        queue!(out, DisableMouseCapture)?;
    }
    out.flush()
}

/// Gives the terminal back, stops the whole job as the terminal's own Ctrl-Z would, and takes the
/// terminal again when the shell continues it.
///
/// # Errors
/// Where the terminal cannot be taken again.
pub fn suspend(mouse: bool) -> io::Result<()> {
    restore();
    // The whole process group: the shell waits for its leader, which may be a wrapper around this process.
    rustix::process::kill_current_process_group(rustix::process::Signal::TSTP)?;
    // The signal may reach another thread first and this one a moment later: the terminal must not be
    // taken in between. The rest of this time passes after the process was continued.
    thread::sleep(STOP_PATIENCE);
    take(mouse)
}

/// Has a panic give the terminal back before it is reported. Once a process.
pub fn restore_on_panic() {
    static HOOKED: AtomicBool = AtomicBool::new(false);
    if HOOKED.swap(true, Ordering::SeqCst) {
        return;
    }
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        restore();
        report(panic);
    }));
}
