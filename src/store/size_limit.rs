//! Keeps a SQLite file below `max-size`: deletes the oldest data in small steps, samples first. Servers manage their own
//! space. What is older than it is kept is deleted in [`super::retention`], and the space of deleted rows is given back in
//! [`super::space`].

use jiff::Timestamp;

use super::{
    convert::to_ms,
    pool::{Transaction, execute, fetch_all},
    retention::{self, PIECE},
};
use crate::fleet::{Bytes, rollup::Tier};

/// What one step has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shrunk {
    /// The data is smaller than the limit. `by` is how much.
    Enough {
        /// The difference.
        by: Bytes,
    },
    /// A part of the oldest data was deleted. There may be more to delete.
    Deleted,
    /// The data is larger than the limit, and nothing can be deleted that is old enough.
    Stuck,
}

/// Deletes one batch of the oldest data before `newest`, if the data is larger than `most`: samples with their
/// collections, then security events, then roll-ups, the shortest first. `None` for a server.
pub(super) async fn shrink(
    transaction: &mut Transaction,
    most: Bytes,
    newest: Timestamp,
) -> Result<Option<Shrunk>, sqlx::Error> {
    let Transaction::Sqlite(connection) = &mut *transaction else { return Ok(None) };
    // Free pages are used for new rows, or given back.
    let (used,): (i64,) = sqlx::query_as(
        "SELECT (page_count - freelist_count) * page_size
         FROM pragma_page_count, pragma_freelist_count, pragma_page_size",
    )
    .fetch_one(&mut **connection)
    .await?;
    let used = u64::try_from(used).unwrap_or(0);
    if let Some(by) = most.0.checked_sub(used) {
        return Ok(Some(Shrunk::Enough { by: Bytes(by) }));
    }
    let newest_ms = to_ms(newest);
    for (oldest, delete) in [
        (
            "SELECT id, started_at_ms FROM collections ORDER BY id LIMIT ?",
            "DELETE FROM collections WHERE id >= ? AND id <= ?",
        ),
        (
            "SELECT id, stored_at_ms FROM security_events ORDER BY id LIMIT ?",
            "DELETE FROM security_events WHERE id >= ? AND id <= ?",
        ),
    ] {
        let rows: Vec<(i64, i64)> = fetch_all!(transaction, (i64, i64), oldest, PIECE)?;
        let old: Vec<i64> = rows.into_iter().take_while(|(_, at_ms)| *at_ms < newest_ms).map(|(id, _)| id).collect();
        if let (Some(first), Some(last)) = (old.first(), old.last()) {
            execute!(transaction, delete, *first, *last)?;
            return Ok(Some(Shrunk::Deleted));
        }
    }
    for tier in Tier::ALL {
        if retention::forget_tier(transaction, tier, newest_ms).await? > 0 {
            return Ok(Some(Shrunk::Deleted));
        }
    }
    Ok(Some(Shrunk::Stuck))
}
