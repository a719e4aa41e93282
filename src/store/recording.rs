//! Writes the record of one collection: its rows in every table.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{
    alert_changes,
    cells::{self, Field},
    convert::{to_count, to_json, to_ms},
    gathered, newest,
    outbox::{self, Origin},
    pool::{Transaction, execute, on_driver},
    record::{Outcome, Record},
    record_cache::{KnownClient, RecordCache},
    rollups::ClientHistory,
    threads,
};
use crate::fleet::{
    ClientId, Reading, Stage,
    alert::AlertKey,
    counters::Counters,
    failure::Blame,
    judge::ClientState,
    login_hold::HoldChange,
    mail::Mail,
    metric::Observed,
    rollup::{self, Series},
    sample::Sample,
    security::{SecurityLog, allowance::Spent},
    stored::{Collected, StoredSample},
};

/// Writes one record.
pub(super) async fn insert(
    transaction: &mut Transaction,
    known: &mut RecordCache,
    record: &Record,
) -> Result<(), sqlx::Error> {
    let ended_at_ms = to_ms(record.started_at).saturating_add(to_count(record.duration_ms));
    let client = client(transaction, known, &record.client, &record.client_name).await?;
    known.last_collection += 1;
    let collection = known.last_collection;
    insert_collection(transaction, collection, client, record, ended_at_ms).await?;
    let mut latest_slot = None;
    let RecordCache { clients, last_group, .. } = known;
    if let Some(known) = clients.get_mut(&record.client) {
        if let Outcome::Collected(reading) = &record.outcome {
            insert_cores(transaction, collection, reading).await?;
            replace_reading(transaction, known, reading, collection, ended_at_ms).await?;
            newest::replace(transaction, client, &mut known.newest, reading).await?;
        }
        update_rule_states(transaction, known, &record.state).await?;
        if let Some(counters) = &record.counters {
            replace_counters(transaction, client, counters).await?;
        }
        let history = match &mut known.history {
            Some(history) => history,
            none => none.insert(ClientHistory::read(transaction, client).await?),
        };
        history.add(transaction, last_group, client, ended_at_ms, measured(record)).await?;
        latest_slot = known.latest_slot;
    }
    for change in &record.changes {
        alert_changes::write(transaction, client, change, ended_at_ms).await?;
    }
    let first_event = known.last_event + 1;
    if let Some(log) = &record.security {
        insert_events(transaction, known, client, log, ended_at_ms).await?;
    }
    gathered::write(transaction, client, record, first_event, ended_at_ms).await?;
    let origin = Origin { client: Some(client), sweep: Some(record.sweep.0.to_string()) };
    for mail in &record.mails {
        let thread = match known.clients.get_mut(&record.client) {
            Some(known) => threads::of(transaction, client, &mut known.first_events, &record.changes, mail).await?,
            None => Vec::new(),
        };
        outbox::insert(transaction, &Mail { thread, ..mail.clone() }, &origin).await?;
    }
    alert_changes::link_mails(transaction, &record.changes, &record.mails).await?;
    let latest = match record.outcome {
        Outcome::Collected(_) => Some(collection),
        Outcome::Failed(_) => None,
    };
    let bookmark = record.security.as_ref().and_then(|log| log.bookmark.as_deref());
    execute!(
        transaction,
        "UPDATE clients SET name = ?, failed_in_a_row = ?, latest_collection = COALESCE(?, latest_collection),
         latest_slot = ?, bookmark = COALESCE(?, bookmark), trends_at_ms = COALESCE(?, trends_at_ms) WHERE id = ?",
        &record.client_name,
        i64::from(record.state.failed_in_a_row),
        latest,
        latest_slot,
        bookmark,
        record.trends_at.map(to_ms),
        client
    )?;
    if let Some(Spent { day, stored, bytes, left_out }) = record.spent {
        execute!(
            transaction,
            "UPDATE clients SET events_day = ?, events_stored = ?, events_bytes = ?, events_left_out = ? WHERE id = ?",
            day,
            to_count(stored),
            to_count(bytes),
            to_count(left_out),
            client
        )?;
    }
    let hold = match &record.login_hold {
        HoldChange::Unchanged => return Ok(()),
        HoldChange::Held(hold) => Some(to_json(hold)?),
        HoldChange::Released => None,
    };
    execute!(transaction, "UPDATE clients SET login_hold = ? WHERE id = ?", hold, client).map(drop)
}

/// The id of a client, which is created if it is new.
pub(super) async fn client(
    transaction: &mut Transaction,
    known: &mut RecordCache,
    client: &ClientId,
    name: &str,
) -> Result<i64, sqlx::Error> {
    if let Some(known) = known.clients.get(client) {
        return Ok(known.id);
    }
    known.last_client += 1;
    let id = known.last_client;
    execute!(
        transaction,
        "INSERT INTO clients (id, ip, port, name, failed_in_a_row) VALUES (?, ?, ?, ?, 0)",
        id,
        client.address(),
        i64::from(client.port()),
        name
    )?;
    known.clients.insert(client.clone(), KnownClient::new(id, None));
    Ok(id)
}

async fn insert_collection(
    transaction: &mut Transaction,
    collection: i64,
    client: i64,
    record: &Record,
    ended_at_ms: i64,
) -> Result<(), sqlx::Error> {
    let (reading, failure) = match &record.outcome {
        Outcome::Collected(reading) => (Some(&**reading), None),
        Outcome::Failed(failure) => (None, Some(failure)),
    };
    let sample = reading.map(|reading| StoredSample::of(Collected { ended_at_ms, reading })).unwrap_or_default();
    let mut fields = vec![
        Field::integer("id", collection),
        Field::text("collection_uuid", record.collection.to_string()),
        Field::text("sweep_uuid", record.sweep.0.to_string()),
        Field::integer("client_id", client),
        Field::integer("started_at_ms", to_ms(record.started_at)),
        Field::integer("duration_ms", to_count(record.duration_ms)),
        Field::integer("attempts", i64::from(record.attempts)),
        Field::text("status", if failure.is_some() { "failed" } else { "ok" }.to_owned()),
        Field::text("stage", failure.map(|failure| failure.stage.word().to_owned())),
        Field::text("error", failure.map(ToString::to_string)),
        Field::text("stages", stages_json(&record.stages)?),
        Field::text("failure", failure.map(to_json).transpose()?),
    ];
    fields.extend(cells::of_sample(&sample));
    cells::insert(transaction, "collections", &fields).await
}

/// What is rolled up of a collection. One that failed measures the number of failures, unless the collector is to blame.
fn measured(record: &Record) -> Vec<(Series, f64)> {
    let failed = Some(record.state.failed_in_a_row);
    let (reading, failed_in_a_row) = match &record.outcome {
        Outcome::Collected(reading) => (Some(&**reading), failed),
        Outcome::Failed(failure) => (None, failed.filter(|_| failure.kind.blame() != Blame::Collector)),
    };
    rollup::values(&Sample::measure(Observed { reading, failed_in_a_row }), reading)
}

/// `None` if there are no stages, so that rows are not longer than necessary.
fn stages_json(stages: &[(Stage, Timestamp)]) -> Result<Option<String>, sqlx::Error> {
    let stages: Vec<(Stage, i64)> = stages.iter().map(|(stage, at)| (*stage, to_ms(*at))).collect();
    (!stages.is_empty()).then(|| to_json(&stages)).transpose()
}

/// The rows of one statement. With three or nine parameters per row, this is far below the limits of all databases.
const ROWS: usize = 500;

/// `prefix (?, ?), (?, ?)` with this number of rows.
fn rows_of(prefix: &str, row: &str, rows: usize) -> String {
    format!("{prefix} VALUES {}", vec![row; rows].join(", "))
}

async fn insert_cores(transaction: &mut Transaction, collection: i64, reading: &Reading) -> Result<(), sqlx::Error> {
    let mut first = 0_i64;
    for cores in reading.cores.chunks(ROWS) {
        let sql = rows_of("INSERT INTO cores (collection_id, core, cpu_percent)", "(?, ?, ?)", cores.len());
        on_driver!(transaction, |connection, text| {
            let mut query = sqlx::query(text(sql.into()));
            for (core, percent) in (first..).zip(cores) {
                query = query.bind(collection).bind(core).bind(percent.get());
            }
            query.execute(connection).await.map(drop)
        })?;
        first += to_count(cores.len() as u64);
    }
    Ok(())
}

/// The number of complete readings per client; a new one replaces the oldest. A reading is 2 to 8 KiB of text, so this
/// is at most a quarter of a MiB per client and some hours at usual intervals, which is enough to look up what a
/// process or a file system did. Of older samples, only the numbers are kept. The number can be changed: readings in
/// slots above it are still found and are not deleted.
const READINGS_KEPT: i64 = 32;

async fn replace_reading(
    transaction: &mut Transaction,
    known: &mut KnownClient,
    reading: &Reading,
    collection: i64,
    ended_at_ms: i64,
) -> Result<(), sqlx::Error> {
    let json = to_json(reading)?;
    let slot = known.latest_slot.map_or(0, |slot| (slot + 1) % READINGS_KEPT);
    known.latest_slot = Some(slot);
    let met = execute!(
        transaction,
        "UPDATE readings SET collection_id = ?, collected_at_ms = ?, reading = ? WHERE client_id = ? AND slot = ?",
        collection,
        ended_at_ms,
        &json,
        known.id,
        slot
    )?;
    if met == 0 {
        execute!(
            transaction,
            "INSERT INTO readings (client_id, slot, collection_id, collected_at_ms, reading) VALUES (?, ?, ?, ?, ?)",
            known.id,
            slot,
            collection,
            ended_at_ms,
            &json
        )?;
    }
    Ok(())
}

async fn replace_counters(transaction: &mut Transaction, client: i64, counters: &Counters) -> Result<(), sqlx::Error> {
    let json = to_json(counters)?;
    let met = execute!(transaction, "UPDATE client_counters SET counters = ? WHERE client_id = ?", &json, client)?;
    if met == 0 {
        execute!(transaction, "INSERT INTO client_counters (client_id, counters) VALUES (?, ?)", client, &json)?;
    }
    Ok(())
}

/// Writes the differences to the database, which are usually none.
async fn update_rule_states(
    transaction: &mut Transaction,
    known: &mut KnownClient,
    state: &ClientState,
) -> Result<(), sqlx::Error> {
    let keys: BTreeSet<AlertKey> = known.over_in_a_row.keys().chain(state.rules.keys()).cloned().collect();
    for key in keys {
        let (metric, instance) = (key.metric.word(), key.instance.name().to_owned());
        let over = state.rules.get(&key).map_or(0, |rule| rule.over_in_a_row);
        match (known.over_in_a_row.get(&key).copied().unwrap_or(0), over) {
            (before, over) if before == over => {}
            (_, 0) => {
                known.over_in_a_row.remove(&key);
                execute!(
                    transaction,
                    "DELETE FROM rule_states WHERE client_id = ? AND metric = ? AND instance = ?",
                    known.id,
                    metric,
                    instance
                )?;
            }
            (0, over) => {
                known.over_in_a_row.insert(key, over);
                execute!(
                    transaction,
                    "INSERT INTO rule_states (client_id, metric, instance, over_in_a_row) VALUES (?, ?, ?, ?)",
                    known.id,
                    metric,
                    instance,
                    i64::from(over)
                )?;
            }
            (_, over) => {
                known.over_in_a_row.insert(key, over);
                execute!(
                    transaction,
                    "UPDATE rule_states SET over_in_a_row = ? WHERE client_id = ? AND metric = ? AND instance = ?",
                    i64::from(over),
                    known.id,
                    metric,
                    instance
                )?;
            }
        }
    }
    Ok(())
}

async fn insert_events(
    transaction: &mut Transaction,
    known: &mut RecordCache,
    client: i64,
    log: &SecurityLog,
    ended_at_ms: i64,
) -> Result<(), sqlx::Error> {
    for events in log.events.chunks(ROWS) {
        let data = events.iter().map(|event| to_json(&event.data)).collect::<Result<Vec<_>, _>>()?;
        let sql = rows_of(
            "INSERT INTO security_events (id, client_id, channel, record_id, event_id, level, occurred_at_ms,
             stored_at_ms, source, account, message, data_fields)",
            "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            events.len(),
        );
        let first = known.last_event + 1;
        on_driver!(transaction, |connection, text| {
            let mut query = sqlx::query(text(sql.into()));
            for ((id, event), data) in (first..).zip(events).zip(&data) {
                query = query
                    .bind(id)
                    .bind(client)
                    .bind(event.channel.as_ref().unwrap_or(&log.channel))
                    .bind(&event.record_id)
                    .bind(event.event_id.map(i64::from))
                    .bind(&event.level)
                    .bind(event.occurred_unix_ms)
                    .bind(ended_at_ms)
                    .bind(&event.source)
                    .bind(event.user.as_deref())
                    .bind(&event.message)
                    .bind(data);
            }
            query.execute(connection).await.map(drop)
        })?;
        known.last_event += to_count(events.len() as u64);
    }
    Ok(())
}
