//! The frames that every subscriber gets, in this process, over a socket or from a recording. The format is the same
//! for all.
//!
//! A stream starts with [`Frame::About`] and [`Frame::Fleet`]; events follow in order. A subscriber that cannot keep up
//! gets another `Fleet` in place of missed events, and continues from there.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Event, history::StoredHistory, state::Fleet};

/// A frame of the stream. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Frame {
    /// What is swept, and when.
    About(About),
    /// The current fleet, which replaces the subscriber's state.
    Fleet(Arc<Fleet>),
    /// The stored history from before the stream.
    Remembered(Arc<StoredHistory>),
    /// An event.
    Event(Arc<Event>),
    /// A line of the collector's log.
    Log(LogLine),
}

/// A frame with the time at which it was published.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stamped {
    /// The time, by the collector's clock.
    pub at: Timestamp,
    /// The frame.
    pub frame: Frame,
}

/// The origin of the displayed stream.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum StreamOrigin {
    /// This process sweeps.
    #[default]
    Own,
    /// Another process sweeps.
    Attached {
        /// A description of the collector.
        to: String,
        /// What is known of it.
        collector: Collector,
    },
    /// A recording is played.
    Replay(Replay),
}

/// What a process that is attached to a collector knows of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Collector {
    /// There is a connection.
    Connected,
    /// There is none, and connecting is retried. A collector may be at work.
    Unreachable,
    /// There is none because no collector is running.
    Gone,
}

/// How far a recording has been played.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Replay {
    /// The recording's time now.
    pub at: Timestamp,
    /// The position in the recording, percent.
    pub percent: f64,
    /// The speed: recorded seconds per second.
    pub speed: f64,
    /// Whether it is paused.
    pub paused: bool,
}

/// A command to the player of a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Play {
    /// Pause or resume.
    PauseOrGo,
    /// Twice as fast.
    Faster,
    /// Half as fast.
    Slower,
    /// To the start of the previous sweep.
    Earlier,
    /// To the start of the next sweep.
    Later,
    /// To the end.
    End,
    /// To a time. Times before or after the recording mean its beginning or end.
    To(Timestamp),
}

/// What is swept and when, for the header.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct About {
    /// What is swept, for example the stem of the configuration file or `demo`.
    pub name: String,
    /// When sweeps begin, in words: `every 5m`, `manual`.
    pub schedule: String,
    /// The interval of the schedule, milliseconds; `None` if there is no schedule, and in old recordings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval_ms: Option<u64>,
}

/// A log line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// The time, by the collector's clock.
    pub at: Timestamp,
    /// Its level.
    pub level: LogLevel,
    /// The name of the client that it is about; `None` if it is not about a client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// The line without time, level and the client's name.
    pub text: String,
}

/// The level of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// Something failed.
    Error,
    /// Something is not as it should be.
    Warn,
    /// Something happened.
    Info,
    /// For debugging.
    Debug,
}

impl LogLevel {
    /// Its keyword, padded to five columns.
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
