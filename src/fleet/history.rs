//! What the database remembers of a fleet, as plain data: histories, alerts, mails, past sweeps. Not how it
//! is kept or fetched.
//!
//! Text in here may stem from clients; it was cleaned where it entered.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Bytes, alerts::AlertView, client_view::Remembered, mail::MailKind};

/// What the database remembers from before a stream began.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StoredHistory {
    /// The clients.
    pub clients: Vec<Remembered>,
    /// The alerts, open and lately ended.
    pub alerts: Vec<AlertView>,
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

/// One security event of a client, as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRow {
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
    /// What is attached to it.
    pub attachments: Vec<AttachmentRow>,
    /// When it was decided.
    pub created_at: Timestamp,
    /// What became of it.
    pub status: MailStatus,
    /// How often it was offered to the server.
    pub attempts: u32,
    /// The server's last answer, or why there was none.
    pub answer: Option<String>,
}

/// One attachment of a mail, without its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttachmentRow {
    /// Its name.
    pub file_name: String,
    /// Its size.
    pub size: Bytes,
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
        /// When, by the collector's clock.
        at: Timestamp,
    },
    /// The server never will.
    Refused,
}
