//! This process as the collector of a run mode that lasts: its engine, its stream and who reads that, from the first
//! sweep to the orderly end.

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
        error::RunError,
    },
    bus::{EventBus, Orders, Request},
    config::Config,
    store::lock_owner::Mode,
};

use super::readers::Readers;

/// A collector that is ready to work.
#[derive(Debug)]
pub struct OwnCollector {
    /// Its lasting parts.
    pub engine: Engine,
    /// What it sweeps.
    pub config: Config,
    /// Folds what it tells.
    pub bus: EventBus,
    /// Who reads that beside the caller.
    pub readers: Readers,
    /// Where orders for it are given.
    pub orders: Orders,
    /// Where they arrive.
    pub requests: mpsc::Receiver<Request>,
}

impl OwnCollector {
    /// Lets others attach, and collects until `stop`; returns when the stream has ended and was read to its end.
    /// `reloads` asks for the configuration to be read again from `source`.
    ///
    /// # Errors
    /// [`RunError`] where it could not begin.
    pub async fn serve(
        self,
        source: &ConfigSource,
        mode: Mode,
        reloads: Option<Signal>,
        stop: &CancellationToken,
    ) -> Result<(), RunError> {
        let Self { engine, config, bus, readers, orders, requests } = self;
        let (server, owner_record) = AttachServer::open(&engine, &bus.handle(), orders, mode).await;
        let inputs = Inputs { bus: bus.handle(), requests, reloads, stop: stop.clone() };
        let served = main_loop::serve(Arc::new(engine), owner_record, source, config, inputs).await;
        bus.finish().await;
        if let Some(server) = server {
            server.close().await;
        }
        readers.ended().await;
        served
    }
}
