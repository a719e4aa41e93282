//! Opens the connections to a database, for a collector or for a reader. URLs are parsed in [`super::target`].

use std::{
    fs::OpenOptions,
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use sqlx::sqlite::SqliteConnectOptions;

use super::{
    classify::is_crowded,
    collectors,
    connect::{self, READS},
    deadlines::CONNECT_DEADLINE,
    error::{StoreError, StoreErrorKind},
    lock::{self, Lock, Server},
    pool::Pool,
    read_pool::ReadPool,
    target::{Kind, Target},
};

/// The connections of a collector besides those for queries: one holds the lock, one writes.
const OTHERS: u32 = 2;

/// The open connections of a collector.
pub(super) struct Opened {
    /// For the writer: a single connection.
    pub(super) writes: Pool,
    /// For queries.
    pub(super) reads: ReadPool,
    /// Keeps other collectors out.
    pub(super) lock: Lock,
    /// Identifies the database, independent of the path or URL by which it was opened.
    pub(super) identity: String,
    /// The file; `None` for a server.
    pub(super) file: Option<PathBuf>,
    /// The target that was opened.
    pub(super) target: Target,
}

/// Opens the database for a collector and takes the lock. A missing SQLite file is created with access only for its
/// owner; the files that SQLite creates next to it get the same permissions.
pub(super) async fn hold(target: Target) -> Result<Opened, StoreError> {
    match &target.kind {
        Kind::Sqlite { options, may_create } => hold_file(&target, options, *may_create).await,
        Kind::Server(server) => hold_server(&target, server).await,
    }
}

async fn hold_file(target: &Target, options: &SqliteConnectOptions, may_create: bool) -> Result<Opened, StoreError> {
    let failed = |error| StoreError::from_file(&target.place, error);
    if may_create {
        create(options.get_filename()).map_err(failed)?;
    }
    let Some(lock) = lock::file(options.get_filename()).map_err(failed)? else { return Err(in_use(target).await) };
    let (writes, reads) =
        connect::to_locked_file(options).await.map_err(|error| StoreError::from_driver(&target.place, error))?;
    // The file exists now, so its real path is known.
    let file = options.get_filename().canonicalize().map_err(failed)?;
    let identity = file.display().to_string();
    let (file, target) = (Some(file), target.clone());
    Ok(Opened { writes, reads: ReadPool::new(reads, None), lock, identity, file, target })
}

async fn hold_server(target: &Target, server: &Server) -> Result<Opened, StoreError> {
    // The first connection is opened directly, because it fails at once with the reason. A pool would retry and lose
    // the reason.
    let Some(mut taken) = once(target, Lock::of_server(server)).await? else { return Err(in_use(target).await) };
    let writes = connect::to_server(server, 1);
    let prepared = async {
        match tokio::time::timeout(2 * CONNECT_DEADLINE, taken.lasts(&writes)).await {
            Ok(Ok(true)) => {}
            Ok(Ok(false)) => return Err(StoreError::plain(&target.place, StoreErrorKind::Pooled)),
            Ok(Err(error)) => return Err(explain(target, server, error).await),
            // A connection pooler accepts all connections and lets the excess ones wait.
            Err(passed) => return Err(StoreError::new(&target.place, StoreErrorKind::TooManyConnections, passed)),
        }
        check_texts(target, &writes).await?;
        most_connections(&writes).await.map_err(|error| StoreError::from_driver(&target.place, error))
    };
    let most = match prepared.await {
        Ok(most) => most,
        Err(error) => {
            writes.close().await;
            taken.release().await;
            return Err(error);
        }
    };
    let reads = match most.saturating_sub(OTHERS).min(READS) {
        0 => None,
        most => Some(connect::to_server(server, most)),
    };
    let reads = ReadPool::new(reads.unwrap_or_else(|| writes.clone()), Some(writes.clone()));
    let (lock, identity) = (taken.keep(&target.place), target.identity.clone());
    Ok(Opened { writes, reads, lock, identity, file: None, target: target.clone() })
}

/// The reason why the second connection was not accepted, which a pool does not report.
async fn explain(target: &Target, server: &Server, error: sqlx::Error) -> StoreError {
    if !is_crowded(&error) {
        return StoreError::from_driver(&target.place, error);
    }
    match once(target, server.try_to_connect()).await {
        // One connection was accepted but no other in time: a connection pooler has no more sessions.
        Ok(()) => StoreError::new(&target.place, StoreErrorKind::TooManyConnections, error),
        Err(reason) if reason.kind == StoreErrorKind::Unreachable => {
            StoreError { kind: StoreErrorKind::TooManyConnections, ..reason }
        }
        Err(reason) => reason,
    }
}

/// Checks that the database can store every text and compares texts exactly.
async fn check_texts(target: &Target, pool: &Pool) -> Result<(), StoreError> {
    let failed = |error| StoreError::from_driver(&target.place, error);
    let (kind, found) = match pool {
        Pool::Sqlite(_) => return Ok(()),
        Pool::Postgres(pool) => {
            let (encoding,): (String,) = sqlx::query_as("SELECT CAST(current_setting('server_encoding') AS TEXT)")
                .fetch_one(pool)
                .await
                .map_err(failed)?;
            if encoding == "UTF8" {
                return Ok(());
            }
            (StoreErrorKind::WrongEncoding, format!("its encoding is {encoding}"))
        }
        Pool::MySql(pool) => {
            // Other collations treat `GPU-17` and `gpu-17` as equal, or cannot store every character.
            let (collation,): (String,) =
                sqlx::query_as("SELECT @@collation_database").fetch_one(pool).await.map_err(failed)?;
            if collation.starts_with("utf8mb4") && collation.ends_with("_bin") {
                return Ok(());
            }
            (StoreErrorKind::WrongCollation, format!("its collation is {collation}"))
        }
    };
    Err(StoreError::new(&target.place, kind, io::Error::other(found)))
}

/// Opens the database for a reader, which changes and locks nothing. It connects once, so that errors are reported now
/// with their reason.
pub(super) async fn read(target: &Target) -> Result<ReadPool, StoreError> {
    if let Kind::Server(server) = &target.kind {
        once(target, server.try_to_connect()).await?;
    }
    Ok(ReadPool::alone(connect::for_reading(target), target))
}

async fn in_use(target: &Target) -> StoreError {
    let asking = async {
        tokio::time::timeout(CONNECT_DEADLINE, collectors::read(&ReadPool::new(connect::for_reading(target), None)))
            .await
    };
    let found = match asking.await {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => {
            tracing::debug!(%error, "the owner of the database could not be read");
            None
        }
        Err(passed) => {
            tracing::debug!(%passed, "the owner of the database could not be read in time");
            None
        }
    };
    StoreError { owner: found.map(Box::new), ..StoreError::plain(&target.place, StoreErrorKind::InUse) }
}

/// The error that a collector would get because another one uses the database; `None` if there is none. For this, the
/// lock is taken for a moment.
pub(super) async fn held(target: &Target) -> Result<Option<StoreError>, StoreError> {
    let is_free = match &target.kind {
        Kind::Sqlite { options, .. } => match lock::file(options.get_filename()) {
            Ok(lock) => lock.is_some(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => true,
            Err(error) => return Err(StoreError::from_file(&target.place, error)),
        },
        Kind::Server(server) => match once(target, Lock::of_server(server)).await? {
            Some(taken) => {
                taken.release().await;
                true
            }
            None => false,
        },
    };
    Ok(if is_free { None } else { Some(in_use(target).await) })
}

/// Waits for the first answer with a time limit.
async fn once<T>(target: &Target, connecting: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, StoreError> {
    match tokio::time::timeout(CONNECT_DEADLINE, connecting).await {
        Ok(connected) => connected.map_err(|error| StoreError::from_driver(&target.place, error)),
        Err(passed) => Err(StoreError::new(&target.place, StoreErrorKind::Unreachable, passed)),
    }
}

/// The most connections that the server's settings allow for this account. Other programs may use some of them.
async fn most_connections(writes: &Pool) -> Result<u32, sqlx::Error> {
    const LIMIT_OF_POSTGRES: &str = "SELECT CAST(LEAST(
        (SELECT MIN(CASE WHEN rolconnlimit < 0 THEN 10000 ELSE rolconnlimit END) FROM pg_roles WHERE rolname = session_user),
        (SELECT MIN(CASE WHEN datconnlimit < 0 THEN 10000 ELSE datconnlimit END) FROM pg_database
         WHERE datname = current_database()),
        CAST(current_setting('max_connections') AS INTEGER)
        - CAST(current_setting('superuser_reserved_connections') AS INTEGER)) AS BIGINT)";
    const LIMIT_OF_MYSQL: &str = "SELECT CAST(LEAST(IF(@@max_user_connections = 0, 10000, @@max_user_connections), @@max_connections) AS SIGNED)";
    let (most,): (i64,) = match writes {
        Pool::Sqlite(_) => return Ok(READS + OTHERS),
        Pool::Postgres(pool) => sqlx::query_as(LIMIT_OF_POSTGRES).fetch_one(pool).await?,
        Pool::MySql(pool) => sqlx::query_as(LIMIT_OF_MYSQL).fetch_one(pool).await?,
    };
    Ok(u32::try_from(most.max(0)).unwrap_or(u32::MAX))
}

/// Creates the file if it is missing.
fn create(file: &Path) -> io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(file) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}
