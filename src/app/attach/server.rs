//! The attach server of this collector: opens it, announces it in the database and closes it. The protocol is in
//! [`crate::relay::server`].

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    app::{
        collector::{engine::Engine, lock::OwnerRecord},
        error::chain,
    },
    bus::{BusHandle, Orders},
    relay::{
        place::{self, Environment},
        server::{Server, Service},
    },
    store::lock_owner::Mode,
};

/// The open attach socket of this collector.
#[derive(Debug)]
pub struct AttachServer {
    serving: JoinHandle<()>,
    stop: CancellationToken,
}

impl AttachServer {
    /// Opens the socket and announces it in the database. If it cannot be opened, the collector works without it and
    /// logs why nobody can attach.
    pub async fn open(engine: &Engine, bus: &BusHandle, orders: Orders, mode: Mode) -> (Option<Self>, OwnerRecord) {
        let server = listen(engine.store.identity());
        let socket = server.as_ref().map(|server| server.path().to_owned());
        let owner_record = OwnerRecord::publish(&engine.store, socket, mode).await;
        let service = Service {
            bus: bus.clone(),
            orders,
            collector: format!("pid {} ({})", std::process::id(), mode.word()),
            most_connections: engine.descriptors.attached(),
        };
        let serving = server.map(|server| {
            let stop = CancellationToken::new();
            Self { serving: tokio::spawn(server.run(service, stop.clone())), stop }
        });
        (serving, owner_record)
    }

    /// Ends every connection.
    pub async fn close(self) {
        self.stop.cancel();
        if let Err(error) = self.serving.await {
            tracing::error!("serving attached dashboards failed: {error}");
        }
    }
}

fn listen(database: &str) -> Option<Server> {
    let path = match place::socket(&Environment::of_process(), database) {
        Ok(path) => path,
        Err(error) => {
            tracing::warn!("other processes cannot attach: {}", chain(&error));
            return None;
        }
    };
    match Server::bind(&path) {
        Ok(server) => Some(server),
        Err(error) => {
            tracing::warn!("other processes cannot attach: {}", chain(&error));
            None
        }
    }
}
