//! The one connection that writes, with what goes with it: the lock, the collector's token, and the SQLite file that has
//! to be the one that was opened. When the file is not where it was, or not what it was, every connection to it is
//! closed at once, and what lies there later is opened. Not how that is noticed ([`super::file`]), not the queries
//! ([`super::commit`]), and not what is kept meanwhile ([`super::outage`]).
//!
//! A file that is missing is not made anew: whoever moved it away may bring it back, and a new database would know
//! nothing of open alerts and waiting mails. An empty file in its place is taken for the wish to begin a new one.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use sqlx::{ConnectOptions as _, Connection as _, sqlite::SqliteConnectOptions};
use tokio::time::error::Elapsed;
use uuid::Uuid;

use super::{
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

/// The connection that writes.
pub(super) struct WriteConnection {
    pool: Pool,
    place: Arc<str>,
    /// Stands in the database as long as no other collector has opened it.
    token: Uuid,
    /// What the database holds, as far as recording needs it. `None` after a failure: it is read again.
    known: Option<RecordCache>,
    transactions: Arc<AtomicU64>,
    /// The connections for questions, which are closed and opened with the file.
    reads: ReadPool,
    lock: Lock,
    /// The file, where the database is one.
    watched: Option<WatchedFile>,
    /// Who was announced as the collector.
    announced: Option<LockOwner>,
}

/// The file of a SQLite database.
#[derive(Debug)]
struct WatchedFile {
    target: Target,
    file: OpenFile,
    /// Why every connection to it is closed; `None` while it is open.
    shut: Option<StoreError>,
}

impl WriteConnection {
    /// The connection to a database that was just opened. `transactions` counts those that are committed.
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
        Ok(Self { pool, place, token, known: None, transactions, reads, lock, watched, announced: None })
    }

    /// The database as it may be shown.
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// Whether the database is a file, which has to be checked.
    pub(super) fn is_file(&self) -> bool {
        self.watched.is_some()
    }

    /// Whether the connections to the file are closed until something lies there again.
    pub(super) fn is_shut(&self) -> bool {
        self.watched.as_ref().is_some_and(|watched| watched.shut.is_some())
    }

    /// Who is to be announced to a database that is opened in place of this one.
    pub(super) fn remember_announced(&mut self, owner: &LockOwner) {
        self.announced = Some(owner.clone());
    }

    /// One transaction of this name. A single change that was rejected is tried once more with what the database holds
    /// read anew: another program may have written since.
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
        let (pool, token, known) = self.begin();
        let commit = commit::commit(&pool, token, Source::Direct(name), known, writes);
        let ended = tokio::time::timeout(TRANSACTION_DEADLINE, commit).await;
        self.end(ended)?;
        // What was committed counts only where it can be found.
        self.check_file().await
    }

    /// What a transaction begins with. What is known is taken out, and put back by [`end`](Self::end) only after a
    /// commit: after anything else it is not true any more.
    pub(super) fn begin(&mut self) -> (Pool, Uuid, Option<RecordCache>) {
        (self.pool.clone(), self.token, self.known.take())
    }

    /// What follows from a transaction that ended, or did not in time.
    pub(super) fn end(&mut self, ended: Result<Result<RecordCache, WriteError>, Elapsed>) -> Result<(), StoreError> {
        match ended {
            Ok(Ok(known)) => {
                self.known = Some(known);
                self.transactions.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            Ok(Err(WriteError::Driver(error))) => {
                // Where there was no room the driver closed the connection, and with it went what lay beside the file.
                if let Some(watched) = &mut self.watched {
                    watched.file.expect_new_companions();
                }
                Err(StoreError::from_driver(&self.place, error))
            }
            Ok(Err(WriteError::Refused(kind))) => Err(StoreError::plain(&self.place, kind)),
            Err(passed) => Err(StoreError::new(&self.place, StoreErrorKind::Unreachable, passed)),
        }
    }

    /// Checks that the file is still the one that was opened. Where it is not, every connection is closed: what was
    /// committed goes from the log into the file, wherever that is now, and no other file is ever opened with its log.
    pub(super) async fn check_file(&mut self) -> Result<(), StoreError> {
        let Some(watched) = &mut self.watched else { return Ok(()) };
        if let Some(why) = &watched.shut {
            return Err(why.clone());
        }
        let Err(changed) = watched.file.check() else { return Ok(()) };
        let (kind, is_same_file) = (changed.kind(), changed.is_same_file());
        let takes_its_log = match &changed {
            Changed::Gone(_) | Changed::Replaced | Changed::NoFile | Changed::Companion(_) => true,
            // What is written into it would not make it whole, or nobody knows.
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

    /// Opens what lies there now, where the file was closed.
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
                // Whatever is wrong with it, it is not what was there: somebody will put that right.
                StoreError::new(&self.place, StoreErrorKind::Replaced, error)
            }
        })
    }

    async fn open_again(&mut self, target: &Target, options: &SqliteConnectOptions) -> Result<(), StoreError> {
        let path = options.get_filename();
        let of_file = |error| StoreError::from_file(&target.place, error);
        // The lock goes with the place: a directory that was moved away took the file that is locked with it.
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

    /// Ends the connection and gives up the lock. `is_there` says whether the database answers.
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

/// Checks that what lies there is a database of fleetsweep, or empty: nothing is written into another program's.
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

/// Renames the log of a database that was moved away without it.
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
