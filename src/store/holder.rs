//! Who collects into a database: what it tells of itself, and the mark by which its transactions find that it
//! still does. Not the lock ([`super::lock`]) that keeps two from starting.
//!
//! The mark is there for what no lock can promise: one of a server is lost with its connection, and a file can be
//! removed. Whoever opens the database puts a mark of its own in place of the last one's. From then on every
//! transaction of the last one is refused: what it knows of the database is no longer true.

use std::{fmt, path::PathBuf};

use jiff::Timestamp;
use uuid::Uuid;

use super::{
    from_count, from_ms,
    pool::{Pool, Transaction, execute, fetch_all},
    to_ms,
};

/// The collector that holds a database, by its own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The machine it runs on.
    pub host: String,
    /// Its process.
    pub pid: u32,
    /// The account it runs as.
    pub account: String,
    /// Where it listens for others; `None` where it does not.
    pub socket: Option<PathBuf>,
    /// When it started.
    pub started_at: Timestamp,
    /// Its version.
    pub version: String,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pid {} of {} on {}", self.pid, self.account, self.host)
    }
}

#[derive(sqlx::FromRow)]
struct HolderRow {
    host_name: String,
    process_id: i64,
    account: String,
    socket_path: Option<String>,
    started_at_ms: i64,
    program_version: String,
}

/// Puts a new mark in place of the last one, and with it forgets who held the database before.
pub(super) async fn mark(pool: &Pool) -> Result<Uuid, sqlx::Error> {
    let mark = Uuid::new_v4();
    let mut transaction = pool.begin_write().await?;
    execute!(&mut transaction, "DELETE FROM collectors")?;
    execute!(&mut transaction, "INSERT INTO collectors (holder_uuid) VALUES (?)", mark.to_string())?;
    transaction.commit().await?;
    Ok(mark)
}

/// Whether the mark still stands.
pub(super) async fn stands(transaction: &mut Transaction, mark: Uuid) -> Result<bool, sqlx::Error> {
    let marks: Vec<(String,)> = fetch_all!(transaction, (String,), "SELECT holder_uuid FROM collectors")?;
    Ok(marks.iter().any(|(found,)| *found == mark.to_string()))
}

/// Writes down who bears the mark.
pub(super) async fn announce(transaction: &mut Transaction, mark: Uuid, holder: &Holder) -> Result<(), sqlx::Error> {
    execute!(
        transaction,
        "UPDATE collectors SET host_name = ?, process_id = ?, account = ?, socket_path = ?, started_at_ms = ?,
         program_version = ? WHERE holder_uuid = ?",
        &holder.host,
        i64::from(holder.pid),
        &holder.account,
        holder.socket.as_ref().map(|socket| socket.to_string_lossy().into_owned()),
        to_ms(holder.started_at),
        &holder.version,
        mark.to_string()
    )?;
    Ok(())
}

/// Who announced itself since the database was last opened by a collector.
pub(super) async fn read(pool: &Pool) -> Result<Option<Holder>, sqlx::Error> {
    let mut transaction = pool.begin_read().await?;
    let rows = fetch_all!(
        &mut transaction,
        HolderRow,
        "SELECT host_name, process_id, account, socket_path, started_at_ms, program_version FROM collectors
         WHERE process_id IS NOT NULL"
    )?;
    rows.into_iter().next().map(Holder::try_from).transpose()
}

impl TryFrom<HolderRow> for Holder {
    type Error = sqlx::Error;

    fn try_from(row: HolderRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            host: row.host_name,
            pid: from_count(row.process_id)?,
            account: row.account,
            socket: row.socket_path.map(PathBuf::from),
            started_at: from_ms(row.started_at_ms)?,
            version: row.program_version,
        })
    }
}
