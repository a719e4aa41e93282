//! Deletes data that is older than the configured retention in small transactions.
//!
//! Clients, open alerts, waiting mails and the audit are kept for ever. These are few rows.

use jiff::Timestamp;

use super::{
    clock,
    convert::to_ms,
    pool::{Transaction, execute, fetch_all},
};
use crate::fleet::rollup::Tier;

/// The number of rows of a table that one transaction deletes, where a collection counts with all its cores. This takes
/// about ten milliseconds, so that collections do not wait noticeably longer.
pub(super) const PIECE: i64 = 250;

/// A collection that is further ahead of the trusted time than this was stored with a wrong clock.
const AHEAD_MS: i64 = 86_400_000;

/// Deletes one batch of rows that ended before a time. Returns whether there may be more.
pub(super) async fn forget(transaction: &mut Transaction, before: Timestamp) -> Result<bool, sqlx::Error> {
    let before_ms = to_ms(before);
    let latest_ms = clock::trusted_ms(transaction).await?.map_or(i64::MAX, |now_ms| now_ms.saturating_add(AHEAD_MS));
    // Earlier times come from a clock that was not set, so they are impossible, too.
    let earliest_ms = if before_ms < clock::EARLIEST_MS { i64::MIN } else { clock::EARLIEST_MS };
    let piece = usize::try_from(PIECE).unwrap_or(usize::MAX);
    let mut more = false;
    // Ids increase with time, whatever the clock says, so the oldest rows have the lowest ids and no index on the time
    // is needed. Rows with an impossible time are as old as those that were stored after them.
    for (oldest, up_to, delete) in [
        (
            "SELECT id, started_at_ms FROM collections WHERE started_at_ms >= ? AND started_at_ms <= ? ORDER BY id LIMIT ?",
            "SELECT id FROM collections WHERE id <= ? ORDER BY id LIMIT ?",
            "DELETE FROM collections WHERE id >= ? AND id <= ?",
        ),
        (
            "SELECT id, stored_at_ms FROM security_events WHERE stored_at_ms >= ? AND stored_at_ms <= ? ORDER BY id LIMIT ?",
            "SELECT id FROM security_events WHERE id <= ? ORDER BY id LIMIT ?",
            "DELETE FROM security_events WHERE id >= ? AND id <= ?",
        ),
    ] {
        let rows: Vec<(i64, i64)> = fetch_all!(transaction, (i64, i64), oldest, earliest_ms, latest_ms, PIECE)?;
        let last_old = rows.iter().take_while(|(_, at_ms)| *at_ms < before_ms).map(|(id, _)| *id).last();
        let Some(last_old) = last_old else { continue };
        let ids: Vec<(i64,)> = fetch_all!(transaction, (i64,), up_to, last_old, PIECE)?;
        if let (Some((first,)), Some((last,))) = (ids.first(), ids.last()) {
            execute!(transaction, delete, *first, *last)?;
            more |= ids.len() >= piece;
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
            "SELECT collection_uuid FROM gathered_logs WHERE at_ms < ? ORDER BY at_ms LIMIT ?",
            "DELETE FROM gathered_logs WHERE collection_uuid = ?",
        ),
        (
            "SELECT sweep_uuid FROM sweeps WHERE started_at_ms < ? ORDER BY started_at_ms LIMIT ?",
            "DELETE FROM sweeps WHERE sweep_uuid = ?",
        ),
    ] {
        let rows: Vec<(String,)> = fetch_all!(transaction, (String,), oldest, before_ms, PIECE)?;
        more |= rows.len() >= piece;
        for (id,) in rows {
            execute!(transaction, delete, id)?;
        }
    }
    // At most one ring for each client that is no longer collected.
    execute!(transaction, "DELETE FROM readings WHERE collected_at_ms < ?", before_ms)?;
    Ok(more)
}

/// The number of rows of roll-ups that one transaction deletes of each length.
const HISTORY_PIECE: i64 = 1_000;

/// Deletes one batch of the roll-ups that ended before these times. Returns whether there may be more. The buckets that are
/// filled now stay, of which each client has one of each length.
pub(super) async fn forget_history(
    transaction: &mut Transaction,
    before: &[(Tier, Timestamp)],
) -> Result<bool, sqlx::Error> {
    let mut more = false;
    for (tier, before) in before {
        more |= forget_tier(transaction, *tier, to_ms(*before)).await? >= HISTORY_PIECE;
    }
    Ok(more)
}

/// Deletes one batch of the roll-ups of a length that ended before a time. Returns how many.
pub(super) async fn forget_tier(transaction: &mut Transaction, tier: Tier, before_ms: i64) -> Result<i64, sqlx::Error> {
    let rows: Vec<(i64, i32)> = fetch_all!(
        transaction,
        (i64, i32),
        "SELECT start_ms, group_id FROM history_buckets WHERE tier_seconds = ? AND start_ms <= ?
         ORDER BY start_ms, group_id LIMIT ?",
        tier.seconds(),
        before_ms.saturating_sub(tier.milliseconds()),
        HISTORY_PIECE
    )?;
    let Some((start_ms, group)) = rows.last() else { return Ok(0) };
    execute!(
        transaction,
        "DELETE FROM history_buckets
         WHERE tier_seconds = ? AND start_ms <= ? AND (start_ms < ? OR group_id <= ?)",
        tier.seconds(),
        *start_ms,
        *start_ms,
        *group
    )?;
    Ok(i64::try_from(rows.len()).unwrap_or(i64::MAX))
}
