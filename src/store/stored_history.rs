//! Loads the stored history of the current fleet: for each client its last collection, its last reading, its last
//! samples, and the alerts. [`super::past`] uses the same parts for an earlier time.

use std::collections::HashMap;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::{
    alerts,
    convert::{self, client_id, from_count, from_ms, unreadable},
    pool::{Transaction, fetch_one},
    read_pool::ReadPool,
    readable::{Unreadable, fetch_readable, fetch_readable_of},
};
use crate::fleet::{
    ClientId, Failure, FailureKind, Reading, Stage, SweepId,
    alert::Exceeded,
    alerts::AlertView,
    history::StoredHistory,
    state::{Finished, RecentCollection, Remembered},
};

/// The most samples per client that are loaded, which is as many as the dashboard keeps.
const SAMPLES: usize = 60;

/// The number of collections that are searched for them. The largest fleets get fewer samples, but all come from one
/// range of the table, which is much faster than a query per client.
const STRETCH: i64 = 200_000;

/// How many of them are read at once: a question that is not wanted any more ends between two such parts.
const READ_AT_ONCE: i64 = 10_000;

/// A client and the ids of its last rows.
#[derive(Debug)]
pub(super) struct LastOf {
    pub(super) id: i64,
    pub(super) client: ClientId,
    /// Its last collection.
    pub(super) last: Option<i64>,
    /// Its last successful one.
    pub(super) last_ok: Option<i64>,
}

#[derive(sqlx_macros::FromRow)]
pub(super) struct ClientRow {
    id: i64,
    ip: String,
    port: i64,
    last_any: Option<i64>,
    last_ok: Option<i64>,
}

pub(super) async fn memory(pool: &ReadPool) -> Result<(StoredHistory, Unreadable), sqlx::Error> {
    let mut unreadable = Unreadable::default();
    let mut transaction = pool.begin_read().await?;
    // Without the hint, MariaDB uses another index and sorts all collections of each client.
    let rows = fetch_readable!(
        &mut transaction,
        ClientRow,
        &mut unreadable,
        "SELECT clients.id, clients.ip, clients.port,
         (SELECT collections.id FROM collections /*! FORCE INDEX (collections_by_client) */ WHERE collections.client_id = clients.id
          ORDER BY collections.id DESC LIMIT 1) AS last_any,
         clients.latest_collection AS last_ok FROM clients ORDER BY clients.id"
    )?;
    let clients: Vec<LastOf> = unreadable.convert(rows);
    let (newest,): (Option<i64>,) = fetch_one!(&mut transaction, (Option<i64>,), "SELECT MAX(id) FROM collections")?;
    let mut open = HashMap::new();
    let mut alerts = Vec::new();
    for row in alerts::open(&mut transaction, &mut unreadable).await? {
        let client = row.client_id;
        let Some(alert) = unreadable.keep(AlertView::try_from(row)) else { continue };
        open.entry(client).or_insert_with(Vec::new).push(exceeded(&alert));
        alerts.push(alert);
    }
    let ended = alerts::ended_at(&mut transaction, i64::MAX, &mut unreadable).await?;
    alerts.extend(unreadable.convert::<_, AlertView>(ended));
    let mut last = last_collections(&mut transaction, &clients, &mut unreadable).await?;
    let mut readings = readings(&mut transaction, &clients, &mut unreadable).await?;
    let is_wanted = &CancellationToken::new();
    let stretch = (clients.len(), newest.unwrap_or(0));
    let mut samples = samples(&mut transaction, stretch, is_wanted, &mut unreadable).await?;
    let remembered = clients.into_iter().map(|LastOf { id, client, .. }| Remembered {
        client,
        last: last.remove(&id),
        reading: readings.remove(&id).map(|(at, reading)| (at, Box::new(reading))),
        sample: None,
        exceeded: in_order(open.remove(&id)),
        recent: samples.remove(&id).unwrap_or_default(),
    });
    Ok((StoredHistory { clients: remembered.collect(), alerts }, unreadable))
}

impl TryFrom<ClientRow> for LastOf {
    type Error = sqlx::Error;

    fn try_from(row: ClientRow) -> Result<Self, sqlx::Error> {
        Ok(Self { id: row.id, client: client_id(row.ip, row.port)?, last: row.last_any, last_ok: row.last_ok })
    }
}

pub(super) fn exceeded(alert: &AlertView) -> Exceeded {
    let AlertView { metric, limit, value, .. } = *alert;
    Exceeded { metric, instance: alert.instance.clone(), limit, value }
}

/// In the order of the judge.
pub(super) fn in_order(exceeded: Option<Vec<Exceeded>>) -> Vec<Exceeded> {
    let mut exceeded = exceeded.unwrap_or_default();
    exceeded.sort_by_cached_key(Exceeded::key);
    exceeded
}

#[derive(sqlx_macros::FromRow)]
struct LastRow {
    collection_row: i64,
    client_id: i64,
    collection_uuid: String,
    sweep_uuid: String,
    started_at_ms: i64,
    duration_ms: i64,
    attempts: i64,
    status: String,
    stage: Option<String>,
    error: Option<String>,
    stages: Option<String>,
    failure: Option<String>,
}

/// The last collections, by client.
pub(super) async fn last_collections(
    transaction: &mut Transaction,
    clients: &[LastOf],
    unreadable: &mut Unreadable,
) -> Result<HashMap<i64, Finished>, sqlx::Error> {
    let ids: Vec<i64> = clients.iter().filter_map(|known| known.last).collect();
    let rows = fetch_readable_of!(
        transaction,
        LastRow,
        unreadable,
        "SELECT id AS collection_row, client_id, collection_uuid, sweep_uuid, started_at_ms, duration_ms, attempts, status, stage, error, stages,
         failure FROM collections WHERE id IN ({})",
        ids
    )?;
    let keep =
        |row: LastRow| Some((row.client_id, unreadable.keep_of(Some(row.collection_row), Finished::try_from(row))?));
    Ok(rows.into_iter().filter_map(keep).collect())
}

impl TryFrom<LastRow> for Finished {
    type Error = sqlx::Error;

    fn try_from(row: LastRow) -> Result<Self, sqlx::Error> {
        let failure = match (row.status.as_str(), row.failure) {
            ("failed", Some(json)) => Some(serde_json::from_str(&json).map_err(unreadable)?),
            ("failed", None) => Some(failure_of_words(row.stage.as_deref(), &row.error.unwrap_or_default())),
            (_, _) => None,
        };
        let stages: Vec<(Stage, i64)> = match row.stages {
            Some(json) => serde_json::from_str(&json).map_err(unreadable)?,
            None => Vec::new(),
        };
        Ok(Self {
            sweep: SweepId(row.sweep_uuid.parse().map_err(unreadable)?),
            collection: row.collection_uuid.parse().map_err(unreadable)?,
            at: from_ms(row.started_at_ms.saturating_add(row.duration_ms))?,
            duration_ms: from_count(row.duration_ms)?,
            attempts: from_count(row.attempts)?,
            failure,
            stages: stages
                .into_iter()
                .map(|(stage, at)| Ok((stage, from_ms(at)?)))
                .collect::<Result<_, sqlx::Error>>()?,
        })
    }
}

/// The failure from its message, for rows of versions that did not store it as JSON. The message begins with that of
/// its kind.
fn failure_of_words(stage: Option<&str>, error: &str) -> Failure {
    let stage = Stage::ALL.into_iter().find(|known| Some(known.word()) == stage).unwrap_or(Stage::Queued);
    let told = FailureKind::ALL.into_iter().find_map(|kind| Some((kind, error.strip_prefix(kind.words())?)));
    match told {
        Some((kind, "")) => Failure::new(stage, kind),
        Some((kind, causes)) => Failure::new(stage, kind).because(causes.strip_prefix(": ").unwrap_or(causes)),
        None => Failure::new(stage, FailureKind::Defect).because(error),
    }
}

#[derive(sqlx_macros::FromRow)]
struct ReadingRow {
    client_id: i64,
    collected_at_ms: i64,
    reading: String,
}

/// The number of readings that are parsed before other tasks can run.
const PARSED: usize = 200;

/// The readings of the last successful collections by client, as far as they are stored completely.
pub(super) async fn readings(
    transaction: &mut Transaction,
    clients: &[LastOf],
    unreadable: &mut Unreadable,
) -> Result<HashMap<i64, (Timestamp, Reading)>, sqlx::Error> {
    let ids: Vec<i64> = clients.iter().filter_map(|known| known.last_ok).collect();
    let rows = fetch_readable_of!(
        transaction,
        ReadingRow,
        unreadable,
        "SELECT client_id, collected_at_ms, reading FROM readings WHERE collection_id IN ({})",
        ids
    )?;
    let mut readings = HashMap::with_capacity(rows.len());
    for (index, row) in rows.into_iter().enumerate() {
        let reading = serde_json::from_str(&row.reading).map_err(convert::unreadable);
        let read = reading.and_then(|reading| Ok((from_ms(row.collected_at_ms)?, reading)));
        readings.extend(unreadable.keep(read).map(|read| (row.client_id, read)));
        if index % PARSED == PARSED - 1 {
            tokio::task::yield_now().await;
        }
    }
    Ok(readings)
}

#[derive(sqlx_macros::FromRow)]
struct SampleRow {
    collection_row: i64,
    client_id: i64,
    started_at_ms: i64,
    duration_ms: i64,
    cpu_percent: Option<f64>,
    memory_percent: Option<f64>,
}

/// The last samples of so many clients up to a collection, by client, oldest first; not all of them where `superseded` came
/// before.
pub(super) async fn samples(
    transaction: &mut Transaction,
    (clients, last): (usize, i64),
    superseded: &CancellationToken,
    unreadable: &mut Unreadable,
) -> Result<HashMap<i64, Vec<RecentCollection>>, sqlx::Error> {
    let stretch = i64::try_from(clients.saturating_mul(SAMPLES)).unwrap_or(i64::MAX).min(STRETCH);
    let first = last.saturating_sub(stretch).max(0);
    let mut samples: HashMap<i64, Vec<RecentCollection>> = HashMap::new();
    let mut end = last;
    while end > first && !superseded.is_cancelled() {
        let begin = end.saturating_sub(READ_AT_ONCE).max(first);
        let rows = fetch_readable!(
            transaction,
            SampleRow,
            unreadable,
            "SELECT id AS collection_row, client_id, started_at_ms, duration_ms, cpu_percent, memory_percent
             FROM collections WHERE id > ? AND id <= ? ORDER BY id DESC",
            begin,
            end
        )?;
        end = begin;
        for row in rows {
            let samples = samples.entry(row.client_id).or_default();
            if samples.len() < SAMPLES {
                samples.extend(unreadable.keep_of(Some(row.collection_row), RecentCollection::try_from(row)));
            }
        }
    }
    for samples in samples.values_mut() {
        samples.reverse();
    }
    Ok(samples)
}

impl TryFrom<SampleRow> for RecentCollection {
    type Error = sqlx::Error;

    fn try_from(row: SampleRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            at: from_ms(row.started_at_ms.saturating_add(row.duration_ms))?,
            duration_ms: from_count(row.duration_ms)?,
            cpu_percent: row.cpu_percent,
            memory_percent: row.memory_percent,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_known_again_by_its_words() {
        for kind in FailureKind::ALL {
            for failure in
                [Failure::new(Stage::Connect, kind), Failure::new(Stage::Connect, kind).because("os error 111")]
            {
                assert_eq!(failure_of_words(Some("connect"), &failure.to_string()), failure);
            }
        }
        let other = failure_of_words(None, "what nobody wrote");
        assert_eq!((other.stage, other.kind), (Stage::Queued, FailureKind::Defect));
    }
}
