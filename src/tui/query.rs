//! What the dashboard asks the database. Not the answers ([`super::data`]).

use jiff::Timestamp;

use crate::fleet::{ClientId, SweepId, history::Span, listing::Wish};

/// A question to the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Query {
    /// CPU and memory of a client.
    History {
        /// The client.
        client: ClientId,
        /// Over which span.
        span: Span,
        /// Up to when; `None` is now.
        until: Option<Timestamp>,
    },
    /// The newest security events of a client.
    SecurityEvents(ClientId),
    /// A part of the alert history.
    AlertHistory(Wish),
    /// A part of the outbox.
    Mails(Wish),
    /// A part of the sweeps that can be travelled to.
    Sweeps(Wish),
    /// The fleet as it stood at the end of a sweep. A newer question of this kind takes the place of an older one, which
    /// is then not answered.
    Past(SweepId),
}
