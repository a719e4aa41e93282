//! Takes the terminal and restores it at every exit.
//!
//! Restoring is one idempotent function that any thread may call at any time: the screen when it ends, the panic hook,
//! and `app` when a signal ends the run.

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

/// Whether the terminal is taken over.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Locked while a frame is written. Restoring waits for the end of the frame.
static FRAME: Mutex<()> = Mutex::new(());

/// How long to wait for the end of a frame. A terminal that reads nothing never accepts it, and a thread that panics
/// while drawing never finishes it.
const FRAME_PATIENCE: Duration = Duration::from_millis(100);

/// How long a terminal that reads may take until it accepts the last sequence.
const TAKES_PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };

/// An upper limit of the time until a stop signal reaches all threads of this process.
const STOP_PATIENCE: Duration = Duration::from_millis(50);

/// Locks the terminal for a frame; `None` if it was restored, so that nothing may be written any more.
#[must_use]
pub fn while_ours() -> Option<MutexGuard<'static, ()>> {
    let frame = FRAME.lock().unwrap_or_else(PoisonError::into_inner);
    TAKEN.load(Ordering::SeqCst).then_some(frame)
}

/// Takes the terminal: raw mode, alternate screen, hidden cursor, bracketed paste, and mouse reports if wanted.
///
/// # Errors
/// If the terminal refuses raw mode or cannot be written to. It is restored then.
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

/// Restores the terminal. Does nothing if it is not taken over.
///
/// Cooked mode is restored first, because it needs no space in the terminal's queue. Even a terminal that has stopped
/// reading then has a working line discipline.
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
    // Written in one piece, without waiting for the lock: a thread that has it is blocked by a terminal that does not
    // read, or has panicked while drawing.
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

/// Whether the terminal accepts more text soon. A write to one that reads nothing would block forever.
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
/// If the terminal cannot be written to.
pub fn set_mouse(on: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if on {
        queue!(out, EnableMouseCapture)?;
    } else {
        queue!(out, DisableMouseCapture)?;
    }
    out.flush()
}

/// Restores the terminal, stops the whole job as Ctrl-Z would, and takes the terminal again when the shell continues
/// it.
///
/// # Errors
/// If the terminal cannot be taken again.
pub fn suspend(mouse: bool) -> io::Result<()> {
    restore();
    // The whole process group, because the shell waits for its leader, which may be a wrapper of this process.
    rustix::process::kill_current_process_group(rustix::process::Signal::TSTP)?;
    // The signal may reach another thread first and this one a moment later. The terminal must not be taken over in
    // between. The rest of this time passes after the process was continued.
    thread::sleep(STOP_PATIENCE);
    take(mouse)
}

/// Installs a panic hook that restores the terminal before the panic is reported. Must be called only once per process.
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
