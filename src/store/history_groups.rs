//! Queries of the history of one client by group. [`super::history_export`] makes rows of a view of them.

use std::collections::BTreeMap;

use super::{
    history_rows::{self, HistoryRow, SLOTS, Table},
    pool::fetch_all,
    read_pool::ReadPool,
};
use crate::fleet::rollup::Tier;

/// The metric and the instance of each slot of a group. They are texts, because other versions may know other metrics.
pub(super) type Names = [Option<(String, String)>; SLOTS];

/// The groups of a client with the names of their series.
pub(super) async fn groups(pool: &ReadPool, client: i64) -> Result<Vec<(i32, Names)>, sqlx::Error> {
    let mut transaction = pool.begin_read().await?;
    let rows: Vec<(i32, i32, String, String)> = fetch_all!(
        &mut transaction,
        (i32, i32, String, String),
        "SELECT group_id, slot, metric, instance FROM history_series WHERE client_id = ?",
        client
    )?;
    transaction.commit().await?;
    let mut groups: BTreeMap<i32, Names> = BTreeMap::new();
    for (group, slot, metric, instance) in rows {
        let names = groups.entry(group).or_default();
        if let Some(name) = usize::try_from(slot).ok().and_then(|slot| names.get_mut(slot)) {
            *name = Some((metric, instance));
        }
    }
    Ok(groups.into_iter().collect())
}

/// At most so many rows of a table that begin in a range of time, oldest first.
pub(super) async fn buckets(
    pool: &ReadPool,
    table: Table,
    (group, tier): (i32, Tier),
    (from_ms, until_ms): (i64, i64),
    most: i64,
) -> Result<Vec<HistoryRow>, sqlx::Error> {
    let mut transaction = pool.begin_read().await?;
    let condition = "group_id = ? AND tier_seconds = ? AND start_ms >= ? AND start_ms <= ? ORDER BY start_ms LIMIT ?";
    let parameters = [group.into(), tier.seconds().into(), from_ms, until_ms, most];
    let found = history_rows::select(&mut transaction, table, condition, &parameters).await?;
    transaction.commit().await?;
    Ok(found)
}
