//! The handle of an open database: sends changes to the writer, and passes queries to a [`Reader`].

use std::{
    fmt,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use secrecy::SecretString;
use tokio::{
    sync::{Notify, mpsc, oneshot, watch},
    time::Instant,
};
use uuid::Uuid;

use super::{
    clock::{self, ClockReading, TrustedTime},
    collectors,
    connection::WriteConnection,
    database_status::DatabaseStatus,
    error::{StoreError, StoreErrorKind},
    lock_owner::LockOwner,
    open::{self, Opened},
    outage::OutageSpool,
    outbox::{Due, OutboxMail},
    pool::Pool,
    queue::{WriteQueue, WriteRequest},
    reader::Reader,
    record::Record,
    schema,
    size_limit::Shrunk,
    spool::{self, Spool},
    spool_path,
    target::{DatabaseUrl, Target},
    write::{Acknowledgement, Write},
    writer::Writer,
};
use crate::config::{Database, directories::Environment};
use crate::fleet::{
    Bytes, ClientId, Metric, SweepId,
    alert::AlertKey,
    audit::AuditAction,
    event::Trigger,
    mail::Mail,
    rollup::{Series, Tier},
};

/// An open database; cheap to clone.
#[derive(Clone)]
pub struct Store {
    reader: Reader,
    requests: mpsc::Sender<WriteRequest>,
    transactions: Arc<AtomicU64>,
    status: watch::Receiver<DatabaseStatus>,
    /// Makes the writer try to reach a database that is away.
    hurry: Arc<Notify>,
    /// Identifies the database. It must not be shown, because unlike `place` it may contain secrets.
    identity: Arc<str>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("place", &self.place()).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the database of a configuration for a collector: locks it until the store is closed or the process ends
    /// for any reason, migrates its schema, stores what waits in its spool, and starts the writer. A missing SQLite
    /// file is created with access only for its owner.
    ///
    /// # Errors
    /// The reason why it cannot be used; `InUse` if another collector has it. The spool is kept.
    pub async fn open_configured(database: &Database, environment: &Environment) -> Result<Self, StoreError> {
        Self::open_named(DatabaseUrl::configured(database), environment).await
    }

    /// Opens the database at a URL for a collector.
    ///
    /// # Errors
    /// As [`open_configured`](Self::open_configured).
    pub async fn open(url: &SecretString, environment: &Environment) -> Result<Self, StoreError> {
        Self::open_named(DatabaseUrl::plain(url), environment).await
    }

    /// The error that a collector would get because another one uses the database; `None` if there is none.
    ///
    /// # Errors
    /// If this cannot be determined.
    pub async fn held(database: &Database) -> Result<Option<StoreError>, StoreError> {
        open::held(&Target::of(DatabaseUrl::configured(database))?).await
    }

    async fn open_named(database: DatabaseUrl<'_>, environment: &Environment) -> Result<Self, StoreError> {
        // The lock comes first, so that a database in use is not migrated.
        let opened = open::hold(Target::of(database)?).await?;
        schema::migrate(&opened.writes, &opened.target.place).await?;
        Self::start(opened, environment, spool::MOST_BYTES).await
    }

    /// Starts the writer of a database whose schema is up to date.
    pub(super) async fn start(opened: Opened, environment: &Environment, most_bytes: u64) -> Result<Self, StoreError> {
        let Opened { writes, reads, lock, identity, file, target } = opened;
        let place = Arc::clone(&target.place);
        let token = collectors::new_token(&writes).await.map_err(|error| StoreError::from_driver(&place, error))?;
        // Before anything of this run is stored, so that a clock that is wrong now is not confirmed by itself.
        note_time(&writes).await.map_err(|error| StoreError::from_driver(&place, error))?;
        let reader = Reader::new(reads, Arc::clone(&place));
        let spool = Spool::open(spool_path::of(environment, &identity, file.as_deref()), most_bytes)
            .map_err(|error| StoreError::new(&place, StoreErrorKind::SpoolFailed, error))?;
        let transactions = Arc::new(AtomicU64::new(0));
        let (told, status) = watch::channel(DatabaseStatus::default());
        let hurry = Arc::new(Notify::new());
        let outage = OutageSpool::new(Arc::clone(&place), spool, told, reader.answered(), Arc::clone(&hurry));
        let connection =
            WriteConnection::new(writes, token, reader.connections(), lock, &target, Arc::clone(&transactions))?;
        let mut writer = Writer { connection, outage };
        let stored = writer.drain_left().await?;
        if stored > 0 {
            tracing::info!("{stored} changes that had waited for database {place} are stored");
        }
        let (requests, queue) = WriteQueue::new();
        tokio::spawn(writer.run(queue));
        Ok(Self { reader, requests, transactions, status, hurry, identity: identity.into() })
    }

    /// The status of the database and its changes.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<DatabaseStatus> {
        self.status.clone()
    }

    /// The number of changes that wait in the spool because the database is away.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.status.borrow().away.as_ref().map_or(0, |away| away.waiting)
    }

    /// Whether the database is away. If so, its data is not the newest.
    #[must_use]
    pub fn is_away(&self) -> bool {
        self.status.borrow().away.is_some()
    }

    /// Waits until the spool is empty, at most for this time, and tries often to reach the database. Returns how many
    /// changes still wait.
    pub async fn settle(&self, longest: Duration) -> u64 {
        let deadline = Instant::now() + longest;
        let mut status = self.status();
        while self.is_away() && Instant::now() < deadline {
            self.hurry.notify_one();
            let next = deadline.min(Instant::now() + Duration::from_secs(1));
            if let Ok(Err(_)) = tokio::time::timeout_at(next, status.changed()).await {
                break;
            }
        }
        self.waiting()
    }

    /// The database for display: a path, or server and name.
    #[must_use]
    pub fn place(&self) -> &str {
        self.reader.place()
    }

    /// Identifies the database independently of the path or URL: the real path of its file, or server, name and schema.
    /// It must not be shown.
    #[must_use]
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// The number of transactions that were committed since it was opened. Many records share one.
    #[must_use]
    pub fn transactions(&self) -> u64 {
        self.transactions.load(Ordering::Relaxed)
    }

    /// Stores the record of a collection completely or not at all. After `Ok` it is on disk, in the database or in the
    /// spool. It is also stored if the caller stops waiting.
    ///
    /// # Errors
    /// The reason why it was neither stored nor spooled.
    pub async fn record(&self, record: Record) -> Result<(), StoreError> {
        self.write(Write::Record(Box::new(record))).await
    }

    /// Adds a mail to the outbox that does not belong to a collection.
    ///
    /// # Errors
    /// As [`record`](Self::record).
    pub async fn queue(&self, mail: Mail) -> Result<(), StoreError> {
        self.write(Write::Queue(mail)).await
    }

    /// Stores that the SMTP server accepted a mail, with its answer.
    ///
    /// # Errors
    /// As [`record`](Self::record); `NoSuchMail`.
    pub async fn mail_sent(&self, id: Uuid, at: Timestamp, answer: &str) -> Result<(), StoreError> {
        self.write(Write::Sent { id, at, answer: answer.to_owned() }).await
    }

    /// Stores that the mail was deferred: after `attempts` attempts the next one is at `next_at`.
    ///
    /// # Errors
    /// As [`record`](Self::record); `NoSuchMail`.
    pub async fn mail_deferred(
        &self,
        id: Uuid,
        attempts: u32,
        next_at: Timestamp,
        error: &str,
    ) -> Result<(), StoreError> {
        self.write(Write::Deferred { id, attempts, next_at, error: error.to_owned() }).await
    }

    /// Stores that the mail was permanently refused. The mail is kept with the reason.
    ///
    /// # Errors
    /// As [`record`](Self::record); `NoSuchMail`.
    pub async fn mail_refused(&self, id: Uuid, at: Timestamp, error: &str) -> Result<(), StoreError> {
        self.write(Write::Refused { id, at, error: error.to_owned() }).await
    }

    /// Replaces a waiting mail that is too large for the server with smaller ones, in one transaction. The first of
    /// them has its id.
    ///
    /// # Errors
    /// As [`record`](Self::record); `NoSuchMail`.
    pub async fn mail_split(&self, id: Uuid, parts: Vec<Mail>, reason: &str) -> Result<(), StoreError> {
        self.write(Write::Split { id, parts, reason: reason.to_owned() }).await
    }

    /// Adds the time until `at` to the waiting time of each waiting mail. At most `most` is added, so that a clock that
    /// jumps ahead does not make mails expire.
    ///
    /// # Errors
    /// As [`record`](Self::record); `Away`.
    pub async fn count_waiting(&self, at: Timestamp, most: Duration) -> Result<(), StoreError> {
        self.write(Write::Waited { at, most }).await
    }

    /// Adds an audit entry about an operator's action.
    ///
    /// # Errors
    /// As [`record`](Self::record).
    pub async fn audit(
        &self,
        at: Timestamp,
        actor: &str,
        action: AuditAction,
        target: &str,
        detail: &str,
    ) -> Result<(), StoreError> {
        let [actor, action, target, detail] = [actor, action.word(), target, detail].map(str::to_owned);
        self.write(Write::Audit { at, actor, action, target, detail }).await
    }

    /// Stores that a sweep began. Its clients are not collected yet.
    ///
    /// # Errors
    /// As [`record`](Self::record).
    pub async fn sweep_started(
        &self,
        sweep: SweepId,
        number: u64,
        trigger: Trigger,
        at: Timestamp,
        clients: usize,
    ) -> Result<(), StoreError> {
        let clients = clients as u64;
        self.write(Write::SweepStarted { sweep, number, set_off_by: trigger, at, clients }).await
    }

    /// Stores that a sweep ended, after all of its records. From then on it is available for time travel.
    ///
    /// # Errors
    /// As [`record`](Self::record).
    pub async fn sweep_ended(
        &self,
        sweep: SweepId,
        at: Timestamp,
        duration_ms: u64,
        ok: u32,
        failed: u32,
    ) -> Result<(), StoreError> {
        self.write(Write::SweepEnded { sweep, at, duration_ms, ok: ok.into(), failed: failed.into() }).await
    }

    /// Stores that an operator acknowledged an open alert, with an audit entry. An earlier acknowledgement is kept.
    /// This does not wait for a database that is away, because only the database knows whether the alert is still open.
    ///
    /// # Errors
    /// As [`record`](Self::record); `NoSuchAlert`, `AlertEnded`, `Away`.
    pub async fn acknowledge(
        &self,
        client: &ClientId,
        about: &AlertKey,
        alert: Uuid,
        at: Timestamp,
        actor: &str,
    ) -> Result<(), StoreError> {
        self.write(Write::Acknowledge(Acknowledgement::new(client, about, alert, at, actor))).await
    }

    /// Stores that an operator withdrew the acknowledgement of an open alert, with an audit entry. This does not wait
    /// for a database that is away.
    ///
    /// # Errors
    /// As [`acknowledge`](Self::acknowledge).
    pub async fn unacknowledge(
        &self,
        client: &ClientId,
        about: &AlertKey,
        alert: Uuid,
        at: Timestamp,
        actor: &str,
    ) -> Result<(), StoreError> {
        self.write(Write::Unacknowledge(Acknowledgement::new(client, about, alert, at, actor))).await
    }

    /// Deletes a small number of rows that are older than `before`: collections with their samples, security events,
    /// ended alerts, finished mails, sweeps. Returns whether there may be more.
    ///
    /// # Errors
    /// As [`record`](Self::record).
    pub async fn forget(&self, before: Timestamp) -> Result<bool, StoreError> {
        self.piece(|more| Write::Forget { before, more }).await
    }

    /// Rolls up a number of samples from before there were roll-ups. Returns whether there may be more.
    ///
    /// # Errors
    /// As [`record`](Self::record).
    pub async fn catch_up(&self) -> Result<bool, StoreError> {
        self.piece(|more| Write::CatchUp { more }).await
    }

    /// Adds values from before the first collection of a client to its roll-ups, such as a past that was not collected
    /// by this program. The client is created if it is new.
    ///
    /// # Errors
    /// As [`record`](Self::record); `Away`.
    pub async fn add_history(
        &self,
        client: &ClientId,
        name: &str,
        values: Vec<(Timestamp, Series, f64)>,
    ) -> Result<(), StoreError> {
        self.write(Write::AddHistory { client: client.clone(), name: name.to_owned(), values }).await
    }

    /// Deletes a small number of roll-ups that ended before a time, which is given for each length. Returns whether there
    /// may be more.
    ///
    /// # Errors
    /// As [`record`](Self::record).
    pub async fn forget_history(&self, before: [(Tier, Timestamp); Tier::ALL.len()]) -> Result<bool, StoreError> {
        self.piece(|more| Write::ForgetHistory { before, more }).await
    }

    /// Deletes a small number of the oldest rows of a SQLite file that is larger than `most`; those from `newest` on stay.
    /// `None` for a server.
    ///
    /// # Errors
    /// As [`record`](Self::record).
    pub async fn shrink(&self, most: Bytes, newest: Timestamp) -> Result<Option<Shrunk>, StoreError> {
        let done = Arc::new(Mutex::new(None));
        self.write(Write::Shrink { most, newest, done: Arc::clone(&done) }).await?;
        Ok(*done.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Gives a part of the free space of a SQLite file back to the file system. Returns whether there may be more.
    ///
    /// # Errors
    /// As [`record`](Self::record).
    pub async fn give_back(&self) -> Result<bool, StoreError> {
        self.piece(|more| Write::GiveBack { more }).await
    }

    /// Runs a piece of work, and returns whether there may be more.
    async fn piece(&self, write: impl FnOnce(Arc<AtomicBool>) -> Write) -> Result<bool, StoreError> {
        let more = Arc::new(AtomicBool::new(false));
        self.write(write(Arc::clone(&more))).await?;
        Ok(more.load(Ordering::Relaxed))
    }

    /// Stores a clock reading and returns the trusted time, up to which data may be deleted.
    ///
    /// # Errors
    /// As [`record`](Self::record).
    pub async fn trusted_time(&self, witness: ClockReading) -> Result<TrustedTime, StoreError> {
        let believed = Arc::new(OnceLock::new());
        self.write(Write::Observe { witness, believed: Arc::clone(&believed) }).await?;
        Ok(believed.get().copied().unwrap_or(TrustedTime { now: None, behind: Duration::ZERO }))
    }

    /// Stores the description of the lock owner for other processes.
    ///
    /// # Errors
    /// As [`record`](Self::record).
    pub async fn announce(&self, owner: &LockOwner) -> Result<(), StoreError> {
        self.write(Write::Announce(owner.clone())).await
    }

    /// A reader for queries. It works after this handle is dropped, but not after [`close`](Self::close).
    #[must_use]
    pub fn reader(&self) -> Reader {
        self.reader.clone()
    }

    /// The last `most` values of a metric of a client, newest last. There are none for `unreachable`.
    ///
    /// # Errors
    /// The error of the database, if the query fails.
    pub async fn recent(
        &self,
        client: &ClientId,
        metric: Metric,
        most: u32,
    ) -> Result<Vec<(Timestamp, f64)>, StoreError> {
        let silent = self.status.borrow().away.as_ref().map(|away| Arc::clone(&away.why));
        if let Some(why) = silent.filter(|why| why.kind.ends_with_an_answer()) {
            // A database that is known to be away is not queried.
            return Err(StoreError::clone(&why));
        }
        self.reader.recent(client, metric, most).await
    }

    /// The waiting mails that are due, oldest first.
    ///
    /// # Errors
    /// The error of the database, if the query fails.
    pub async fn mails_due(
        &self,
        now: Timestamp,
        due: Due,
        after: Option<Uuid>,
        most: u32,
    ) -> Result<Vec<OutboxMail>, StoreError> {
        self.reader.mails_due(now, due, after, most).await
    }

    /// When the next waiting mail is due; `None` if none waits.
    ///
    /// # Errors
    /// The error of the database, if the query fails.
    pub async fn next_mail_at(&self) -> Result<Option<Timestamp>, StoreError> {
        self.reader.next_mail_at().await
    }

    /// Stores waiting changes, then closes all connections. Later changes are rejected as `Closed`.
    pub async fn close(&self) {
        match self.write(Write::Close).await {
            Ok(()) => {}
            Err(error) => tracing::debug!(%error, "the store was closed before"),
        }
        self.reader.close().await;
    }

    /// Sends a change to the writer and waits for its result.
    async fn write(&self, write: Write) -> Result<(), StoreError> {
        let closed = || StoreError::plain(self.reader.shown(), StoreErrorKind::Closed);
        let (done, stored) = oneshot::channel();
        self.requests.send(WriteRequest { write, done }).await.map_err(|_| closed())?;
        stored.await.map_err(|_| closed())?
    }
}

/// Stores the trusted time.
async fn note_time(writes: &Pool) -> Result<(), sqlx::Error> {
    let mut transaction = writes.begin_write().await?;
    clock::observe(&mut transaction, &ClockReading::of_system()).await?;
    transaction.commit().await
}
