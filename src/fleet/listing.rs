//! Long lists, a part at a time: where a row stands, which part is wanted, what was found. Not how it is found.

use jiff::Timestamp;
use uuid::Uuid;

use super::{
    history::{AlertRow, MailRow},
    state::SweepView,
};

/// The place of a row in a list: lists go by time or number, and rows of the same one by their id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListKey {
    /// A time, UTC milliseconds since the Unix epoch; for sweeps, their number.
    pub order: i64,
    /// The id.
    pub id: Uuid,
}

/// A part of a list that may be long, counted from its newest row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The newest rows.
    Newest,
    /// The oldest rows.
    Oldest,
    /// This row and the older ones next to it.
    From(ListKey),
    /// The older rows next to this one.
    Older(ListKey),
    /// The newer rows next to this one.
    Newer(ListKey),
    /// Rows around the newest one that began at this time or before.
    At(Timestamp),
}

/// A part of a list, as it was asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// The rows, the newest first.
    pub rows: Vec<T>,
    /// The newest and the oldest row of the part, where it has any: readable or not.
    pub ends: Option<(ListKey, ListKey)>,
    /// Where rows are that could not be read, and are not among `rows`.
    pub unreadable: Vec<ListKey>,
    /// How many rows are newer than the part; `None` where that follows from where it was asked to begin.
    pub newer: Option<u64>,
    /// Whether there are further rows in the direction that was asked for; of rows around a time, older ones.
    pub has_more: bool,
    /// How many rows the whole list has; counted now, or a moment ago where counting takes long.
    pub total: u64,
}

/// What stands in a list.
pub trait Listed {
    /// Its place in the order of the list.
    fn key(&self) -> ListKey;
}

impl Listed for AlertRow {
    fn key(&self) -> ListKey {
        ListKey { order: self.alert.raised_at.as_millisecond(), id: self.id }
    }
}

impl Listed for MailRow {
    fn key(&self) -> ListKey {
        ListKey { order: self.created_at.as_millisecond(), id: self.id }
    }
}

impl Listed for SweepView {
    fn key(&self) -> ListKey {
        ListKey { order: i64::try_from(self.number).unwrap_or(i64::MAX), id: self.id.0 }
    }
}

/// Which part of a list is asked for, and how much of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wish {
    /// The part.
    pub part: Part,
    /// At most so many rows.
    pub most: u32,
}
