//! The result of one collection, as data.

use fleetsweep_agent::report::EventLog;
use jiff::Timestamp;
use uuid::Uuid;

use crate::fleet::{ClientId, Failure, Reading, Stage, SweepId};

/// A collection that has ended. It is not stored yet.
#[derive(Debug)]
pub struct Collection {
    /// Names it.
    pub id: Uuid,
    /// The client.
    pub client: ClientId,
    /// The sweep.
    pub sweep: SweepId,
    /// When it left the queue.
    pub started_at: Timestamp,
    /// How many attempts were made; 0 where it never left the queue.
    pub attempts: u32,
    /// The stages of the last one, with the time at which each was entered, in order.
    pub stages: Vec<(Stage, Timestamp)>,
    /// What was received, or why the last attempt failed.
    pub outcome: Result<Received, Failure>,
}

/// The validated data that a collection received.
#[derive(Debug)]
pub struct Received {
    /// The reading.
    pub reading: Reading,
    /// Its security events, where they were asked for; `None` where they were not. Not checked beyond the wire's own caps.
    pub events: Option<EventLog>,
    /// When the answer was complete.
    pub received_at: Timestamp,
}
