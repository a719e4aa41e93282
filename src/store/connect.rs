//! Connections to a target: for the writer and for questions. Not what has to be checked before they are used
//! ([`super::open`]).

use sqlx::{
    Connection as _,
    mysql::MySqlPoolOptions,
    postgres::PgPoolOptions,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::{
    deadlines::CONNECT_DEADLINE,
    lock::Server,
    pool::Pool,
    target::{Kind, Target},
};

/// Connections for questions: more than one, so that a long one does not hold up the others.
pub(super) const READS: u32 = 4;

/// The connections of a collector to a file that it has locked: one that writes, and those for questions.
pub(super) async fn to_locked_file(options: &SqliteConnectOptions) -> Result<(Pool, Pool), sqlx::Error> {
    // FULL: a commit is on the disk before it is answered. NORMAL would survive a killed process, but a power
    // failure could take back the last transactions, and with them mails that were already decided. Many
    // collections share a transaction, so one sync serves them all.
    let options = options.clone().journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full);
    // SQLite itself takes back a transaction for which there was no room. The driver does not learn of it, and
    // would refuse every further one on that connection: it is closed in place of being used again. For no other
    // reason: with the last connection the write-ahead log goes, and where it goes is watched.
    let writes = sqlite_pool(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .after_release(|connection, _| Box::pin(std::future::ready(Ok(!connection.is_in_transaction()))))
        .connect_with(options.clone())
        .await?;
    let reads = sqlite_pool(READS).connect_lazy_with(options.pragma("query_only", "ON"));
    Ok((Pool::Sqlite(writes), Pool::Sqlite(reads)))
}

/// The connections of a reader.
pub(super) fn for_reading(target: &Target) -> Pool {
    match &target.kind {
        // In WAL mode a reader maps the index of the log (`-shm`), and makes it where no collector runs: that
        // takes the right to write the directory, not the database.
        Kind::Sqlite { options, .. } => {
            Pool::Sqlite(sqlite_pool(READS).connect_lazy_with(options.clone().read_only(true)))
        }
        Kind::Server(server) => to_server(server, READS),
    }
}

/// So many connections to a server at most, made when they are needed.
pub(super) fn to_server(server: &Server, most: u32) -> Pool {
    match server {
        Server::Postgres(options) => Pool::Postgres(
            PgPoolOptions::new()
                .max_connections(most)
                .acquire_timeout(CONNECT_DEADLINE)
                .connect_lazy_with(options.clone()),
        ),
        Server::MySql(options) => Pool::MySql(
            MySqlPoolOptions::new()
                .max_connections(most)
                .acquire_timeout(CONNECT_DEADLINE)
                .connect_lazy_with(options.clone()),
        ),
    }
}

fn sqlite_pool(most: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new().max_connections(most).acquire_timeout(2 * CONNECT_DEADLINE)
}
