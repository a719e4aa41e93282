//! Answers to what the dashboard asks beside the stream, handed in by `app`. Not how they are found.

use jiff::Timestamp;

use super::query::Query;
use crate::fleet::{
    ClientId, SweepId,
    history::{AlertRow, EventRow, MailRow, Point, Span},
    listing::{Page, Wish},
    state::{Fleet, SweepView},
};

/// An answer to a [`Query`], or to a command that has a result.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// To `Query::History`.
    History {
        /// The client.
        client: ClientId,
        /// Over which span.
        span: Span,
        /// Up to when; `None` is now.
        until: Option<Timestamp>,
        /// Oldest first; thinned to at most a few hundred points.
        points: Vec<Point>,
    },
    /// To `Query::SecurityEvents`: the newest of a client, newest first.
    SecurityEvents {
        /// The client.
        client: ClientId,
        /// The events.
        events: Vec<EventRow>,
    },
    /// To `Query::AlertHistory`: ended and open ones.
    AlertHistory {
        /// As it was asked for.
        wish: Wish,
        /// The alerts.
        page: Page<AlertRow>,
    },
    /// To `Query::Mails`.
    Mails {
        /// As it was asked for.
        wish: Wish,
        /// The mails.
        page: Page<MailRow>,
        /// How many wait, of all.
        waiting: u64,
        /// How many the server will never take, of all.
        refused: u64,
    },
    /// To `Query::Sweeps`: sweeps that can be travelled to.
    Sweeps {
        /// As it was asked for.
        wish: Wish,
        /// The sweeps.
        page: Page<SweepView>,
    },
    /// To `Query::Past`: the fleet as it stood at the end of a sweep (see [`Fleet::past`]).
    Past {
        /// Which sweep.
        sweep: SweepId,
        /// The fleet then; shown as it is.
        fleet: Box<Fleet>,
        /// How many rows of it could not be read, and are left out.
        unreadable: u64,
    },
    /// A query could not be answered.
    Failed {
        /// Which one.
        query: Query,
        /// The reason, for the operator.
        why: String,
    },
    /// A command or query was done, or could not be: shown in the hint line.
    Status(StatusMessage),
}

/// A line for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusMessage {
    /// Whether it tells of a failure.
    pub is_error: bool,
    /// One sentence: what happened, and where it failed what to do.
    pub text: String,
}
