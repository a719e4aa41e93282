//! Tracks the troubles of the collector itself: receives findings, logs which troubles begin and end, and keeps them in
//! a file between runs. What follows from a finding is decided in `fleet`; the trouble mailer sends the mails.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::{Notify, watch};
use uuid::Uuid;

use crate::{
    app::error::chain,
    config::{Config, directories::Environment},
    fleet::troubles::{Change, Finding, LoggedBy, TroubleKind, TroubleNotice, TroubleState},
    store::{StoreError, StoreErrorKind, database_status::DatabaseStatus},
};

use super::state_file::StateFile;

/// How long the database may be away before that is a trouble. A restart of a server takes less.
const AWAY_FOR: std::time::Duration = std::time::Duration::from_secs(30);

/// Exists once per process and survives reloads of the configuration.
#[derive(Debug)]
pub struct TroubleTracker {
    state: Mutex<State>,
    /// Notified when something must be stored or sent.
    changed: Notify,
}

#[derive(Debug)]
struct State {
    troubles: TroubleState,
    /// `mail` on `<collector>`.
    recipients: Vec<String>,
    /// `None` if another process tracks the troubles of this configuration.
    file: Option<Arc<StateFile>>,
    is_kept: bool,
}

impl TroubleTracker {
    /// Creates a tracker with the troubles of the last run. If another process tracks them, this one ignores findings.
    pub async fn open(config: &Config) -> Arc<Self> {
        let (name, environment) = (config.file.clone(), Environment::of_process());
        let opened = tokio::task::spawn_blocking(move || StateFile::open(&environment, &name)).await;
        let (file, troubles) = opened.unwrap_or_else(|error| {
            tracing::error!("the state of the collector's own troubles cannot be read: {error}");
            (None, TroubleState::default())
        });
        let file = file.map(Arc::new);
        let state = State { troubles, recipients: Vec::new(), file, is_kept: true };
        let troubles = Arc::new(Self { state: Mutex::new(state), changed: Notify::new() });
        troubles.configure(config);
        troubles
    }

    /// A tracker without a file, for tests of modules that report findings.
    #[must_use]
    pub fn unkept() -> Arc<Self> {
        let state = State { troubles: TroubleState::default(), recipients: Vec::new(), file: None, is_kept: true };
        Arc::new(Self { state: Mutex::new(state), changed: Notify::new() })
    }

    /// Sets the recipients.
    pub fn configure(&self, config: &Config) {
        let mut recipients: Vec<String> =
            config.collector.mail.iter().map(|mailbox| mailbox.email.to_string()).collect();
        recipients.sort();
        recipients.dedup();
        self.lock().recipients = recipients;
        self.changed.notify_one();
    }

    /// Whether there are recipients.
    #[must_use]
    pub fn has_recipients(&self) -> bool {
        let state = self.lock();
        state.file.is_some() && !state.recipients.is_empty()
    }

    /// Whether a trouble of a kind lasts.
    #[must_use]
    pub fn is_open(&self, kind: TroubleKind) -> bool {
        self.lock().troubles.is_open(kind)
    }

    /// Processes a finding. Does not block.
    pub fn note(&self, finding: Finding) {
        let mut state = self.lock();
        if state.file.is_none() {
            return;
        }
        let before = state.troubles.clone();
        let change = state.troubles.note(finding, Timestamp::now(), &mut Uuid::now_v7);
        if state.recipients.is_empty() {
            state.troubles.forget_untold_ends();
        }
        if state.troubles != before {
            state.is_kept = false;
            self.changed.notify_one();
        }
        drop(state);
        match change {
            Some(Change::Began { kind, detail }) => {
                let spec = kind.spec();
                match spec.logged_by {
                    LoggedBy::Tracker => {
                        tracing::error!(trouble = %kind, "{}: {detail}; {}", spec.title, spec.next_step);
                    }
                    LoggedBy::Finder => {}
                }
            }
            Some(Change::Ended { kind, since }) => {
                // Logged at the same level as its beginning, so that readers of that also see the end.
                tracing::warn!(trouble = %kind, %since, "resolved: {}", kind.spec().title);
            }
            None => {}
        }
    }

    /// Notes that the database could not be opened or failed permanently.
    pub fn note_database(&self, error: &StoreError) {
        // That another process is the collector is not a trouble.
        if error.kind != StoreErrorKind::InUse {
            self.note(Finding::Present { kind: TroubleKind::Database, detail: chain(error) });
        }
    }

    /// Notes when the database is away for a while, and when it is back, until the store is closed.
    pub async fn follow(self: Arc<Self>, mut status: watch::Receiver<DatabaseStatus>) {
        loop {
            let is_away = status.borrow_and_update().away.is_some();
            if is_away {
                let back = async { status.wait_for(|status| status.away.is_none()).await.is_ok() };
                match tokio::time::timeout(AWAY_FOR, back).await {
                    Ok(true) => continue,
                    Ok(false) => return,
                    Err(_) => self.note_away(&status.borrow()),
                }
                if status.wait_for(|status| status.away.is_none()).await.is_err() {
                    return;
                }
                self.note(Finding::Absent(TroubleKind::Database));
            } else if status.changed().await.is_err() {
                return;
            }
        }
    }

    /// Records whether the database is away.
    pub fn note_away(&self, status: &DatabaseStatus) {
        if let Some(away) = &status.away {
            let detail = format!("{}; {} changes wait in the spool", chain(&away.why), away.waiting);
            self.note(Finding::Present { kind: TroubleKind::Database, detail });
        }
    }

    /// The mails that are to be sent now.
    pub fn notices(&self) -> Vec<TroubleNotice> {
        let state = self.lock();
        if state.file.is_some() { state.troubles.notices(&state.recipients) } else { Vec::new() }
    }

    /// Notes the result of one of them.
    pub fn tried(&self, notice: &TroubleNotice, told: bool) {
        let mut state = self.lock();
        let State { troubles, recipients, is_kept, .. } = &mut *state;
        troubles.tried(notice, told, recipients, Timestamp::now());
        *is_kept = false;
    }

    /// Waits until something must be stored or sent.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Stores what has changed since the last time.
    pub async fn keep(&self) {
        let (file, troubles) = {
            let mut state = self.lock();
            let Some(file) = state.file.clone().filter(|_| !state.is_kept) else { return };
            state.is_kept = true;
            (file, state.troubles.clone())
        };
        let written = tokio::task::spawn_blocking(move || file.write(&troubles)).await;
        match written {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(
                    "the state of the collector's own troubles was not saved, the next run may mail them again: {}",
                    chain(&error)
                );
            }
            Err(error) => tracing::error!("saving the state of the collector's own troubles failed: {error}"),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code can panic in the middle of a change while it holds the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
