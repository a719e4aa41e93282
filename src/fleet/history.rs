//! Stored data of a fleet, as plain data: histories, alerts, mails and past sweeps. The queries are in `store`.
//!
//! Texts may come from clients; they were cleaned when they were received.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Bytes, alerts::AlertView, client_view::Remembered, mail::MailKind};

/// The stored history from before an event stream began.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StoredHistory {
    /// The clients.
    pub clients: Vec<Remembered>,
    /// The alerts that are open or have ended recently.
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
    /// 365 days.
    Year,
    /// Five years of 365 days.
    FiveYears,
}

impl Span {
    /// Every span, shortest first.
    pub const ALL: [Self; 7] =
        [Self::Hour, Self::SixHours, Self::Day, Self::Week, Self::Month, Self::Year, Self::FiveYears];

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
            Self::Year => 365 * 24 * HOUR,
            Self::FiveYears => 5 * 365 * 24 * HOUR,
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
            Self::Year => "1y",
            Self::FiveYears => "5y",
        }
    }

    /// The next longer one; after the longest, the shortest.
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
    /// CPU use, percent; `None` if it was not measured.
    pub cpu_percent: Option<f64>,
    /// Memory use, percent; `None` if it was not measured.
    pub memory_percent: Option<f64>,
}

/// A security event of a client in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRow {
    /// When, by the client's clock.
    pub at: Timestamp,
    /// Its level in words.
    pub level: String,
    /// The program that wrote it.
    pub source: String,
    /// The message.
    pub message: String,
}

/// One alert of the history.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertRow {
    /// Names it.
    pub id: Uuid,
    /// The alert.
    pub alert: AlertView,
    /// The recipients with the results of their mails; empty if nobody was mailed.
    pub mails: Vec<String>,
}

/// One mail of the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailRow {
    /// Its id.
    pub id: Uuid,
    /// Its kind.
    pub kind: MailKind,
    /// The recipient.
    pub recipient: String,
    /// Its subject.
    pub subject: String,
    /// Its text.
    pub body: String,
    /// Its attachments.
    pub attachments: Vec<AttachmentRow>,
    /// When it was decided.
    pub created_at: Timestamp,
    /// Its status.
    pub status: MailStatus,
    /// How often it was offered to the server.
    pub attempts: u32,
    /// The server's last answer, or the reason why there was none.
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

/// The status of a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailStatus {
    /// It waits for the next attempt.
    Waiting {
        /// The earliest time of the next attempt.
        next_at: Timestamp,
    },
    /// The server accepted it.
    Sent {
        /// When, by the collector's clock.
        at: Timestamp,
    },
    /// It was permanently refused or given up.
    Refused,
}
