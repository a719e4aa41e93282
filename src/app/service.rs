//! `--headless`: turns the wheel on the interval until it is told to end, and tells the service manager.

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use sd_notify::NotifyState;
use secrecy::ExposeSecret as _;
use tokio::{
    task::{JoinHandle, JoinSet},
    time::{Interval, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;

use crate::{
    config::Config,
    fleet::{EventKind, event::Trigger},
    headless::log,
    spine::{Hub, Spine},
    sweep::SessionKeeping,
};

use super::{Failed, base::Base, outbox::Outbox, pipeline::Pipeline, signals, source::Source};

/// A configuration that can be put to work: nothing of it can fail any more, and nothing has begun.
struct Prepared {
    config: Config,
    pipeline: Arc<Pipeline>,
    outbox: Outbox,
}

impl Prepared {
    async fn new(base: &Base, config: Config) -> Result<Self, Failed> {
        let outbox = base.outbox(&config).await?;
        let keeping =
            NonZeroUsize::new(config.clients.len()).map_or(SessionKeeping::CloseAfterUse, SessionKeeping::Keep);
        let pipeline = base.pipeline(&config, keeping).await?;
        Ok(Self { config, pipeline, outbox })
    }

    fn begin(self, base: &Arc<Base>) -> Shift {
        let Self { config, pipeline, mut outbox } = self;
        let outbox_stop = CancellationToken::new();
        let task = tokio::spawn({
            let (base, stop) = (base.clone(), outbox_stop.clone());
            async move { outbox.run(&base.mail_decided, &stop).await }
        });
        Shift { config, pipeline, outbox: task, outbox_stop }
    }
}

/// One configuration at work: what a reload replaces.
struct Shift {
    config: Config,
    pipeline: Arc<Pipeline>,
    outbox: JoinHandle<()>,
    outbox_stop: CancellationToken,
}

impl Shift {
    async fn end(self) {
        self.outbox_stop.cancel();
        if let Err(error) = self.outbox.await {
            tracing::error!("the outbox broke: {error}");
        }
        self.pipeline.close().await;
    }

    fn status(&self) -> String {
        format!("sweeping {} clients", self.config.clients.len())
    }
}

/// Sweeps until `stop`, then ends in order: collections under way are cut short, what has been received is
/// stored, sessions and database are closed.
///
/// # Errors
/// [`Failed`] where it could not begin.
pub async fn run(source: &Source, stop: &CancellationToken) -> Result<(), Failed> {
    let config = source.load()?;
    let (spine, events) = Spine::new();
    let hub = Hub::start(events);
    let logger = tokio::spawn(hub.listen().each(log::log));
    let outcome = serve(source, config, spine, stop).await;
    hub.finish().await;
    if let Err(error) = logger.await {
        tracing::error!("logging of events broke: {error}");
    }
    outcome
}

async fn serve(source: &Source, config: Config, spine: Spine, stop: &CancellationToken) -> Result<(), Failed> {
    let mut hangups = signals::hangups()?;
    let base = Arc::new(Base::open(&config, spine).await?);
    let mut ticks = ticks(config.collector.interval);
    let mut shift = Prepared::new(&base, config).await?.begin(&base);
    let mut turns = JoinSet::new();
    tell_manager(&[NotifyState::Ready, NotifyState::Status(&shift.status())]);
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            _ = ticks.tick() => {
                let (base, pipeline, stop) = (base.clone(), shift.pipeline.clone(), stop.clone());
                turns.spawn(async move { base.wheel.turn(&pipeline, Trigger::Schedule, &stop).await });
            }
            Some(turn) = turns.join_next() => {
                if let Err(error) = turn {
                    tracing::error!("a sweep broke: {error}");
                }
            }
            Some(()) = hangups.recv() => {
                tell_manager(&reloading());
                match reload(source, &base, &shift.config).await {
                    Ok(next) => {
                        if next.config.collector.interval != shift.config.collector.interval {
                            ticks = self::ticks(next.config.collector.interval);
                        }
                        // The old one ends first: two outboxes would mail the same twice.
                        shift.end().await;
                        shift = next.begin(&base);
                    }
                    Err(errors) => base.spine.tell(None, None, EventKind::ConfigurationRefused { errors }).await,
                }
                tell_manager(&[NotifyState::Ready, NotifyState::Status(&shift.status())]);
            }
        }
    }
    tell_manager(&[NotifyState::Stopping]);
    while turns.join_next().await.is_some() {}
    shift.end().await;
    base.store.close().await;
    Ok(())
}

/// Ticks at whole intervals after the start: no drift, and no burst after a standstill.
fn ticks(interval: Duration) -> Interval {
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    ticks
}

/// Reads the configuration again and prepares it; the lines that say why not.
async fn reload(source: &Source, base: &Base, before: &Config) -> Result<Prepared, Vec<String>> {
    let config = source.load().map_err(|error| error.to_string().lines().map(str::to_owned).collect::<Vec<_>>())?;
    if config.database.url.expose_secret() != before.database.url.expose_secret() {
        return Err(vec!["the database cannot change while the program runs: restart it instead".to_owned()]);
    }
    Prepared::new(base, config).await.map_err(|error| vec![super::chain(&error)])
}

/// `Type=notify-reload` wants the time at which the reload began.
fn reloading() -> Vec<NotifyState<'static>> {
    let mut states = vec![NotifyState::Reloading];
    states.extend(NotifyState::monotonic_usec_now().ok());
    states
}

/// Tells systemd, where it is the service manager; elsewhere nobody asks.
fn tell_manager(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!("the service manager could not be told: {error}");
    }
}
