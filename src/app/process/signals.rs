//! Handles the signals of the operating system.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::tui::terminal;

/// Cancels `stop` at the first SIGINT or SIGTERM. The second one ends the process at once. Stored data is safe in both
/// cases.
///
/// # Errors
/// If the operating system does not allow a signal handler.
pub fn stop_on_signals(stop: CancellationToken) -> io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::spawn(async move {
        either(&mut interrupt, &mut terminate).await;
        tracing::info!("stopping: storing what has been received");
        stop.cancel();
        let code = either(&mut interrupt, &mut terminate).await;
        terminal::restore();
        std::process::exit(code);
    });
    Ok(())
}

/// The stream of SIGHUP, which reloads the configuration.
///
/// # Errors
/// If the operating system does not allow a signal handler.
pub fn hangups() -> io::Result<Signal> {
    signal(SignalKind::hangup())
}

/// Waits for either signal and returns the shell's exit code for it.
async fn either(interrupt: &mut Signal, terminate: &mut Signal) -> i32 {
    tokio::select! {
        _ = interrupt.recv() => 128 + 2,
        _ = terminate.recv() => 128 + 15,
    }
}
