//! The progress bar on standard error, where that is a terminal. Not the result.

use std::io;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tracing_subscriber::fmt::MakeWriter;

use crate::fleet::{Event, EventKind, state::Fleet};

/// A bar for one sweep. Cheap to clone; hidden where standard error is no terminal.
#[derive(Debug, Clone)]
pub struct Progress(ProgressBar);

impl Progress {
    /// A bar that shows itself with the first event, where `visible`.
    #[must_use]
    pub fn new(visible: bool) -> Self {
        let target = if visible { ProgressDrawTarget::stderr_with_hz(10) } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(0), target);
        // A template is data of ours: were it wrong, the default bar serves as well.
        if let Ok(style) =
            ProgressStyle::with_template("{elapsed:>4} {bar:32} {pos}/{len} {percent:>3}%  eta {eta:<4} {msg}")
        {
            bar.set_style(style.progress_chars("━╸╌"));
        }
        Self(bar)
    }

    /// Shows the fleet after `event`.
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

    /// Takes the bar away.
    pub fn clear(&self) {
        self.0.finish_and_clear();
    }
}

/// Log lines go to standard error around the bar, so that neither spoils the other.
impl<'a> MakeWriter<'a> for Progress {
    type Writer = Around<'a>;

    fn make_writer(&'a self) -> Around<'a> {
        Around(&self.0)
    }
}

/// Standard error with the bar out of the way.
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
