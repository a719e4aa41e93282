//! Rolls up what is older than the roll-ups of a client: the samples from before there were roll-ups, in small transactions,
//! newest first. How far it has come is stored in the same transaction, so that it can be killed at any time. [`super::rollups`] rolls up new collections.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{
    cells,
    convert::{client_id, to_ms},
    pool::{Transaction, execute, fetch_all},
    record_cache::RecordCache,
    recording,
    rollups::{ClientHistory, Past},
};
use crate::fleet::{
    ClientId,
    rollup::{self, Bucket, Series, Tier},
    stored::StoredSample,
};

/// The number of samples of one transaction, a day and a half of one client.
const PIECE: i64 = 2_000;

#[derive(sqlx_macros::FromRow)]
struct SampleRow {
    collection_row: i64,
    #[sqlx(flatten)]
    stored: StoredSample,
}

/// Adds a later value to the buckets of its time.
fn put(past: &mut Past, at_ms: i64, series: &Series, value: f64) {
    for tier in Tier::ALL {
        let bucket = past.entry((tier, tier.start_of(at_ms))).or_default().entry(series.clone());
        let later = Bucket::of(value);
        bucket.and_modify(|known| *known = known.then(later)).or_insert(later);
    }
}

/// Adds values of an earlier time to the roll-ups of a client, which is created if it is new.
pub(super) async fn add(
    transaction: &mut Transaction,
    known: &mut RecordCache,
    (client, name): (&ClientId, &str),
    values: &[(Timestamp, Series, f64)],
) -> Result<(), sqlx::Error> {
    let id = recording::client(transaction, known, client, name).await?;
    let mut past: Past = BTreeMap::new();
    let mut ordered: Vec<_> = values.iter().collect();
    ordered.sort_by_key(|(at, ..)| *at);
    for (at, series, value) in ordered {
        put(&mut past, to_ms(*at), series, *value);
    }
    add_past(transaction, known, (client, id), past).await
}

async fn add_past(
    transaction: &mut Transaction,
    known: &mut RecordCache,
    (client, id): (&ClientId, i64),
    past: Past,
) -> Result<(), sqlx::Error> {
    let RecordCache { clients, last_group, .. } = known;
    let Some(known) = clients.get_mut(client) else { return Ok(()) };
    let history = match &mut known.history {
        Some(history) => history,
        none => none.insert(ClientHistory::read(transaction, id).await?),
    };
    history.add_past(transaction, last_group, id, past).await
}

/// Rolls up a number of samples. Returns whether there may be more.
pub(super) async fn catch_up(transaction: &mut Transaction, known: &mut RecordCache) -> Result<bool, sqlx::Error> {
    let rows: Vec<(i64, String, i64, i64)> = fetch_all!(
        transaction,
        (i64, String, i64, i64),
        "SELECT id, ip, port, unrolled_collection FROM clients WHERE unrolled_collection IS NOT NULL ORDER BY id LIMIT 1"
    )?;
    let Some((client, ip, port, newest)) = rows.into_iter().next() else { return Ok(false) };
    let sql = format!(
        "SELECT id AS collection_row, {} FROM collections /*! FORCE INDEX (collections_by_client) */
         WHERE client_id = ? AND id <= ? ORDER BY id DESC LIMIT ?",
        cells::sample_columns()
    );
    let rows = fetch_all!(transaction, SampleRow, sql, client, newest, PIECE)?;
    let is_whole = i64::try_from(rows.len()).is_ok_and(|count| count < PIECE);
    let next = rows.last().filter(|_| !is_whole).map(|row| row.collection_row - 1);
    let mut past: Past = BTreeMap::new();
    // Oldest first.
    for SampleRow { stored, .. } in rows.into_iter().rev() {
        let Some(at_ms) = stored.collected_at_ms else { continue };
        for (series, value) in rollup::values(&stored.sample(None), None) {
            put(&mut past, at_ms, &series, value);
        }
    }
    add_past(transaction, known, (&client_id(ip, port)?, client), past).await?;
    execute!(transaction, "UPDATE clients SET unrolled_collection = ? WHERE id = ?", next, client)?;
    Ok(true)
}
