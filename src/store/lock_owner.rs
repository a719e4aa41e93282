//! The collector that owns the lock of a database, as it describes itself to other processes. It is stored by
//! [`super::collectors`]; the lock itself is in [`super::lock`].

use std::{fmt, path::PathBuf};

use jiff::Timestamp;

use super::process::{self, ProcessStatus};

/// The collector that owns the lock, as it describes itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockOwner {
    /// The host name of its machine.
    pub host: String,
    /// Its process id.
    pub pid: u32,
    /// The account it runs as.
    pub account: String,
    /// Its attach socket; `None` if it has none.
    pub socket: Option<PathBuf>,
    /// When it started.
    pub started_at: Timestamp,
    /// Its version.
    pub version: String,
    /// Its run mode; `None` for old versions, which do not store it.
    pub mode: Option<Mode>,
    /// Distinguishes its process from others with the same id; `None` if the system does not provide it.
    pub mark: Option<String>,
    /// Whether it is about to end.
    pub is_ending: bool,
}

/// The run mode of a collector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// One sweep.
    Once,
    /// A service.
    Headless,
    /// A dashboard.
    Dashboard,
}

impl Mode {
    const ALL: [Self; 3] = [Self::Once, Self::Headless, Self::Dashboard];

    /// Its name in the database.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Once => "once",
            Self::Headless => "headless",
            Self::Dashboard => "dashboard",
        }
    }

    pub(super) fn of(word: &str) -> Result<Self, InvalidMode> {
        Self::ALL.into_iter().find(|mode| mode.word() == word).ok_or_else(|| InvalidMode(word.to_owned()))
    }
}

/// The error for an unknown run mode.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a run mode")]
pub(super) struct InvalidMode(String);

impl LockOwner {
    /// Whether its process has certainly ended. If so, the lock has another owner by now, or none.
    pub(super) fn has_ended(&self) -> bool {
        self.mark.as_deref().is_some_and(|mark| process::status(self.pid, mark) == ProcessStatus::Ended)
    }
}

impl fmt::Display for LockOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pid {} of {} on {}", self.pid, self.account, self.host)?;
        match self.mode {
            Some(mode) => write!(f, " ({})", mode.word()),
            None => Ok(()),
        }
    }
}
