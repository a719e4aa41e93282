//! The connections and transactions of the three kinds of databases, so that each query is written once.

use std::{borrow::Cow, io};

use sqlx::{
    AssertSqlSafe, MySql, MySqlPool, PgPool, Postgres, SqlSafeStr as _, SqlStr, Sqlite, SqlitePool,
    migrate::{MigrateError, Migrator},
};

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

/// Every connection for questions is in use.
#[derive(Debug, thiserror::Error)]
#[error("all connections are in use")]
pub(super) struct Exhausted;

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

/// Fetches the rows of many keys, some hundred at a time: one statement takes only so many parameters, and a join
/// with all that is known of them is planned well by one database and badly by the next. `{}` in the text becomes
/// the list of the keys' marks.
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

/// Keys of one statement.
pub(super) const KEYS: usize = 500;

pub(super) use {execute, fetch_all, fetch_of, fetch_one, on_driver};

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

impl Pool {
    /// A transaction that only reads.
    pub(super) async fn begin_read(&self) -> Result<Transaction, sqlx::Error> {
        let begun = match self {
            Self::Sqlite(pool) => pool.begin().await.map(Transaction::Sqlite),
            Self::Postgres(pool) => pool.begin().await.map(Transaction::Postgres),
            Self::MySql(pool) => pool.begin().await.map(Transaction::MySql),
        };
        begun.map_err(|error| {
            // Where connections are there, the database is not the reason.
            if matches!(error, sqlx::Error::PoolTimedOut) && self.is_exhausted() {
                sqlx::Error::Io(io::Error::new(io::ErrorKind::WouldBlock, Exhausted))
            } else {
                error
            }
        })
    }

    /// Whether every connection that may be there is there and in use.
    fn is_exhausted(&self) -> bool {
        let (open, most, idle) = match self {
            Self::Sqlite(pool) => (pool.size(), pool.options().get_max_connections(), pool.num_idle()),
            Self::Postgres(pool) => (pool.size(), pool.options().get_max_connections(), pool.num_idle()),
            Self::MySql(pool) => (pool.size(), pool.options().get_max_connections(), pool.num_idle()),
        };
        open >= most && idle == 0
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

    /// Has SQLite put what its log holds into the file. A log with something in it is a danger to any other database
    /// that comes to lie beside it, and stays where a reader has the file open.
    pub(super) async fn empty_log(&self) {
        let Self::Sqlite(pool) = self else { return };
        if let Err(error) = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(pool).await {
            tracing::debug!(%error, "what was committed last stays in the log");
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
