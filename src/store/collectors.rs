//! The collector in the database: its fencing token, its spool progress and its description. The lock that keeps two
//! from starting is in [`super::lock`].
//!
//! The token covers cases in which a lock fails: the lock of a server is lost with its connection, and a lock file can
//! be removed. A collector that opens the database replaces the token. From then on every transaction of the previous
//! collector is rejected, because its view of the database is outdated.

use std::path::PathBuf;

use uuid::Uuid;

use super::{
    convert::{from_count, from_ms, to_count, to_ms, unreadable},
    lock_owner::{LockOwner, Mode},
    pool::{Pool, Transaction, execute, fetch_all},
    read_pool::ReadPool,
    spool::progress::Progress,
};

#[derive(sqlx_macros::FromRow)]
struct LockOwnerRow {
    host_name: String,
    process_id: i64,
    account: String,
    socket_path: Option<String>,
    started_at_ms: i64,
    program_version: String,
    run_mode: Option<String>,
    process_mark: Option<String>,
    is_ending: Option<i64>,
}

/// Replaces the token of the previous collector and deletes its description. The progress of the spool is kept.
pub(super) async fn new_token(pool: &Pool) -> Result<Uuid, sqlx::Error> {
    let token = Uuid::new_v4();
    let mut transaction = pool.begin_write().await?;
    let met = execute!(
        &mut transaction,
        "UPDATE collectors SET holder_uuid = ?, host_name = NULL, process_id = NULL, account = NULL,
         socket_path = NULL, started_at_ms = NULL, program_version = NULL, run_mode = NULL, process_mark = NULL,
         is_ending = NULL",
        token.to_string()
    )?;
    if met == 0 {
        execute!(&mut transaction, "INSERT INTO collectors (holder_uuid) VALUES (?)", token.to_string())?;
    }
    transaction.commit().await?;
    Ok(token)
}

/// Stores the name of the transaction with the token. Returns false if the token in the database is another one.
pub(super) async fn sign(transaction: &mut Transaction, token: Uuid, write: Uuid) -> Result<bool, sqlx::Error> {
    let met = execute!(
        transaction,
        "UPDATE collectors SET last_write = ? WHERE holder_uuid = ?",
        write.to_string(),
        token.to_string()
    )?;
    Ok(met > 0)
}

/// The progress in the database; `None` if the token there is another one. The query locks the row, so that it waits
/// for a transaction whose result is unknown and which the server may still be committing.
pub(super) async fn progress(transaction: &mut Transaction, token: Uuid) -> Result<Option<Progress>, sqlx::Error> {
    // Locks first and reads afterwards, so that it reads what the previous owner of the lock has committed.
    execute!(
        transaction,
        "UPDATE collectors SET holder_uuid = ? WHERE holder_uuid = ?",
        token.to_string(),
        token.to_string()
    )?;
    let rows = fetch_all!(
        transaction,
        (Option<String>, Option<String>, Option<i64>),
        "SELECT last_write, spool_uuid, spool_position FROM collectors WHERE holder_uuid = ?",
        token.to_string()
    )?;
    let Some((last_write, spool, position)) = rows.into_iter().next() else { return Ok(None) };
    let uuid = |text: Option<String>| text.map(|text| text.parse::<Uuid>().map_err(unreadable)).transpose();
    let position = from_count(position.unwrap_or(0))?;
    Ok(Some(Progress { last_write: uuid(last_write)?, spool: uuid(spool)?, position }))
}

/// Stores the progress.
pub(super) async fn advance(
    transaction: &mut Transaction,
    token: Uuid,
    Progress { last_write, spool, position }: &Progress,
) -> Result<(), sqlx::Error> {
    execute!(
        transaction,
        "UPDATE collectors SET last_write = ?, spool_uuid = ?, spool_position = ? WHERE holder_uuid = ?",
        last_write.map(|uuid| uuid.to_string()),
        spool.map(|uuid| uuid.to_string()),
        to_count(*position),
        token.to_string()
    )
    .map(drop)
}

/// Stores the description of the owner of the token.
pub(super) async fn announce(transaction: &mut Transaction, token: Uuid, owner: &LockOwner) -> Result<(), sqlx::Error> {
    execute!(
        transaction,
        "UPDATE collectors SET host_name = ?, process_id = ?, account = ?, socket_path = ?, started_at_ms = ?,
         program_version = ?, run_mode = ?, process_mark = ?, is_ending = ? WHERE holder_uuid = ?",
        &owner.host,
        i64::from(owner.pid),
        &owner.account,
        owner.socket.as_ref().map(|socket| socket.to_string_lossy().into_owned()),
        to_ms(owner.started_at),
        &owner.version,
        owner.mode.map(Mode::word),
        owner.mark.as_deref(),
        i64::from(owner.is_ending),
        token.to_string()
    )?;
    Ok(())
}

/// Deletes the description before the database is released, so that no owner is shown that has ended.
pub(super) async fn withdraw(pool: &Pool, token: Uuid) -> Result<(), sqlx::Error> {
    let mut transaction = pool.begin_write().await?;
    execute!(
        &mut transaction,
        "UPDATE collectors SET host_name = NULL, process_id = NULL, account = NULL, socket_path = NULL,
         started_at_ms = NULL, program_version = NULL, run_mode = NULL, process_mark = NULL, is_ending = NULL
         WHERE holder_uuid = ?",
        token.to_string()
    )?;
    transaction.commit().await
}

/// The collector that has announced itself since a collector last opened the database. `None` if its process has ended.
pub(super) async fn read(pool: &ReadPool) -> Result<Option<LockOwner>, sqlx::Error> {
    let mut transaction = pool.begin_read().await?;
    let rows = fetch_all!(
        &mut transaction,
        LockOwnerRow,
        "SELECT host_name, process_id, account, socket_path, started_at_ms, program_version, run_mode, process_mark,
         is_ending FROM collectors WHERE process_id IS NOT NULL"
    )?;
    let owner = rows.into_iter().next().map(LockOwner::try_from).transpose()?;
    Ok(owner.filter(|owner| !owner.has_ended()))
}

impl TryFrom<LockOwnerRow> for LockOwner {
    type Error = sqlx::Error;

    fn try_from(row: LockOwnerRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            host: row.host_name,
            pid: from_count(row.process_id)?,
            account: row.account,
            socket: row.socket_path.map(PathBuf::from),
            started_at: from_ms(row.started_at_ms)?,
            version: row.program_version,
            mode: row.run_mode.as_deref().map(Mode::of).transpose().map_err(unreadable)?,
            mark: row.process_mark,
            is_ending: row.is_ending == Some(1),
        })
    }
}
