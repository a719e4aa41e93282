//! Judges a collection against the client's rules: which alerts begin, go on or end, and whether each
//! is mailed, with the reason. A pure function of the state before, the observation and the time.
//! Not the mail's text, not the database.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Failure, Metric, Reading, event::Exceeded};

/// What is known of a client's rules between two collections; kept in the database.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ClientState {
    /// Failed collections in a row, up to and with the last.
    pub failed_in_a_row: u32,
    /// By metric; absent means never over the limit, no alert.
    pub rules: BTreeMap<Metric, RuleState>,
}

/// One rule's state.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RuleState {
    /// Collections in a row over the limit, up to and with the last measured one.
    pub over_in_a_row: u32,
    /// The alert, while it lasts.
    pub alert: Option<OpenAlert>,
}

/// An alert that has not ended.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenAlert {
    /// Names it.
    pub id: Uuid,
    /// When it began.
    pub raised_at: Timestamp,
    /// The limit at its last judgement.
    pub limit: f64,
    /// The value last measured.
    pub value: f64,
    /// The highest value measured while it lasted.
    pub peak: f64,
    /// When a mail about it was last decided.
    pub last_mail_at: Option<Timestamp>,
    /// When an operator acknowledged it: no reminders from then on.
    pub acknowledged_at: Option<Timestamp>,
}

/// What a collection showed.
#[derive(Debug, Clone, Copy)]
pub enum Observation<'a> {
    /// It succeeded.
    Reading(&'a Reading),
    /// It failed; nothing was measured.
    Failed(&'a Failure),
}

/// What follows from a collection.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// The state from now on.
    pub state: ClientState,
    /// What happened to alerts, in the order of [`Metric::ALL`].
    pub changes: Vec<Change>,
    /// The limits exceeded now, in the same order.
    pub exceeded: Vec<Exceeded>,
}

/// What happened to one alert.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// What it is about.
    pub metric: Metric,
    /// The alert after this collection (the last state of it where it ended).
    pub alert: OpenAlert,
    /// Beginning, going on or end.
    pub step: Step,
    /// Whether it is mailed, and why or why not.
    pub notice: Notice,
}

/// Beginning, going on or end of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// It began.
    Raised,
    /// It goes on.
    Continues,
    /// It ended: the value is at or below `clear`, or the client answers again.
    Resolved,
    /// It ended because its rule is gone from the configuration.
    Withdrawn,
}

/// Whether a change is mailed, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "mail", content = "reason", rename_all = "snake_case")]
pub enum Notice {
    /// It is.
    Send(NoticeReason),
    /// It is not.
    Hold(HoldReason),
}

/// Why a mail goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeReason {
    /// The alert began.
    Raised,
    /// `repeat="every"`: a mail at every collection over the limit.
    EveryCollection,
    /// `repeat` has passed since the last mail.
    Reminder,
    /// The alert ended and `recovery` is on.
    Recovered,
}

/// Why no mail goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldReason {
    /// The client has no `mail`.
    NoRecipient,
    /// The last mail is younger than `repeat`.
    RecentlyMailed,
    /// An operator acknowledged it.
    Acknowledged,
    /// The alert is open, but the value lies between `clear` and `limit`.
    BelowLimit,
    /// The alert ended and `recovery` is off, or nothing was ever mailed about it.
    NoRecoveryMail,
    /// The rule is gone.
    RuleRemoved,
}
