//! This process as a long-running collector: its engine, its event bus and the subscribers, from the first sweep to the
//! shutdown.

use std::sync::Arc;

use tokio::{signal::unix::Signal, sync::mpsc};
use tokio_util::sync::CancellationToken;

use crate::{
    app::{
        attach::server::AttachServer,
        collector::{
            engine::Engine,
            main_loop::{self, Inputs},
        },
        config_source::ConfigSource,
        endpoint::Endpoint,
        error::RunError,
    },
    bus::{EventBus, Orders, Request},
    config::Config,
    store::lock_owner::Mode,
};

use super::readers::Readers;

/// A collector that is ready to start.
#[derive(Debug)]
pub struct OwnCollector {
    /// Its engine.
    pub engine: Engine,
    /// Its configuration.
    pub config: Config,
    /// Its event bus.
    pub bus: EventBus,
    /// The subscribers besides the caller.
    pub readers: Readers,
    /// Sends orders to it.
    pub orders: Orders,
    /// Receives the orders.
    pub requests: mpsc::Receiver<Request>,
    /// Its metrics endpoint, which listens already.
    pub endpoint: Endpoint,
}

impl OwnCollector {
    /// Opens the attach server and collects until `stop`. Returns when all subscribers have read the last event.
    /// `reloads` requests to reload the configuration from `source`.
    ///
    /// # Errors
    /// [`RunError`] if it could not start.
    pub async fn serve(
        self,
        source: &ConfigSource,
        mode: Mode,
        reloads: Option<Signal>,
        stop: &CancellationToken,
    ) -> Result<(), RunError> {
        let Self { engine, config, bus, readers, orders, requests, endpoint } = self;
        let (server, owner_record) = AttachServer::open(&engine, &bus.handle(), orders, mode).await;
        let inputs = Inputs { bus: bus.handle(), requests, reloads, endpoint, stop: stop.clone() };
        let served = main_loop::serve(Arc::new(engine), owner_record, source, config, inputs).await;
        bus.finish().await;
        if let Some(server) = server {
            server.close().await;
        }
        readers.ended().await;
        served
    }
}
