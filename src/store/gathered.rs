//! The security logs that are gathered for a later mail: which they are, and their events.

use std::collections::HashMap;

use super::{
    convert::{client_id, from_count, from_ms, to_count, to_ms, unreadable},
    pool::{Transaction, execute, fetch_all},
    read_pool::ReadPool,
    readable::{Unreadable, fetch_readable},
    record::Record,
};
use crate::fleet::{
    ClientId,
    security::{
        EventAccess, SecurityEvent, SecurityLog,
        gathering::{GatheredLog, Gathering, GatheringChange, says_something},
    },
};

/// The words of the database for the access to a log.
const ACCESS: [(EventAccess, &str); 4] = [
    (EventAccess::Read, "read"),
    (EventAccess::Denied, "denied"),
    (EventAccess::Unavailable, "unavailable"),
    (EventAccess::Cleared, "cleared"),
];

/// An unknown word in the database.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no access to a log")]
struct InvalidAccess(String);

/// Stores what a collection changes. Its events have the ids from `first_event` on.
pub(super) async fn write(
    transaction: &mut Transaction,
    client: i64,
    record: &Record,
    first_event: i64,
    at_ms: i64,
) -> Result<(), sqlx::Error> {
    match (record.gathering, &record.security) {
        (None, _) | (Some(GatheringChange::Add { .. }), None) => Ok(()),
        (Some(GatheringChange::Mailed { since }), _) => {
            execute!(transaction, "DELETE FROM gathered_logs WHERE client_id = ?", client)?;
            execute!(
                transaction,
                "UPDATE clients SET gathering_since_ms = ?, gathered_logs = 0, gathered_events = 0 WHERE id = ?",
                since.map(to_ms),
                client
            )
            .map(drop)
        }
        (Some(GatheringChange::Add { login_unix_ms }), Some(log)) => {
            if !says_something(log) {
                return Ok(());
            }
            let events = to_count(log.events.len() as u64);
            execute!(
                transaction,
                "INSERT INTO gathered_logs (collection_uuid, client_id, at_ms, channel, access, is_truncated,
                 first_event, events, login_from_ms, login_to_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                record.collection.to_string(),
                client,
                at_ms,
                &log.channel,
                ACCESS.iter().find(|(access, _)| *access == log.access).map_or("read", |(_, word)| *word),
                i64::from(log.truncated),
                first_event,
                events,
                login_unix_ms.map(|(from, _)| from),
                login_unix_ms.map(|(_, to)| to)
            )?;
            execute!(
                transaction,
                "UPDATE clients SET gathered_logs = COALESCE(gathered_logs, 0) + 1,
                 gathered_events = COALESCE(gathered_events, 0) + ? WHERE id = ?",
                events,
                client
            )
            .map(drop)
        }
    }
}

/// What is gathered of each client.
pub(super) async fn gatherings(pool: &ReadPool) -> Result<(HashMap<ClientId, Gathering>, Unreadable), sqlx::Error> {
    let mut unreadable = Unreadable::default();
    let mut transaction = pool.begin_read().await?;
    let rows: Vec<(String, i64, i64, i64, i64)> = fetch_readable!(
        &mut transaction,
        (String, i64, i64, i64, i64),
        &mut unreadable,
        "SELECT ip, port, gathering_since_ms, COALESCE(gathered_logs, 0), COALESCE(gathered_events, 0) FROM clients
         WHERE gathering_since_ms IS NOT NULL"
    )?;
    let gathering = |(ip, port, since, logs, events)| {
        let (since, logs, events) = (from_ms(since)?, from_count(logs)?, from_count(events)?);
        Ok((client_id(ip, port)?, Gathering { since, logs, events }))
    };
    Ok((rows.into_iter().filter_map(|row| unreadable.keep(gathering(row))).collect(), unreadable))
}

#[derive(sqlx_macros::FromRow)]
struct LogRow {
    client_id: i64,
    at_ms: i64,
    channel: String,
    access: String,
    is_truncated: i64,
    first_event: i64,
    events: i64,
    login_from_ms: Option<i64>,
    login_to_ms: Option<i64>,
}

#[derive(sqlx_macros::FromRow)]
struct EventRow {
    record_id: String,
    channel: String,
    event_id: Option<i64>,
    level: String,
    occurred_at_ms: i64,
    source: String,
    account: Option<String>,
    message: String,
    data_fields: String,
}

/// The gathered logs of a client with their events, oldest first.
pub(super) async fn logs(pool: &ReadPool, client: &ClientId) -> Result<Vec<GatheredLog>, sqlx::Error> {
    let mut transaction = pool.begin_read().await?;
    let rows = fetch_all!(
        &mut transaction,
        LogRow,
        "SELECT client_id, at_ms, channel, access, is_truncated, first_event, events, login_from_ms, login_to_ms
         FROM gathered_logs WHERE client_id = (SELECT id FROM clients WHERE ip = ? AND port = ?)
         ORDER BY first_event, at_ms",
        client.address(),
        i64::from(client.port())
    )?;
    let mut logs = Vec::with_capacity(rows.len());
    for row in rows {
        let events = fetch_all!(
            &mut transaction,
            EventRow,
            "SELECT record_id, channel, event_id, level, occurred_at_ms, source, account, message, data_fields
             FROM security_events WHERE id >= ? AND id < ? AND client_id = ? ORDER BY id",
            row.first_event,
            row.first_event.saturating_add(row.events),
            row.client_id
        )?;
        let events = events.into_iter().map(|event| of_log(event, &row.channel)).collect::<Result<_, _>>()?;
        let access = ACCESS.iter().find(|(_, word)| *word == row.access).map(|(access, _)| *access);
        logs.push(GatheredLog {
            at: from_ms(row.at_ms)?,
            login_unix_ms: row.login_from_ms.zip(row.login_to_ms),
            log: SecurityLog {
                channel: row.channel,
                access: access.ok_or_else(|| unreadable(InvalidAccess(row.access)))?,
                bookmark: None,
                truncated: row.is_truncated != 0,
                events,
            },
        });
    }
    Ok(logs)
}

/// An event of a log of this channel.
fn of_log(row: EventRow, channel: &str) -> Result<SecurityEvent, sqlx::Error> {
    Ok(SecurityEvent {
        record_id: row.record_id,
        channel: Some(row.channel).filter(|of_event| of_event != channel),
        event_id: row.event_id.map(u32::try_from).transpose().map_err(unreadable)?,
        level: row.level,
        occurred_unix_ms: row.occurred_at_ms,
        source: row.source,
        user: row.account,
        message: row.message,
        data: serde_json::from_str(&row.data_fields).map_err(unreadable)?,
    })
}
