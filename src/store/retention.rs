//! Deleting what is older than the configuration keeps, a small piece at a time. Not when that is done.
//!
//! Kept for ever are clients, open alerts, mails that wait and the audit, which few rows make.

use jiff::Timestamp;

use super::{
    pool::{Transaction, execute, fetch_all},
    to_ms,
};

/// How many rows of one table one piece deletes, a collection with all its cores: some ten milliseconds, so that
/// no collection waits noticeably longer to be stored.
pub(super) const PIECE: i64 = 250;

/// Deletes one piece of what ended before a time; whether more may be left.
pub(super) async fn forget(transaction: &mut Transaction, before: Timestamp) -> Result<bool, sqlx::Error> {
    let before_ms = to_ms(before);
    let mut more = false;
    // Their numbers grow with time: the oldest are the first, and no index by time alone is needed.
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
        let old: Vec<i64> = rows.iter().take_while(|(_, at_ms)| *at_ms < before_ms).map(|(id, _)| *id).collect();
        if let (Some(first), Some(last)) = (old.first(), old.last()) {
            execute!(transaction, delete, *first, *last)?;
            more |= old.len() >= usize::try_from(PIECE).unwrap_or(usize::MAX);
        }
    }
    for (oldest, delete) in [
        (
            "SELECT id FROM alerts WHERE resolved_at_ms < ? ORDER BY resolved_at_ms LIMIT ?",
            "DELETE FROM alerts WHERE id = ?",
        ),
        (
            "SELECT id FROM mails WHERE created_at_ms < ? AND status <> 'waiting' ORDER BY created_at_ms LIMIT ?",
            "DELETE FROM mails WHERE id = ?",
        ),
        (
            "SELECT sweep_uuid FROM sweeps WHERE started_at_ms < ? ORDER BY started_at_ms LIMIT ?",
            "DELETE FROM sweeps WHERE sweep_uuid = ?",
        ),
    ] {
        let rows: Vec<(String,)> = fetch_all!(transaction, (String,), oldest, before_ms, PIECE)?;
        more |= rows.len() >= usize::try_from(PIECE).unwrap_or(usize::MAX);
        for (id,) in rows {
            execute!(transaction, delete, id)?;
        }
    }
    // At most a ring for each client that is not collected any more.
    execute!(transaction, "DELETE FROM readings WHERE collected_at_ms < ?", before_ms)?;
    Ok(more)
}
