//! The counter at which other processes attach to the collector: opened, announced in the database, given notice
//! of, closed. Not what is said over it.

use std::{path::PathBuf, sync::PoisonError, time::Duration};

use jiff::Timestamp;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    relay::{
        place::{self, Environment},
        server::{Server, Service},
    },
    spine::{Door, Orders},
    store::{Holder, holder::Mode, process},
};

use super::base::Base;

/// How long the notice of the end may take.
const NOTICE_WITHIN: Duration = Duration::from_secs(2);

/// A counter that is open.
#[derive(Debug)]
pub struct Counter {
    serving: JoinHandle<()>,
    stop: CancellationToken,
}

impl Counter {
    /// Opens it, and has the database say where. Where that cannot be, the collector works all the same: it
    /// says that nobody can attach, and why.
    pub async fn open(base: &Base, door: &Door, orders: Orders, mode: Mode) -> Option<Self> {
        let server = listen(base.store.identity());
        let socket = server.as_ref().map(|server| server.path().to_owned());
        announce(base, socket, mode).await;
        let service = Service {
            door: door.clone(),
            orders,
            collector: format!("pid {} ({})", std::process::id(), mode.word()),
            most_connections: base.descriptors.attached(),
        };
        let stop = CancellationToken::new();
        let serving = tokio::spawn(server?.run(service, stop.clone()));
        Some(Self { serving, stop })
    }

    /// Ends every connection.
    pub async fn close(self) {
        self.stop.cancel();
        if let Err(error) = self.serving.await {
            tracing::error!("serving attached dashboards broke: {error}");
        }
    }
}

fn listen(database: &str) -> Option<Server> {
    let path = match place::socket(&Environment::of_process(), database) {
        Ok(path) => path,
        Err(error) => {
            tracing::warn!("no dashboard can attach: {}", super::chain(&error));
            return None;
        }
    };
    match Server::bind(&path) {
        Ok(server) => Some(server),
        Err(error) => {
            tracing::warn!("no dashboard can attach: {}", super::chain(&error));
            None
        }
    }
}

/// Has the database say who collects into it.
pub async fn announce(base: &Base, socket: Option<PathBuf>, mode: Mode) {
    let pid = std::process::id();
    let holder = Holder {
        host: super::here(),
        pid,
        account: super::account(),
        socket,
        started_at: Timestamp::now(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        mode: Some(mode),
        mark: process::mark(pid),
        is_ending: false,
    };
    tell(base, &holder).await;
    *base.announced.lock().unwrap_or_else(PoisonError::into_inner) = Some(holder);
}

/// Has the database say that this collector is ending: who comes now waits for the lock in place of attaching.
pub async fn give_notice(base: &Base) {
    let announced = base.announced.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let Some(holder) = announced.filter(|_| !base.store.is_away()) else { return };
    // A database that hangs must not hold up the end for this.
    if tokio::time::timeout(NOTICE_WITHIN, tell(base, &Holder { is_ending: true, ..holder })).await.is_err() {
        tracing::debug!("the database does not say in time that this collector is ending");
    }
}

async fn tell(base: &Base, holder: &Holder) {
    if let Err(error) = base.store.announce(holder).await {
        tracing::warn!("the database does not say who collects into it: {}", super::chain(&error));
    }
}
