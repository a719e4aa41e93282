//! Answers to what the dashboard asks beside the stream, handed in by `app`. Not how they are found.

use jiff::Timestamp;

use crate::fleet::{
    ClientId, SweepId,
    history::{AlertRow, EventRow, MailRow, Point, Span},
    state::{Fleet, SweepView},
};

/// An answer to a [`Query`](super::Query), or to a command that has a result.
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
    /// To `Query::AlertHistory`: ended and open ones, the newest first.
    AlertHistory(Vec<AlertRow>),
    /// To `Query::Mails`: the newest first.
    Mails(Vec<MailRow>),
    /// To `Query::Sweeps`: the sweeps that can be travelled to, oldest first.
    Sweeps(Vec<SweepView>),
    /// To `Query::Past`: the fleet as it stood at the end of a sweep (see [`Fleet::past`]).
    Past {
        /// Which sweep.
        sweep: SweepId,
        /// The fleet then; shown as it is.
        fleet: Box<Fleet>,
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
