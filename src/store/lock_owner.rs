//! Which collector has a database, as it says of itself to others. Not how the database keeps that
//! ([`super::collectors`]), and not the lock ([`super::lock`]).

use std::{fmt, path::PathBuf};

use jiff::Timestamp;

use super::process::{self, ProcessStatus};

/// The collector that holds a database, by its own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockOwner {
    /// The machine it runs on.
    pub host: String,
    /// Its process.
    pub pid: u32,
    /// The account it runs as.
    pub account: String,
    /// Where it listens for others; `None` where it does not.
    pub socket: Option<PathBuf>,
    /// When it started.
    pub started_at: Timestamp,
    /// Its version.
    pub version: String,
    /// How it runs; `None` for a version that did not say so.
    pub mode: Option<Mode>,
    /// Names its process among all that ever had its number; `None` where the system does not tell.
    pub mark: Option<String>,
    /// Whether it is about to give up the database.
    pub is_ending: bool,
}

/// How a collector runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// One sweep.
    Once,
    /// As a service.
    Headless,
    /// Behind a screen.
    Dashboard,
}

impl Mode {
    const ALL: [Self; 3] = [Self::Once, Self::Headless, Self::Dashboard];

    /// Its word.
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

/// The word of no mode.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no run mode of a collector")]
pub(super) struct InvalidMode(String);

impl LockOwner {
    /// Whether its process is known to have ended. Whoever holds the database now is somebody else.
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
