//! What the dashboard shows and the event stream does not carry: plain data, handed in by `app`. Not how
//! it is fetched.
//!
//! Text in here may stem from clients; it is cleaned where it entered, and once more where it is drawn.

use jiff::Timestamp;
use uuid::Uuid;

use crate::fleet::{
    ClientId, SweepId,
    alerts::AlertView,
    mail::MailKind,
    state::{Fleet, SweepView},
};

/// What the header says of the run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct About {
    /// What is swept, for instance the configuration file's stem or `demo`.
    pub name: String,
    /// When sweeps begin, in words: `every 5m`, `manual`.
    pub schedule: String,
    /// The collector to which this dashboard is attached, in words; `None` where it is the collector.
    pub attached_to: Option<String>,
}

/// An answer to a [`Query`](super::Query), or to a command that has a result.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// To `Query::History`.
    History {
        /// Whose.
        client: ClientId,
        /// Over which span up to now.
        span: Span,
        /// Oldest first; thinned to at most a few hundred points.
        points: Vec<Point>,
    },
    /// To `Query::SecurityEvents`: the newest of a client, newest first.
    SecurityEvents {
        /// Whose.
        client: ClientId,
        /// The events.
        events: Vec<SecurityEvent>,
    },
    /// To `Query::AlertHistory`: ended and open ones, the newest first.
    AlertHistory(Vec<AlertRow>),
    /// To `Query::Mails`: the newest first.
    Mails(Vec<MailRow>),
    /// To `Query::Sweeps`: the sweeps that can be travelled to, oldest first.
    Sweeps(Vec<SweepView>),
    /// To `Query::Past`: the fleet as it stood at the end of a sweep (see [`Fleet::past`]).
    Past {
        /// Which sweep.
        sweep: SweepId,
        /// The fleet then; shown as it is.
        fleet: Box<Fleet>,
    },
    /// A command or query was done, or could not be: shown in the hint line.
    Said(Said),
}

/// A line for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Whether it tells of a failure.
    pub is_error: bool,
    /// One sentence: what happened, and where it failed what to do.
    pub text: String,
}

/// A span of history up to now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Span {
    /// One hour.
    #[default]
    Hour,
    /// Six hours.
    SixHours,
    /// One day.
    Day,
    /// Seven days.
    Week,
    /// Thirty days.
    Month,
}

impl Span {
    /// Every span, shortest first.
    pub const ALL: [Self; 5] = [Self::Hour, Self::SixHours, Self::Day, Self::Week, Self::Month];

    /// Its length, milliseconds.
    #[must_use]
    pub fn milliseconds(self) -> i64 {
        const HOUR: i64 = 3_600_000;
        match self {
            Self::Hour => HOUR,
            Self::SixHours => 6 * HOUR,
            Self::Day => 24 * HOUR,
            Self::Week => 7 * 24 * HOUR,
            Self::Month => 30 * 24 * HOUR,
        }
    }

    /// Its short name.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Hour => "1h",
            Self::SixHours => "6h",
            Self::Day => "24h",
            Self::Week => "7d",
            Self::Month => "30d",
        }
    }

    /// The next longer one; the shortest after the longest.
    #[must_use]
    pub fn next(self) -> Self {
        let here = Self::ALL.iter().position(|span| *span == self).unwrap_or(0);
        Self::ALL.get((here + 1) % Self::ALL.len()).copied().unwrap_or_default()
    }
}

/// One point of a client's history.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// When it was collected.
    pub at: Timestamp,
    /// CPU use, percent; `None` where it was not measured.
    pub cpu_percent: Option<f64>,
    /// Memory use, percent; `None` where it was not measured.
    pub memory_percent: Option<f64>,
}

/// One security event of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecurityEvent {
    /// When, by the client's clock.
    pub at: Timestamp,
    /// Its level in words.
    pub level: String,
    /// Which program wrote it.
    pub source: String,
    /// What happened, in words.
    pub message: String,
}

/// One alert of the history.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertRow {
    /// The alert.
    pub alert: AlertView,
    /// Who was mailed, with what became of the mail; empty where nobody was.
    pub mails: Vec<String>,
}

/// One mail of the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailRow {
    /// Names it.
    pub id: Uuid,
    /// What it is for.
    pub kind: MailKind,
    /// To whom.
    pub recipient: String,
    /// Its subject.
    pub subject: String,
    /// Its text.
    pub body: String,
    /// When it was decided.
    pub created_at: Timestamp,
    /// What became of it.
    pub status: MailStatus,
    /// How often it was offered to the server.
    pub attempts: u32,
    /// The server's last answer, or why there was none.
    pub answer: Option<String>,
}

/// What became of a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailStatus {
    /// It waits for its next try.
    Waiting {
        /// Not tried before.
        next_at: Timestamp,
    },
    /// The server took it.
    Sent {
        /// When.
        at: Timestamp,
    },
    /// The server never will.
    Refused,
}

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// When.
    pub at: Timestamp,
    /// How grave.
    pub level: LogLevel,
    /// The line without time and level.
    pub text: String,
}

/// How grave a log line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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
