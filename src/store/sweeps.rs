//! Stores the start and the end of sweeps, and queries them.

use jiff::Timestamp;

use super::{
    convert::{from_count, from_ms, to_count, to_ms, unreadable},
    pages::{self, List, Totals},
    pool::{Transaction, execute, fetch_all, fetch_one},
    read_pool::ReadPool,
};
use crate::fleet::{
    SweepId,
    event::Trigger,
    listing::{ListKey, Page, Part},
    state::SweepView,
};

pub(super) async fn started(
    transaction: &mut Transaction,
    sweep: SweepId,
    sweep_number: u64,
    set_off_by: Trigger,
    at: Timestamp,
    clients: u64,
) -> Result<(), sqlx::Error> {
    execute!(
        transaction,
        "INSERT INTO sweeps (sweep_uuid, sweep_number, set_off_by, started_at_ms, client_count, ok_count, failed_count)
         VALUES (?, ?, ?, ?, ?, 0, 0)",
        sweep.0.to_string(),
        to_count(sweep_number),
        word(set_off_by),
        to_ms(at),
        to_count(clients)
    )
    .map(drop)
}

/// If the start of a sweep could not be stored, there is no row, and its end is not stored either.
pub(super) async fn ended(
    transaction: &mut Transaction,
    sweep: SweepId,
    at: Timestamp,
    duration_ms: u64,
    (ok, failed): (u64, u64),
    last_collection: i64,
) -> Result<(), sqlx::Error> {
    execute!(
        transaction,
        "UPDATE sweeps SET ended_at_ms = ?, duration_ms = ?, ok_count = ?, failed_count = ?, last_collection = ?
         WHERE sweep_uuid = ?",
        to_ms(at),
        to_count(duration_ms),
        to_count(ok),
        to_count(failed),
        last_collection,
        sweep.0.to_string()
    )
    .map(drop)
}

pub(super) async fn last_number(pool: &ReadPool) -> Result<u64, sqlx::Error> {
    let mut transaction = pool.begin_read().await?;
    let (last,): (Option<i64>,) = fetch_one!(&mut transaction, (Option<i64>,), "SELECT MAX(sweep_number) FROM sweeps")?;
    from_count(last.unwrap_or(0))
}

/// The sweeps that have ended.
const LIST: List = List {
    columns: "sweep_uuid, sweep_number, set_off_by, started_at_ms, ended_at_ms, duration_ms, ok_count, failed_count,
     last_collection",
    bind: None,
    from: "sweeps /*! FORCE INDEX (sweeps_by_number) */",
    counted: "sweeps",
    condition: "ended_at_ms IS NOT NULL",
    order: "sweep_number",
    id: "sweep_uuid",
};

/// A page of the sweeps that have ended. Around a time, there are as many newer as older ones.
pub(super) async fn page(
    pool: &ReadPool,
    totals: &Totals,
    part: Part,
    most: u32,
) -> Result<Page<SweepView>, sqlx::Error> {
    let mut transaction = pool.begin_read().await?;
    let at = match part {
        Part::At(at) => at_or_before(&mut transaction, at).await?,
        Part::Newest | Part::Oldest | Part::From(_) | Part::Older(_) | Part::Newer(_) => None,
    };
    let found = match (part, at) {
        (Part::At(_), Some(key)) => {
            let newer =
                pages::fetch::<SweepRow, SweepView>(&mut transaction, &LIST, Part::Newer(key), most / 2).await?;
            let older = pages::fetch::<SweepRow, _>(&mut transaction, &LIST, Part::From(key), most / 2).await?;
            newer.followed_by(older)
        }
        (Part::At(_), None) => pages::fetch::<SweepRow, _>(&mut transaction, &LIST, Part::Oldest, most).await?,
        (part, _) => pages::fetch::<SweepRow, _>(&mut transaction, &LIST, part, most).await?,
    };
    pages::page(&mut transaction, &LIST, totals, part, found).await
}

/// The newest sweep that began at or before a time.
async fn at_or_before(transaction: &mut Transaction, at: Timestamp) -> Result<Option<ListKey>, sqlx::Error> {
    let rows: Vec<(i64, String)> = fetch_all!(
        transaction,
        (i64, String),
        "SELECT sweep_number, sweep_uuid FROM sweeps WHERE ended_at_ms IS NOT NULL AND started_at_ms <= ?
         ORDER BY started_at_ms DESC, sweep_number DESC LIMIT 1",
        to_ms(at)
    )?;
    let key = |(order, id): (i64, String)| Ok(ListKey { order, id: id.parse().map_err(unreadable)? });
    rows.into_iter().next().map(key).transpose()
}

/// The newest sweeps that have ended, oldest first.
pub(super) async fn list(pool: &ReadPool, most: u32) -> Result<Vec<SweepView>, sqlx::Error> {
    let mut transaction = pool.begin_read().await?;
    let found = pages::fetch::<SweepRow, SweepView>(&mut transaction, &LIST, Part::Newest, most).await?;
    Ok(found.rows.into_iter().rev().collect())
}

/// A sweep that has ended, with the ids of the last rows at its end.
pub(super) struct Ended {
    /// Without the clients.
    pub(super) view: SweepView,
    pub(super) at_ms: i64,
    pub(super) last_collection: i64,
}

/// A sweep; `None` if it is unknown or has not ended.
pub(super) async fn find(transaction: &mut Transaction, sweep: SweepId) -> Result<Option<Ended>, sqlx::Error> {
    let rows = fetch_all!(
        transaction,
        SweepRow,
        "SELECT sweep_uuid, sweep_number, set_off_by, started_at_ms, ended_at_ms, duration_ms, ok_count, failed_count,
         last_collection FROM sweeps WHERE sweep_uuid = ? AND ended_at_ms IS NOT NULL",
        sweep.0.to_string()
    )?;
    rows.into_iter().next().map(Ended::try_from).transpose()
}

#[derive(sqlx_macros::FromRow)]
struct SweepRow {
    sweep_uuid: String,
    sweep_number: i64,
    set_off_by: String,
    started_at_ms: i64,
    ended_at_ms: i64,
    duration_ms: i64,
    ok_count: i64,
    failed_count: i64,
    last_collection: i64,
}

impl TryFrom<SweepRow> for Ended {
    type Error = sqlx::Error;

    fn try_from(row: SweepRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            view: SweepView {
                id: SweepId(row.sweep_uuid.parse().map_err(unreadable)?),
                number: from_count(row.sweep_number)?,
                trigger: trigger(&row.set_off_by)?,
                started_at: from_ms(row.started_at_ms)?,
                clients: Vec::new(),
                ok: from_count(row.ok_count)?,
                failed: from_count(row.failed_count)?,
                duration_ms: Some(from_count(row.duration_ms)?),
            },
            at_ms: row.ended_at_ms,
            last_collection: row.last_collection,
        })
    }
}

impl TryFrom<SweepRow> for SweepView {
    type Error = sqlx::Error;

    fn try_from(row: SweepRow) -> Result<Self, sqlx::Error> {
        Ok(Ended::try_from(row)?.view)
    }
}

/// An unknown word in the database.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` sets off no sweep")]
struct InvalidTrigger(String);

const TRIGGERS: [Trigger; 3] = [Trigger::Once, Trigger::Schedule, Trigger::Manual];

fn word(set_off_by: Trigger) -> &'static str {
    match set_off_by {
        Trigger::Once => "once",
        Trigger::Schedule => "schedule",
        Trigger::Manual => "manual",
    }
}

fn trigger(found: &str) -> Result<Trigger, sqlx::Error> {
    let trigger = TRIGGERS.into_iter().find(|trigger| word(*trigger) == found);
    trigger.ok_or_else(|| unreadable(InvalidTrigger(found.to_owned())))
}
