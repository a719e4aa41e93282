//! The record of one collection, with everything that follows from it. [`super::recording`] stores it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::fleet::{
    ClientId, Failure, Reading, Stage, SweepId,
    alert::Change,
    judge::ClientState,
    mail::Mail,
    security::{SecurityLog, allowance::Spent},
};

/// The end of one collection, with everything that follows from it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    /// The sweep it belongs to.
    pub sweep: SweepId,
    /// Names the collection.
    pub collection: Uuid,
    /// The client.
    pub client: ClientId,
    /// Its name in the configuration.
    pub client_name: String,
    /// When it left the queue.
    pub started_at: Timestamp,
    /// From then to its end.
    pub duration_ms: u64,
    /// How many attempts were made.
    pub attempts: u32,
    /// The stages of the last attempt, with the time at which each was entered, in order.
    pub stages: Vec<(Stage, Timestamp)>,
    /// How it ended.
    pub outcome: Outcome,
    /// The state of the client's rules from now on.
    pub state: ClientState,
    /// What happened to its alerts.
    pub changes: Vec<Change>,
    /// What was read of its security log; `None` where it was not asked for or nothing was read.
    pub security: Option<SecurityLog>,
    /// What the client has used of its daily allowance of security events from now on; `None` where that is as it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spent: Option<Spent>,
    /// The mails that were decided.
    pub mails: Vec<Mail>,
}

/// How a collection ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// With a reading.
    Collected(Box<Reading>),
    /// It failed.
    Failed(Failure),
}
