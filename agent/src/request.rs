//! What the collector asks of the agent: one argument, in text, with nothing secret in it.

use std::time::Duration;

use uuid::Uuid;

/// What one collection asks of the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Names the collection; the answer is bound to it.
    pub collection: Uuid,
    /// The collector's ephemeral P-256 public key for this collection alone.
    pub server_key: p256::PublicKey,
    /// How long CPU use is sampled; whole milliseconds, 200 ms to 10 s.
    pub window: Duration,
    /// After this the agent ends by its own alarm; whole milliseconds, 1 s to 1 h.
    pub deadline: Duration,
    /// Whether security events are asked for, and from where on.
    pub events: EventsWanted,
}

/// Which security events a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventsWanted {
    /// None: the report carries no event log.
    No,
    /// The first contact: whatever is not older than this.
    Within(Duration),
    /// Those after a bookmark that an earlier report of this client carried.
    After(Bookmark),
}

/// A place in a client's event log, in words that only its agent understands. At most 1,024 bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bookmark(String);
