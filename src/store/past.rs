//! The fleet at the end of a past sweep. Data that is no longer stored is omitted: of an old reading, only the numbers
//! of its sample remain.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::{
    alerts, cells,
    convert::{from_count, from_ms},
    pool::Transaction,
    read_pool::ReadPool,
    readable::{Unreadable, fetch_readable, fetch_readable_of},
    stored_history::{self, ClientRow, LastOf},
    sweeps::{self, Ended},
};
use crate::fleet::{
    Bytes, Metric, Percent, Reading, SweepId,
    alert::{Acknowledged, Exceeded, HoldReason, Notice, NoticeReason},
    alerts::AlertView,
    event::ClientCard,
    history::StoredHistory,
    rates::Rates,
    reading::Usage,
    state::{Fleet, Remembered, SweepView},
    stored::StoredSample,
};

/// The result of a query of the past.
#[derive(Debug, Clone, PartialEq)]
pub enum Past {
    /// The fleet as it was then.
    Known {
        /// The requested clients that were known then.
        fleet: Box<Fleet>,
        /// The number of unreadable rows, whose data is missing.
        unreadable: u64,
    },
    /// The sweep is unknown or did not end.
    Unknown,
    /// The query was cancelled because its result is no longer needed.
    Superseded,
}

/// Cancels a query between two of its statements if its result is no longer needed.
macro_rules! unless {
    ($superseded:expr) => {
        if $superseded.is_cancelled() {
            return Ok(Past::Superseded);
        }
    };
}

pub(super) async fn fleet(
    pool: &ReadPool,
    sweep: SweepId,
    cards: &[ClientCard],
    superseded: &CancellationToken,
) -> Result<Past, sqlx::Error> {
    let unreadable = &mut Unreadable::default();
    let transaction = &mut pool.begin_read().await?;
    let Some(ended) = sweeps::find(transaction, sweep).await? else { return Ok(Past::Unknown) };
    let wanted: HashSet<_> = cards.iter().map(|card| &card.id).collect();
    let mut clients = known(transaction, &ended, unreadable).await?;
    clients.retain(|known| known.last.is_some() && wanted.contains(&known.client));
    unless!(superseded);
    let mut last = stored_history::last_collections(transaction, &clients, unreadable).await?;
    unless!(superseded);
    let measured = measured(transaction, &clients, unreadable).await?;
    unless!(superseded);
    let mut readings = stored_history::readings(transaction, &clients, unreadable).await?;
    unless!(superseded);
    rebuild(transaction, &measured, &mut readings, unreadable).await?;
    unless!(superseded);
    let (alerts, mut open) = alerts_of(transaction, &ended, &measured, unreadable).await?;
    unless!(superseded);
    let stretch = (clients.len(), ended.last_collection);
    let mut samples = stored_history::samples(transaction, stretch, superseded, unreadable).await?;
    unless!(superseded);

    let remembered: Vec<_> = clients
        .into_iter()
        .map(|LastOf { id, client, .. }| Remembered {
            client,
            last: last.remove(&id),
            reading: readings.remove(&id).map(|(at, reading)| (at, Box::new(reading))),
            sample: measured.get(&id).map(|measured| measured.stored.sample(Some(0))),
            exceeded: stored_history::in_order(open.remove(&id)),
            recent: samples.remove(&id).unwrap_or_default(),
        })
        .collect();
    let visited = remembered.iter().filter(|client| client.last.as_ref().is_some_and(|last| last.sweep == sweep));
    let view = SweepView { clients: visited.map(|client| client.client.clone()).collect(), ..ended.view };
    let fleet = Box::new(Fleet::past(view, cards, StoredHistory { clients: remembered, alerts }));
    Ok(Past::Known { fleet, unreadable: unreadable.count() })
}

/// The alerts as they were then, and the open alerts of each client.
async fn alerts_of(
    transaction: &mut Transaction,
    ended: &Ended,
    measured: &HashMap<i64, Measured>,
    unreadable: &mut Unreadable,
) -> Result<(Vec<AlertView>, HashMap<i64, Vec<Exceeded>>), sqlx::Error> {
    let rows = alerts::open_at(transaction, ended.at_ms, unreadable).await?;
    let unreachable = rows.iter().filter(|row| row.metric == Metric::Unreachable.word());
    let unreachable: Vec<i64> = unreachable.map(|row| row.client_id).collect();
    let failed = failed_in_a_row(transaction, ended, &unreachable, unreadable).await?;
    let mut open = HashMap::new();
    let mut alerts = Vec::new();
    for row in rows {
        let (client, peak) = (row.client_id, row.peak_value);
        let was_acknowledged = row.acknowledged_at_ms.is_some_and(|at| at <= ended.at_ms);
        let Some(mut alert) = unreadable.keep(AlertView::try_from(row)) else { continue };
        if !was_acknowledged {
            alert.acknowledged = Acknowledged::No;
        }
        let stored = measured.get(&client).map(|measured| &measured.stored);
        let sample = stored.unwrap_or(&StoredSample::default()).sample(failed.get(&client).copied());
        let value = sample.values(alert.metric).of(&alert.instance).value();
        let alert = then(alert, value, peak, &ended.view);
        open.entry(client).or_insert_with(Vec::new).push(stored_history::exceeded(&alert));
        alerts.push(alert);
    }
    let over = alerts::ended_at(transaction, ended.at_ms, unreadable).await?;
    alerts.extend(unreadable.convert::<_, AlertView>(over));
    Ok((alerts, open))
}

/// The clients as of their collections until then.
async fn known(
    transaction: &mut Transaction,
    ended: &Ended,
    unreadable: &mut Unreadable,
) -> Result<Vec<LastOf>, sqlx::Error> {
    // As in `stored_history.rs`, a hint names the index for MariaDB.
    let rows = fetch_readable!(
        transaction,
        ClientRow,
        unreadable,
        "SELECT clients.id, clients.ip, clients.port,
         (SELECT collections.id FROM collections /*! FORCE INDEX (collections_by_client) */ WHERE collections.client_id = clients.id
          AND collections.id <= ? ORDER BY collections.id DESC LIMIT 1) AS last_any,
         (SELECT collections.id FROM collections WHERE collections.client_id = clients.id
          AND collections.collected_at_ms <= ? ORDER BY collections.collected_at_ms DESC LIMIT 1) AS last_ok
         FROM clients ORDER BY clients.id",
        ended.last_collection,
        ended.at_ms
    )?;
    Ok(unreadable.convert(rows))
}

/// The alert as it was then, except for its limit, of which only the last one is stored.
fn then(alert: AlertView, value: Option<f64>, peak: f64, sweep: &SweepView) -> AlertView {
    // The last value was measured at another time. After the end of the alert, it is even within the limit.
    let unmeasured = if alert.ended.is_some() { peak } else { alert.value };
    let notice = match (alert.acknowledged.is_given(), alert.mailed_in, alert.notice) {
        (true, _, _) => Notice::Hold(HoldReason::Acknowledged),
        (false, Some(mailed), _) if mailed != sweep.id => Notice::Hold(HoldReason::RecentlyMailed),
        (false, Some(_), _) if alert.raised_at >= sweep.started_at => Notice::Send(NoticeReason::Raised),
        (false, Some(_), _) => Notice::Send(NoticeReason::Reminder),
        (false, None, Notice::Hold(HoldReason::BelowLimit)) => Notice::Hold(HoldReason::BelowLimit),
        (false, None, _) => Notice::Hold(HoldReason::NoRecipient),
    };
    AlertView { value: value.unwrap_or(unmeasured), ended: None, notice, ..alert }
}

/// The number of failed collections in a row of these clients. Cancelled collections do not count.
async fn failed_in_a_row(
    transaction: &mut Transaction,
    ended: &Ended,
    clients: &[i64],
    unreadable: &mut Unreadable,
) -> Result<HashMap<i64, u32>, sqlx::Error> {
    let Ended { at_ms, last_collection, .. } = ended;
    let rows: Vec<(i64, i64)> = fetch_readable_of!(
        transaction,
        (i64, i64),
        unreadable,
        r#"SELECT clients.id,
           (SELECT COUNT(*) FROM collections WHERE collections.client_id = clients.id AND collections.id <= {last_collection}
            AND collections.id > COALESCE((SELECT met.id FROM collections met WHERE met.client_id = clients.id
             AND met.collected_at_ms <= {at_ms} ORDER BY met.collected_at_ms DESC LIMIT 1), 0)
            AND (collections.failure IS NULL OR collections.failure NOT LIKE '%"kind":"cancelled"%'))
           FROM clients WHERE clients.id IN ({})"#,
        clients
    )?;
    let count = |(client, count)| Some((client, unreadable.keep(from_count(count))?));
    Ok(rows.into_iter().filter_map(count).collect())
}

/// The stored sample of a client's last successful collection.
#[derive(sqlx_macros::FromRow)]
struct Measured {
    id: i64,
    client_id: i64,
    #[sqlx(flatten)]
    stored: StoredSample,
}

/// The samples of the last successful collections, by client.
async fn measured(
    transaction: &mut Transaction,
    clients: &[LastOf],
    unreadable: &mut Unreadable,
) -> Result<HashMap<i64, Measured>, sqlx::Error> {
    let ids: Vec<i64> = clients.iter().filter_map(|known| known.last_ok).collect();
    let columns = cells::sample_columns();
    let rows = fetch_readable_of!(
        transaction,
        Measured,
        unreadable,
        "SELECT id AS collection_row, id, client_id, {columns} FROM collections WHERE id IN ({})",
        ids
    )?;
    Ok(rows.into_iter().map(|row| (row.client_id, row)).collect())
}

impl Measured {
    /// The reading, as far as it is stored.
    fn reading(&self, cores: Vec<Percent>) -> Result<(Timestamp, Reading), sqlx::Error> {
        let stored = &self.stored;
        let usage = |total: Option<i64>, used: Option<i64>| match (total, used) {
            (Some(total), Some(used)) => {
                Ok(Some(Usage { total: Bytes(from_count(total)?), used: Bytes(from_count(used)?) }))
            }
            (None, _) | (_, None) => Ok::<_, sqlx::Error>(None),
        };
        let load = stored.load_1.zip(stored.load_5).zip(stored.load_15);
        let reading = Reading {
            host_name: stored.host_name.clone(),
            cpu: stored.metrics.worst(Metric::Cpu).map(percent).transpose()?,
            cores,
            memory: usage(stored.memory_total_bytes, stored.memory_used_bytes)?,
            swap: usage(stored.swap_total_bytes, stored.swap_used_bytes)?,
            uptime_seconds: stored.uptime_seconds.map(from_count).transpose()?,
            load: load.map(|((one, five), fifteen)| [one, five, fifteen]),
            rates: Rates {
                cpu_span_ms: stored.cpu_span_ms.map(from_count).transpose()?,
                steal: stored.steal_percent.map(percent).transpose()?,
                io_wait: stored.iowait_percent.map(percent).transpose()?,
                ..Rates::default()
            },
            ..Reading::default()
        };
        Ok((from_ms(stored.collected_at_ms.unwrap_or_default())?, reading))
    }
}

fn percent(value: f64) -> Result<Percent, sqlx::Error> {
    Percent::new(value).map_err(super::convert::unreadable)
}

/// Restores readings that are no longer stored completely from their samples.
async fn rebuild(
    transaction: &mut Transaction,
    measured: &HashMap<i64, Measured>,
    readings: &mut HashMap<i64, (Timestamp, Reading)>,
    unreadable: &mut Unreadable,
) -> Result<(), sqlx::Error> {
    let gone: Vec<&Measured> = measured.values().filter(|sample| !readings.contains_key(&sample.client_id)).collect();
    let ids: Vec<i64> = gone.iter().map(|sample| sample.id).collect();
    let rows: Vec<(i64, f64)> = fetch_readable_of!(
        transaction,
        (i64, f64),
        unreadable,
        "SELECT collection_id, cpu_percent FROM cores WHERE collection_id IN ({}) ORDER BY collection_id, core",
        ids
    )?;
    let mut cores: HashMap<i64, Vec<Percent>> = HashMap::new();
    for (collection, value) in rows {
        cores.entry(collection).or_default().extend(unreadable.keep(percent(value)));
    }
    for sample in gone {
        let reading = sample.reading(cores.remove(&sample.id).unwrap_or_default());
        readings.extend(unreadable.keep_of(Some(sample.id), reading).map(|reading| (sample.client_id, reading)));
    }
    Ok(())
}
