//! The lock that keeps a second collector out of a database. It belongs to the process and goes with it, however
//! that ends. Not who holds it ([`super::lock_owner`]), which also is what stops a collector that lost it.
//!
//! On SQLite it is a lock of the operating system on a file beside the database; on a server one of the server's
//! own, which lasts as long as the connection that took it. So that connection is kept open and tried now and
//! then, also because servers end connections that are silent for hours. Where it is lost (server restarted,
//! network cut), another collector may come in from then on. The loss is logged and the lock taken again as soon
//! as it can be had. Until then the collector goes on: mostly nobody came, and what is collected would be lost.
//! If somebody did come, every later transaction of this collector is refused.

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

/// How often the connection that holds a server's lock is tried: the longest time for which its loss is unknown.
const EVERY: Duration = Duration::from_secs(15);

/// A server, and how it is reached.
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

/// A lock that was just taken from a server, before it is known to last.
pub(super) struct Taken {
    session: Session,
    server: Server,
}

/// Whoever keeps a server's lock.
#[derive(Debug)]
pub(super) struct SessionHandle {
    stop: DropGuard,
    task: JoinHandle<()>,
}

/// A connection that holds the lock, and what the lock is called there.
enum Session {
    Postgres(PgConnection, i64),
    MySql(MySqlConnection, String),
}

/// The file that is locked: `NAME.lock` beside the database, whichever links lead there. It is never removed: two
/// processes could then each lock a file of that name.
fn beside(database: &Path) -> io::Result<PathBuf> {
    let mut name = database.canonicalize()?.into_os_string();
    name.push(".lock");
    Ok(name.into())
}

/// Locks a SQLite database; `None` where another process has.
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
    /// Locks a server's database; `None` where another process has.
    pub(super) async fn of_server(server: &Server) -> Result<Option<Taken>, sqlx::Error> {
        Ok(server.take().await?.map(|session| Taken { session, server: server.clone() }))
    }

    /// Whether it still is the lock of a database that lies there now: the file that is locked may be another one
    /// since, or none.
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

    /// Gives it up, and returns when that is done.
    pub(super) async fn release(self) {
        match self {
            Self::File { file, .. } => drop(file),
            Self::Session(SessionHandle { stop, task }) => {
                drop(stop);
                if let Err(error) = task.await {
                    tracing::debug!(%error, "whoever kept the lock of the database broke");
                }
            }
        }
    }
}

impl Taken {
    /// Whether the session that took the lock is one session, and has the lock still. A pooler in transaction or
    /// statement mode hands out another session of the server with each transaction: a lock means nothing there.
    ///
    /// The connection for writing is asked too: of two connections that are open at once, each has a session of its own.
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

    /// Keeps it until it is released.
    pub(super) fn keep(self, place: &Arc<str>) -> Lock {
        let Self { session, server } = self;
        let stop = CancellationToken::new();
        let task = tokio::spawn(keep(server, session, Arc::clone(place), stop.clone()));
        Lock::Session(SessionHandle { stop: stop.drop_guard(), task })
    }

    /// Gives it up again.
    pub(super) async fn release(self) {
        if let Err(error) = in_time(self.session.close()).await {
            tracing::debug!(%error, "the connection that held the lock did not end well");
        }
    }
}

/// The number of a session, by the server.
async fn number_at_postgres(connection: &mut PgConnection) -> Result<i64, sqlx::Error> {
    let (number,): (i32,) = sqlx::query_as("SELECT pg_backend_pid()").fetch_one(connection).await?;
    Ok(number.into())
}

/// The same.
async fn number_at_mysql(connection: &mut MySqlConnection) -> Result<i64, sqlx::Error> {
    let (number,): (i64,) = sqlx::query_as("SELECT CAST(CONNECTION_ID() AS SIGNED)").fetch_one(connection).await?;
    Ok(number)
}

impl Server {
    /// A connection, and its end: whether one more is let in.
    pub(super) async fn try_to_connect(&self) -> Result<(), sqlx::Error> {
        match self {
            Self::Postgres(options) => options.connect().await?.close().await,
            Self::MySql(options) => options.connect().await?.close().await,
        }
    }

    /// Connects and takes the lock; `None` where another session has it.
    async fn take(&self) -> Result<Option<Session>, sqlx::Error> {
        match self {
            Self::Postgres(options) => {
                let mut connection = options.connect().await?;
                // Its locks are of one database each; that may be shared by schema.
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
                // Its locks are of the whole server, and their names of 64 characters at most.
                let name = format!("fleetsweep {:016x}", key(&database.unwrap_or_default()));
                let (taken,): (Option<i64>,) =
                    sqlx::query_as("SELECT GET_LOCK(?, 0)").bind(&name).fetch_one(&mut connection).await?;
                Ok((taken == Some(1)).then_some(Session::MySql(connection, name)))
            }
        }
    }
}

/// A number for a text, the same in every build.
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

    /// Gives up the lock, then the connection: a server notices only some time later that one has ended, and
    /// whoever is started at once would find the lock still taken.
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

/// Keeps the session until `stop`; where it is lost, takes the lock again as soon as it can be had.
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
                    tracing::error!(%error, "the lock of database {place} is lost: until it is taken again, another collector could start");
                }
            }
        }
        match in_time(server.take()).await {
            Ok(Some(session)) => {
                held = Some(session);
                tracing::info!("the lock of database {place} is taken again");
            }
            Ok(None) if !said => {
                said = true;
                tracing::error!(
                    "the lock of database {place} is another session's now: if that is a second collector, nothing of this one is stored any more; end one of them"
                );
            }
            Ok(None) => {}
            Err(error) => tracing::debug!(%error, "the lock of database {place} cannot be taken again yet"),
        }
    }
    if let Some(session) = held
        && let Err(error) = in_time(session.close()).await
    {
        tracing::debug!(%error, "the connection that held the lock did not end well");
    }
}

async fn in_time<T>(asked: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    match tokio::time::timeout(CONNECT_DEADLINE, asked).await {
        Ok(answer) => answer,
        Err(passed) => Err(sqlx::Error::Io(passed.into())),
    }
}
