//! The database: what was collected, what is alerted, which mails wait. Opens it, records collections,
//! answers questions. It decides nothing: what is an alert and what is mailed was decided by
//! [`fleet::judge`](crate::fleet::judge) before it comes here.
//!
//! Every change goes through one writer that owns the one writing connection ([`writer`]); questions have
//! connections of their own and never wait for it. A [`Record`] is stored whole or not at all: sample,
//! alerts, events, bookmark and mails are one transaction. Other programs read the `v1_` views of
//! `migrations/README.md`, and nothing else.

use std::{
    collections::HashMap,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use secrecy::SecretString;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use crate::fleet::{ClientId, Metric, Reading, judge::ClientState, mail::Mail};

pub mod error;
mod outbox;
mod pool;
mod read;
pub mod record;
mod schema;
mod writer;

pub use error::{StoreError, StoreErrorKind};
pub use outbox::{Due, MailCounts, OutboxMail};
pub use record::{Outcome, Record};

use pool::{Opened, Pool};
use writer::{Order, Write};

/// Changes that may wait for the writer. When it is full, whoever brings one waits: a collection then stays
/// in its store stage, its place in the sweep is not given to the next, and the sweep slows to what the
/// database takes.
const WAITING: usize = 1024;

/// How long one answer or one transaction of the database may take before it counts as out of reach.
const DEADLINE: Duration = Duration::from_secs(30);

/// An open database; cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    reads: Pool,
    place: Arc<str>,
    orders: mpsc::Sender<Order>,
    transactions: Arc<AtomicU64>,
}

impl Store {
    /// Opens the database of a URL, brings its schema up to date and starts the writer. A SQLite file is
    /// made where it is missing, readable by its owner alone.
    ///
    /// # Errors
    /// Every [`StoreErrorKind`] but `Rejected`, `NoSuchMail` and `Closed`.
    pub async fn open(url: &SecretString) -> Result<Self, StoreError> {
        let opened = pool::open(url).await?;
        schema::migrate(&opened.writes, &opened.place).await?;
        Ok(Self::start(opened))
    }

    /// Starts the writer of a database whose schema is up to date.
    fn start(Opened { writes, reads, place }: Opened) -> Self {
        let (orders, waiting) = mpsc::channel(WAITING);
        let transactions = Arc::new(AtomicU64::new(0));
        tokio::spawn(writer::run(writes, Arc::clone(&place), waiting, Arc::clone(&transactions)));
        Self { reads, place, orders, transactions }
    }

    /// The database as it may be shown: a path, or server and name.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }

    /// How many writing transactions were committed since it was opened: many records share one.
    #[must_use]
    pub fn transactions(&self) -> u64 {
        self.transactions.load(Ordering::Relaxed)
    }

    /// Stores what one collection came to, whole or not at all. When it answers `Ok`, it is on the disk. It
    /// is stored too where the caller stops waiting.
    ///
    /// # Errors
    /// Why nothing of it was stored. A server that fell silent in mid-commit may have stored it all the same.
    pub async fn record(&self, record: Record) -> Result<(), StoreError> {
        self.write(Write::Record(Box::new(record))).await
    }

    /// Puts a mail that belongs to no collection into the outbox.
    ///
    /// # Errors
    /// As [`record`](Self::record).
    pub async fn queue(&self, mail: Mail) -> Result<(), StoreError> {
        self.write(Write::Queue(mail)).await
    }

    /// Notes that the SMTP server took a mail, and with which answer.
    ///
    /// # Errors
    /// As [`record`](Self::record); `NoSuchMail`.
    pub async fn mail_sent(&self, id: Uuid, at: Timestamp, answer: &str) -> Result<(), StoreError> {
        self.write(Write::Sent { id, at, answer: answer.to_owned() }).await
    }

    /// Notes that it did not, for now: after `attempts` attempts the next is at `next_at`.
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

    /// Notes that it never will. The mail stays, with the reason.
    ///
    /// # Errors
    /// As [`record`](Self::record); `NoSuchMail`.
    pub async fn mail_refused(&self, id: Uuid, at: Timestamp, error: &str) -> Result<(), StoreError> {
        self.write(Write::Refused { id, at, error: error.to_owned() }).await
    }

    /// Notes what an operator did.
    ///
    /// # Errors
    /// As [`record`](Self::record).
    pub async fn audit(
        &self,
        at: Timestamp,
        actor: &str,
        action: &str,
        target: &str,
        detail: &str,
    ) -> Result<(), StoreError> {
        let [actor, action, target, detail] = [actor, action, target, detail].map(str::to_owned);
        self.write(Write::Audit { at, actor, action, target, detail }).await
    }

    /// What is known of every client between two collections, open alerts included.
    ///
    /// # Errors
    /// Why the database did not answer.
    pub async fn client_states(&self) -> Result<HashMap<ClientId, ClientState>, StoreError> {
        self.answer(read::client_states(&self.reads)).await
    }

    /// Where the next collection of each client's security log goes on.
    ///
    /// # Errors
    /// Why the database did not answer.
    pub async fn bookmarks(&self) -> Result<HashMap<ClientId, String>, StoreError> {
        self.answer(read::bookmarks(&self.reads)).await
    }

    /// The last `most` measured values of a client, newest last. Of `unreachable` there are none.
    ///
    /// # Errors
    /// Why the database did not answer.
    pub async fn recent(
        &self,
        client: &ClientId,
        metric: Metric,
        most: u32,
    ) -> Result<Vec<(Timestamp, f64)>, StoreError> {
        self.answer(read::recent(&self.reads, client, metric, most)).await
    }

    /// The newest reading of a client, whole, and when it was collected.
    ///
    /// # Errors
    /// Why the database did not answer.
    pub async fn latest_reading(&self, client: &ClientId) -> Result<Option<(Timestamp, Reading)>, StoreError> {
        self.answer(read::latest_reading(&self.reads, client)).await
    }

    /// The waiting mails that are to be offered now, oldest first.
    ///
    /// # Errors
    /// Why the database did not answer.
    pub async fn mails_due(
        &self,
        now: Timestamp,
        due: Due,
        after: Option<Uuid>,
        most: u32,
    ) -> Result<Vec<OutboxMail>, StoreError> {
        self.answer(outbox::due(&self.reads, now, due, after, most)).await
    }

    /// How many mails wait, were sent, were refused.
    ///
    /// # Errors
    /// Why the database did not answer.
    pub async fn mail_counts(&self) -> Result<MailCounts, StoreError> {
        self.answer(outbox::counts(&self.reads)).await
    }

    /// When the next waiting mail is to be offered; `None` where none waits.
    ///
    /// # Errors
    /// Why the database did not answer.
    pub async fn next_mail_at(&self) -> Result<Option<Timestamp>, StoreError> {
        self.answer(outbox::next_at(&self.reads)).await
    }

    /// Stores what waits, then ends every connection. What comes later is refused as `Closed`.
    pub async fn close(&self) {
        match self.write(Write::Close).await {
            Ok(()) => {}
            Err(error) => tracing::debug!(%error, "the store was closed before"),
        }
        self.reads.close().await;
    }

    /// Hands a change to the writer and waits until it is stored.
    async fn write(&self, write: Write) -> Result<(), StoreError> {
        let closed = || StoreError::plain(&self.place, StoreErrorKind::Closed);
        let (done, stored) = oneshot::channel();
        self.orders.send(Order { write, done }).await.map_err(|_| closed())?;
        stored.await.map_err(|_| closed())?
    }

    /// Waits for an answer, not for ever.
    async fn answer<T>(&self, question: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, StoreError> {
        match tokio::time::timeout(DEADLINE, question).await {
            Ok(answer) => answer.map_err(|error| StoreError::from_driver(&self.place, error)),
            Err(passed) => Err(StoreError::new(&self.place, StoreErrorKind::Unreachable, passed)),
        }
    }
}

/// A time as the database keeps it.
fn to_ms(at: Timestamp) -> i64 {
    at.as_millisecond()
}

/// A time that the database kept.
fn from_ms(ms: i64) -> Result<Timestamp, sqlx::Error> {
    Timestamp::from_millisecond(ms).map_err(unreadable)
}

/// A count as the database keeps it: what is beyond 2^63 is no count of ours.
fn to_count(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A count that the database kept.
fn from_count<T: TryFrom<i64>>(count: i64) -> Result<T, sqlx::Error>
where
    T::Error: std::error::Error + Send + Sync + 'static,
{
    T::try_from(count).map_err(unreadable)
}

/// The database holds what this program never wrote.
fn unreadable(error: impl std::error::Error + Send + Sync + 'static) -> sqlx::Error {
    sqlx::Error::Decode(Box::new(error))
}

#[cfg(test)]
mod tests;
