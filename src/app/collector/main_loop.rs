//! The main loop of a long-running collector: sweeps on the interval and on demand, sends mails and reloads its
//! configuration. The service and the dashboard differ only in the subscribers of its events.

use std::{sync::Arc, time::Duration};

use secrecy::ExposeSecret;
use tokio::{
    signal::unix::Signal,
    sync::mpsc,
    task::JoinHandle,
    time::{Interval, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;

use crate::{
    app::{
        config_source::ConfigSource,
        endpoint::Endpoint,
        error::{RunError, chain},
        mail::outbox_worker::OutboxWorker,
        process::service_manager,
        troubles::mailer::TroubleMailer,
    },
    bus::{BusHandle, Request},
    config::Config,
    fleet::{EventKind, stream::About},
};

use super::{
    dispatcher::Dispatcher,
    engine::{Engine, Sessions},
    lock::OwnerRecord,
    pipeline::Pipeline,
    retention::{self, Keeping},
};

/// A configuration that is ready to be applied. Applying it cannot fail, and nothing has been started.
struct Prepared {
    config: Config,
    pipeline: Arc<Pipeline>,
    outbox: OutboxWorker,
    trouble_mailer: TroubleMailer,
}

impl Prepared {
    async fn new(engine: &Engine, config: Config) -> Result<Self, RunError> {
        let (outbox, trouble_mailer) = engine.mailing(&config).await?;
        let pipeline = engine.pipeline(&config, Sessions::Kept).await?;
        Ok(Self { config, pipeline, outbox, trouble_mailer })
    }

    fn begin(self, engine: &Arc<Engine>) -> Active {
        let Self { config, pipeline, mut outbox, mut trouble_mailer } = self;
        let stop = CancellationToken::new();
        engine.troubles.configure(&config);
        let trouble_mailer = tokio::spawn({
            let stop = stop.clone();
            async move { trouble_mailer.run(&stop).await }
        });
        let outbox = tokio::spawn({
            let (engine, stop) = (engine.clone(), stop.clone());
            async move { outbox.run(&engine.wakeup, &stop).await }
        });
        let retention = tokio::spawn({
            let (engine, stop, keeping) = (engine.clone(), stop.clone(), Keeping::configured(&config.database));
            async move { retention::run(&engine.store, keeping, &engine.troubles, &stop).await }
        });
        Active { config, pipeline, outbox, trouble_mailer, retention, stop }
    }
}

/// The parts of an applied configuration. A reload replaces them.
struct Active {
    config: Config,
    pipeline: Arc<Pipeline>,
    outbox: JoinHandle<()>,
    trouble_mailer: JoinHandle<()>,
    retention: JoinHandle<()>,
    stop: CancellationToken,
}

impl Active {
    async fn end(self) {
        self.stop.cancel();
        for (what, task) in [
            ("the outbox worker", self.outbox),
            ("mailing the collector's own problems", self.trouble_mailer),
            ("retention", self.retention),
        ] {
            if let Err(error) = task.await {
                tracing::error!("{what} failed: {error}");
            }
        }
        self.pipeline.close().await;
    }

    fn status(&self) -> String {
        format!("sweeping {} clients", self.config.clients.len())
    }
}

/// The inputs of a running collector.
#[derive(Debug)]
pub struct Inputs {
    /// The fleet as it stands.
    pub bus: BusHandle,
    /// The orders of operators.
    pub requests: mpsc::Receiver<Request>,
    /// Requests to reload the configuration; `None` if there are none.
    pub reloads: Option<Signal>,
    /// Its metrics endpoint, which listens already.
    pub endpoint: Endpoint,
    /// Stops the collector.
    pub stop: CancellationToken,
}

/// Sweeps until `inputs.stop`, then shuts down in order: running collections are cancelled, received data is stored,
/// sessions and database are closed. `owner_record` is marked as ending first.
///
/// # Errors
/// [`RunError`] if it could not start.
pub async fn serve(
    engine: Arc<Engine>,
    owner_record: OwnerRecord,
    source: &ConfigSource,
    config: Config,
    Inputs { bus, mut requests, mut reloads, mut endpoint, stop }: Inputs,
) -> Result<(), RunError> {
    let mut ticks = ticks(config.collector.interval);
    engine.publisher.describe(about(source, &config)).await;
    let prepared = Prepared::new(&engine, config).await?;
    engine.publisher.remember(engine.store.reader().memory().await?).await;
    let mut active = prepared.begin(&engine);
    endpoint.pages().collect(&engine, bus.clone(), &active.config);
    let mut dispatcher = Dispatcher::new(engine.clone(), bus, active.pipeline.clone(), stop.clone());
    service_manager::ready(&active.status());
    loop {
        let reload = async {
            match &mut reloads {
                Some(reloads) => reloads.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = stop.cancelled() => break,
            _ = ticks.tick() => if !dispatcher.is_paused {
                dispatcher.sweep_all();
            },
            Some(request) = requests.recv() => dispatcher.handle(request).await,
            Some(ended) = dispatcher.ended() => {
                if let Err(error) = ended {
                    tracing::error!("a sweep failed: {error}");
                }
            }
            Some(()) = reload => {
                service_manager::reloading();
                match read_again(source, &engine, &mut endpoint, &active.config).await {
                    Ok(next) => {
                        if next.config.collector.interval != active.config.collector.interval {
                            ticks = self::ticks(next.config.collector.interval);
                        }
                        engine.publisher.describe(about(source, &next.config)).await;
                        // The old outbox worker must end first, because two of them would send mails twice.
                        active.end().await;
                        active = next.begin(&engine);
                        endpoint.pages().configure(&active.config);
                        dispatcher.pipeline = active.pipeline.clone();
                    }
                    Err(errors) => {
                        engine.publisher.publish(None, None, EventKind::ConfigurationRefused { errors }).await;
                    }
                }
                service_manager::ready(&active.status());
            }
        }
    }
    service_manager::stopping();
    // The next collector may be waiting for the address.
    endpoint.close().await;
    // Orders from here on are refused.
    drop(requests);
    tokio::join!(owner_record.withdraw(&engine.store), async { while dispatcher.ended().await.is_some() {} });
    active.end().await;
    engine.store.close().await;
    Ok(())
}

/// The data for the header of a dashboard.
fn about(source: &ConfigSource, config: &Config) -> About {
    About {
        name: source.name.clone(),
        schedule: format!("every {}", humantime::format_duration(config.collector.interval)),
        interval_ms: u64::try_from(config.collector.interval.as_millis()).ok(),
    }
}

/// Ticks at whole intervals after the start, without drift and without a burst after a delay.
fn ticks(interval: Duration) -> Interval {
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    ticks
}

/// Reloads the configuration and prepares it. Returns the lines of the error if that fails.
async fn read_again(
    source: &ConfigSource,
    engine: &Engine,
    endpoint: &mut Endpoint,
    before: &Config,
) -> Result<Prepared, Vec<String>> {
    let config = source.load().map_err(|error| error.to_string().lines().map(str::to_owned).collect::<Vec<_>>())?;
    let database = |config: &Config| (config.database.url.expose_secret().to_owned(), config.database.tls);
    if database(&config) != database(before) {
        return Err(vec!["the database cannot be changed while the program runs: restart the program".to_owned()]);
    }
    endpoint.listen(&config).await.map_err(|error| vec![chain(&error)])?;
    let prepared = Prepared::new(engine, config).await.map_err(|error| vec![chain(&error)]);
    if prepared.is_err()
        && let Err(error) = endpoint.listen(before).await
    {
        tracing::error!("{}", chain(&error));
    }
    prepared
}
