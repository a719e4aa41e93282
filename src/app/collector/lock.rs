//! Becomes the collector of a database: takes the lock, waits for it if its owner is about to end, and announces this
//! process and its socket in the database. How the lock works is in `store`.

use std::{path::PathBuf, time::Duration};

use jiff::Timestamp;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    app::{
        error::{RunError, chain},
        process::identity::{account, host_name},
    },
    bus::Publisher,
    config::{Config, directories::Environment},
    store::{LockOwner, Store, StoreError, StoreErrorKind, lock_owner::Mode, process},
    sweep::descriptor_budget::Costs,
};

use super::engine::Engine;

/// How long to wait for another `--once` or for a collector that is ending. Most sweeps take less.
pub const ONCE_PATIENCE: Duration = Duration::from_secs(120);

/// How long a service waits for a collector that is ending, or whose lock remains after it has ended.
pub const SERVICE_PATIENCE: Duration = Duration::from_secs(30);

/// How often the lock is tried in that time.
const RETRY_EVERY: Duration = Duration::from_millis(200);

/// How long storing that this collector is ending may take.
const NOTICE_WITHIN: Duration = Duration::from_secs(2);

/// The collector of a database.
#[derive(Debug)]
pub enum Opened {
    /// This process.
    Ours(Box<Engine>),
    /// Another process; the error names it if it is known.
    Held(Box<StoreError>),
}

/// Opens the database of `config`, or finds out which process is its collector.
///
/// # Errors
/// [`RunError::Database`] if the database cannot be opened or read.
pub async fn open_now(config: &Config, costs: Costs, publisher: Publisher) -> Result<Opened, RunError> {
    match Store::open_configured(&config.database, &Environment::of_process()).await {
        Ok(store) => Ok(Opened::Ours(Box::new(Engine::new(config, store, costs, publisher).await?))),
        Err(error) if error.kind == StoreErrorKind::InUse => Ok(Opened::Held(error.into())),
        Err(error) => Err(error.into()),
    }
}

/// The same, but waits up to `patience` for an owner that is about to end.
///
/// # Errors
/// As [`open_now`], and if the owner has not ended in time.
pub async fn open_or_find(
    config: &Config,
    costs: Costs,
    publisher: Publisher,
    patience: Duration,
    stop: &CancellationToken,
) -> Result<Opened, RunError> {
    let deadline = Instant::now() + patience;
    let mut is_logged = false;
    loop {
        let held = match open_now(config, costs, publisher.clone()).await? {
            Opened::Held(held) if ends_soon(held.owner.as_deref()) => held,
            opened @ (Opened::Ours(_) | Opened::Held(_)) => return Ok(opened),
        };
        if Instant::now() >= deadline || stop.is_cancelled() {
            return Err(RunError::Database(*held));
        }
        if !is_logged {
            is_logged = true;
            tracing::info!("waiting: {held}");
        }
        // There is no notification when the lock is released.
        tokio::time::sleep(RETRY_EVERY).await;
    }
}

/// Whether an owner is about to end: it says so, or it is a `--once` on this machine. An unknown owner is just starting
/// or ending.
#[must_use]
pub fn ends_soon(owner: Option<&LockOwner>) -> bool {
    owner.is_none_or(|owner| {
        let sweeps_once = owner.mode.is_none_or(|mode| mode == Mode::Once) && owner.socket.is_none();
        owner.is_ending || (sweeps_once && owner.host == host_name())
    })
}

/// The entry in the database that names its collector.
#[derive(Debug)]
pub struct OwnerRecord(LockOwner);

impl OwnerRecord {
    /// Stores that this process is the collector, and the socket at which others can attach.
    pub async fn publish(store: &Store, socket: Option<PathBuf>, mode: Mode) -> Self {
        let pid = std::process::id();
        let owner = LockOwner {
            host: host_name(),
            pid,
            account: account(),
            socket,
            started_at: Timestamp::now(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            mode: Some(mode),
            mark: process::mark(pid),
            is_ending: false,
        };
        write(store, &owner).await;
        Self(owner)
    }

    /// Stores that this collector is ending, so that new processes wait for the lock instead of attaching.
    pub async fn withdraw(self, store: &Store) {
        if store.is_away() {
            return;
        }
        // A database that hangs must not delay the end.
        if tokio::time::timeout(NOTICE_WITHIN, write(store, &LockOwner { is_ending: true, ..self.0 })).await.is_err() {
            tracing::debug!("the database did not note in time that this collector is ending");
        }
    }
}

async fn write(store: &Store, owner: &LockOwner) {
    if let Err(error) = store.announce(owner).await {
        tracing::warn!("the database could not note who collects into it: {}", chain(&error));
    }
}
