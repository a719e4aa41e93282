//! Opens connections to a target: for the writer and for queries. [`super::open`] checks them before they are used.

use std::time::Duration;

use sqlx::{
    Connection as _, Database, Sqlite,
    pool::PoolOptions,
    sqlite::{SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};

use super::{
    deadlines::CONNECT_DEADLINE,
    lock::Server,
    pool::Pool,
    target::{Kind, Target},
};

/// The connections for queries. More than one, so that a long query does not delay others.
pub(super) const READS: u32 = 4;

/// How long a connection to a server may have been idle: less than after which firewalls forget it. It would then not answer
/// before [`CONNECT_DEADLINE`].
const LONGEST_IDLE: Duration = Duration::from_secs(180);

/// How many rows SQLite reads before it waits for these to be taken. With few, whoever reads many is woken again and again.
const READ_AHEAD: usize = 1000;

/// The connections of a collector to a file that it has locked: one that writes, and those for queries.
pub(super) async fn to_locked_file(options: &SqliteConnectOptions) -> Result<(Pool, Pool), sqlx::Error> {
    // FULL: a commit is on disk before it returns. NORMAL would survive a killed process, but a power failure could
    // lose the last transactions, with mails that were already decided. Many collections share a transaction, so one
    // sync is enough for all of them.
    // INCREMENTAL only has an effect on a new file: it is the layout in which free pages can be given back.
    let options = options
        .clone()
        .auto_vacuum(SqliteAutoVacuum::Incremental)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    // If there is no space for a transaction, SQLite rolls it back by itself. The driver does not notice this and would
    // refuse every further transaction on the connection, so the connection is closed. It is not closed for other
    // reasons: closing the last connection removes the write-ahead log, whose removal is monitored.
    let writes = sqlite_pool(1)
        .after_release(|connection, _| Box::pin(std::future::ready(Ok(!connection.is_in_transaction()))))
        .connect_with(options.clone())
        .await?;
    let reads = options.row_buffer_size(READ_AHEAD).pragma("query_only", "ON");
    let reads = sqlite_pool(READS).connect_lazy_with(reads);
    Ok((Pool::Sqlite(writes), Pool::Sqlite(reads)))
}

/// The connections of a reader.
pub(super) fn for_reading(target: &Target) -> Pool {
    match &target.kind {
        // In WAL mode, a reader maps the index of the log (`-shm`) and creates it if no collector runs. This needs the
        // right to write to the directory, but not to the database.
        Kind::Sqlite { options, .. } => {
            let options = options.clone().row_buffer_size(READ_AHEAD).read_only(true);
            Pool::Sqlite(sqlite_pool(READS).connect_lazy_with(options))
        }
        Kind::Server(server) => to_server(server, READS),
    }
}

/// At most this many connections to a server, opened when they are needed.
pub(super) fn to_server(server: &Server, most: u32) -> Pool {
    match server {
        Server::Postgres(options) => Pool::Postgres(server_pool(most, LONGEST_IDLE).connect_lazy_with(options.clone())),
        Server::MySql(options) => Pool::MySql(server_pool(most, LONGEST_IDLE).connect_lazy_with(options.clone())),
    }
}

/// A connection that was idle for longer is replaced, and so is one that does not answer.
fn server_pool<D: Database>(most: u32, longest_idle: Duration) -> PoolOptions<D> {
    pool_options(most, CONNECT_DEADLINE).test_before_acquire(false).before_acquire(
        move |connection: &mut D::Connection, metadata| {
            Box::pin(async move { Ok(metadata.idle_for <= longest_idle && connection.ping().await.is_ok()) })
        },
    )
}

fn sqlite_pool(most: u32) -> PoolOptions<Sqlite> {
    pool_options(most, 2 * CONNECT_DEADLINE)
}

/// Without the time limits of sqlx: with one of them, version 0.9.0 has a task that can run for ever without a pause, when a
/// connection is returned while the task counts them (sqlx issue 3645).
fn pool_options<D: Database>(most: u32, acquire_timeout: Duration) -> PoolOptions<D> {
    PoolOptions::new().max_connections(most).acquire_timeout(acquire_timeout).idle_timeout(None).max_lifetime(None)
}

#[cfg(test)]
mod tests {
    use sqlx::{mysql::MySqlConnectOptions, postgres::PgConnectOptions};

    use super::*;

    #[tokio::test]
    async fn a_connection_that_was_idle_for_long_is_replaced_when_it_is_needed() {
        let directory = tempfile::tempdir().unwrap();
        let options = SqliteConnectOptions::new().filename(directory.path().join("a.db")).create_if_missing(true);
        for (longest_idle, is_same) in [(Duration::from_secs(3600), true), (Duration::ZERO, false)] {
            let pool: PoolOptions<Sqlite> = server_pool(1, longest_idle);
            let pool = pool.connect_lazy_with(options.clone());
            sqlx::query("CREATE TEMP TABLE of_this_connection (a INTEGER)").execute(&pool).await.unwrap();
            tokio::time::sleep(Duration::from_millis(2)).await;
            let found = sqlx::query("SELECT a FROM of_this_connection").fetch_all(&pool).await;
            assert_eq!(found.is_ok(), is_same, "{longest_idle:?}");
            assert_eq!(pool.size(), 1);
            pool.close().await;
        }
    }

    /// With a limit, a test process was busy for ever: see [`pool_options`].
    #[tokio::test]
    async fn no_pool_limits_how_long_a_connection_is_kept() {
        for pool in [
            to_server(&Server::Postgres(PgConnectOptions::new_without_pgpass()), 2),
            to_server(&Server::MySql(MySqlConnectOptions::new()), 2),
            Pool::Sqlite(sqlite_pool(2).connect_lazy_with(SqliteConnectOptions::new())),
        ] {
            let limits = match &pool {
                Pool::Sqlite(pool) => (pool.options().get_idle_timeout(), pool.options().get_max_lifetime()),
                Pool::Postgres(pool) => (pool.options().get_idle_timeout(), pool.options().get_max_lifetime()),
                Pool::MySql(pool) => (pool.options().get_idle_timeout(), pool.options().get_max_lifetime()),
            };
            assert_eq!(limits, (None, None), "{pool:?}");
        }
    }
}
