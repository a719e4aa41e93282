//! The record of one collection, with everything that follows from it. [`super::recording`] stores it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::fleet::{
    ClientId, Failure, Reading, Stage, SweepId,
    alert::Change,
    counters::Counters,
    judge::ClientState,
    login_hold::HoldChange,
    mail::Mail,
    security::{SecurityLog, allowance::Spent, gathering::GatheringChange},
};

/// The end of one collection, with everything that follows from it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    /// The sweep it belongs to.
    pub sweep: SweepId,
    /// The id of the collection.
    pub collection: Uuid,
    /// The client.
    pub client: ClientId,
    /// Its name in the configuration.
    pub client_name: String,
    /// When it left the queue.
    pub started_at: Timestamp,
    /// Its duration until the end.
    pub duration_ms: u64,
    /// The number of attempts.
    pub attempts: u32,
    /// The stages of the last attempt, with the time at which each was entered, in order.
    pub stages: Vec<(Stage, Timestamp)>,
    /// The result.
    pub outcome: Outcome,
    /// The new state of the client's rules.
    pub state: ClientState,
    /// The changes of its alerts.
    pub changes: Vec<Change>,
    /// The read part of its security log; `None` if it was not requested or nothing was read.
    pub security: Option<SecurityLog>,
    /// The new used part of the daily allowance of security events; `None` if it is unchanged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spent: Option<Spent>,
    /// What changes about the logs that are gathered for a later mail; `None` if nothing does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gathering: Option<GatheringChange>,
    /// Whether its login is held from now on.
    #[serde(default, skip_serializing_if = "HoldChange::is_unchanged")]
    pub login_hold: HoldChange,
    /// Its counters, for the next collection; `None` if they are not known, so that the stored ones stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counters: Option<Box<Counters>>,
    /// When the trends of its file systems were estimated, if that was for this collection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trends_at: Option<Timestamp>,
    /// The mails to send.
    pub mails: Vec<Mail>,
}

/// The result of a collection.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// A reading.
    Collected(Box<Reading>),
    /// A failure.
    Failed(Failure),
}
