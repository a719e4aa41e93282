//! The one writer: takes what waits, as much as there is, into one transaction and answers each when it is
//! on the disk. Not what is written.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::{
    DEADLINE, Record, StoreError, StoreErrorKind, alert_changes,
    holder::{self, Holder},
    lock::Lock,
    outbox,
    pool::{Pool, Transaction, execute},
    record::{self, Known},
    retention, sweeps, to_ms,
};
use crate::fleet::{ClientId, Metric, SweepId, event::Trigger, mail::Mail};

/// The most changes of one transaction. Nothing is waited for to fill it.
const BATCH: usize = 256;

/// One change.
#[derive(Debug)]
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
        alert: Uuid,
        at: Timestamp,
        actor: String,
    },
    Announce(Holder),
    /// Deletes one piece of what is older; tells whether more may be left.
    Forget {
        before: Timestamp,
        more: Arc<AtomicBool>,
    },
    /// Nothing more from now on; answered when every connection has ended.
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

struct Writer {
    pool: Pool,
    place: Arc<str>,
    /// What stands in the database as long as it is ours to write.
    mark: Uuid,
    /// What the database holds, as far as recording needs it. `None` after a failure: it is read again.
    known: Option<Known>,
    transactions: Arc<AtomicU64>,
}

/// What is to be written to, and the right to do so.
pub(super) struct Desk {
    pub(super) pool: Pool,
    pub(super) place: Arc<str>,
    pub(super) mark: Uuid,
    pub(super) lock: Lock,
}

/// Writes until it is closed, or until nobody can bring anything any more; then gives up the lock.
pub(super) async fn run(desk: Desk, mut waiting: mpsc::Receiver<Order>, transactions: Arc<AtomicU64>) {
    let Desk { pool, place, mark, lock } = desk;
    let mut writer = Writer { pool, place, mark, known: None, transactions };
    let mut batch = Vec::with_capacity(BATCH);
    let mut closers = Vec::new();
    while waiting.recv_many(&mut batch, BATCH).await > 0 {
        let closing = batch.extract_if(.., |order| matches!(order.write, Write::Close));
        closers.extend(closing.map(|order| order.done));
        if !closers.is_empty() {
            // From here on nobody new is let in; who is in already is served.
            waiting.close();
        }
        if !batch.is_empty() {
            writer.serve(&mut batch).await;
        }
    }
    writer.pool.close().await;
    lock.release().await;
    for closer in closers {
        answer(closer, Ok(()));
    }
}

fn answer(done: oneshot::Sender<Result<(), StoreError>>, result: Result<(), StoreError>) {
    if done.send(result).is_err() {
        tracing::debug!("nobody waits any more for what was written");
    }
}

impl Writer {
    /// Stores a batch and answers everyone. Where one record may have spoilt it for all, each is tried alone.
    async fn serve(&mut self, batch: &mut Vec<Order>) {
        let writes: Vec<&Write> = batch.iter().map(|order| &order.write).collect();
        let together = self.transact(&writes).await;
        let alone = match &together {
            Ok(()) => false,
            Err(error) => writes.len() > 1 && error.kind.may_concern_one_record(),
        };
        for order in batch.drain(..) {
            let result = if alone { self.transact(&[&order.write]).await } else { together.clone() };
            answer(order.done, result);
        }
    }

    /// One transaction. A single change that was rejected is tried once more with what the database holds
    /// read anew: another program may have written since.
    async fn transact(&mut self, writes: &[&Write]) -> Result<(), StoreError> {
        let remembered = self.known.is_some();
        match self.attempt(writes).await {
            Err(error) if remembered && writes.len() == 1 && error.kind == StoreErrorKind::Rejected => {
                self.attempt(writes).await
            }
            result => result,
        }
    }

    async fn attempt(&mut self, writes: &[&Write]) -> Result<(), StoreError> {
        // Taken out, and put back only after a commit: after anything else it is not true any more.
        let known = self.known.take();
        match tokio::time::timeout(DEADLINE, attempt(&self.pool, self.mark, known, writes)).await {
            Ok(Ok(known)) => {
                self.known = Some(known);
                self.transactions.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            Ok(Err(Unwritten::Driver(error))) => Err(StoreError::from_driver(&self.place, error)),
            Ok(Err(Unwritten::Refused(kind))) => Err(StoreError::plain(&self.place, kind)),
            Err(passed) => Err(StoreError::new(&self.place, StoreErrorKind::Unreachable, passed)),
        }
    }
}

/// Writes and commits; gives what is known afterwards.
async fn attempt(pool: &Pool, mark: Uuid, known: Option<Known>, writes: &[&Write]) -> Result<Known, Unwritten> {
    let mut transaction = pool.begin_write().await?;
    match write_all(&mut transaction, mark, known, writes).await {
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
    known: Option<Known>,
    writes: &[&Write],
) -> Result<Known, Unwritten> {
    if !holder::stands(transaction, mark).await? {
        return Err(Unwritten::Refused(StoreErrorKind::InUse));
    }
    let mut known = match known {
        Some(known) => known,
        None => Known::read(transaction).await?,
    };
    for write in writes {
        match write {
            Write::Record(record) => record::insert(transaction, &mut known, record).await?,
            Write::Queue(mail) => outbox::insert(transaction, mail, None).await?,
            Write::Sent { id, at, answer } => outbox::sent(transaction, *id, *at, answer).await?,
            Write::Deferred { id, attempts, next_at, error } => {
                outbox::deferred(transaction, *id, *attempts, *next_at, error).await?;
            }
            Write::Refused { id, at, error } => outbox::refused(transaction, *id, *at, error).await?,
            Write::Audit { at, actor, action, target, detail } => {
                audit(transaction, &mut known, *at, [actor, action, target, detail]).await?;
            }
            Write::SweepStarted { sweep, number, set_off_by, at, clients } => {
                sweeps::started(transaction, *sweep, *number, *set_off_by, *at, *clients).await?;
            }
            Write::SweepEnded { sweep, at, duration_ms, ok, failed } => {
                sweeps::ended(transaction, *sweep, *at, *duration_ms, (*ok, *failed), known.last_collection()).await?;
            }
            Write::Acknowledge { client, metric, alert, at, actor } => {
                alert_changes::acknowledge(transaction, client, *metric, *alert, *at).await?;
                let texts = [actor.as_str(), alert_changes::ACKNOWLEDGE, &client.to_string(), metric.word()];
                audit(transaction, &mut known, *at, texts).await?;
            }
            Write::Announce(holder) => holder::announce(transaction, mark, holder).await?,
            Write::Forget { before, more } => {
                more.store(retention::forget(transaction, *before).await?, Ordering::Relaxed);
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
