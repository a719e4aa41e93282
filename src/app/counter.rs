//! The counter at which other processes attach to the collector: opened, announced in the database, closed. Not
//! what is said over it.

use std::path::PathBuf;

use jiff::Timestamp;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    relay::{
        place::{self, Environment},
        server::{Server, Service},
    },
    spine::{Door, Orders},
    store::Holder,
};

use super::base::Base;

/// A counter that is open.
#[derive(Debug)]
pub struct Counter {
    serving: JoinHandle<()>,
    stop: CancellationToken,
}

impl Counter {
    /// Opens it, and has the database say where. Where that cannot be, the collector works all the same: it
    /// says that nobody can attach, and why.
    pub async fn open(base: &Base, door: &Door, orders: Orders, mode: &str) -> Option<Self> {
        let server = listen(base.store.identity());
        let socket = server.as_ref().map(|server| server.path().to_owned());
        announce(base, socket).await;
        let service = Service { door: door.clone(), orders, collector: format!("pid {} ({mode})", std::process::id()) };
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
pub async fn announce(base: &Base, socket: Option<PathBuf>) {
    let holder = Holder {
        host: super::here(),
        pid: std::process::id(),
        account: whoami::username().unwrap_or_else(|_| "unknown".to_owned()),
        socket,
        started_at: Timestamp::now(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    if let Err(error) = base.store.announce(&holder).await {
        tracing::warn!("the database does not say who collects into it: {}", super::chain(&error));
    }
}
