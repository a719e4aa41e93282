//! The one writer: takes what waits, as much as there is, into one transaction and answers each when it is
//! on the disk. Not what is written, and not what is done while the database is away ([`super::bridge`]).

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::{
    sync::{mpsc, oneshot},
    time::error::Elapsed,
};
use uuid::Uuid;

use super::{
    DEADLINE, Record, StoreError, StoreErrorKind, alert_changes,
    bridge::Bridge,
    clock::{self, TrustedTime, Witness},
    holder::{self, Holder},
    lock::Lock,
    open::PATIENCE,
    outbox,
    pool::{Pool, Transaction, execute},
    reads::Reads,
    record::{self, Known},
    reopen::Watched,
    retention,
    spool::progress::Origin,
    sweeps, to_ms,
};
use crate::fleet::{ClientId, Metric, SweepId, alert::AlertKey, event::Trigger, mail::Mail, metric::Instance};

/// The most changes of one transaction. Nothing is waited for to fill it.
pub(super) const BATCH: usize = 256;

/// One change.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Write {
    Record(Box<Record>),
    Queue(Mail),
    Sent {
        id: Uuid,
        at: Timestamp,
        answer: String,
    },
    Deferred {
        id: Uuid,
        attempts: u32,
        next_at: Timestamp,
        error: String,
    },
    Refused {
        id: Uuid,
        at: Timestamp,
        error: String,
    },
    Split {
        id: Uuid,
        parts: Vec<Mail>,
        reason: String,
    },
    /// Counts how long mails have waited.
    #[serde(skip)]
    Waited {
        at: Timestamp,
        most: Duration,
    },
    Audit {
        at: Timestamp,
        actor: String,
        action: String,
        target: String,
        detail: String,
    },
    SweepStarted {
        sweep: SweepId,
        number: u64,
        set_off_by: Trigger,
        at: Timestamp,
        clients: u64,
    },
    SweepEnded {
        sweep: SweepId,
        at: Timestamp,
        duration_ms: u64,
        ok: u64,
        failed: u64,
    },
    Acknowledge {
        client: ClientId,
        metric: Metric,
        #[serde(default, skip_serializing_if = "Instance::is_host")]
        instance: Instance,
        alert: Uuid,
        at: Timestamp,
        actor: String,
    },
    #[serde(skip)]
    Announce(Holder),
    /// Deletes one piece of what is older; tells whether more may be left.
    #[serde(skip)]
    Forget {
        before: Timestamp,
        more: Arc<AtomicBool>,
    },
    /// Notes what the machine says of time; tells what is believed.
    #[serde(skip)]
    Observe {
        witness: Witness,
        believed: Arc<OnceLock<TrustedTime>>,
    },
    /// Nothing more from now on; answered when every connection has ended.
    #[serde(skip)]
    Close,
}

/// One change, and who waits for it.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) write: Write,
    pub(super) done: oneshot::Sender<Result<(), StoreError>>,
}

/// Why a transaction came to nothing.
#[derive(Debug)]
pub(super) enum Unwritten {
    /// The database said no.
    Driver(sqlx::Error),
    /// What was asked does not go together with what it holds.
    Refused(StoreErrorKind),
}

impl From<sqlx::Error> for Unwritten {
    fn from(error: sqlx::Error) -> Self {
        Self::Driver(error)
    }
}

impl Write {
    /// Whether it can wait in the spool while the database is away.
    pub(super) fn may_wait(&self) -> bool {
        match self {
            // What happened: it is to be found in the database, in its order, whenever that is back.
            Self::Record(_)
            | Self::Queue(_)
            | Self::Sent { .. }
            | Self::Deferred { .. }
            | Self::Refused { .. }
            | Self::Split { .. }
            | Self::Audit { .. }
            | Self::SweepStarted { .. }
            | Self::SweepEnded { .. } => true,
            // What an operator asks: whether the alert is open still is the database's to say.
            Self::Acknowledge { .. }
            // The next round counts it.
            | Self::Waited { .. }
            // Who holds the database is of no use where nobody can read it.
            | Self::Announce(_)
            | Self::Forget { .. }
            | Self::Observe { .. }
            | Self::Close => false,
        }
    }
}

/// The one who writes.
pub(super) struct Writer {
    pub(super) pool: Pool,
    pub(super) place: Arc<str>,
    /// What stands in the database as long as it is ours to write.
    pub(super) mark: Uuid,
    /// What the database holds, as far as recording needs it. `None` after a failure: it is read again.
    pub(super) known: Option<Known>,
    pub(super) transactions: Arc<AtomicU64>,
    /// The connections for questions, which come and go with the file.
    pub(super) reads: Reads,
    pub(super) lock: Lock,
    /// The file, where the database is one.
    pub(super) watched: Option<Watched>,
    /// Who was announced as the collector.
    pub(super) announced: Option<Holder>,
    /// What is done while the database is away.
    pub(super) bridge: Bridge,
}

/// What comes in.
pub(super) struct Inbox {
    orders: mpsc::Receiver<Order>,
    pub(super) batch: Vec<Order>,
    closers: Vec<oneshot::Sender<Result<(), StoreError>>>,
    /// Whether anything can come still.
    pub(super) is_open: bool,
}

impl Inbox {
    fn new(orders: mpsc::Receiver<Order>) -> Self {
        Self { orders, batch: Vec::with_capacity(BATCH), closers: Vec::new(), is_open: true }
    }

    /// One into which nothing comes.
    pub(super) fn shut() -> Self {
        Self { is_open: false, ..Self::new(mpsc::channel(1).1) }
    }

    /// Waits for what comes into the empty batch; may be cancelled without losing it.
    pub(super) async fn receive(&mut self) {
        if self.orders.recv_many(&mut self.batch, BATCH).await == 0 {
            self.is_open = false;
        }
        self.sort_out();
    }

    /// Takes what has come already; whether there was something.
    pub(super) fn receive_at_once(&mut self) -> bool {
        while self.batch.len() < BATCH
            && let Ok(order) = self.orders.try_recv()
        {
            self.batch.push(order);
        }
        self.sort_out();
        !self.batch.is_empty()
    }

    fn sort_out(&mut self) {
        let closing = self.batch.extract_if(.., |order| matches!(order.write, Write::Close));
        self.closers.extend(closing.map(|order| order.done));
        if !self.closers.is_empty() {
            // From here on nobody new is let in; who is in already is served.
            self.orders.close();
        }
    }
}

/// How often a file is looked at when nothing is written.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Writes until it is closed, or until nobody can bring anything any more; then gives up the lock.
pub(super) async fn run(mut writer: Writer, orders: mpsc::Receiver<Order>) {
    let mut inbox = Inbox::new(orders);
    while inbox.is_open {
        if writer.bridge.is_needed() {
            writer.bridge_over(&mut inbox).await;
            continue;
        }
        tokio::select! {
            biased;
            () = inbox.receive() => {
                if !inbox.batch.is_empty() {
                    writer.serve(&mut inbox.batch).await;
                }
            }
            () = tokio::time::sleep(LOOK_EVERY), if writer.watched.is_some() => writer.look_at_leisure().await,
        }
    }
    if !writer.bridge.is_needed() {
        writer.look_at_leisure().await;
    }
    writer.try_a_last_time().await;
    let Writer { pool, bridge, lock, mark, .. } = writer;
    if !bridge.is_needed() {
        match tokio::time::timeout(PATIENCE, holder::withdraw(&pool, mark)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "the database still names this collector"),
            Err(passed) => tracing::debug!(%passed, "the database still names this collector"),
        }
    }
    pool.empty_log().await;
    pool.close().await;
    lock.release().await;
    // Whoever watches learns of the end before it is answered; the spool is another's from here on.
    drop(bridge);
    for closer in inbox.closers {
        answer(closer, Ok(()));
    }
}

pub(super) fn answer(done: oneshot::Sender<Result<(), StoreError>>, result: Result<(), StoreError>) {
    if done.send(result).is_err() {
        tracing::debug!("nobody waits any more for what was written");
    }
}

impl Writer {
    /// Stores a batch and answers everyone. Where one record may have spoilt it for all, each is tried alone;
    /// where the database is away, they are kept.
    async fn serve(&mut self, batch: &mut Vec<Order>) {
        for order in &*batch {
            if let Write::Announce(holder) = &order.write {
                self.announced = Some(holder.clone());
            }
        }
        let write = Uuid::new_v4();
        let writes: Vec<&Write> = batch.iter().map(|order| &order.write).collect();
        let Err(error) = self.transact(write, &writes).await else {
            self.bridge.lose_no_more();
            return batch.drain(..).for_each(|order| answer(order.done, Ok(())));
        };
        let mut alone = Vec::new();
        if error.kind.will_pass() {
            // On a full disk, on which the spool may lie as well, the smaller ones may be taken still.
            let several = batch.len() > 1;
            for (order, unkept) in self.keep_first(batch, write, &error).await {
                if error.kind != StoreErrorKind::Full || self.bridge.is_needed() {
                    self.refuse(order, unkept);
                } else if several {
                    alone.push(order);
                } else {
                    self.refuse(order, error.clone());
                }
            }
        } else if batch.len() > 1 && error.kind.may_concern_one_record() {
            alone.append(batch);
        } else {
            return batch.drain(..).for_each(|order| answer(order.done, Err(error.clone())));
        }
        let mut left = alone.into_iter();
        while let Some(order) = left.next() {
            let write = Uuid::new_v4();
            match self.transact(write, &[&order.write]).await {
                Err(error) if error.kind.will_pass() && error.kind != StoreErrorKind::Full => {
                    batch.push(order);
                    batch.extend(left.by_ref());
                    for (order, error) in self.keep_first(batch, write, &error).await {
                        self.refuse(order, error);
                    }
                }
                Err(error) => self.refuse(order, error),
                Ok(()) => answer(order.done, Ok(())),
            }
        }
    }

    /// One transaction. A single change that was rejected is tried once more with what the database holds
    /// read anew: another program may have written since.
    async fn transact(&mut self, write: Uuid, writes: &[&Write]) -> Result<(), StoreError> {
        let remembered = self.known.is_some();
        match self.attempt(write, writes).await {
            Err(error) if remembered && writes.len() == 1 && error.kind == StoreErrorKind::Rejected => {
                self.attempt(write, writes).await
            }
            result => result,
        }
    }

    async fn attempt(&mut self, write: Uuid, writes: &[&Write]) -> Result<(), StoreError> {
        self.look().await?;
        // Taken out, and put back only after a commit: after anything else it is not true any more.
        let known = self.known.take();
        let attempt = attempt(&self.pool, self.mark, Source::Direct(write), known, writes);
        let ended = tokio::time::timeout(DEADLINE, attempt).await;
        self.take_note(ended)?;
        // What was committed counts only where it can be found.
        self.look().await
    }

    /// Answers that a change was not stored. Where that is for want of a disk or of a database, it is lost.
    pub(super) fn refuse(&self, order: Order, error: StoreError) {
        if order.write.may_wait() && error.kind.loses_what_happened() {
            self.bridge.lose(&error);
        }
        answer(order.done, Err(error));
    }

    /// Looks at the file when nothing is to be written.
    async fn look_at_leisure(&mut self) {
        if let Err(error) = self.look().await {
            self.begin_outage(&error);
        }
    }

    /// What follows from a transaction that ended, or did not in time.
    pub(super) fn take_note(&mut self, ended: Result<Result<Known, Unwritten>, Elapsed>) -> Result<(), StoreError> {
        match ended {
            Ok(Ok(known)) => {
                self.known = Some(known);
                self.transactions.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            Ok(Err(Unwritten::Driver(error))) => {
                // Where there was no room the connection is closed, and made anew.
                self.expect_new_companions();
                Err(StoreError::from_driver(&self.place, error))
            }
            Ok(Err(Unwritten::Refused(kind))) => Err(StoreError::plain(&self.place, kind)),
            Err(passed) => Err(StoreError::new(&self.place, StoreErrorKind::Unreachable, passed)),
        }
    }
}

/// Where the changes of a transaction come from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Source<'a> {
    /// From those who wait for it; the transaction's name.
    Direct(Uuid),
    /// From the spool: where each of them stood. Those that are stored already are passed over.
    Spool(&'a [Origin]),
}

/// Writes and commits; gives what is known afterwards.
pub(super) async fn attempt(
    pool: &Pool,
    mark: Uuid,
    source: Source<'_>,
    known: Option<Known>,
    writes: &[&Write],
) -> Result<Known, Unwritten> {
    let mut transaction = pool.begin_write().await?;
    match write_all(&mut transaction, mark, source, known, writes).await {
        Ok(known) => {
            transaction.commit().await?;
            Ok(known)
        }
        Err(error) => {
            if let Err(rollback) = transaction.rollback().await {
                tracing::debug!(error = %rollback, "a transaction could not be rolled back; its connection is given up");
            }
            Err(error)
        }
    }
}

async fn write_all(
    transaction: &mut Transaction,
    mark: Uuid,
    source: Source<'_>,
    known: Option<Known>,
    writes: &[&Write],
) -> Result<Known, Unwritten> {
    let in_use = || Unwritten::Refused(StoreErrorKind::InUse);
    let mut stored_before = Vec::new();
    match source {
        Source::Direct(write) => {
            if !holder::sign(transaction, mark, write).await? {
                return Err(in_use());
            }
        }
        Source::Spool(origins) => {
            let progress = holder::progress(transaction, mark).await?.ok_or_else(in_use)?;
            stored_before = origins.iter().map(|origin| progress.has(*origin)).collect();
            holder::advance(transaction, mark, &progress.after(Uuid::new_v4(), origins)).await?;
        }
    }
    let mut known = match known {
        Some(known) => known,
        None => Known::read(transaction).await?,
    };
    for (index, write) in writes.iter().enumerate() {
        if stored_before.get(index) == Some(&true) {
            continue;
        }
        match write {
            Write::Record(record) => record::insert(transaction, &mut known, record).await?,
            Write::Queue(mail) => outbox::insert(transaction, mail, &outbox::Origin::default()).await?,
            Write::Sent { id, at, answer } => outbox::sent(transaction, *id, *at, answer).await?,
            Write::Deferred { id, attempts, next_at, error } => {
                outbox::deferred(transaction, *id, *attempts, *next_at, error).await?;
            }
            Write::Refused { id, at, error } => outbox::refused(transaction, *id, *at, error).await?,
            Write::Split { id, parts, reason } => outbox::split(transaction, *id, parts, reason).await?,
            Write::Waited { at, most } => outbox::waited(transaction, *at, *most).await?,
            Write::Audit { at, actor, action, target, detail } => {
                audit(transaction, &mut known, *at, [actor, action, target, detail]).await?;
            }
            Write::SweepStarted { sweep, number, set_off_by, at, clients } => {
                sweeps::started(transaction, *sweep, *number, *set_off_by, *at, *clients).await?;
            }
            Write::SweepEnded { sweep, at, duration_ms, ok, failed } => {
                sweeps::ended(transaction, *sweep, *at, *duration_ms, (*ok, *failed), known.last_collection()).await?;
            }
            Write::Acknowledge { client, metric, instance, alert, at, actor } => {
                let about = AlertKey { metric: *metric, instance: instance.clone() };
                alert_changes::acknowledge(transaction, client, &about, *alert, *at).await?;
                let texts = [actor.as_str(), alert_changes::ACKNOWLEDGE, &client.to_string(), &about.to_string()];
                audit(transaction, &mut known, *at, texts).await?;
            }
            Write::Announce(holder) => holder::announce(transaction, mark, holder).await?,
            Write::Forget { before, more } => {
                more.store(retention::forget(transaction, *before).await?, Ordering::Relaxed);
            }
            Write::Observe { witness, believed } => {
                let now = clock::observe(transaction, witness).await?;
                // Told once: a transaction that was undone said the same.
                believed.get_or_init(|| now);
            }
            // Kept back by the writer's loop.
            Write::Close => {}
        }
    }
    Ok(known)
}

/// Notes what an operator did: who, what, to which, anything further.
async fn audit(
    transaction: &mut Transaction,
    known: &mut Known,
    at: Timestamp,
    [actor, action, target, detail]: [&str; 4],
) -> Result<(), sqlx::Error> {
    let id = known.new_audit_id();
    execute!(
        transaction,
        "INSERT INTO audit_entries (id, at_ms, actor, action, target, detail) VALUES (?, ?, ?, ?, ?, ?)",
        id,
        to_ms(at),
        actor,
        action,
        target,
        detail
    )
    .map(drop)
}
