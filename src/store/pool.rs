//! One of three databases behind one set of query bodies: opening it, and the transaction in which every
//! query runs. Not the queries.

use std::{
    borrow::Cow, fs::OpenOptions, io, os::unix::fs::OpenOptionsExt as _, str::FromStr as _, sync::Arc, time::Duration,
};

use secrecy::{ExposeSecret as _, SecretString};
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection, MySql, MySqlPool, PgPool, Postgres, SqlSafeStr as _, SqlStr,
    Sqlite, SqlitePool,
    migrate::{MigrateError, Migrator},
    mysql::{MySqlConnectOptions, MySqlPoolOptions},
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::error::{StoreError, StoreErrorKind};

/// How long a connection may take, and how long another program's lock on a SQLite file is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// Connections of one database.
#[derive(Debug, Clone)]
pub(super) enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
    MySql(MySqlPool),
}

/// A transaction in one of them. Reading happens in one too: what one answer is made of belongs together.
/// Dropped without [`commit`](Transaction::commit) it leaves nothing behind.
pub(super) enum Transaction {
    Sqlite(sqlx::Transaction<'static, Sqlite>),
    Postgres(sqlx::Transaction<'static, Postgres>),
    MySql(sqlx::Transaction<'static, MySql>),
}

/// Expands one query body for each driver. In the body `$connection` is that driver's connection, and
/// `$text` turns SQL with `?` into that driver's.
macro_rules! on_driver {
    ($transaction:expr, |$connection:ident, $text:ident| $body:expr) => {
        match $transaction {
            $crate::store::pool::Transaction::Sqlite(transaction) => {
                let ($connection, $text) = (&mut **transaction, $crate::store::pool::verbatim);
                $body
            }
            $crate::store::pool::Transaction::Postgres(transaction) => {
                let ($connection, $text) = (&mut **transaction, $crate::store::pool::numbered);
                $body
            }
            $crate::store::pool::Transaction::MySql(transaction) => {
                let ($connection, $text) = (&mut **transaction, $crate::store::pool::verbatim);
                $body
            }
        }
    };
}

/// Executes a statement; gives the number of rows it met.
macro_rules! execute {
    ($transaction:expr, $sql:expr $(, $bind:expr)* $(,)?) => {
        $crate::store::pool::on_driver!($transaction, |connection, text| {
            sqlx::query(text($sql.into()))$(.bind($bind))*.execute(connection).await.map(|done| done.rows_affected())
        })
    };
}

/// Fetches every row as `$row`, a tuple or a derived `FromRow`.
macro_rules! fetch_all {
    ($transaction:expr, $row:ty, $sql:expr $(, $bind:expr)* $(,)?) => {
        $crate::store::pool::on_driver!($transaction, |connection, text| {
            sqlx::query_as::<_, $row>(text($sql.into()))$(.bind($bind))*.fetch_all(connection).await
        })
    };
}

/// Fetches the one row that there is as `$row`.
macro_rules! fetch_one {
    ($transaction:expr, $row:ty, $sql:expr $(, $bind:expr)* $(,)?) => {
        $crate::store::pool::on_driver!($transaction, |connection, text| {
            sqlx::query_as::<_, $row>(text($sql.into()))$(.bind($bind))*.fetch_one(connection).await
        })
    };
}

pub(super) use {execute, fetch_all, fetch_one, on_driver};

/// SQL for SQLite and MariaDB/MySQL.
pub(super) fn verbatim(sql: Cow<'static, str>) -> SqlStr {
    AssertSqlSafe(sql).into_sql_str()
}

/// SQL for PostgreSQL, which counts its parameters: each `?` becomes `$1`, `$2`, … None of our statements
/// has a `?` in a text.
pub(super) fn numbered(sql: Cow<'static, str>) -> SqlStr {
    let mut counted = String::with_capacity(sql.len() + 64);
    for (index, part) in sql.split('?').enumerate() {
        if index > 0 {
            counted.push('$');
            counted.push_str(&index.to_string());
        }
        counted.push_str(part);
    }
    AssertSqlSafe(counted).into_sql_str()
}

/// The two ways into a database.
pub(super) struct Opened {
    /// For the one writer: a single connection.
    pub(super) writes: Pool,
    /// For everyone else.
    pub(super) reads: Pool,
    /// The database as it may be shown.
    pub(super) place: Arc<str>,
}

/// Opens the database that a URL names. A SQLite file is made where it is missing, readable by its owner
/// alone; the files that SQLite puts beside it take over its rights.
pub(super) async fn open(url: &SecretString) -> Result<Opened, StoreError> {
    let text = url.expose_secret();
    let scheme = text.split(':').next().unwrap_or_default();
    // The driver's own words on a URL could quote its password.
    let bad = || StoreError::plain(&format!("({scheme})").into(), StoreErrorKind::BadUrl);
    match scheme {
        "sqlite" => open_sqlite(text, SqliteConnectOptions::from_str(text).map_err(|_| bad())?).await,
        "postgres" | "postgresql" => open_postgres(PgConnectOptions::from_str(text).map_err(|_| bad())?).await,
        "mysql" | "mariadb" => open_mysql(MySqlConnectOptions::from_str(text).map_err(|_| bad())?).await,
        _ => Err(StoreError::plain(&"(unknown kind)".into(), StoreErrorKind::BadUrl)),
    }
}

async fn open_sqlite(url: &str, options: SqliteConnectOptions) -> Result<Opened, StoreError> {
    let place: Arc<str> = options.get_filename().display().to_string().into();
    if url.contains(":memory:") || url.contains("mode=memory") {
        // Every connection would have one of its own, and mails that are lost with the process are no outbox.
        return Err(StoreError::plain(&":memory:".into(), StoreErrorKind::BadUrl));
    }
    let may_create = !url.contains("mode=ro") && !url.contains("immutable=");
    if may_create {
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(options.get_filename()) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => {
                let kind =
                    if matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem) {
                        StoreErrorKind::ReadOnly
                    } else if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
                        StoreErrorKind::Full
                    } else {
                        StoreErrorKind::Unreachable
                    };
                return Err(StoreError::new(&place, kind, error));
            }
        }
    }
    // FULL: a commit is on the disk before it is answered. NORMAL would survive a killed process, but a power
    // failure could take back the last transactions, and with them mails that were already decided. Many
    // collections share a transaction, so one sync serves them all.
    let options = options
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(PATIENCE)
        .disable_statement_logging();
    let failed = |error| StoreError::from_driver(&place, error);
    let pool = |most| SqlitePoolOptions::new().max_connections(most).acquire_timeout(2 * PATIENCE);
    let writes = pool(1).connect_with(options.clone()).await.map_err(failed)?;
    let reads = pool(4).connect_lazy_with(options.pragma("query_only", "ON"));
    Ok(Opened { writes: Pool::Sqlite(writes), reads: Pool::Sqlite(reads), place })
}

async fn open_postgres(options: PgConnectOptions) -> Result<Opened, StoreError> {
    let options = options.disable_statement_logging();
    let name = options.get_database().unwrap_or_else(|| options.get_username());
    let place: Arc<str> = format!("postgres://{}:{}/{name}", options.get_host(), options.get_port()).into();
    try_once(&place, options.connect()).await?;
    let pool = |most| PgPoolOptions::new().max_connections(most).acquire_timeout(PATIENCE);
    let writes = pool(1).connect_lazy_with(options.clone());
    let reads = pool(4).connect_lazy_with(options);
    Ok(Opened { writes: Pool::Postgres(writes), reads: Pool::Postgres(reads), place })
}

async fn open_mysql(options: MySqlConnectOptions) -> Result<Opened, StoreError> {
    let options = options.disable_statement_logging();
    let name = options.get_database().unwrap_or_default();
    let place: Arc<str> = format!("mysql://{}:{}/{name}", options.get_host(), options.get_port()).into();
    let failed = |error| StoreError::from_driver(&place, error);
    try_once(&place, options.connect()).await?;
    let pool = |most| MySqlPoolOptions::new().max_connections(most).acquire_timeout(PATIENCE);
    let writes = pool(1).connect_lazy_with(options.clone());
    // Any other collation takes `GPU-17` and `gpu-17` for one, or has no room for every character.
    let (collation,): (String,) =
        sqlx::query_as("SELECT @@collation_database").fetch_one(&writes).await.map_err(failed)?;
    if !(collation.starts_with("utf8mb4") && collation.ends_with("_bin")) {
        let found = io::Error::other(format!("its collation is {collation}"));
        return Err(StoreError::new(&place, StoreErrorKind::WrongCollation, found));
    }
    let reads = pool(4).connect_lazy_with(options);
    Ok(Opened { writes: Pool::MySql(writes), reads: Pool::MySql(reads), place })
}

/// Connects once, before there is a pool: a pool would try again and again, and in the end know no reason.
async fn try_once<C: Connection>(
    place: &Arc<str>,
    connecting: impl Future<Output = Result<C, sqlx::Error>>,
) -> Result<(), StoreError> {
    let connection = match tokio::time::timeout(PATIENCE, connecting).await {
        Ok(connected) => connected.map_err(|error| StoreError::from_driver(place, error))?,
        Err(passed) => return Err(StoreError::new(place, StoreErrorKind::Unreachable, passed)),
    };
    connection.close().await.map_err(|error| StoreError::from_driver(place, error))
}

impl Pool {
    /// A transaction that only reads.
    pub(super) async fn begin_read(&self) -> Result<Transaction, sqlx::Error> {
        Ok(match self {
            Self::Sqlite(pool) => Transaction::Sqlite(pool.begin().await?),
            Self::Postgres(pool) => Transaction::Postgres(pool.begin().await?),
            Self::MySql(pool) => Transaction::MySql(pool.begin().await?),
        })
    }

    /// A transaction that writes. In SQLite it takes the lock at once: one that began by reading could not
    /// wait for another program's.
    pub(super) async fn begin_write(&self) -> Result<Transaction, sqlx::Error> {
        Ok(match self {
            Self::Sqlite(pool) => Transaction::Sqlite(pool.begin_with("BEGIN IMMEDIATE").await?),
            Self::Postgres(pool) => Transaction::Postgres(pool.begin().await?),
            Self::MySql(pool) => Transaction::MySql(pool.begin().await?),
        })
    }

    /// Runs the migrations that are missing.
    pub(super) async fn migrate(&self, migrator: &Migrator) -> Result<(), MigrateError> {
        match self {
            Self::Sqlite(pool) => migrator.run(pool).await,
            Self::Postgres(pool) => migrator.run(pool).await,
            Self::MySql(pool) => migrator.run(pool).await,
        }
    }

    /// Ends every connection.
    pub(super) async fn close(&self) {
        match self {
            Self::Sqlite(pool) => pool.close().await,
            Self::Postgres(pool) => pool.close().await,
            Self::MySql(pool) => pool.close().await,
        }
    }
}

impl Transaction {
    /// Makes it last.
    pub(super) async fn commit(self) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(transaction) => transaction.commit().await,
            Self::Postgres(transaction) => transaction.commit().await,
            Self::MySql(transaction) => transaction.commit().await,
        }
    }

    /// Undoes it.
    pub(super) async fn rollback(self) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(transaction) => transaction.rollback().await,
            Self::Postgres(transaction) => transaction.rollback().await,
            Self::MySql(transaction) => transaction.rollback().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_counted_for_postgresql() {
        for (sql, expected) in [
            ("SELECT 1", "SELECT 1"),
            ("UPDATE a SET b = ? WHERE c = ?", "UPDATE a SET b = $1 WHERE c = $2"),
            ("VALUES (?, ?), (?, ?)", "VALUES ($1, $2), ($3, $4)"),
        ] {
            assert_eq!(numbered(sql.into()).as_str(), expected);
        }
    }
}
