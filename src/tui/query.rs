//! The queries of the dashboard to the database. The results are in [`super::data`].

use jiff::Timestamp;

use crate::fleet::{ClientId, SweepId, history::Span, listing::Wish};

/// A query to the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Query {
    /// CPU and memory of a client.
    History {
        /// The client.
        client: ClientId,
        /// The span.
        span: Span,
        /// The end of the span; `None` is now.
        until: Option<Timestamp>,
    },
    /// The newest security events of a client.
    SecurityEvents(ClientId),
    /// A page of the alert history.
    AlertHistory(Wish),
    /// A page of the outbox.
    Mails(Wish),
    /// A page of the sweeps that are available for time travel.
    Sweeps(Wish),
    /// The fleet at the end of a sweep. A newer query of this kind replaces an older one, which is then not answered.
    Past(SweepId),
}
