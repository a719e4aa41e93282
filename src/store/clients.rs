//! The queries of a collector about its clients: their state between two collections, and their last values.

use std::collections::HashMap;

use jiff::Timestamp;

use super::{
    convert::{self, client_id, from_count, from_ms, unreadable},
    pool::{Transaction, fetch_all},
    read_pool::ReadPool,
    readable::{Unreadable, fetch_readable},
};
use crate::fleet::{
    ClientId, Metric, Reading,
    alert::{AlertKey, OpenAlert},
    counters::Counters,
    judge::ClientState,
    login_hold::LoginHold,
    metric::Instance,
    security::allowance::Spent,
};

#[derive(sqlx_macros::FromRow)]
struct AlertRow {
    id: String,
    client_id: i64,
    metric: String,
    instance: String,
    limit_value: f64,
    last_value: f64,
    peak_value: f64,
    raised_at_ms: i64,
    last_mail_at_ms: Option<i64>,
    acknowledged_at_ms: Option<i64>,
    acknowledged_by: Option<String>,
}

pub(super) async fn client_states(
    pool: &ReadPool,
) -> Result<(HashMap<ClientId, ClientState>, Unreadable), sqlx::Error> {
    let mut unreadable = Unreadable::default();
    let mut transaction = pool.begin_read().await?;
    let clients: Vec<(i64, String, i64, i64)> = fetch_readable!(
        &mut transaction,
        (i64, String, i64, i64),
        &mut unreadable,
        "SELECT id, ip, port, failed_in_a_row FROM clients"
    )?;
    let rules: Vec<(i64, String, String, i64)> = fetch_readable!(
        &mut transaction,
        (i64, String, String, i64),
        &mut unreadable,
        "SELECT client_id, metric, instance, over_in_a_row FROM rule_states"
    )?;
    // Ordered so that the newest one is kept. Usually there is at most one.
    let alerts = fetch_readable!(
        &mut transaction,
        AlertRow,
        &mut unreadable,
        "SELECT id, client_id, metric, instance, limit_value, last_value, peak_value, raised_at_ms, last_mail_at_ms,
         acknowledged_at_ms, acknowledged_by FROM alerts WHERE resolved_at_ms IS NULL ORDER BY raised_at_ms"
    )?;
    let mut states: HashMap<i64, (ClientId, ClientState)> = HashMap::new();
    for (id, ip, port, failed) in clients {
        let state = from_count(failed).map(|failed| ClientState { failed_in_a_row: failed, ..ClientState::default() });
        let known = state.and_then(|state| Ok((client_id(ip, port)?, state)));
        states.extend(unreadable.keep(known).map(|known| (id, known)));
    }
    for (id, metric, instance, over) in rules {
        let Some((_, state)) = states.get_mut(&id) else { continue };
        let rule = key(&metric, &instance).and_then(|key| Ok((key, from_count(over)?)));
        if let Some((key, over)) = unreadable.keep(rule) {
            state.rules.entry(key).or_default().over_in_a_row = over;
        }
    }
    for row in alerts {
        let Some((_, state)) = states.get_mut(&row.client_id) else { continue };
        let alert = key(&row.metric, &row.instance).and_then(|key| Ok((key, OpenAlert::try_from(row)?)));
        if let Some((key, alert)) = unreadable.keep(alert) {
            state.rules.entry(key).or_default().alert = Some(alert);
        }
    }
    Ok((states.into_values().collect(), unreadable))
}

/// The metric and instance of a row.
pub(super) fn key(metric: &str, instance: &str) -> Result<AlertKey, sqlx::Error> {
    Ok(AlertKey { metric: metric.parse().map_err(unreadable)?, instance: Instance::new(instance) })
}

impl TryFrom<AlertRow> for OpenAlert {
    type Error = sqlx::Error;

    fn try_from(row: AlertRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.id.parse().map_err(unreadable)?,
            raised_at: from_ms(row.raised_at_ms)?,
            limit: row.limit_value,
            value: row.last_value,
            peak: row.peak_value,
            last_mail_at: row.last_mail_at_ms.map(from_ms).transpose()?,
            acknowledged_at: row.acknowledged_at_ms.map(from_ms).transpose()?,
            acknowledged_by: row.acknowledged_by,
        })
    }
}

/// A text of each client that has one.
async fn texts(
    pool: &ReadPool,
    unreadable: &mut Unreadable,
    sql: &'static str,
) -> Result<Vec<(String, i64, String)>, sqlx::Error> {
    let mut transaction = pool.begin_read().await?;
    fetch_readable!(&mut transaction, (String, i64, String), unreadable, sql)
}

pub(super) async fn bookmarks(pool: &ReadPool) -> Result<(HashMap<ClientId, String>, Unreadable), sqlx::Error> {
    let mut unreadable = Unreadable::default();
    let rows =
        texts(pool, &mut unreadable, "SELECT ip, port, bookmark FROM clients WHERE bookmark IS NOT NULL").await?;
    let bookmark = |(ip, port, bookmark)| Some((unreadable.keep(client_id(ip, port))?, bookmark));
    Ok((rows.into_iter().filter_map(bookmark).collect(), unreadable))
}

pub(super) async fn spent(pool: &ReadPool) -> Result<(HashMap<ClientId, Spent>, Unreadable), sqlx::Error> {
    let mut unreadable = Unreadable::default();
    let mut transaction = pool.begin_read().await?;
    let rows: Vec<(String, i64, i64, i64, i64, i64)> = fetch_readable!(
        &mut transaction,
        (String, i64, i64, i64, i64, i64),
        &mut unreadable,
        "SELECT ip, port, events_day, COALESCE(events_stored, 0), COALESCE(events_bytes, 0),
         COALESCE(events_left_out, 0) FROM clients WHERE events_day IS NOT NULL"
    )?;
    let spent = |(ip, port, day, stored, bytes, left_out)| {
        let [stored, bytes, left_out] = [from_count(stored)?, from_count(bytes)?, from_count(left_out)?];
        Ok((client_id(ip, port)?, Spent { day, stored, bytes, left_out }))
    };
    Ok((rows.into_iter().filter_map(|row| unreadable.keep(spent(row))).collect(), unreadable))
}

pub(super) async fn login_holds(pool: &ReadPool) -> Result<(HashMap<ClientId, LoginHold>, Unreadable), sqlx::Error> {
    let mut unreadable = Unreadable::default();
    let rows =
        texts(pool, &mut unreadable, "SELECT ip, port, login_hold FROM clients WHERE login_hold IS NOT NULL").await?;
    let hold = |(ip, port, json): (String, i64, String)| {
        Ok((client_id(ip, port)?, serde_json::from_str(&json).map_err(convert::unreadable)?))
    };
    Ok((rows.into_iter().filter_map(|row| unreadable.keep(hold(row))).collect(), unreadable))
}

/// Counters that cannot be read are left out: the next collection then begins anew.
pub(super) async fn counters(pool: &ReadPool) -> Result<(HashMap<ClientId, Counters>, Unreadable), sqlx::Error> {
    let mut unreadable = Unreadable::default();
    let rows = texts(
        pool,
        &mut unreadable,
        "SELECT clients.ip, clients.port, client_counters.counters FROM client_counters
         JOIN clients ON clients.id = client_counters.client_id",
    )
    .await?;
    let counters = |(ip, port, json): (String, i64, String)| {
        Ok((client_id(ip, port)?, serde_json::from_str(&json).map_err(convert::unreadable)?))
    };
    Ok((rows.into_iter().filter_map(|row| unreadable.keep(counters(row))).collect(), unreadable))
}

pub(super) async fn recent(
    pool: &ReadPool,
    client: &ClientId,
    metric: Metric,
    most: u32,
) -> Result<Vec<(Timestamp, f64)>, sqlx::Error> {
    let Some(column) = metric.spec().stored else { return Ok(Vec::new()) };
    let sql = format!(
        "SELECT collections.collected_at_ms, {column} FROM collections JOIN clients ON clients.id = collections.client_id
         WHERE clients.ip = ? AND clients.port = ? AND collections.collected_at_ms IS NOT NULL
         ORDER BY collections.id DESC LIMIT ?"
    );
    let mut transaction = pool.begin_read().await?;
    let rows: Vec<(i64, Option<f64>)> = fetch_all!(
        &mut transaction,
        (i64, Option<f64>),
        sql,
        client.address(),
        i64::from(client.port()),
        i64::from(most)
    )?;
    // Missing values leave gaps.
    rows.into_iter().rev().filter_map(|(at, value)| value.map(|value| Ok((from_ms(at)?, value)))).collect()
}

pub(super) async fn latest_reading(
    pool: &ReadPool,
    client: &ClientId,
) -> Result<Option<(Timestamp, Reading)>, sqlx::Error> {
    let mut transaction: Transaction = pool.begin_read().await?;
    let rows: Vec<(i64, String)> = fetch_all!(
        &mut transaction,
        (i64, String),
        "SELECT readings.collected_at_ms, readings.reading FROM readings
         JOIN clients ON clients.id = readings.client_id AND clients.latest_slot = readings.slot
         WHERE clients.ip = ? AND clients.port = ?",
        client.address(),
        i64::from(client.port())
    )?;
    let parse = |(at, json): (i64, String)| Ok((from_ms(at)?, serde_json::from_str(&json).map_err(unreadable)?));
    rows.into_iter().next().map(parse).transpose()
}
