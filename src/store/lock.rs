//! The lock that keeps a second collector out of a database. It belongs to the process and is released when the process
//! ends, for whatever reason. Who owns it is described in [`super::lock_owner`]; a fencing token stops a collector that
//! has lost it.
//!
//! For SQLite it is a file lock of the operating system on a file next to the database. For a server it is an advisory
//! lock of the server, which lasts as long as the connection that took it. That connection is kept open and is tested
//! regularly, because servers close connections that are idle for hours. If the lock is lost (the server restarted, the
//! network failed), another collector can take it. The loss is logged, and the lock is taken again as soon as possible.
//! Until then the collector continues, because usually there is no other collector and its data would be lost. If there
//! is one, every later transaction of this collector is rejected.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use sha2::{Digest as _, Sha256};
use sqlx::{
    ConnectOptions as _, Connection as _, MySqlConnection, PgConnection, mysql::MySqlConnectOptions,
    postgres::PgConnectOptions,
};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    deadlines::CONNECT_DEADLINE,
    file::Identity,
    pool::{Pool, Transaction},
};

/// How often the connection that holds a server's lock is tested. This is the longest time until its loss is noticed.
const EVERY: Duration = Duration::from_secs(15);

/// A server and how to connect to it.
#[derive(Debug, Clone)]
pub(super) enum Server {
    Postgres(PgConnectOptions),
    MySql(MySqlConnectOptions),
}

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub(super) enum Lock {
    File { file: File, path: PathBuf },
    Session(SessionHandle),
}

/// A lock that was just taken on a server, before it is known whether it lasts.
pub(super) struct Taken {
    session: Session,
    server: Server,
}

/// The task that keeps a server's lock.
#[derive(Debug)]
pub(super) struct SessionHandle {
    stop: DropGuard,
    task: JoinHandle<()>,
}

/// A connection that holds the lock, and the key of the lock.
enum Session {
    Postgres(PgConnection, i64),
    MySql(MySqlConnection, String),
}

/// The file that is locked: `NAME.lock` next to the real path of the database. It is never removed, because otherwise
/// two processes could each lock a file of that name.
fn beside(database: &Path) -> io::Result<PathBuf> {
    let mut name = database.canonicalize()?.into_os_string();
    name.push(".lock");
    Ok(name.into())
}

/// Locks a SQLite database; `None` if another process has the lock.
pub(super) fn file(database: &Path) -> io::Result<Option<Lock>> {
    let path = beside(database)?;
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(Lock::File { file, path })),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

impl Lock {
    /// Locks a database on a server; `None` if another process has the lock.
    pub(super) async fn of_server(server: &Server) -> Result<Option<Taken>, sqlx::Error> {
        Ok(server.take().await?.map(|session| Taken { session, server: server.clone() }))
    }

    /// Whether it is still the lock of the database at this path. The lock file may have been replaced or removed.
    pub(super) fn is_of_file(&self, database: &Path) -> io::Result<bool> {
        match self {
            Self::File { path, file } => {
                let same_place = beside(database)? == *path;
                let held = Identity::from(&file.metadata()?);
                Ok(same_place && Identity::of(path).is_ok_and(|found| found == held))
            }
            Self::Session(_) => Ok(false),
        }
    }

    /// Releases it and waits until that is done.
    pub(super) async fn release(self) {
        match self {
            // A process that was just started still has the file until it executes its program, so that closing it here
            // would not be enough.
            Self::File { file, .. } => {
                if let Err(error) = file.unlock() {
                    tracing::debug!(%error, "the database lock ends with the process");
                }
            }
            Self::Session(SessionHandle { stop, task }) => {
                drop(stop);
                if let Err(error) = task.await {
                    tracing::debug!(%error, "the task that kept the database lock failed");
                }
            }
        }
    }
}

impl Taken {
    /// Whether the connection is one session of the server and still has the lock. A connection pooler in transaction
    /// or statement mode uses another session for each transaction, so a lock has no effect there.
    ///
    /// The connection for writing is queried too: two connections that are open at the same time must have different
    /// sessions.
    pub(super) async fn lasts(&mut self, writes: &Pool) -> Result<bool, sqlx::Error> {
        let mut writing = writes.begin_write().await?;
        let ours = self.session.number().await?;
        let theirs = match &mut writing {
            Transaction::Postgres(writing) => number_at_postgres(writing).await?,
            Transaction::MySql(writing) => number_at_mysql(writing).await?,
            Transaction::Sqlite(_) => return Ok(true),
        };
        let again = self.session.number().await?;
        let holds = self.session.holds().await?;
        writing.rollback().await?;
        Ok(ours != theirs && ours == again && holds)
    }

    /// Starts the task that keeps it until it is released.
    pub(super) fn keep(self, place: &Arc<str>) -> Lock {
        let Self { session, server } = self;
        let stop = CancellationToken::new();
        let task = tokio::spawn(keep(server, session, Arc::clone(place), stop.clone()));
        Lock::Session(SessionHandle { stop: stop.drop_guard(), task })
    }

    /// Releases it.
    pub(super) async fn release(self) {
        if let Err(error) = in_time(self.session.close()).await {
            tracing::debug!(%error, "the connection that held the lock did not close properly");
        }
    }
}

/// The server's id of a session.
async fn number_at_postgres(connection: &mut PgConnection) -> Result<i64, sqlx::Error> {
    let (number,): (i32,) = sqlx::query_as("SELECT pg_backend_pid()").fetch_one(connection).await?;
    Ok(number.into())
}

/// The server's id of a session.
async fn number_at_mysql(connection: &mut MySqlConnection) -> Result<i64, sqlx::Error> {
    let (number,): (i64,) = sqlx::query_as("SELECT CAST(CONNECTION_ID() AS SIGNED)").fetch_one(connection).await?;
    Ok(number)
}

impl Server {
    /// Opens and closes a connection, to see whether the server accepts one more.
    pub(super) async fn try_to_connect(&self) -> Result<(), sqlx::Error> {
        match self {
            Self::Postgres(options) => options.connect().await?.close().await,
            Self::MySql(options) => options.connect().await?.close().await,
        }
    }

    /// Connects and takes the lock; `None` if another session has it.
    async fn take(&self) -> Result<Option<Session>, sqlx::Error> {
        match self {
            Self::Postgres(options) => {
                let mut connection = options.connect().await?;
                // Locks of PostgreSQL are per database, and several schemas may be used in one database.
                let (schema,): (String,) = sqlx::query_as("SELECT COALESCE(CAST(current_schema() AS TEXT), '')")
                    .fetch_one(&mut connection)
                    .await?;
                let key = key(&schema);
                let (taken,): (bool,) =
                    sqlx::query_as("SELECT pg_try_advisory_lock($1)").bind(key).fetch_one(&mut connection).await?;
                Ok(taken.then_some(Session::Postgres(connection, key)))
            }
            Self::MySql(options) => {
                let mut connection = options.connect().await?;
                let (database,): (Option<String>,) =
                    sqlx::query_as("SELECT DATABASE()").fetch_one(&mut connection).await?;
                // Locks of MySQL are per server, and their names have at most 64 characters.
                let name = format!("fleetsweep {:016x}", key(&database.unwrap_or_default()));
                let (taken,): (Option<i64>,) =
                    sqlx::query_as("SELECT GET_LOCK(?, 0)").bind(&name).fetch_one(&mut connection).await?;
                Ok((taken == Some(1)).then_some(Session::MySql(connection, name)))
            }
        }
    }
}

/// A number for a text that is the same in every build.
fn key(text: &str) -> i64 {
    let digest: [u8; 32] = Sha256::digest(format!("fleetsweep/{text}")).into();
    let [a, b, c, d, e, f, g, h, ..] = digest;
    i64::from_be_bytes([a, b, c, d, e, f, g, h])
}

impl Session {
    async fn ping(&mut self) -> Result<(), sqlx::Error> {
        match self {
            Self::Postgres(connection, _) => connection.ping().await,
            Self::MySql(connection, _) => connection.ping().await,
        }
    }

    async fn number(&mut self) -> Result<i64, sqlx::Error> {
        match self {
            Self::Postgres(connection, _) => number_at_postgres(connection).await,
            Self::MySql(connection, _) => number_at_mysql(connection).await,
        }
    }

    /// Whether this session has the lock.
    async fn holds(&mut self) -> Result<bool, sqlx::Error> {
        match self {
            Self::Postgres(connection, key) => {
                let (holds,): (bool,) = sqlx::query_as(
                    "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()
                     AND granted AND ((classid::bigint << 32) | objid::bigint) = $1)",
                )
                .bind(*key)
                .fetch_one(connection)
                .await?;
                Ok(holds)
            }
            Self::MySql(connection, name) => {
                let (holds,): (Option<i64>,) =
                    sqlx::query_as("SELECT CAST(IS_USED_LOCK(?) = CONNECTION_ID() AS SIGNED)")
                        .bind(&*name)
                        .fetch_one(connection)
                        .await?;
                Ok(holds == Some(1))
            }
        }
    }

    /// Releases the lock before the connection. A server may notice later that a connection has closed, and a collector
    /// that starts meanwhile would find the lock taken.
    async fn close(self) -> Result<(), sqlx::Error> {
        match self {
            Self::Postgres(mut connection, key) => {
                sqlx::query("SELECT pg_advisory_unlock($1)").bind(key).execute(&mut connection).await?;
                connection.close().await
            }
            Self::MySql(mut connection, name) => {
                sqlx::query("SELECT RELEASE_LOCK(?)").bind(name).execute(&mut connection).await?;
                connection.close().await
            }
        }
    }
}

/// Keeps the session until `stop`. If it is lost, takes the lock again as soon as possible.
async fn keep(server: Server, session: Session, place: Arc<str>, stop: CancellationToken) {
    let mut held = Some(session);
    let mut said = false;
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(EVERY) => {}
        }
        if let Some(session) = &mut held {
            match in_time(session.ping()).await {
                Ok(()) => continue,
                Err(error) => {
                    held = None;
                    said = false;
                    tracing::error!(%error, "the lock of database {place} is lost: another collector could start until it is taken again");
                }
            }
        }
        match in_time(server.take()).await {
            Ok(Some(session)) => {
                held = Some(session);
                tracing::info!("the lock of database {place} has been taken again");
            }
            Ok(None) if !said => {
                said = true;
                tracing::error!(
                    "another session now has the lock of database {place}: if that is a second collector, this one can store nothing more; stop one of them"
                );
            }
            Ok(None) => {}
            Err(error) => tracing::debug!(%error, "the lock of database {place} cannot be taken again yet"),
        }
    }
    if let Some(session) = held
        && let Err(error) = in_time(session.close()).await
    {
        tracing::debug!(%error, "the connection that held the lock did not close properly");
    }
}

async fn in_time<T>(asked: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    match tokio::time::timeout(CONNECT_DEADLINE, asked).await {
        Ok(answer) => answer,
        Err(passed) => Err(sqlx::Error::Io(passed.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_released_lock_is_free_although_another_process_still_has_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let database = directory.path().join("fleet.db");
        std::fs::write(&database, "").unwrap();
        let lock = file(&database).unwrap().unwrap();
        let Lock::File { file: held, .. } = &lock else { panic!("{lock:?}") };
        // As a process that was started has it.
        let inherited = held.try_clone().unwrap();
        assert!(file(&database).unwrap().is_none());
        lock.release().await;
        assert!(file(&database).unwrap().is_some());
        drop(inherited);
    }
}
