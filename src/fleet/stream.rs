//! What every reader of the stream gets: in this process, over a socket, from a recording. One format.
//! Not how it travels.
//!
//! A stream begins with [`Frame::About`] and [`Frame::Fleet`]; events follow in their order. A reader that
//! could not keep up gets another `Fleet` in place of what it missed, and goes on from that.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Event, history::StoredHistory, state::Fleet};

/// One piece of the stream; cheap to clone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Frame {
    /// What is swept, and when.
    About(About),
    /// The whole fleet as it stands: the reader forgets what it knew.
    Fleet(Arc<Fleet>),
    /// What the database remembers from before.
    Remembered(Arc<StoredHistory>),
    /// One thing that happened.
    Event(Arc<Event>),
    /// One line of the collector's log.
    Log(LogLine),
}

/// A piece of the stream with the time at which it was told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stamped {
    /// When, by the collector's clock.
    pub at: Timestamp,
    /// The frame.
    pub frame: Frame,
}

/// Where the stream that is shown comes from.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum StreamOrigin {
    /// This process sweeps.
    #[default]
    Own,
    /// Another process sweeps.
    Attached {
        /// Who, in words.
        to: String,
        /// Whether it answers; otherwise it is tried again and again.
        connected: bool,
    },
    /// A recording is played.
    Replay(Replay),
}

/// How far a recording has been played.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Replay {
    /// The recording's time now.
    pub at: Timestamp,
    /// How far that is into the recording, percent.
    pub percent: f64,
    /// So many recorded seconds a second.
    pub speed: f64,
    /// Whether it stands still.
    pub paused: bool,
}

/// How a recording is to be played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Play {
    /// Stand still, or go on.
    PauseOrGo,
    /// Twice as fast.
    Faster,
    /// Half as fast.
    Slower,
    /// To the beginning of the sweep before.
    Earlier,
    /// To the beginning of the next sweep.
    Later,
    /// To the end.
    End,
}

/// What is swept and when, for the header.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct About {
    /// What is swept, for instance the configuration file's stem or `demo`.
    pub name: String,
    /// When sweeps begin, in words: `every 5m`, `manual`.
    pub schedule: String,
    /// How far apart the sweeps of the schedule begin, milliseconds; `None` where there is none. Recordings from
    /// before it was told have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval_ms: Option<u64>,
}

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// When, by the collector's clock.
    pub at: Timestamp,
    /// How grave.
    pub level: LogLevel,
    /// The client that it is about, by its name; `None` where it is about no client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// The line without time, level and the client's name.
    pub text: String,
}

/// How grave a log line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// Something failed.
    Error,
    /// Something is not as it should be.
    Warn,
    /// Something happened.
    Info,
    /// For the makers.
    Debug,
}

impl LogLevel {
    /// Its word, five columns wide.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Error => "ERROR",
            Self::Warn => "WARN ",
            Self::Info => "INFO ",
            Self::Debug => "DEBUG",
        }
    }
}
