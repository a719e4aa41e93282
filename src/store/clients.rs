//! What a collector asks of its clients: their state between two collections, and their last values. Not what
//! is shown of them.

use std::collections::HashMap;

use jiff::Timestamp;

use super::{
    convert::{client_id, from_count, from_ms, unreadable},
    pool::{Transaction, fetch_all},
    read_pool::ReadPool,
};
use crate::fleet::{
    ClientId, Metric, Reading,
    alert::{AlertKey, OpenAlert},
    judge::ClientState,
    metric::Instance,
    security::allowance::Spent,
};

#[derive(sqlx::FromRow)]
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

pub(super) async fn client_states(pool: &ReadPool) -> Result<HashMap<ClientId, ClientState>, sqlx::Error> {
    let mut transaction = pool.begin_read().await?;
    let clients: Vec<(i64, String, i64, i64)> =
        fetch_all!(&mut transaction, (i64, String, i64, i64), "SELECT id, ip, port, failed_in_a_row FROM clients")?;
    let rules: Vec<(i64, String, String, i64)> = fetch_all!(
        &mut transaction,
        (i64, String, String, i64),
        "SELECT client_id, metric, instance, over_in_a_row FROM rule_states"
    )?;
    // The newest comes last and stays: there is one at most, unless someone changed the table.
    let alerts = fetch_all!(
        &mut transaction,
        AlertRow,
        "SELECT id, client_id, metric, instance, limit_value, last_value, peak_value, raised_at_ms, last_mail_at_ms,
         acknowledged_at_ms, acknowledged_by FROM alerts WHERE resolved_at_ms IS NULL ORDER BY raised_at_ms"
    )?;
    let mut states: HashMap<i64, (ClientId, ClientState)> = HashMap::new();
    for (id, ip, port, failed) in clients {
        let state = ClientState { failed_in_a_row: from_count(failed)?, ..ClientState::default() };
        states.insert(id, (client_id(ip, port)?, state));
    }
    for (id, metric, instance, over) in rules {
        if let Some((_, state)) = states.get_mut(&id) {
            state.rules.entry(key(&metric, &instance)?).or_default().over_in_a_row = from_count(over)?;
        }
    }
    for row in alerts {
        if let Some((_, state)) = states.get_mut(&row.client_id) {
            let rule = state.rules.entry(key(&row.metric, &row.instance)?).or_default();
            rule.alert = Some(OpenAlert::try_from(row)?);
        }
    }
    Ok(states.into_values().collect())
}

/// What a row is about.
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

pub(super) async fn bookmarks(pool: &ReadPool) -> Result<HashMap<ClientId, String>, sqlx::Error> {
    let mut transaction = pool.begin_read().await?;
    let rows: Vec<(String, i64, String)> = fetch_all!(
        &mut transaction,
        (String, i64, String),
        "SELECT ip, port, bookmark FROM clients WHERE bookmark IS NOT NULL"
    )?;
    rows.into_iter().map(|(ip, port, bookmark)| Ok((client_id(ip, port)?, bookmark))).collect()
}

pub(super) async fn spent(pool: &ReadPool) -> Result<HashMap<ClientId, Spent>, sqlx::Error> {
    let mut transaction = pool.begin_read().await?;
    let rows: Vec<(String, i64, i64, i64, i64, i64)> = fetch_all!(
        &mut transaction,
        (String, i64, i64, i64, i64, i64),
        "SELECT ip, port, events_day, COALESCE(events_stored, 0), COALESCE(events_bytes, 0),
         COALESCE(events_left_out, 0) FROM clients WHERE events_day IS NOT NULL"
    )?;
    let mut clients = HashMap::new();
    for (ip, port, day, stored, bytes, left_out) in rows {
        let [stored, bytes, left_out] = [from_count(stored)?, from_count(bytes)?, from_count(left_out)?];
        clients.insert(client_id(ip, port)?, Spent { day, stored, bytes, left_out });
    }
    Ok(clients)
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
    // What was not measured leaves a gap.
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
