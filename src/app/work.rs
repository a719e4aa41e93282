//! The collector at work: sweeps on the interval and on demand, mails, reads its configuration again. Every
//! run mode that lasts is this, with another reader of its stream.

use std::{sync::Arc, time::Duration};

use secrecy::ExposeSecret;
use tokio::{
    signal::unix::Signal,
    sync::mpsc,
    task::{JoinHandle, JoinSet},
    time::{Interval, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    config::Config,
    fleet::{EventKind, SweepId, event::Trigger, stream::About},
    spine::{Asked, Door},
};

use super::{
    Failed,
    base::{Base, Sessions},
    counter,
    courier::Courier,
    manager,
    outbox::Outbox,
    pipeline::Pipeline,
    source::Source,
    tidying,
    wheel::TakenUp,
};

/// A configuration that can be put to work: nothing of it can fail any more, and nothing has begun.
struct Prepared {
    config: Config,
    pipeline: Arc<Pipeline>,
    outbox: Outbox,
    courier: Courier,
}

impl Prepared {
    async fn new(base: &Base, config: Config) -> Result<Self, Failed> {
        let (outbox, courier) = base.mailing(&config).await?;
        let pipeline = base.pipeline(&config, Sessions::Kept).await?;
        Ok(Self { config, pipeline, outbox, courier })
    }

    fn begin(self, base: &Arc<Base>) -> Shift {
        let Self { config, pipeline, mut outbox, mut courier } = self;
        let stop = CancellationToken::new();
        base.troubles.configure(&config);
        let courier = tokio::spawn({
            let stop = stop.clone();
            async move { courier.run(&stop).await }
        });
        let outbox = tokio::spawn({
            let (base, stop) = (base.clone(), stop.clone());
            async move { outbox.run(&base.bell, &stop).await }
        });
        let tidying = tokio::spawn({
            let (base, stop, retention) = (base.clone(), stop.clone(), config.database.retention);
            async move { tidying::run(&base.store, retention, &stop).await }
        });
        Shift { config, pipeline, outbox, courier, tidying, stop }
    }
}

/// One configuration at work: what a reload replaces.
pub(super) struct Shift {
    config: Config,
    pub(super) pipeline: Arc<Pipeline>,
    outbox: JoinHandle<()>,
    courier: JoinHandle<()>,
    tidying: JoinHandle<()>,
    stop: CancellationToken,
}

impl Shift {
    async fn end(self) {
        self.stop.cancel();
        for (what, task) in
            [("the outbox", self.outbox), ("telling of troubles", self.courier), ("tidying up", self.tidying)]
        {
            if let Err(error) = task.await {
                tracing::error!("{what} broke: {error}");
            }
        }
        self.pipeline.close().await;
    }
}

/// What reaches the collector from outside while it works.
#[derive(Debug)]
pub struct Desk {
    /// Where the fleet is looked at, and the stream listened to.
    pub door: Door,
    /// What operators ask.
    pub asked: mpsc::Receiver<Asked>,
    /// Asks for the configuration to be read again; `None` where nothing does.
    pub reloads: Option<Signal>,
    /// Ends the work.
    pub stop: CancellationToken,
}

/// A collector at work.
pub(super) struct Work {
    pub(super) base: Arc<Base>,
    /// Where the fleet is looked at.
    pub(super) door: Door,
    pub(super) shift: Shift,
    /// Sweeps and other things under way.
    pub(super) under_way: JoinSet<()>,
    pub(super) paused: bool,
    pub(super) stop: CancellationToken,
}

/// Sweeps until `desk.stop`, then ends in order: collections under way are cut short, what has been received
/// is stored, sessions and database are closed.
///
/// # Errors
/// [`Failed`] where it could not begin.
pub async fn serve(
    base: Arc<Base>,
    source: &Source,
    config: Config,
    Desk { door, mut asked, mut reloads, stop }: Desk,
) -> Result<(), Failed> {
    let mut ticks = ticks(config.collector.interval);
    base.spine.describe(about(source, &config)).await;
    let prepared = Prepared::new(&base, config).await?;
    base.spine.remember(base.store.reader().memory().await?).await;
    let shift = prepared.begin(&base);
    let mut work = Work { base, door, shift, under_way: JoinSet::new(), paused: false, stop };
    manager::ready(&work.status());
    loop {
        let reload = async {
            match &mut reloads {
                Some(reloads) => reloads.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = work.stop.cancelled() => break,
            _ = ticks.tick() => if !work.paused {
                let due = work.base.wheel.take_up(work.shift.pipeline.clients());
                work.sweep(SweepId(Uuid::now_v7()), Trigger::Schedule, due);
            },
            Some(asked) = asked.recv() => work.obey(asked).await,
            Some(ended) = work.under_way.join_next() => {
                if let Err(error) = ended {
                    tracing::error!("a sweep broke: {error}");
                }
            }
            Some(()) = reload => {
                manager::reloading();
                match read_again(source, &work.base, &work.shift.config).await {
                    Ok(next) => {
                        if next.config.collector.interval != work.shift.config.collector.interval {
                            ticks = self::ticks(next.config.collector.interval);
                        }
                        work.base.spine.describe(about(source, &next.config)).await;
                        work = work.change_to(next).await;
                    }
                    Err(errors) => {
                        work.base.spine.tell(None, None, EventKind::ConfigurationRefused { errors }).await;
                    }
                }
                manager::ready(&work.status());
            }
        }
    }
    manager::stopping();
    // Who asks from here on is refused.
    drop(asked);
    tokio::join!(counter::give_notice(&work.base), async { while work.under_way.join_next().await.is_some() {} });
    work.shift.end().await;
    work.base.store.close().await;
    Ok(())
}

impl Work {
    /// Has the wheel turn once.
    pub(super) fn sweep(&mut self, sweep: SweepId, trigger: Trigger, due: TakenUp) {
        let (base, pipeline, stop) = (self.base.clone(), self.shift.pipeline.clone(), self.stop.clone());
        self.under_way.spawn(async move { base.wheel.turn(&pipeline, sweep, trigger, due, &stop).await });
    }

    /// The old configuration ends first: two outboxes would mail the same twice.
    async fn change_to(self, next: Prepared) -> Self {
        self.shift.end().await;
        let shift = next.begin(&self.base);
        Self { shift, ..self }
    }

    fn status(&self) -> String {
        format!("sweeping {} clients", self.shift.config.clients.len())
    }
}

/// What the header of a screen says.
fn about(source: &Source, config: &Config) -> About {
    About {
        name: source.name.clone(),
        schedule: format!("every {}", humantime::format_duration(config.collector.interval)),
    }
}

/// Ticks at whole intervals after the start: no drift, and no burst after a standstill.
fn ticks(interval: Duration) -> Interval {
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    ticks
}

/// Reads the configuration again and prepares it; the lines that say why not.
async fn read_again(source: &Source, base: &Base, before: &Config) -> Result<Prepared, Vec<String>> {
    let config = source.load().map_err(|error| error.to_string().lines().map(str::to_owned).collect::<Vec<_>>())?;
    let database = |config: &Config| (config.database.url.expose_secret().to_owned(), config.database.tls);
    if database(&config) != database(before) {
        return Err(vec!["the database cannot change while the program runs: restart it instead".to_owned()]);
    }
    Prepared::new(base, config).await.map_err(|error| vec![super::chain(&error)])
}
