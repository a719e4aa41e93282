//! What the writer does while the database is away: it keeps what comes on the disk, tries now and then, and stores
//! all of it in its order once the database is back. Not the file ([`super::spool`]).
//!
//! A batch from the spool is one transaction, in which the database also notes how far it has come. Killed at any
//! point, and whichever answer is lost, it is found there what is stored already
//! ([`progress`](super::spool::progress)).

use std::{
    error::Error,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};
use uuid::Uuid;

use super::{
    DEADLINE, StoreError, StoreErrorKind,
    condition::{Away, Condition, Ended, Lost},
    spool::{Spool, SpoolError, Waiting, progress::Origin},
    writer::{self, BATCH, Inbox, Order, Source, Write, Writer},
};

/// The pause after the first try, and the shortest of all.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);

/// It doubles up to this one.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The same for a file that is not there: looking costs nothing.
const LONGEST_PAUSE_FOR_FILE: Duration = Duration::from_secs(4);

/// How long a transaction from the spool has the writer to itself: longer than most take. What comes in meanwhile waits
/// for it, lest more comes in than is stored.
const HEAD_START: Duration = Duration::from_millis(500);

/// After how many transactions from the spool what has come in meanwhile is kept: fewer come in than are stored.
const TRANSACTIONS_A_TURN: u32 = 4;

/// How long the end of the program waits for a database that was away.
const LAST_TRY: Duration = Duration::from_secs(5);

/// The writer's part for outages.
pub(super) struct Bridge {
    spool: Arc<Mutex<Spool>>,
    condition: watch::Sender<Condition>,
    /// Told of every answer to a question.
    answered: Arc<Notify>,
    /// Told by those who wait for the end of the outage.
    hurry: Arc<Notify>,
    outage: Option<Outage>,
    outages: u64,
}

struct Outage {
    began: Instant,
    since: Timestamp,
    why: Arc<StoreError>,
    tried_at: Instant,
    pause: Duration,
    stored: u64,
}

/// What a line of the spool holds.
#[derive(Serialize)]
struct Spooled<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    tried: Option<Uuid>,
    write: &'a Write,
}

/// The same, read back.
#[derive(Deserialize)]
struct Unspooled {
    tried: Option<Uuid>,
    write: Write,
}

/// A change that waits.
struct Next {
    write: Write,
    origin: Origin,
    content: String,
}

#[cfg(any(test, fuzzing))]
pub(super) mod fuzzing {
    /// Whether the content of a line is a change.
    pub(in crate::store) fn is_understood(content: &str) -> bool {
        serde_json::from_str::<super::Unspooled>(content).is_ok()
    }
}

impl Bridge {
    pub(super) fn new(
        spool: Spool,
        condition: watch::Sender<Condition>,
        answered: Arc<Notify>,
        hurry: Arc<Notify>,
    ) -> Self {
        Self { spool: Arc::new(Mutex::new(spool)), condition, answered, hurry, outage: None, outages: 0 }
    }

    /// Whether the database is away: what comes is to be kept.
    pub(super) fn is_needed(&self) -> bool {
        self.outage.is_some()
    }

    /// Does something on the disk, where nothing else waits for it.
    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Spool) -> Result<T, SpoolError> + Send + 'static,
    ) -> Result<T, Broken> {
        let spool = Arc::clone(&self.spool);
        let work = move || work(&mut spool.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(tokio::task::spawn_blocking(work).await??)
    }

    fn begin(&mut self, error: &StoreError) {
        let now = Instant::now();
        self.outage = Some(Outage {
            began: now,
            since: Timestamp::now(),
            why: Arc::new(error.clone()),
            tried_at: now,
            pause: SHORTEST_PAUSE,
            stored: 0,
        });
        self.outages += 1;
    }

    /// A change is neither stored nor kept.
    pub(super) fn lose(&self, why: &StoreError) {
        self.condition.send_modify(|condition| {
            let since = condition.lost.as_ref().map_or_else(Timestamp::now, |lost| lost.since);
            let count = condition.lost.as_ref().map_or(0, |lost| lost.count) + 1;
            condition.lost = Some(Lost { since, count, why: Arc::new(why.clone()) });
        });
    }

    /// Changes are stored again.
    pub(super) fn lose_no_more(&self) {
        self.condition.send_if_modified(|condition| condition.lost.take().is_some());
    }

    fn tell(&self, waiting: u64) {
        let Some(outage) = &self.outage else { return };
        let why = Arc::clone(&outage.why);
        self.condition.send_modify(|condition| {
            condition.away = Some(Away { number: self.outages, since: outage.since, waiting, why });
        });
    }

    fn end(&mut self) {
        let Some(Outage { began, since, why, stored, .. }) = self.outage.take() else { return };
        let ended = Ended { number: self.outages, since, why, stored, after: began.elapsed() };
        self.condition.send_modify(|condition| {
            condition.away = None;
            condition.ended = Some(ended);
        });
    }
}

/// The spool failed, or what worked on it.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error(transparent)]
    Spool(#[from] SpoolError),
    #[error("the spool's task broke")]
    Task(#[from] tokio::task::JoinError),
}

impl Writer {
    /// The database did not take a batch, and may in a while: from here on it counts as away. Gives back what could
    /// not be kept either, with the reason. `write` is the transaction that failed; it may have been committed all
    /// the same.
    pub(super) async fn keep_first(
        &mut self,
        batch: &mut Vec<Order>,
        write: Uuid,
        error: &StoreError,
    ) -> Vec<(Order, StoreError)> {
        self.bridge.begin(error);
        let (kept, unkept) = self.keep(batch, Some(write), error.clone()).await;
        if kept == 0 && self.is_shut() {
            // Nothing is written again before something lies there.
            self.bridge.tell(0);
        } else if kept == 0 {
            // Nothing is told of what was no more than a failure.
            self.bridge.outage = None;
            self.bridge.outages -= 1;
        }
        unkept
    }

    /// From here on the database counts as away, though nothing waits for it yet.
    pub(super) fn begin_outage(&mut self, error: &StoreError) {
        self.bridge.begin(error);
        self.bridge.tell(0);
    }

    /// One step while the database is away: keeps what comes, or tries.
    pub(super) async fn bridge_over(&mut self, inbox: &mut Inbox) {
        let Some(outage) = &self.bridge.outage else { return };
        let (next, soonest) = (outage.tried_at + outage.pause, outage.tried_at + SHORTEST_PAUSE);
        let answers_count = outage.why.kind.ends_with_an_answer();
        let (answered, hurry) = (Arc::clone(&self.bridge.answered), Arc::clone(&self.bridge.hurry));
        let told_by = |told: Arc<Notify>| async move {
            tokio::time::sleep_until(soonest).await;
            told.notified().await;
        };
        tokio::select! {
            () = inbox.receive() => return self.keep_further(inbox).await,
            () = tokio::time::sleep_until(next) => {}
            () = told_by(hurry) => {}
            () = told_by(answered), if answers_count => {}
        }
        self.try_again(inbox).await;
    }

    /// At the end of the program: what waits then is stored by the next start.
    pub(super) async fn try_a_last_time(&mut self) {
        let Some(outage) = &self.bridge.outage else { return };
        if outage.tried_at.elapsed() >= SHORTEST_PAUSE
            && tokio::time::timeout(LAST_TRY, self.try_again(&mut Inbox::shut())).await.is_err()
        {
            tracing::debug!("the database did not come back at the last moment");
        }
        let waiting = self.bridge.on_disk(|spool| Ok((spool.waiting(), spool.files()))).await;
        if let Ok((waiting, files)) = waiting
            && waiting > 0
        {
            let files: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
            tracing::warn!(
                "database {} is away still: {waiting} changes wait in {} for the next start",
                self.place,
                files.join(" and ")
            );
        }
    }

    /// Stores what an earlier run left; the number of changes.
    pub(super) async fn clear(&mut self) -> Result<u64, StoreError> {
        let mut stored = 0;
        self.store_all(&mut Inbox::shut(), &mut stored).await?;
        Ok(stored)
    }

    async fn try_again(&mut self, inbox: &mut Inbox) {
        let mut stored = 0;
        let ended = match self.reopen().await {
            Ok(()) => self.store_all(inbox, &mut stored).await,
            Err(error) => Err(error),
        };
        let Some(outage) = &mut self.bridge.outage else { return };
        outage.stored += stored;
        match ended {
            Ok(()) => self.bridge.end(),
            Err(error) => {
                tracing::debug!(error = &error as &dyn Error, "what waits cannot be stored yet");
                if !error.kind.will_pass() && outage.why.kind != error.kind {
                    tracing::error!(
                        error = &error as &dyn Error,
                        "what waits for database {} cannot be stored, and nothing more is kept for it",
                        self.place
                    );
                }
                let longest = if error.kind.is_of_file() { LONGEST_PAUSE_FOR_FILE } else { LONGEST_PAUSE };
                outage.pause = (outage.pause * 2).min(longest);
                outage.tried_at = Instant::now();
                outage.why = Arc::new(error);
                let waiting = self.bridge.spool.lock().unwrap_or_else(PoisonError::into_inner).waiting();
                self.bridge.tell(waiting);
            }
        }
    }

    async fn keep_further(&mut self, inbox: &mut Inbox) {
        let Some(outage) = &self.bridge.outage else { return };
        let why = StoreError::clone(&outage.why);
        let (unkept, refusal) = if why.kind.will_pass() {
            (None, StoreError::new(&self.place, StoreErrorKind::Away, why))
        } else {
            // Somebody has to hear of it.
            (Some(std::mem::take(&mut inbox.batch)), why)
        };
        let unkept = match unkept {
            Some(orders) => orders.into_iter().map(|order| (order, refusal.clone())).collect(),
            None => self.keep(&mut inbox.batch, None, refusal).await.1,
        };
        for (order, error) in unkept {
            self.refuse(order, error);
        }
    }

    /// Keeps a batch in the spool and answers for it. What cannot wait is given back with `refusal`, what could not
    /// be kept with the reason.
    async fn keep(
        &mut self,
        batch: &mut Vec<Order>,
        tried: Option<Uuid>,
        refusal: StoreError,
    ) -> (usize, Vec<(Order, StoreError)>) {
        let (mut unkept, mut orders, mut contents) = (Vec::new(), Vec::new(), Vec::new());
        for order in batch.drain(..) {
            if !order.write.may_wait() {
                unkept.push((order, refusal.clone()));
                continue;
            }
            match serde_json::to_string(&Spooled { tried, write: &order.write }) {
                Ok(content) => {
                    contents.push(content);
                    orders.push(order);
                }
                Err(error) => unkept.push((order, StoreError::new(&self.place, StoreErrorKind::SpoolFailed, error))),
            }
        }
        if orders.is_empty() {
            return (0, unkept);
        }
        let kept = self.bridge.on_disk(move |spool| Ok((spool.append(&contents)?, spool.waiting()))).await;
        let (kept, error) = match kept {
            Ok((kept, waiting)) => {
                if kept > 0 {
                    self.bridge.tell(waiting);
                }
                (kept, StoreError::new(&self.place, StoreErrorKind::SpoolFull, refusal))
            }
            Err(broken) => (0, StoreError::new(&self.place, StoreErrorKind::SpoolFailed, broken)),
        };
        let left = orders.split_off(kept);
        for order in orders {
            writer::answer(order.done, Ok(()));
        }
        unkept.extend(left.into_iter().map(|order| (order, error.clone())));
        (kept, unkept)
    }

    /// Stores everything that waits, while more of it may come in.
    async fn store_all(&mut self, inbox: &mut Inbox, stored: &mut u64) -> Result<(), StoreError> {
        for turn in 1_u32.. {
            if turn % TRANSACTIONS_A_TURN == 0 && inbox.receive_at_once() {
                self.keep_further(inbox).await;
            }
            let (waiting, id) = self.on_disk(|spool| Ok((spool.peek(BATCH)?, spool.id().unwrap_or_default()))).await?;
            if waiting.is_empty() {
                return Ok(());
            }
            let mut batch = Vec::with_capacity(waiting.len());
            for Waiting { content, end } in waiting {
                match next(content, id, end) {
                    Ok(next) => batch.push(next),
                    // It has its turn when it is the first.
                    Err(_) if !batch.is_empty() => break,
                    Err((content, why)) => {
                        self.set_aside(content, &why).await?;
                        self.pass(1, end).await?;
                        break;
                    }
                }
            }
            let Some(last) = batch.last().map(|next| next.origin.end) else { continue };
            match self.store_some(&batch, inbox).await {
                Ok(()) => {
                    self.pass(batch.len(), last).await?;
                    *stored += batch.len() as u64;
                }
                Err(error) if is_its_own_fault(&error) => {
                    for next in &batch {
                        *stored += u64::from(self.store_or_set_aside(next, inbox).await?);
                        self.pass(1, next.origin.end).await?;
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// One transaction, during which what comes in is kept.
    async fn store_some(&mut self, batch: &[Next], inbox: &mut Inbox) -> Result<(), StoreError> {
        let writes: Vec<&Write> = batch.iter().map(|next| &next.write).collect();
        let origins: Vec<Origin> = batch.iter().map(|next| next.origin).collect();
        self.transact_spooled(&origins, &writes, inbox).await
    }

    async fn transact_spooled(
        &mut self,
        origins: &[Origin],
        writes: &[&Write],
        inbox: &mut Inbox,
    ) -> Result<(), StoreError> {
        self.look().await?;
        let (pool, mark, known) = (self.pool.clone(), self.mark, self.known.take());
        let attempt = writer::attempt(&pool, mark, Source::Spool(origins), known, writes);
        let mut attempt = std::pin::pin!(tokio::time::timeout(DEADLINE, attempt));
        let mut head_start = std::pin::pin!(tokio::time::sleep(HEAD_START));
        let mut receives = false;
        let ended = loop {
            tokio::select! {
                biased;
                ended = &mut attempt => break ended,
                () = &mut head_start, if !receives => receives = true,
                () = inbox.receive(), if receives && inbox.is_open => {
                    // The transaction goes on while the disk is waited for.
                    let mut keeping = std::pin::pin!(self.keep_further(inbox));
                    tokio::select! {
                        () = &mut keeping => {}
                        ended = &mut attempt => {
                            keeping.await;
                            break ended;
                        }
                    }
                }
            }
        };
        self.take_note(ended)?;
        self.look().await
    }

    /// One change alone; whether it is stored now.
    async fn store_or_set_aside(&mut self, next: &Next, inbox: &mut Inbox) -> Result<bool, StoreError> {
        match self.store_some(std::slice::from_ref(next), inbox).await {
            Ok(()) => Ok(true),
            Err(error) if is_its_own_fault(&error) => {
                self.set_aside(next.content.clone().into_bytes(), &error).await?;
                self.transact_spooled(&[next.origin], &[], inbox).await?;
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    async fn set_aside(&self, content: Vec<u8>, why: &(dyn Error + Sync + 'static)) -> Result<(), StoreError> {
        let file = self.on_disk(move |spool| spool.set_aside(&content)).await?;
        tracing::error!(
            error = why as &dyn Error,
            "database {} does not take a change that waited for it: it is kept in {}",
            self.place,
            file.display()
        );
        Ok(())
    }

    async fn pass(&self, count: usize, end: u64) -> Result<(), StoreError> {
        let waiting = self.on_disk(move |spool| spool.pass(count, end).map(|()| spool.waiting())).await?;
        self.bridge.tell(waiting);
        Ok(())
    }

    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Spool) -> Result<T, SpoolError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let done = self.bridge.on_disk(work).await;
        done.map_err(|broken| StoreError::new(&self.place, StoreErrorKind::SpoolFailed, broken))
    }
}

/// A full disk is not the fault of the change that met it.
fn is_its_own_fault(error: &StoreError) -> bool {
    error.kind.may_concern_one_record() && !error.kind.will_pass()
}

/// Reads a line's content; gives it back with the reason where it says nothing.
fn next(content: Result<String, Vec<u8>>, spool: Uuid, end: u64) -> Result<Next, (Vec<u8>, Unreadable)> {
    let content = content.map_err(|bytes| (bytes, Unreadable::Damaged))?;
    match serde_json::from_str::<Unspooled>(&content) {
        Ok(Unspooled { tried, write }) => Ok(Next { write, origin: Origin { spool, end, tried }, content }),
        Err(error) => Err((content.into_bytes(), Unreadable::Strange(error))),
    }
}

/// Why a line of the spool says nothing.
#[derive(Debug, thiserror::Error)]
enum Unreadable {
    #[error("its line in the spool is damaged")]
    Damaged,
    #[error("its line in the spool says nothing that this version knows")]
    Strange(#[source] serde_json::Error),
}
