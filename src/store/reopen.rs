//! What the writer does when a SQLite file is not where it was, or not what it was: it closes every connection at once,
//! and opens what lies there later. Not how that is noticed ([`super::file`]), and not what is kept meanwhile
//! ([`super::bridge`]).
//!
//! A file that is missing is not made anew: whoever moved it away may bring it back, and a new database would know
//! nothing of open alerts and waiting mails. An empty file in its place is taken for the wish to begin a new one.

use std::path::PathBuf;

use sqlx::{ConnectOptions as _, Connection as _, sqlite::SqliteConnectOptions};

use super::{
    StoreError, StoreErrorKind,
    file::{Changed, OpenFile, is_gone},
    holder, lock,
    open::PATIENCE,
    schema,
    target::{Kind, Target},
    writer::Writer,
};

/// The file of a SQLite database.
#[derive(Debug)]
pub(super) struct Watched {
    target: Target,
    file: OpenFile,
    /// Why every connection to it is closed; `None` while it is open.
    shut: Option<StoreError>,
}

impl Watched {
    /// The file of a database that was just opened; `None` where it is none.
    pub(super) fn of(target: &Target) -> Result<Option<Self>, StoreError> {
        let Kind::Sqlite { options, .. } = &target.kind else { return Ok(None) };
        let file =
            OpenFile::new(options.get_filename()).map_err(|error| StoreError::from_file(&target.place, error))?;
        Ok(Some(Self { target: target.clone(), file, shut: None }))
    }
}

impl Writer {
    /// Looks whether the file is still the one that was opened. Where it is not, every connection is closed: what was
    /// committed goes from the log into the file, wherever that is now, and no other file is ever opened with its log.
    pub(super) async fn look(&mut self) -> Result<(), StoreError> {
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

    /// Whether the connections to the file are closed until something lies there again.
    pub(super) fn is_shut(&self) -> bool {
        self.watched.as_ref().is_some_and(|watched| watched.shut.is_some())
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
        if tokio::time::timeout(PATIENCE, closing).await.is_err() {
            tracing::debug!("a connection to the file is still in use");
        }
    }

    /// Opens what lies there now, where the file was closed.
    pub(super) async fn reopen(&mut self) -> Result<(), StoreError> {
        let Some(Watched { target, shut: Some(_), .. }) = &self.watched else { return Ok(()) };
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
        let (writes, reads) = target.open_sqlite(options).await?;
        let prepared = async {
            schema::migrate(&writes, &target.place).await?;
            let failed = |error| StoreError::from_driver(&target.place, error);
            let mark = holder::mark(&writes).await.map_err(failed)?;
            if let Some(announced) = &self.announced {
                let mut transaction = writes.begin_write().await.map_err(failed)?;
                holder::announce(&mut transaction, mark, announced).await.map_err(failed)?;
                transaction.commit().await.map_err(failed)?;
            }
            Ok((mark, OpenFile::new(path).map_err(of_file)?))
        };
        let (mark, file) = match prepared.await {
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
        self.mark = mark;
        self.known = None;
        self.watched = Some(Watched { target: target.clone(), file, shut: None });
        Ok(())
    }

    /// The connections were closed by the driver, and with them went what lay beside the file.
    pub(super) fn expect_new_companions(&mut self) {
        if let Some(watched) = &mut self.watched {
            watched.file.expect_new_companions();
        }
    }
}

/// What lies there is a database of fleetsweep, or empty: nothing is written into another program's.
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
fn set_aside(log: &PathBuf) {
    let mut aside = log.clone().into_os_string();
    aside.push(format!(".{}", uuid::Uuid::now_v7()));
    match std::fs::rename(log, &aside) {
        Ok(()) => tracing::error!(
            "the last changes of the database that was moved away are in {}: name it like that database, with -wal at the end",
            PathBuf::from(&aside).display()
        ),
        Err(error) => tracing::error!("{} belongs to the database that was moved away: {error}", log.display()),
    }
}
