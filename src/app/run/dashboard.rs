//! The dashboard over a source, which is this process, a collector that is already running, or a recording. Drawing is
//! in `tui`.

use std::{io, path::Path};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    app::{
        collector::{
            engine::Engine,
            lock::{self, Opened},
        },
        config_source::ConfigSource,
        endpoint::Endpoint,
        error::RunError,
        process::logging::LogTap,
        source::{Source, WAITING},
        troubles::mailer,
    },
    bus::{EventBus, Orders, Publisher},
    config::Config,
    relay::{self, record::Recorder, replay::Recording},
    store::lock_owner::Mode,
};

use super::{own::OwnCollector, readers::Readers};
use pump::pump;
use session::{settle, show, start_screen};

pub mod answers;
pub mod attached;
pub mod pump;
pub mod questions;
pub mod session;

/// Sweeps and shows the dashboard until the operator or `stop` ends it. If another process already collects into the
/// same database, shows its events instead.
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
    let (publisher, told) = Publisher::new();
    let bus = EventBus::start(told);
    match lock::open_now(&config, source.costs, publisher).await {
        Ok(Opened::Ours(engine)) => own(source, config, *engine, bus, record, tap, stop).await,
        Ok(Opened::Held(held)) => attached::run(source, &config, held.owner, record, tap, stop).await,
        Err(failed) => {
            mailer::report_database(&config, None, &failed).await;
            Err(failed)
        }
    }
}

/// This process sweeps.
async fn own(
    source: &ConfigSource,
    config: Config,
    engine: Engine,
    bus: EventBus,
    record: Option<Recorder>,
    tap: &LogTap,
    stop: &CancellationToken,
) -> Result<(), RunError> {
    tap.open_into(bus.handle());
    let mut endpoint = Endpoint::default();
    endpoint.listen(&config).await?;
    let (orders, requests) = Orders::new();
    let (shown, stream) = Source::own(&engine, &bus, orders.clone());
    let screen = start_screen(stop)?;
    let mut readers = Readers::default();
    readers.log(&bus);
    readers.record(&bus, record);
    let pump = pump(stream, screen.feed());
    let own = OwnCollector { engine, config, bus, readers, orders, requests, endpoint };
    let ended = show(screen, shown, own.serve(source, Mode::Dashboard, None, stop), stop).await;
    settle(pump).await;
    ended
}

/// A recording is played.
///
/// # Errors
/// [`RunError`] if it cannot be played.
pub async fn replay(file: &Path, stop: &CancellationToken) -> Result<(), RunError> {
    let path = file.to_owned();
    let recording = tokio::task::spawn_blocking(move || Recording::open(&path)).await.map_err(io::Error::other)??;
    let (player, plays) = mpsc::channel(WAITING);
    let (out, played) = mpsc::channel(WAITING);
    let (shown, stream) = Source::replayed(player, played);
    let screen = start_screen(stop)?;
    let pump = pump(stream, screen.feed());
    let playing = async {
        tokio::select! {
            played = relay::replay::play(recording, plays, out) => Ok(played?),
            () = stop.cancelled() => Ok(()),
        }
    };
    let ended = show(screen, shown, playing, stop).await;
    settle(pump).await;
    ended
}
