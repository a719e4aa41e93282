//! Pages of long lists: keys of rows, requested pages, and results. Pure.

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
    /// The keys of the newest and the oldest row of the page, if there are any, readable or not.
    pub ends: Option<(ListKey, ListKey)>,
    /// The keys of unreadable rows, which are not in `rows`.
    pub unreadable: Vec<ListKey>,
    /// The number of rows that are newer than the page; `None` if it follows from the request.
    pub newer: Option<u64>,
    /// Whether there are further rows in the direction that was asked for; of rows around a time, older ones.
    pub has_more: bool,
    /// The number of rows of the whole list. It may be slightly outdated if counting takes long.
    pub total: u64,
}

/// A row of a list.
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
    /// The most rows.
    pub most: u32,
}
