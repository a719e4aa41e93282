//! Results of queries that the dashboard sends in addition to the stream. `app` provides them.

use jiff::Timestamp;

use super::query::Query;
use crate::fleet::{
    ClientId, SweepId,
    history::{AlertRow, EventRow, MailRow, Point, Span},
    listing::{Page, Wish},
    state::{Fleet, SweepView},
};

/// The result of a [`Query`], or of a command that has a result.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// Of `Query::History`.
    History {
        /// The client.
        client: ClientId,
        /// The span.
        span: Span,
        /// The end of the span; `None` is now.
        until: Option<Timestamp>,
        /// Oldest first; at most a few hundred points.
        points: Vec<Point>,
    },
    /// Of `Query::SecurityEvents`: the newest of a client, newest first.
    SecurityEvents {
        /// The client.
        client: ClientId,
        /// The events.
        events: Vec<EventRow>,
    },
    /// Of `Query::AlertHistory`: ended and open ones.
    AlertHistory {
        /// The request.
        wish: Wish,
        /// The alerts.
        page: Page<AlertRow>,
    },
    /// Of `Query::Mails`.
    Mails {
        /// The request.
        wish: Wish,
        /// The mails.
        page: Page<MailRow>,
        /// The total number of waiting mails.
        waiting: u64,
        /// The total number of permanently refused mails.
        refused: u64,
    },
    /// Of `Query::Sweeps`: the sweeps that are available for time travel.
    Sweeps {
        /// The request.
        wish: Wish,
        /// The sweeps.
        page: Page<SweepView>,
    },
    /// Of `Query::Past`: the fleet at the end of a sweep (see [`Fleet::past`]).
    Past {
        /// The sweep.
        sweep: SweepId,
        /// The fleet at that time.
        fleet: Box<Fleet>,
        /// The number of rows that are omitted because they cannot be read.
        unreadable: u64,
    },
    /// A query failed.
    Failed {
        /// The query.
        query: Query,
        /// The reason, for the operator.
        why: String,
    },
    /// The result of a command, for the hint line.
    Status(StatusMessage),
}

/// A message for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusMessage {
    /// Whether it reports a failure.
    pub is_error: bool,
    /// One sentence: what happened, and for a failure what to do.
    pub text: String,
}
