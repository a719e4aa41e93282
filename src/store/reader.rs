//! Read access to a database: all queries. It takes no lock and runs no migration, so it works while a collector of
//! this or another process uses the database.

use std::{
    collections::HashMap,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use jiff::Timestamp;
use secrecy::SecretString;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub use super::past::Past;

use super::{
    alerts, clients, collectors,
    deadlines::TRANSACTION_DEADLINE,
    error::{StoreError, StoreErrorKind},
    history,
    lock_owner::LockOwner,
    open,
    outbox::{self, Due, MailCounts, OutboxMail},
    pages::Totals,
    past,
    read_pool::ReadPool,
    readable::Unreadable,
    schema, stored_history, sweeps,
    target::{DatabaseUrl, Target},
    view_rows::{self, Found, Position, StoredClient},
};
use crate::config::Database;
use crate::fleet::{
    ClientId, Metric, Reading, SweepId,
    alerts::AlertView,
    event::ClientCard,
    history::{AlertRow, EventRow, MailRow, Point, Span, StoredHistory},
    judge::ClientState,
    listing::{Page, Part},
    rows::View,
    security::allowance::Spent,
    state::SweepView,
};

/// A database to read; cheap to clone.
#[derive(Debug, Clone)]
pub struct Reader {
    pool: ReadPool,
    place: Arc<str>,
    totals: Totals,
    /// The most unreadable rows of one answer that were logged.
    warned: Arc<AtomicU64>,
    /// Told of every answer.
    answered: Arc<Notify>,
}

impl Reader {
    /// Opens the database of a configuration for reading. It has to be there, with exactly this program's schema.
    ///
    /// # Errors
    /// As [`Store::open_configured`](super::Store::open_configured), but never `InUse`; also `OlderSchema`.
    pub async fn open_configured(database: &Database) -> Result<Self, StoreError> {
        Self::open_named(DatabaseUrl::configured(database)).await
    }

    /// The same for a URL alone.
    ///
    /// # Errors
    /// As [`open_configured`](Self::open_configured).
    pub async fn open(url: &SecretString) -> Result<Self, StoreError> {
        Self::open_named(DatabaseUrl::plain(url)).await
    }

    async fn open_named(database: DatabaseUrl<'_>) -> Result<Self, StoreError> {
        let target = Target::of(database)?;
        let reader = Self::new(open::read(&target).await?, Arc::clone(&target.place));
        match tokio::time::timeout(TRANSACTION_DEADLINE, schema::check(&reader.pool, &reader.place)).await {
            Ok(checked) => checked.map(|()| reader),
            Err(passed) => Err(StoreError::new(&reader.place, StoreErrorKind::Unreachable, passed)),
        }
    }

    pub(super) fn new(pool: ReadPool, place: Arc<str>) -> Self {
        Self { pool, place, totals: Totals::default(), warned: Arc::default(), answered: Arc::default() }
    }

    /// Told of every answer to any clone of this.
    pub(super) fn answered(&self) -> Arc<Notify> {
        Arc::clone(&self.answered)
    }

    /// The database as it may be shown: a path, or server and name.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }

    /// The connections, for whoever opens them anew.
    pub(super) fn connections(&self) -> ReadPool {
        self.pool.clone()
    }

    pub(super) fn shown(&self) -> &Arc<str> {
        &self.place
    }

    /// What is remembered of every client, and the alerts: the open ones and those that ended last.
    ///
    /// # Errors
    /// Why the database did not answer.
    pub async fn memory(&self) -> Result<StoredHistory, StoreError> {
        self.readable(stored_history::memory(&self.pool)).await
    }

    /// CPU and memory of a client over a span up to `now`, oldest first, thinned to a few hundred points: each
    /// the average of what was measured in its part of the span.
    ///
    /// # Errors
    /// Why the database did not answer.
    pub async fn history(&self, client: &ClientId, span: Span, now: Timestamp) -> Result<Vec<Point>, StoreError> {
        self.readable(history::points(&self.pool, client, span, now)).await
    }

    /// The last `most` security events of a client, newest first.
    ///
    /// # Errors
    /// Why the database did not answer.
    pub async fn security_events(&self, client: &ClientId, most: u32) -> Result<Vec<EventRow>, StoreError> {
        self.readable(history::security_events(&self.pool, client, most)).await
    }

    /// At most `most` alerts by the time at which they were raised, each with the newest of the mails about it.
    ///
    /// # Errors
    /// Why the database did not answer.
    pub async fn alerts_page(&self, part: Part, most: u32) -> Result<Page<AlertRow>, StoreError> {
        self.answer(alerts::page(&self.pool, &self.totals, part, most)).await
    }

    /// The alerts that are open, oldest first.
    ///
    /// # Errors
    /// Why the database did not answer.
    pub async fn open_alerts(&self) -> Result<Vec<AlertView>, StoreError> {
        self.readable(alerts::open_views(&self.pool)).await
    }

    /// Every client of which there is something, in the order in which they were first collected.
    ///
    /// # Errors
    /// Why the database did not answer.
    pub async fn stored_clients(&self) -> Result<Vec<StoredClient>, StoreError> {
        self.readable(view_rows::stored_clients(&self.pool)).await
    }

    /// One page of the rows of a view.
    pub(super) async fn page(
        &self,
        view: View,
        part: i64,
        after: &Position,
        until_ms: i64,
        most: i64,
    ) -> Result<Vec<Found>, StoreError> {
        self.answer(view_rows::page(&self.pool, view, part, after, until_ms, most)).await
    }

    /// At most `most` mails by the time at which they were decided.
    ///
    /// # Errors
    /// Why the database did not answer.
    pub async fn mails_page(&self, part: Part, most: u32) -> Result<Page<MailRow>, StoreError> {
        self.answer(history::mails(&self.pool, &self.totals, part, most)).await
    }

    /// At most `most` sweeps that ended. Which clients they visited is not said.
    ///
    /// # Errors
    /// Why the database did not answer.
    pub async fn sweeps_page(&self, part: Part, most: u32) -> Result<Page<SweepView>, StoreError> {
        self.answer(sweeps::page(&self.pool, &self.totals, part, most)).await
    }

    /// The last `most` sweeps that ended, oldest first. Which clients they visited is not said.
    ///
    /// # Errors
    /// Why the database did not answer.
    pub async fn sweeps(&self, most: u32) -> Result<Vec<SweepView>, StoreError> {
        self.answer(sweeps::list(&self.pool, most)).await
    }

    /// The fleet as it stood at the end of a sweep. Its clients are those of `cards`, as far as they were known then.
    /// Where `superseded` is cancelled it is left at the next chance.
    ///
    /// # Errors
    /// Why the database did not answer.
    pub async fn past(
        &self,
        sweep: SweepId,
        cards: &[ClientCard],
        superseded: &CancellationToken,
    ) -> Result<Past, StoreError> {
        self.answer(past::fleet(&self.pool, sweep, cards, superseded)).await
    }

    /// The collector that announced itself last. It may have been killed since: whether it is there still, only
    /// its socket can tell.
    ///
    /// # Errors
    /// Why the database did not answer.
    pub async fn lock_owner(&self) -> Result<Option<LockOwner>, StoreError> {
        self.answer(collectors::read(&self.pool)).await
    }

    /// The number of the last sweep that began; 0 before the first.
    ///
    /// # Errors
    /// Why the database did not answer.
    pub async fn last_sweep_number(&self) -> Result<u64, StoreError> {
        self.answer(sweeps::last_number(&self.pool)).await
    }

    /// What is known of every client between two collections, open alerts included.
    ///
    /// # Errors
    /// Why the database did not answer.
    pub async fn client_states(&self) -> Result<HashMap<ClientId, ClientState>, StoreError> {
        self.readable(clients::client_states(&self.pool)).await
    }

    /// Where the next collection of each client's security log goes on.
    ///
    /// # Errors
    /// Why the database did not answer.
    pub async fn bookmarks(&self) -> Result<HashMap<ClientId, String>, StoreError> {
        self.readable(clients::bookmarks(&self.pool)).await
    }

    /// What each client has used of its daily allowance of security events.
    ///
    /// # Errors
    /// Why the database did not answer.
    pub async fn spent(&self) -> Result<HashMap<ClientId, Spent>, StoreError> {
        self.readable(clients::spent(&self.pool)).await
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
        self.answer(clients::recent(&self.pool, client, metric, most)).await
    }

    /// The newest reading of a client, whole, and when it was collected.
    ///
    /// # Errors
    /// Why the database did not answer.
    pub async fn latest_reading(&self, client: &ClientId) -> Result<Option<(Timestamp, Reading)>, StoreError> {
        self.answer(clients::latest_reading(&self.pool, client)).await
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
        self.readable(outbox::due(&self.pool, now, due, after, most)).await
    }

    /// How many mails wait, were sent, were refused.
    ///
    /// # Errors
    /// Why the database did not answer.
    pub async fn mail_counts(&self) -> Result<MailCounts, StoreError> {
        self.answer(outbox::counts(&self.pool)).await
    }

    /// When the next waiting mail is to be offered; `None` where none waits.
    ///
    /// # Errors
    /// Why the database did not answer.
    pub async fn next_mail_at(&self) -> Result<Option<Timestamp>, StoreError> {
        self.answer(outbox::next_at(&self.pool)).await
    }

    /// Ends every connection, those of every clone and of the store it came from too.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// The same, where what could not be read is only logged: once, and again when there is more of it.
    async fn readable<T>(
        &self,
        question: impl Future<Output = Result<(T, Unreadable), sqlx::Error>>,
    ) -> Result<T, StoreError> {
        let (answer, unreadable) = self.answer(question).await?;
        let count = unreadable.count();
        if self.warned.fetch_max(count, Ordering::Relaxed) < count {
            let (rows, were) = if count == 1 { ("row", "was") } else { ("rows", "were") };
            tracing::warn!("{count} {rows} of database {} could not be read and {were} left out", self.place);
        }
        Ok(answer)
    }

    /// Waits for an answer with a time limit.
    async fn answer<T>(&self, question: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, StoreError> {
        match tokio::time::timeout(TRANSACTION_DEADLINE, question).await {
            Ok(Ok(answer)) => {
                self.answered.notify_one();
                Ok(answer)
            }
            Ok(Err(error)) => match StoreError::from_driver(&self.place, error) {
                // Nothing was to be stored.
                refused @ StoreError { kind: StoreErrorKind::Rejected, .. } => {
                    Err(StoreError { kind: StoreErrorKind::Unanswered, ..refused })
                }
                error => Err(error),
            },
            Err(passed) => Err(StoreError::new(&self.place, StoreErrorKind::Slow, passed)),
        }
    }
}
