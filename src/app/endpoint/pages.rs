//! What the pages of the metrics endpoint say: `/metrics` and `/healthz`. Both come from memory. Only the number of waiting
//! mails is queried, with an index and at most every 15 seconds.

use std::{
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use bytes::Bytes;
use jiff::Timestamp;
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};

use crate::{
    app::{collector::engine::Engine, error::chain, troubles::tracker::TroubleTracker},
    bus::BusHandle,
    config::Config,
    endpoint::{self, Page, StatusCode},
    fleet::{
        ClientId,
        health::{Database, Observed, Problem},
        state::ClientView,
        troubles::TROUBLES,
    },
    headless::metrics::{Exposition, Metrics, RunningCollector, StoredMails, Whole},
    store::{Reader, StoreErrorKind, database_status::DatabaseStatus},
};

use super::progress::Progress;

/// How long a text is given to further requests, so that many of them cost no more than a few.
const KEPT_FOR: Duration = Duration::from_secs(1);

/// How long the number of waiting mails is used.
const MAILS_FOR: Duration = Duration::from_secs(15);

/// How long its query may take. A request does not wait longer for it.
const MAILS_WITHIN: Duration = Duration::from_secs(2);

/// How many clients are written before the fleet is unlocked, so that events do not wait.
const AT_ONCE: usize = 64;

/// The pages of this process.
#[derive(Debug)]
pub struct Pages {
    state: RwLock<State>,
    /// The last text of each format. One request writes it, the others wait for it.
    written: tokio::sync::Mutex<Vec<Written>>,
}

/// What this process does.
#[derive(Debug, Clone)]
enum State {
    Starting,
    Collecting(Arc<Collecting>),
    Ending,
}

/// A collector, as far as the pages need it.
#[derive(Debug)]
struct Collecting {
    bus: BusHandle,
    reader: Reader,
    database: watch::Receiver<DatabaseStatus>,
    troubles: Arc<TroubleTracker>,
    progress: Arc<Progress>,
    started_at: Timestamp,
    /// From the start of one sweep to the start of the next, and the longest time for all attempts at one client.
    times: Mutex<(Duration, Duration)>,
    mails: Mutex<Option<(Instant, StoredMails)>>,
}

/// A text that was written.
#[derive(Debug)]
struct Written {
    exposition: Exposition,
    at: Instant,
    text: Bytes,
}

impl Written {
    fn is_fresh(&self) -> bool {
        self.at.elapsed() < KEPT_FOR
    }
}

impl Default for Pages {
    fn default() -> Self {
        Self { state: RwLock::new(State::Starting), written: tokio::sync::Mutex::default() }
    }
}

/// The pages by their paths.
#[must_use]
pub fn of(pages: Arc<Pages>) -> endpoint::Pages {
    Arc::new(move |path, accept| {
        let pages = pages.clone();
        match path {
            "/metrics" => {
                let exposition = Exposition::accepted(accept);
                Some(Box::pin(async move { pages.metrics(exposition).await }))
            }
            "/healthz" => Some(Box::pin(async move { pages.health() })),
            _ => None,
        }
    })
}

impl Pages {
    /// This process collects from now on.
    pub fn collect(&self, engine: &Engine, bus: BusHandle, config: &Config) {
        let progress = Arc::new(Progress::new());
        // It ends with the bus.
        if let Some(events) = bus.subscribe() {
            let progress = progress.clone();
            tokio::spawn(events.each(move |fleet, event| progress.note(fleet, event)));
        }
        let collecting = Collecting {
            bus,
            reader: engine.store.reader(),
            database: engine.store.status(),
            troubles: engine.troubles.clone(),
            progress,
            started_at: Timestamp::now(),
            times: Mutex::new(times(config)),
            mails: Mutex::new(None),
        };
        self.enter(State::Collecting(Arc::new(collecting)));
    }

    /// Another configuration is in use.
    pub fn configure(&self, config: &Config) {
        if let Ok(collecting) = self.collecting() {
            *collecting.times.lock().unwrap_or_else(PoisonError::into_inner) = times(config);
        }
    }

    /// This process does not collect any more.
    pub fn end(&self) {
        self.enter(State::Ending);
    }

    fn enter(&self, state: State) {
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = state;
    }

    fn collecting(&self) -> Result<Arc<Collecting>, Problem> {
        match &*self.state.read().unwrap_or_else(PoisonError::into_inner) {
            State::Starting => Err(Problem::Starting),
            State::Collecting(collecting) => Ok(collecting.clone()),
            State::Ending => Err(Problem::Ending),
        }
    }

    fn health(&self) -> Page {
        match self.collecting().map(|collecting| collecting.observe().problem()) {
            Ok(None) => Page::plain(StatusCode::OK, "ok\n"),
            Ok(Some(problem)) | Err(problem) => unavailable(problem),
        }
    }

    async fn metrics(self: Arc<Self>, exposition: Exposition) -> Page {
        let collecting = match self.collecting() {
            Ok(collecting) => collecting,
            Err(problem) => return unavailable(problem),
        };
        let mut written = self.written.lock().await;
        written.retain(Written::is_fresh);
        let kept = written.iter().find(|written| written.exposition == exposition).map(|written| written.text.clone());
        let text = match kept {
            Some(text) => text,
            None => {
                let mails = collecting.mails().await;
                let writing = tokio::task::spawn_blocking(move || collecting.write(exposition, mails)).await;
                match writing.map_err(std::io::Error::other).flatten() {
                    Ok(text) => {
                        let text = Bytes::from(text);
                        written.push(Written { exposition, at: Instant::now(), text: text.clone() });
                        drop(written);
                        // The text of a large fleet takes megabytes.
                        tokio::spawn(async move {
                            tokio::time::sleep(KEPT_FOR).await;
                            self.written.lock().await.retain(Written::is_fresh);
                        });
                        text
                    }
                    Err(error) => {
                        tracing::error!("the metrics cannot be written: {error}");
                        return Page::plain(StatusCode::INTERNAL_SERVER_ERROR, "the metrics cannot be written\n");
                    }
                }
            }
        };
        Page { status: StatusCode::OK, content_type: exposition.content_type(), body: text }
    }
}

impl Collecting {
    fn observe(&self) -> Observed {
        let database = match &self.database.borrow().away {
            Some(away) if away.why.kind == StoreErrorKind::InUse => Database::Taken,
            Some(away) => Database::Away { since: away.since, waiting: away.waiting },
            None => Database::Ready,
        };
        let (interval, attempts) = *self.times.lock().unwrap_or_else(PoisonError::into_inner);
        let (is_paused, collecting) = self
            .bus
            .look(|fleet| (fleet.is_paused(), fleet.clients().filter(|client| client.running.is_some()).count()));
        Observed {
            database,
            is_paused,
            interval,
            attempts,
            since_sweep: self.progress.since_sweep(),
            since_outcome: self.progress.since_outcome(),
            collecting,
        }
    }

    /// The mails in the database, as they were counted lately; unknown if it does not answer.
    async fn mails(&self) -> StoredMails {
        let known = *self.mails.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, mails)) = known.filter(|(at, _)| at.elapsed() < MAILS_FOR) {
            return mails;
        }
        let is_away = self.database.borrow().away.is_some();
        let mails =
            match timeout(MAILS_WITHIN, async { if is_away { None } else { Some(self.reader.unsent_mails().await) } })
                .await
            {
                Ok(Some(Ok(counts))) => StoredMails { waiting: Some(counts.waiting), refused: Some(counts.refused) },
                Ok(Some(Err(error))) => {
                    tracing::debug!("the mails cannot be counted: {}", chain(&error));
                    StoredMails::default()
                }
                Ok(None) | Err(_) => StoredMails::default(),
            };
        *self.mails.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), mails));
        mails
    }

    fn write(&self, exposition: Exposition, mails: StoredMails) -> std::io::Result<String> {
        let ids: Vec<ClientId> = self.bus.look(|fleet| fleet.clients().map(|client| client.card.id.clone()).collect());
        let mut metrics = Metrics::new();
        for some in ids.chunks(AT_ONCE) {
            self.bus.look(|fleet| {
                let clients: Vec<&ClientView> = some.iter().filter_map(|id| fleet.client(id)).collect();
                metrics.add(fleet, clients)
            })?;
        }
        let (interval, _) = *self.times.lock().unwrap_or_else(PoisonError::into_inner);
        let troubles = TROUBLES.map(|spec| spec.kind).into_iter().filter(|kind| self.troubles.is_open(*kind));
        let collector = RunningCollector { started_at: self.started_at, interval, troubles: troubles.collect() };
        self.bus.look(|fleet| {
            let sweep = fleet.newest_ended_sweep();
            metrics.write(exposition, &Whole { mails, sweep, collector: Some((&collector, fleet)) })
        })
    }
}

fn unavailable(problem: Problem) -> Page {
    Page::plain(StatusCode::SERVICE_UNAVAILABLE, format!("{problem}\n"))
}

/// The interval, and the longest time for all attempts at one client: some are made beside the counted ones.
fn times(config: &Config) -> (Duration, Duration) {
    let attempts = config.collector.retries.saturating_add(2);
    (config.collector.interval, config.collector.timeout.saturating_mul(attempts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_process_that_does_not_collect_says_so_on_every_page() {
        let pages = Arc::new(Pages::default());
        let of = of(pages.clone());
        let page = async |path| of(path, "").unwrap().await;
        let unavailable = |text: &str| Page::plain(StatusCode::SERVICE_UNAVAILABLE, format!("{text}\n"));
        for path in ["/healthz", "/metrics"] {
            assert_eq!(page(path).await, unavailable("starting: this process does not collect yet"));
        }
        pages.end();
        assert_eq!(page("/healthz").await, unavailable("ending: this process does not collect any more"));
        assert!(of("/", "").is_none() && of("/metrics/", "").is_none());
    }
}
