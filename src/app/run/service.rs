//! `--headless`: the collector as a service, with its events in the log.

use std::{path::Path, time::Duration};

use tokio_util::sync::CancellationToken;

use crate::{
    app::{
        collector::{
            engine::Engine,
            lock::{self, Opened, SERVICE_PATIENCE},
        },
        config_source::ConfigSource,
        endpoint::Endpoint,
        error::{RunError, chain},
        process::{logging::LogTap, signals},
        troubles::mailer,
    },
    bus::{EventBus, Orders, Publisher},
    config::Config,
    relay::record::Recorder,
    store::lock_owner::Mode,
};

use super::{own::OwnCollector, readers::Readers};

/// A collector that is ending announces it within this time.
const SECOND_LOOK: Duration = Duration::from_secs(1);

/// Sweeps until `stop`. SIGHUP reloads the configuration.
///
/// # Errors
/// [`RunError`] if it could not start.
pub async fn run(
    source: &ConfigSource,
    record: Option<&Path>,
    tap: &LogTap,
    stop: &CancellationToken,
) -> Result<(), RunError> {
    let config = source.load()?;
    let record = record.map(Recorder::create).transpose()?;
    let reloads = Some(signals::hangups()?);
    let (publisher, told) = Publisher::new();
    let bus = EventBus::start(told);
    // This includes lines that are logged before the database is open.
    tap.open_into(bus.handle());
    let mut readers = Readers::default();
    readers.log(&bus);
    readers.record(&bus, record);
    let mut endpoint = Endpoint::default();
    // It says that this process is starting. If another collector that is ending uses the address, it listens later.
    if let Err(error) = endpoint.listen(&config).await {
        tracing::debug!("not yet: {}", chain(&error));
    }
    let opened = async {
        let engine = open(&config, source, publisher, stop).await?;
        endpoint.listen(&config).await?;
        Ok::<_, RunError>(engine)
    };
    match opened.await {
        Ok(engine) => {
            let (orders, requests) = Orders::new();
            let own = OwnCollector { engine: *engine, config, bus, readers, orders, requests, endpoint };
            own.serve(source, Mode::Headless, reloads, stop).await
        }
        Err(failed) => {
            bus.finish().await;
            readers.ended().await;
            Err(failed)
        }
    }
}

/// Becomes the collector. If there is another one, tries a second time.
async fn open(
    config: &Config,
    source: &ConfigSource,
    publisher: Publisher,
    stop: &CancellationToken,
) -> Result<Box<Engine>, RunError> {
    let open = async || {
        let opened = lock::open_or_find(config, source.costs, publisher.clone(), SERVICE_PATIENCE, stop).await;
        if let Err(failed) = &opened {
            mailer::report_database(config, None, failed).await;
        }
        opened
    };
    let mut opened = open().await?;
    if matches!(opened, Opened::Held(_)) && stop.run_until_cancelled(tokio::time::sleep(SECOND_LOOK)).await.is_some() {
        opened = open().await?;
    }
    match opened {
        Opened::Ours(engine) => Ok(engine),
        Opened::Held(held) => Err(RunError::Database(*held)),
    }
}
