//! An outage of the database: when it began and why, and the spool that keeps changes meanwhile. The attempts to end it
//! are in [`super::drain`] and [`super::writer`].

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};
use uuid::Uuid;

use super::{
    database_status::{Away, DatabaseStatus, Ended},
    error::{StoreError, StoreErrorKind},
    queue::{WriteQueue, WriteRequest},
    spool::{Spool, SpoolError},
    spooled,
};

/// The pause after the first attempt to end an outage.
pub(super) const SHORTEST_PAUSE: Duration = Duration::from_secs(1);

/// The pause doubles up to this one.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The longest pause for a missing file, because checking for it is cheap.
const LONGEST_PAUSE_FOR_FILE: Duration = Duration::from_secs(4);

/// Keeps changes while the database is away, and publishes the status.
pub(super) struct OutageSpool {
    place: Arc<str>,
    spool: Arc<Mutex<Spool>>,
    status: watch::Sender<DatabaseStatus>,
    /// Notified of every answer to a query.
    pub(super) answered: Arc<Notify>,
    /// Notified by those who wait for the end of the outage.
    pub(super) hurry: Arc<Notify>,
    outage: Option<Outage>,
    outages: u64,
}

/// The current outage.
#[derive(Debug, Clone)]
pub(super) struct Outage {
    began: Instant,
    since: Timestamp,
    pub(super) why: Arc<StoreError>,
    pub(super) tried_at: Instant,
    pub(super) pause: Duration,
    stored: u64,
}

/// The spool or its task failed.
#[derive(Debug, thiserror::Error)]
enum SpoolFailure {
    #[error(transparent)]
    Spool(#[from] SpoolError),
    #[error("the spool's task broke")]
    Task(#[from] tokio::task::JoinError),
}

impl OutageSpool {
    /// `answered` is notified of every answer to a query, `hurry` by those who wait for the database.
    pub(super) fn new(
        place: Arc<str>,
        spool: Spool,
        status: watch::Sender<DatabaseStatus>,
        answered: Arc<Notify>,
        hurry: Arc<Notify>,
    ) -> Self {
        Self { place, spool: Arc::new(Mutex::new(spool)), status, answered, hurry, outage: None, outages: 0 }
    }

    /// Whether the database is away: changes go into the spool.
    pub(super) fn is_active(&self) -> bool {
        self.outage.is_some()
    }

    /// The current outage.
    pub(super) fn current(&self) -> Option<&Outage> {
        self.outage.as_ref()
    }

    /// Uses the spool in a thread that may block.
    pub(super) async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Spool) -> Result<T, SpoolError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let spool = Arc::clone(&self.spool);
        let work = move || work(&mut spool.lock().unwrap_or_else(PoisonError::into_inner));
        let done = tokio::task::spawn_blocking(work).await.map_err(SpoolFailure::from);
        let done = done.and_then(|done| done.map_err(SpoolFailure::from));
        done.map_err(|failure| StoreError::new(&self.place, StoreErrorKind::SpoolFailed, failure))
    }

    /// Begins an outage. It is published when the first change is kept.
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

    /// Begins an outage and publishes it, although no change waits yet.
    pub(super) fn begin_empty(&mut self, error: &StoreError) {
        self.begin(error);
        self.tell(0);
    }

    /// Begins an outage because the database did not accept a batch, and keeps the batch. Returns the requests that
    /// could not be kept, with the reason. `tried` is the transaction that failed; it may have been committed.
    /// `is_shut` means that nothing is written until the file is back.
    pub(super) async fn begin_with(
        &mut self,
        batch: &mut Vec<WriteRequest>,
        tried: Uuid,
        error: &StoreError,
        is_shut: bool,
    ) -> Vec<(WriteRequest, StoreError)> {
        self.begin(error);
        let (kept, not_kept) = self.keep(batch, Some(tried), error.clone()).await;
        if kept == 0 && is_shut {
            self.tell(0);
        } else if kept == 0 {
            // A single failure is not published as an outage.
            self.outage = None;
            self.outages -= 1;
        }
        not_kept
    }

    /// Keeps changes that come in during the outage.
    pub(super) async fn keep_received(&mut self, queue: &mut WriteQueue) {
        let Some(outage) = &self.outage else { return };
        let why = StoreError::clone(&outage.why);
        let not_kept = if why.kind.will_pass() {
            let refusal = StoreError::new(&self.place, StoreErrorKind::Away, why);
            self.keep(&mut queue.batch, None, refusal).await.1
        } else {
            // The caller must get the error.
            queue.batch.drain(..).map(|request| (request, why.clone())).collect()
        };
        for (request, error) in not_kept {
            request.answer(Err(error));
        }
    }

    /// Keeps a batch in the spool and answers its requests. Returns how many were kept, and those that were not: with
    /// `refusal` if they cannot wait, otherwise with the reason.
    async fn keep(
        &mut self,
        batch: &mut Vec<WriteRequest>,
        tried: Option<Uuid>,
        refusal: StoreError,
    ) -> (usize, Vec<(WriteRequest, StoreError)>) {
        let (mut not_kept, mut requests, mut contents) = (Vec::new(), Vec::new(), Vec::new());
        for request in batch.drain(..) {
            if !request.write.may_wait() {
                not_kept.push((request, refusal.clone()));
                continue;
            }
            match spooled::content(&request.write, tried) {
                Ok(content) => {
                    contents.push(content);
                    requests.push(request);
                }
                Err(error) => {
                    not_kept.push((request, StoreError::new(&self.place, StoreErrorKind::SpoolFailed, error)));
                }
            }
        }
        if requests.is_empty() {
            return (0, not_kept);
        }
        let kept = self.on_disk(move |spool| Ok((spool.append(&contents)?, spool.waiting()))).await;
        let (kept, error) = match kept {
            Ok((kept, waiting)) => {
                if kept > 0 {
                    self.tell(waiting);
                }
                (kept, StoreError::new(&self.place, StoreErrorKind::SpoolFull, refusal))
            }
            Err(failed) => (0, failed),
        };
        let left = requests.split_off(kept);
        for request in requests {
            request.answer(Ok(()));
        }
        not_kept.extend(left.into_iter().map(|request| (request, error.clone())));
        (kept, not_kept)
    }

    /// Publishes how many changes wait.
    pub(super) fn tell(&self, waiting: u64) {
        let Some(outage) = &self.outage else { return };
        let why = Arc::clone(&outage.why);
        self.status.send_modify(|status| {
            status.away = Some(Away { number: self.outages, since: outage.since, waiting, why });
        });
    }

    /// Records the result of an attempt to end the outage, and how many changes it stored.
    pub(super) fn tried(&mut self, result: Result<(), StoreError>, stored: u64) {
        let Some(outage) = &mut self.outage else { return };
        outage.stored += stored;
        let Err(error) = result else { return self.end() };
        tracing::debug!(error = &error as &dyn std::error::Error, "what waits cannot be stored yet");
        if !error.kind.will_pass() && outage.why.kind != error.kind {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "what waits for database {} cannot be stored, and nothing more is kept for it",
                self.place
            );
        }
        let longest = if error.kind.is_of_file() { LONGEST_PAUSE_FOR_FILE } else { LONGEST_PAUSE };
        outage.pause = (outage.pause * 2).min(longest);
        outage.tried_at = Instant::now();
        outage.why = Arc::new(error);
        let waiting = self.spool.lock().unwrap_or_else(PoisonError::into_inner).waiting();
        self.tell(waiting);
    }

    fn end(&mut self) {
        let Some(Outage { began, since, why, stored, .. }) = self.outage.take() else { return };
        let ended = Ended { number: self.outages, since, why, stored, after: began.elapsed() };
        self.status.send_modify(|status| {
            status.away = None;
            status.ended = Some(ended);
        });
    }
}
