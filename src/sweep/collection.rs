//! The result of one collection, as data.

use fleetsweep_agent::{report::EventLog, request::EventsWanted};
use jiff::Timestamp;
use uuid::Uuid;

use crate::fleet::{
    ClientId, Failure, Reading, Stage, SweepId,
    counters::Counters,
    login_hold::{HeldLogins, HoldChange, LoginHold},
};

/// A collection that has ended. It is not stored yet.
#[derive(Debug)]
pub struct Collection {
    /// The id of the collection.
    pub id: Uuid,
    /// The client.
    pub client: ClientId,
    /// The sweep.
    pub sweep: SweepId,
    /// When it left the queue.
    pub started_at: Timestamp,
    /// The number of attempts; 0 if it never left the queue or its login is held.
    pub attempts: u32,
    /// The stages of the last attempt with the time of each, in order.
    pub stages: Vec<(Stage, Timestamp)>,
    /// The received data, or the failure of the last attempt.
    pub outcome: Result<Received, Failure>,
    /// Whether its login is held from now on.
    pub login_hold: HoldChange,
}

/// What is wanted of one collection.
#[derive(Debug)]
pub struct CollectionOrder {
    /// The sweep.
    pub sweep: SweepId,
    /// Which security events are asked for. Where the configuration does not say whether the client is asked, its platform
    /// does.
    pub events: EventsWanted,
    /// The hold of the client's login, if there is one.
    pub login_hold: Option<LoginHold>,
    /// Whether it is respected.
    pub held_logins: HeldLogins,
}

/// The validated data that a collection received.
#[derive(Debug)]
pub struct Received {
    /// The reading.
    pub reading: Reading,
    /// Its counters; `None` if it has none that can be compared with later ones.
    pub counters: Option<Box<Counters>>,
    /// Its security events; `None` if they were not requested. Only the limits of the wire format were checked.
    pub events: Option<EventLog>,
    /// When the answer was complete.
    pub received_at: Timestamp,
}
