//! The writing connection with its state: the lock, the token of the collector, and the SQLite file, which must be the
//! one that was opened. If the file is removed or replaced, all connections to it are closed immediately, and the file
//! that is there later is opened. [`super::file`] detects this, [`super::commit`] has the statements, and
//! [`super::outage`] keeps changes meanwhile.
//!
//! A missing file is not created again, because it may be moved back, and a new database would have no open alerts and
//! waiting mails. An empty file in its place means that a new database is wanted.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use sqlx::{ConnectOptions as _, Connection as _, sqlite::SqliteConnectOptions};
use tokio::time::{Instant, error::Elapsed};
use uuid::Uuid;

use super::{
    batch_size::BatchSize,
    collectors,
    commit::{self, Source},
    connect,
    deadlines::{CONNECT_DEADLINE, TRANSACTION_DEADLINE},
    error::{StoreError, StoreErrorKind},
    file::{Changed, OpenFile, is_gone},
    lock::{self, Lock},
    lock_owner::LockOwner,
    pool::Pool,
    read_pool::ReadPool,
    record_cache::RecordCache,
    schema,
    target::{Kind, Target},
    write::Write,
    write_error::WriteError,
};

/// The writing connection.
pub(super) struct WriteConnection {
    pool: Pool,
    place: Arc<str>,
    /// The token in the database, unless another collector has opened it.
    token: Uuid,
    /// The data for recording. `None` after a failure, so that it is read again.
    known: Option<RecordCache>,
    transactions: Arc<AtomicU64>,
    batch_size: BatchSize,
    /// When the current transaction began, and the number of its changes.
    began: Option<(Instant, usize)>,
    /// The connections for queries, which are closed and opened together with the file.
    reads: ReadPool,
    lock: Lock,
    /// The file; `None` for a server.
    watched: Option<WatchedFile>,
    /// The announced collector.
    announced: Option<LockOwner>,
}

/// The file of an SQLite database.
#[derive(Debug)]
struct WatchedFile {
    target: Target,
    file: OpenFile,
    /// The reason why all connections are closed; `None` while it is open.
    shut: Option<StoreError>,
}

impl WriteConnection {
    /// The connection to a database that was just opened. `transactions` counts committed transactions.
    pub(super) fn new(
        pool: Pool,
        token: Uuid,
        reads: ReadPool,
        lock: Lock,
        target: &Target,
        transactions: Arc<AtomicU64>,
    ) -> Result<Self, StoreError> {
        let watched = match &target.kind {
            Kind::Sqlite { options, .. } => {
                let file = OpenFile::new(options.get_filename())
                    .map_err(|error| StoreError::from_file(&target.place, error))?;
                Some(WatchedFile { target: target.clone(), file, shut: None })
            }
            Kind::Server(_) => None,
        };
        let place = Arc::clone(&target.place);
        Ok(Self {
            pool,
            place,
            token,
            known: None,
            transactions,
            batch_size: BatchSize::default(),
            began: None,
            reads,
            lock,
            watched,
            announced: None,
        })
    }

    /// The database for display.
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// Whether the database is a file, which must be monitored.
    pub(super) fn is_file(&self) -> bool {
        self.watched.is_some()
    }

    /// Whether the connections are closed until there is a file again.
    pub(super) fn is_shut(&self) -> bool {
        self.watched.as_ref().is_some_and(|watched| watched.shut.is_some())
    }

    /// The most changes of the next transaction.
    pub(super) fn batch_size(&self) -> usize {
        self.batch_size.get()
    }

    /// Sets the collector that is announced in a database that replaces this one.
    pub(super) fn remember_announced(&mut self, owner: &LockOwner) {
        self.announced = Some(owner.clone());
    }

    /// Runs a transaction with this name. If a single change is rejected, it is tried once more with fresh data,
    /// because another program may have changed the database.
    pub(super) async fn transact(&mut self, name: Uuid, writes: &[&Write]) -> Result<(), StoreError> {
        let remembered = self.known.is_some();
        match self.attempt(name, writes).await {
            Err(error) if remembered && writes.len() == 1 && error.kind == StoreErrorKind::Rejected => {
                self.attempt(name, writes).await
            }
            result => result,
        }
    }

    async fn attempt(&mut self, name: Uuid, writes: &[&Write]) -> Result<(), StoreError> {
        self.check_file().await?;
        let (pool, token, known) = self.begin(writes.len());
        let commit = commit::commit(&pool, token, Source::Direct(name), known, writes);
        let ended = tokio::time::timeout(TRANSACTION_DEADLINE, commit).await;
        self.end(ended)?;
        // The commit is only valid if the file is still there.
        self.check_file().await
    }

    /// Begins a transaction of so many changes and takes the cached data, which [`end`](Self::end) only puts back after a
    /// commit, because it is invalid after anything else.
    pub(super) fn begin(&mut self, changes: usize) -> (Pool, Uuid, Option<RecordCache>) {
        self.began = Some((Instant::now(), changes));
        (self.pool.clone(), self.token, self.known.take())
    }

    /// Handles the end of a transaction or its timeout.
    pub(super) fn end(&mut self, ended: Result<Result<RecordCache, WriteError>, Elapsed>) -> Result<(), StoreError> {
        // One that failed before the deadline says nothing about the speed.
        if let Some((at, changes)) = self.began.take()
            && matches!(ended, Ok(Ok(_)) | Err(_))
        {
            self.batch_size.adjust(changes, at.elapsed());
        }
        match ended {
            Ok(Ok(known)) => {
                self.known = Some(known);
                self.transactions.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            Ok(Err(WriteError::Driver(error))) => {
                // If there was no space, the driver has closed the connection, which removed the files next to the
                // database.
                if let Some(watched) = &mut self.watched {
                    watched.file.expect_new_companions();
                }
                Err(StoreError::from_driver(&self.place, error))
            }
            Ok(Err(WriteError::Refused(kind))) => Err(StoreError::plain(&self.place, kind)),
            Err(passed) => Err(StoreError::new(&self.place, StoreErrorKind::Unreachable, passed)),
        }
    }

    /// Checks that the file is still the one that was opened. If not, all connections are closed. This writes the log
    /// into the file, wherever it is now, so that no other file is opened with this log.
    pub(super) async fn check_file(&mut self) -> Result<(), StoreError> {
        let Some(watched) = &mut self.watched else { return Ok(()) };
        if let Some(why) = &watched.shut {
            return Err(why.clone());
        }
        let Err(changed) = watched.file.check() else { return Ok(()) };
        let (kind, is_same_file) = (changed.kind(), changed.is_same_file());
        let takes_its_log = match &changed {
            Changed::Gone(_) | Changed::Replaced | Changed::NoFile | Changed::Companion(_) => true,
            // Writing the log would not repair it, or its state is unknown.
            Changed::Emptied | Changed::Unknown(_) => false,
        };
        let error = StoreError::new(&self.place, kind, changed);
        self.shut(&error, takes_its_log).await;
        if let Some(watched) = &mut self.watched {
            if !is_same_file && let Some(log) = watched.file.orphaned_log() {
                set_aside(&log);
            }
            watched.shut = Some(error.clone());
        }
        Err(error)
    }

    async fn shut(&mut self, why: &StoreError, takes_its_log: bool) {
        self.known = None;
        let reads = self.reads.shut(why.clone());
        let writes = self.pool.clone();
        let closing = async move {
            if let Some(reads) = reads {
                reads.close().await;
            }
            if takes_its_log {
                writes.empty_log().await;
            }
            writes.close().await;
        };
        if tokio::time::timeout(CONNECT_DEADLINE, closing).await.is_err() {
            tracing::debug!("a connection to the file is still in use");
        }
    }

    /// Opens the file that is there now, if the file was closed.
    pub(super) async fn reopen(&mut self) -> Result<(), StoreError> {
        let Some(WatchedFile { target, shut: Some(_), .. }) = &self.watched else { return Ok(()) };
        let target = target.clone();
        let Kind::Sqlite { options, .. } = &target.kind else { return Ok(()) };
        match std::fs::metadata(options.get_filename()) {
            Ok(found) if found.is_file() => {}
            Ok(_) => return Err(StoreError::new(&self.place, StoreErrorKind::Replaced, Changed::NoFile)),
            Err(error) if is_gone(&error) => {
                return Err(StoreError::new(&self.place, StoreErrorKind::Missing, Changed::Gone(error)));
            }
            Err(error) => return Err(StoreError::from_file(&self.place, error)),
        }
        self.open_again(&target, options).await.map_err(|error| {
            if error.kind.will_pass() || error.kind == StoreErrorKind::InUse {
                error
            } else {
                // Whatever the error is, this is not the original file, and somebody will have to fix it.
                StoreError::new(&self.place, StoreErrorKind::Replaced, error)
            }
        })
    }

    async fn open_again(&mut self, target: &Target, options: &SqliteConnectOptions) -> Result<(), StoreError> {
        let path = options.get_filename();
        let of_file = |error| StoreError::from_file(&target.place, error);
        // The lock is in the same directory. If the directory was moved, the locked file was moved with it.
        let lock = if self.lock.is_of_file(path).unwrap_or(false) {
            None
        } else {
            let taken = lock::file(path).map_err(of_file)?;
            Some(taken.ok_or_else(|| StoreError::plain(&target.place, StoreErrorKind::InUse))?)
        };
        check_is_ours(target, options).await?;
        let failed = |error| StoreError::from_driver(&target.place, error);
        let (writes, reads) = connect::to_locked_file(options).await.map_err(failed)?;
        let prepared = async {
            schema::migrate(&writes, &target.place).await?;
            let token = collectors::new_token(&writes).await.map_err(failed)?;
            if let Some(announced) = &self.announced {
                let mut transaction = writes.begin_write().await.map_err(failed)?;
                collectors::announce(&mut transaction, token, announced).await.map_err(failed)?;
                transaction.commit().await.map_err(failed)?;
            }
            Ok((token, OpenFile::new(path).map_err(of_file)?))
        };
        let (token, file) = match prepared.await {
            Ok(prepared) => prepared,
            Err(error) => {
                writes.close().await;
                return Err(error);
            }
        };
        if let Some(lock) = lock {
            std::mem::replace(&mut self.lock, lock).release().await;
        }
        self.pool = writes;
        self.reads.exchange(reads);
        self.token = token;
        self.known = None;
        self.watched = Some(WatchedFile { target: target.clone(), file, shut: None });
        Ok(())
    }

    /// Closes the connection and releases the lock. `is_there` tells whether the database answers.
    pub(super) async fn close(self, is_there: bool) {
        let Self { pool, lock, token, .. } = self;
        if is_there {
            match tokio::time::timeout(CONNECT_DEADLINE, collectors::withdraw(&pool, token)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!(%error, "the database still names this collector"),
                Err(passed) => tracing::debug!(%passed, "the database still names this collector"),
            }
        }
        pool.empty_log().await;
        pool.close().await;
        lock.release().await;
    }
}

/// Checks that the file is a database of fleetsweep or empty, so that nothing is written to that of another program.
async fn check_is_ours(target: &Target, options: &SqliteConnectOptions) -> Result<(), StoreError> {
    let counted = async {
        let mut connection = options.clone().read_only(true).connect().await?;
        let counted: (i64, i64) = sqlx::query_as(
            "SELECT COUNT(*), COALESCE(SUM(name = 'fleetsweep_migrations'), 0) FROM sqlite_master WHERE type = 'table'",
        )
        .fetch_one(&mut connection)
        .await?;
        connection.close().await?;
        Ok(counted)
    };
    match counted.await.map_err(|error| StoreError::from_driver(&target.place, error))? {
        (0, _) | (_, 1..) => Ok(()),
        _ => Err(StoreError::plain(&target.place, StoreErrorKind::OtherSchema)),
    }
}

/// Renames the log of a database that was moved without it.
fn set_aside(log: &Path) {
    let mut aside = log.to_owned().into_os_string();
    aside.push(format!(".{}", Uuid::now_v7()));
    match std::fs::rename(log, &aside) {
        Ok(()) => tracing::error!(
            "the last changes of the database that was moved away are in {}: name it like that database, with -wal at the end",
            PathBuf::from(&aside).display()
        ),
        Err(error) => tracing::error!("{} belongs to the database that was moved away: {error}", log.display()),
    }
}
