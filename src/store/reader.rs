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
    alerts, chart, clients, collectors,
    deadlines::TRANSACTION_DEADLINE,
    error::{StoreError, StoreErrorKind},
    gathered, history,
    history_groups::{self, Names},
    history_rows::{HistoryRow, Table},
    lock_owner::LockOwner,
    open,
    outbox::{self, Due, MailCounts, OutboxMail},
    pages::Totals,
    past,
    read_pool::ReadPool,
    readable::Unreadable,
    schema, stored_history, sweeps,
    target::{DatabaseUrl, Target},
    trends,
    view_rows::{self, Found, Position, Source, StoredClient},
};
use crate::config::Database;
use crate::fleet::{
    ClientId, Metric, Reading, SweepId,
    alerts::AlertView,
    counters::Counters,
    event::ClientCard,
    history::{AlertRow, EventRow, MailRow, Point, Span, StoredHistory},
    judge::ClientState,
    listing::{Page, Part},
    login_hold::LoginHold,
    metric::Instance,
    rollup::Tier,
    rows::View,
    security::{
        allowance::Spent,
        gathering::{GatheredLog, Gathering},
    },
    state::SweepView,
    trend::{self, Trends},
};

/// A database to read; cheap to clone.
#[derive(Debug, Clone)]
pub struct Reader {
    pool: ReadPool,
    place: Arc<str>,
    totals: Totals,
    /// The most unreadable rows in an answer that were logged.
    warned: Arc<AtomicU64>,
    /// Notified of every answer.
    answered: Arc<Notify>,
}

impl Reader {
    /// Opens the database of a configuration for reading. It must exist with exactly the schema of this program.
    ///
    /// # Errors
    /// As [`Store::open_configured`](super::Store::open_configured), but never `InUse`; also `OlderSchema`.
    pub async fn open_configured(database: &Database) -> Result<Self, StoreError> {
        Self::open_named(DatabaseUrl::configured(database)).await
    }

    /// Opens the database at a URL for reading.
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

    /// Notified of every answer to any clone.
    pub(super) fn answered(&self) -> Arc<Notify> {
        Arc::clone(&self.answered)
    }

    /// The database for display: a path, or server and name.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }

    /// The connections, for reopening.
    pub(super) fn connections(&self) -> ReadPool {
        self.pool.clone()
    }

    pub(super) fn shown(&self) -> &Arc<str> {
        &self.place
    }

    /// The stored history of all clients, and the alerts: the open ones and those that ended last.
    ///
    /// # Errors
    /// The error of the database, if the query fails.
    pub async fn memory(&self) -> Result<StoredHistory, StoreError> {
        self.readable(stored_history::memory(&self.pool)).await
    }

    /// The CPU and memory usage of a client over a span until `now`, oldest first, with a few hundred points at most.
    /// Each is the average of its time span, of samples or of roll-ups.
    ///
    /// # Errors
    /// The error of the database, if the query fails.
    pub async fn history(&self, client: &ClientId, span: Span, now: Timestamp) -> Result<Vec<Point>, StoreError> {
        self.readable(chart::points(&self.pool, client, span, now)).await
    }

    /// The last `most` security events of a client, newest first.
    ///
    /// # Errors
    /// The error of the database, if the query fails.
    pub async fn security_events(&self, client: &ClientId, most: u32) -> Result<Vec<EventRow>, StoreError> {
        self.readable(history::security_events(&self.pool, client, most)).await
    }

    /// At most `most` alerts by the time at which they were raised, each with the newest mails about it.
    ///
    /// # Errors
    /// The error of the database, if the query fails.
    pub async fn alerts_page(&self, part: Part, most: u32) -> Result<Page<AlertRow>, StoreError> {
        self.answer(alerts::page(&self.pool, &self.totals, part, most)).await
    }

    /// The open alerts, oldest first.
    ///
    /// # Errors
    /// The error of the database, if the query fails.
    pub async fn open_alerts(&self) -> Result<Vec<AlertView>, StoreError> {
        self.readable(alerts::open_views(&self.pool)).await
    }

    /// All clients in the database, in the order in which they were first collected.
    ///
    /// # Errors
    /// The error of the database, if the query fails.
    pub async fn stored_clients(&self) -> Result<Vec<StoredClient>, StoreError> {
        self.readable(view_rows::stored_clients(&self.pool)).await
    }

    /// One page of the rows of a view.
    pub(super) async fn page(
        &self,
        view: (View, Source),
        part: i64,
        after: &Position,
        until_ms: i64,
        most: i64,
    ) -> Result<Vec<Found>, StoreError> {
        self.answer(view_rows::page(&self.pool, view, part, after, until_ms, most)).await
    }

    /// The groups of a client with the names of their series.
    pub(super) async fn history_groups(&self, client: i64) -> Result<Vec<(i32, Names)>, StoreError> {
        self.answer(history_groups::groups(&self.pool, client)).await
    }

    /// At most so many rows of a table of buckets that begin in a range of time, oldest first.
    pub(super) async fn history_buckets(
        &self,
        table: Table,
        group: (i32, Tier),
        range_ms: (i64, i64),
        most: i64,
    ) -> Result<Vec<HistoryRow>, StoreError> {
        self.answer(history_groups::buckets(&self.pool, table, group, range_ms, most)).await
    }

    /// At most `most` mails by the time at which they were decided.
    ///
    /// # Errors
    /// The error of the database, if the query fails.
    pub async fn mails_page(&self, part: Part, most: u32) -> Result<Page<MailRow>, StoreError> {
        self.answer(history::mails(&self.pool, &self.totals, part, most)).await
    }

    /// At most `most` sweeps that have ended, without their clients.
    ///
    /// # Errors
    /// The error of the database, if the query fails.
    pub async fn sweeps_page(&self, part: Part, most: u32) -> Result<Page<SweepView>, StoreError> {
        self.answer(sweeps::page(&self.pool, &self.totals, part, most)).await
    }

    /// The last `most` sweeps that have ended, oldest first, without their clients.
    ///
    /// # Errors
    /// The error of the database, if the query fails.
    pub async fn sweeps(&self, most: u32) -> Result<Vec<SweepView>, StoreError> {
        self.answer(sweeps::list(&self.pool, most)).await
    }

    /// The fleet at the end of a sweep, with those clients in `cards` that were known then. Cancelling `superseded`
    /// ends the query early.
    ///
    /// # Errors
    /// The error of the database, if the query fails.
    pub async fn past(
        &self,
        sweep: SweepId,
        cards: &[ClientCard],
        superseded: &CancellationToken,
    ) -> Result<Past, StoreError> {
        self.answer(past::fleet(&self.pool, sweep, cards, superseded)).await
    }

    /// The collector that announced itself last. It may have been killed since; only its socket shows whether it runs.
    ///
    /// # Errors
    /// The error of the database, if the query fails.
    pub async fn lock_owner(&self) -> Result<Option<LockOwner>, StoreError> {
        self.answer(collectors::read(&self.pool)).await
    }

    /// The number of the last sweep that began; 0 if there was none.
    ///
    /// # Errors
    /// The error of the database, if the query fails.
    pub async fn last_sweep_number(&self) -> Result<u64, StoreError> {
        self.answer(sweeps::last_number(&self.pool)).await
    }

    /// The state of each client between two collections, with its open alerts.
    ///
    /// # Errors
    /// The error of the database, if the query fails.
    pub async fn client_states(&self) -> Result<HashMap<ClientId, ClientState>, StoreError> {
        self.readable(clients::client_states(&self.pool)).await
    }

    /// The bookmarks from which the next collections of security logs continue.
    ///
    /// # Errors
    /// The error of the database, if the query fails.
    pub async fn bookmarks(&self) -> Result<HashMap<ClientId, String>, StoreError> {
        self.readable(clients::bookmarks(&self.pool)).await
    }

    /// The used part of each client's daily allowance of security events.
    ///
    /// # Errors
    /// The error of the database, if the query fails.
    pub async fn spent(&self) -> Result<HashMap<ClientId, Spent>, StoreError> {
        self.readable(clients::spent(&self.pool)).await
    }

    /// The counters of each client at its last collection.
    ///
    /// # Errors
    /// The error of the database, if the query fails.
    pub async fn counters(&self) -> Result<HashMap<ClientId, Counters>, StoreError> {
        self.readable(clients::counters(&self.pool)).await
    }

    /// The used space of each mount of a client in the last weeks, for its trend.
    ///
    /// # Errors
    /// The error of the database, if the query fails.
    pub async fn used_space(
        &self,
        client: &ClientId,
        now: Timestamp,
    ) -> Result<HashMap<Instance, Vec<trend::Point>>, StoreError> {
        self.answer(trends::used_space(&self.pool, client, now)).await
    }

    /// The trends of the file systems of each client that were estimated last.
    ///
    /// # Errors
    /// The error of the database, if the query fails.
    pub async fn trends(&self) -> Result<HashMap<ClientId, Trends>, StoreError> {
        self.readable(trends::trends(&self.pool)).await
    }

    /// What is gathered of each client for a later mail.
    ///
    /// # Errors
    /// The error of the database, if the query fails.
    pub async fn gatherings(&self) -> Result<HashMap<ClientId, Gathering>, StoreError> {
        self.readable(gathered::gatherings(&self.pool)).await
    }

    /// The gathered logs of a client with their events, oldest first.
    ///
    /// # Errors
    /// The error of the database, if the query fails.
    pub async fn gathered_logs(&self, client: &ClientId) -> Result<Vec<GatheredLog>, StoreError> {
        self.answer(gathered::logs(&self.pool, client)).await
    }

    /// The logins that are held.
    ///
    /// # Errors
    /// Why the database did not answer.
    pub async fn login_holds(&self) -> Result<HashMap<ClientId, LoginHold>, StoreError> {
        self.readable(clients::login_holds(&self.pool)).await
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
        self.answer(clients::recent(&self.pool, client, metric, most)).await
    }

    /// The newest complete reading of a client, and when it was collected.
    ///
    /// # Errors
    /// The error of the database, if the query fails.
    pub async fn latest_reading(&self, client: &ClientId) -> Result<Option<(Timestamp, Reading)>, StoreError> {
        self.answer(clients::latest_reading(&self.pool, client)).await
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
        self.readable(outbox::due(&self.pool, now, due, after, most)).await
    }

    /// The number of waiting, sent and refused mails.
    ///
    /// # Errors
    /// The error of the database, if the query fails.
    pub async fn mail_counts(&self) -> Result<MailCounts, StoreError> {
        self.answer(outbox::counts(&self.pool)).await
    }

    /// The number of mails that are not sent, by status. Unlike [`mail_counts`](Self::mail_counts), it does not depend on
    /// how many were sent.
    ///
    /// # Errors
    /// The error of the database, if the query fails.
    pub async fn unsent_mails(&self) -> Result<MailCounts, StoreError> {
        self.answer(outbox::unsent(&self.pool)).await
    }

    /// When the next waiting mail is due; `None` if none waits.
    ///
    /// # Errors
    /// The error of the database, if the query fails.
    pub async fn next_mail_at(&self) -> Result<Option<Timestamp>, StoreError> {
        self.answer(outbox::next_at(&self.pool)).await
    }

    /// Closes all connections, including those of clones and of the store.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// Runs a query. Unreadable rows are logged once, and again if there are more.
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
                // A query stores nothing, so this error means that the query is not supported.
                refused @ StoreError { kind: StoreErrorKind::Rejected, .. } => {
                    Err(StoreError { kind: StoreErrorKind::Unanswered, ..refused })
                }
                error => Err(error),
            },
            Err(passed) => Err(StoreError::new(&self.place, StoreErrorKind::Slow, passed)),
        }
    }
}
