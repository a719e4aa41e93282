//! Connections and transactions of the three kinds of databases, so that each query is only written once.

use std::{borrow::Cow, io};

use sqlx::{
    AssertSqlSafe, MySql, MySqlPool, PgPool, Postgres, SqlSafeStr as _, SqlStr, Sqlite, SqlitePool,
    migrate::{MigrateError, Migrator},
};

use super::stepwise::Stepwise;

/// Connections of one database.
#[derive(Debug, Clone)]
pub(super) enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
    MySql(MySqlPool),
}

/// A transaction. Queries use one, too, so that the parts of an answer are consistent. It is rolled back if it is
/// dropped without [`commit`](Transaction::commit).
pub(super) enum Transaction {
    Sqlite(sqlx::Transaction<'static, Sqlite>),
    Postgres(sqlx::Transaction<'static, Postgres>),
    MySql(sqlx::Transaction<'static, MySql>),
}

/// All connections for queries are in use.
#[derive(Debug, thiserror::Error)]
#[error("all connections are in use")]
pub(super) struct Exhausted;

/// Expands a query for each driver. In the body, `$connection` is the connection of the driver, and `$text` converts
/// SQL with `?` to its dialect.
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

/// Executes a statement and returns the number of affected rows.
macro_rules! execute {
    ($transaction:expr, $sql:expr $(, $bind:expr)* $(,)?) => {
        $crate::store::pool::on_driver!($transaction, |connection, text| {
            sqlx::query(text($sql.into()))$(.bind($bind))*.execute(connection).await.map(|done| done.rows_affected())
        })
    };
}

/// Fetches all rows as `$row`, a tuple or a derived `FromRow`.
macro_rules! fetch_all {
    ($transaction:expr, $row:ty, $sql:expr $(, $bind:expr)* $(,)?) => {
        $crate::store::pool::on_driver!($transaction, |connection, text| {
            sqlx::query_as::<_, $row>(text($sql.into()))$(.bind($bind))*.fetch_all(connection).await
        })
    };
}

/// Fetches a single row as `$row`.
macro_rules! fetch_one {
    ($transaction:expr, $row:ty, $sql:expr $(, $bind:expr)* $(,)?) => {
        $crate::store::pool::on_driver!($transaction, |connection, text| {
            sqlx::query_as::<_, $row>(text($sql.into()))$(.bind($bind))*.fetch_one(connection).await
        })
    };
}

/// Fetches the rows of many keys, some hundred at a time. The number of parameters of a statement is limited, and a
/// join with all rows is planned well by one database and badly by another. `{}` in the text is replaced by the
/// placeholders of the keys.
macro_rules! fetch_of {
    ($transaction:expr, $row:ty, $sql:literal, $keys:expr) => {
        async {
            let mut all: Vec<$row> = Vec::new();
            for keys in $keys.chunks($crate::store::pool::KEYS) {
                let sql = format!($sql, vec!["?"; keys.len()].join(", "));
                let rows = $crate::store::pool::on_driver!($transaction, |connection, text| {
                    let mut query = sqlx::query_as::<_, $row>(text(sql.into()));
                    for key in keys {
                        query = query.bind(key);
                    }
                    query.fetch_all(connection).await
                });
                all.extend(rows?);
            }
            Ok::<_, sqlx::Error>(all)
        }
        .await
    };
}

/// The number of keys of one statement.
pub(super) const KEYS: usize = 500;

pub(super) use {execute, fetch_all, fetch_of, fetch_one, on_driver};

/// SQL for SQLite and MariaDB/MySQL.
pub(super) fn verbatim(sql: Cow<'static, str>) -> SqlStr {
    AssertSqlSafe(sql).into_sql_str()
}

/// SQL for PostgreSQL, which numbers its parameters: each `?` becomes `$1`, `$2`, and so on. No statement contains a
/// `?` in a text.
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

impl Pool {
    /// A transaction that only reads.
    pub(super) async fn begin_read(&self) -> Result<Transaction, sqlx::Error> {
        let begun = match self {
            Self::Sqlite(pool) => pool.begin().await.map(Transaction::Sqlite),
            Self::Postgres(pool) => pool.begin().await.map(Transaction::Postgres),
            Self::MySql(pool) => pool.begin().await.map(Transaction::MySql),
        };
        begun.map_err(|error| {
            // If all connections exist, the database is not the reason.
            if matches!(error, sqlx::Error::PoolTimedOut) && self.is_exhausted() {
                sqlx::Error::Io(io::Error::new(io::ErrorKind::WouldBlock, Exhausted))
            } else {
                error
            }
        })
    }

    /// Whether all connections exist and are in use.
    fn is_exhausted(&self) -> bool {
        let (open, most, idle) = match self {
            Self::Sqlite(pool) => (pool.size(), pool.options().get_max_connections(), pool.num_idle()),
            Self::Postgres(pool) => (pool.size(), pool.options().get_max_connections(), pool.num_idle()),
            Self::MySql(pool) => (pool.size(), pool.options().get_max_connections(), pool.num_idle()),
        };
        open >= most && idle == 0
    }

    /// A transaction that writes. In SQLite, it takes the lock immediately, because a transaction that begins with
    /// reading could not wait for the lock of another program.
    pub(super) async fn begin_write(&self) -> Result<Transaction, sqlx::Error> {
        Ok(match self {
            Self::Sqlite(pool) => Transaction::Sqlite(pool.begin_with("BEGIN IMMEDIATE").await?),
            Self::Postgres(pool) => Transaction::Postgres(pool.begin().await?),
            Self::MySql(pool) => Transaction::MySql(pool.begin().await?),
        })
    }

    /// Runs missing migrations.
    pub(super) async fn migrate(&self, migrator: &Migrator) -> Result<(), MigrateError> {
        match self {
            Self::Sqlite(pool) => migrator.run(pool).await,
            Self::Postgres(pool) => migrator.run(pool).await,
            Self::MySql(pool) => {
                let mut connection = pool.acquire().await?;
                migrator.run_direct(None, &mut Stepwise(&mut connection), false).await
            }
        }
    }

    /// Makes SQLite write its log into the file. A log with content would damage another database that is put in the
    /// place of this one. It stays if a reader has the file open.
    pub(super) async fn empty_log(&self) {
        let Self::Sqlite(pool) = self else { return };
        if let Err(error) = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(pool).await {
            tracing::debug!(%error, "what was committed last stays in the log");
        }
    }

    /// Closes all connections.
    pub(super) async fn close(&self) {
        match self {
            Self::Sqlite(pool) => pool.close().await,
            Self::Postgres(pool) => pool.close().await,
            Self::MySql(pool) => pool.close().await,
        }
    }
}

impl Transaction {
    /// Commits it.
    pub(super) async fn commit(self) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(transaction) => transaction.commit().await,
            Self::Postgres(transaction) => transaction.commit().await,
            Self::MySql(transaction) => transaction.commit().await,
        }
    }

    /// Rolls it back.
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
