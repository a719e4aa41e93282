//! The progress bar on standard error, if that is a terminal.

use std::io;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tracing_subscriber::fmt::MakeWriter;

use crate::fleet::{Event, EventKind, state::Fleet};

/// A progress bar for one sweep. Cheap to clone. Hidden if standard error is not a terminal.
#[derive(Debug, Clone)]
pub struct Progress(ProgressBar);

impl Progress {
    /// A bar that appears with the first event, if `visible`.
    #[must_use]
    pub fn new(visible: bool) -> Self {
        let target = if visible { ProgressDrawTarget::stderr_with_hz(10) } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(0), target);
        // The template is a constant. If it were invalid, the default bar would do.
        if let Ok(style) =
            ProgressStyle::with_template("{elapsed:>4} {bar:32} {pos}/{len} {percent:>3}%  eta {eta:<4} {msg}")
        {
            bar.set_style(style.progress_chars("━╸╌"));
        }
        Self(bar)
    }

    /// Updates the bar; `fleet` is the state after `event`.
    pub fn show(&self, fleet: &Fleet, event: &Event) {
        match &event.kind {
            EventKind::SweepStarted { clients, .. } => self.0.set_length(clients.len() as u64),
            EventKind::Collected { .. } | EventKind::CollectionFailed { .. } => {
                if let Some(sweep) = fleet.newest_sweep() {
                    self.0.set_position(sweep.finished() as u64);
                    if sweep.failed > 0 {
                        self.0.set_message(format!("{} failed", sweep.failed));
                    }
                }
            }
            EventKind::SweepEnded { .. } => self.0.finish_and_clear(),
            EventKind::Configured { .. }
            | EventKind::StageEntered { .. }
            | EventKind::AttemptFailed { .. }
            | EventKind::Alert { .. }
            | EventKind::Acknowledged { .. }
            | EventKind::Unacknowledged { .. }
            | EventKind::Mail { .. }
            | EventKind::SchedulePaused { .. }
            | EventKind::DatabaseAway { .. }
            | EventKind::DatabaseBack { .. }
            | EventKind::ConfigurationRefused { .. } => {}
        }
    }

    /// Removes the bar.
    pub fn clear(&self) {
        self.0.finish_and_clear();
    }
}

/// Writes log lines to standard error without disturbing the bar.
impl<'a> MakeWriter<'a> for Progress {
    type Writer = Around<'a>;

    fn make_writer(&'a self) -> Around<'a> {
        Around(&self.0)
    }
}

/// A writer to standard error that hides the bar while it writes.
#[derive(Debug)]
pub struct Around<'a>(&'a ProgressBar);

impl io::Write for Around<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.suspend(|| io::stderr().write_all(bytes)).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
