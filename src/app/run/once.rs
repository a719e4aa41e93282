//! `--once`: one sweep, by this process or by a collector that is already running. Its progress is followed in
//! [`watch`], and its result is printed in [`result`].

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    app::{
        attach,
        collector::{
            engine::Engine,
            lock::{self, ONCE_PATIENCE, Opened},
            one_shot,
        },
        error::{RunError, chain},
        process::identity::actor,
        source::{Link, Source},
        troubles::mailer,
    },
    bus::{EventBus, Orders, Publisher, Request},
    cli::Format,
    config::Config,
    fleet::{login_hold::HeldLogins, order::Order},
    relay::{
        client::{AttachError, Connection},
        record::Recorder,
    },
    sweep::descriptor_budget::Costs,
};

use super::{output_file::Output, readers::Readers};
use result::{Database, RunResult, Stored};
use watch::{Scope, Show, Watch, WatchError};

pub mod result;
pub mod watch;

/// How long to wait for a collector that is starting or being restarted.
const ATTACH_PATIENCE: Duration = Duration::from_secs(10);

/// The options of a run.
#[derive(Debug, Clone)]
pub struct Once {
    /// The format of the result.
    pub format: Format,
    /// The file to write to; `None` for standard output.
    pub output: Option<PathBuf>,
    /// Whether an exceeded limit has its own exit code.
    pub fail_on_alert: bool,
    /// Whether logins that are held are tried.
    pub held_logins: HeldLogins,
    /// How progress is shown.
    pub show: Show,
}

/// Sweeps once, waits for the mails, prints the result.
///
/// # Errors
/// [`RunError`] if the run could not start, or its result could not be printed.
pub async fn run(
    config: &Config,
    costs: Costs,
    once: &Once,
    record: Option<&Path>,
    stop: &CancellationToken,
) -> Result<RunResult, RunError> {
    let mut recorder = record.map(Recorder::create).transpose()?;
    let open = |file| Output::create(file, result::audience_of(once.format));
    let output = once.output.as_deref().map(open).transpose()?;
    let deadline = Instant::now() + ONCE_PATIENCE;
    let swept = loop {
        let (publisher, told) = Publisher::new();
        let left = deadline.saturating_duration_since(Instant::now());
        let opened = match lock::open_or_find(config, costs, publisher, left, stop).await {
            Ok(opened) => opened,
            Err(failed) => {
                mailer::report_database(config, None, &failed).await;
                return Err(failed);
            }
        };
        match opened {
            Opened::Ours(engine) => {
                let troubles = engine.troubles.clone();
                let swept = own(config, *engine, EventBus::start(told), once, recorder.take(), stop).await;
                if let Err(failed) = &swept {
                    mailer::report_database(config, Some(troubles), failed).await;
                }
                break swept?;
            }
            Opened::Held(_) => match attached(config, once, recorder.take(), stop).await? {
                Ok(swept) => break swept,
                Err(Ended(why)) if stop.is_cancelled() || Instant::now() >= deadline => {
                    return Err(RunError::Collector(why));
                }
                Err(Ended(why)) => {
                    tracing::warn!("the running collector has ended ({why}): sweeping again");
                    if let Some(file) = record {
                        recorder = Some(Recorder::anew(file)?);
                    }
                }
            },
        }
    };
    result::print(&swept, once.format, output)?;
    Ok(swept)
}

/// This process sweeps.
async fn own(
    config: &Config,
    engine: Engine,
    bus: EventBus,
    once: &Once,
    record: Option<Recorder>,
    stop: &CancellationToken,
) -> Result<RunResult, RunError> {
    let mut readers = Readers::default();
    readers.record(&bus, record);
    let (orders, requests) = Orders::new();
    let (source, stream) = Source::own(&engine, &bus, orders);
    let watch = Watch::new(stream, Scope::Collector, once.show.clone());
    let collecting = async {
        let collected = collect(&engine, config, requests, stop).await;
        bus.finish().await;
        collected
    };
    let (collected, watched) = tokio::join!(collecting, watch.follow(&source, order(config, once.held_logins)));
    readers.ended().await;
    once.show.progress.clear();
    let (stored, database) = collected?;
    match watched {
        Ok(watched) => Ok(RunResult::new(watched, Scope::Collector, stored, database)),
        Err(WatchError::Ended(why) | WatchError::Refused(why)) => Err(RunError::Collector(why)),
    }
}

/// Runs the collector of this process for one sweep, and queries its database before that is closed.
async fn collect(
    engine: &Engine,
    config: &Config,
    mut requests: mpsc::Receiver<Request>,
    stop: &CancellationToken,
) -> Result<(Option<Stored>, Database), RunError> {
    let swept = one_shot::sweep(engine, config, &mut requests, stop).await;
    let (mut stored, mut database) = (None, Database::Complete);
    match swept {
        Ok(()) if engine.store.is_away() => {}
        Ok(()) => stored = Stored::ask(&engine.store.reader(), &mut database).await?,
        Err(RunError::Database(error)) => database.silent(error)?,
        Err(failed) => return Err(failed),
    }
    // Results of mails may still wait in the spool. Closing tries to store them one last time.
    let status = engine.store.status();
    engine.store.close().await;
    if let Some(away) = &status.borrow().away {
        database = Database::Away { waiting: away.waiting, why: chain(&away.why) };
    }
    Ok((stored, database))
}

/// The running collector ended before it was done, or had ended before; with the reason.
struct Ended(String);

/// Orders the running collector to sweep, and waits for the sweep and its mails. Other activities of that collector do
/// not count.
///
/// # Errors
/// [`RunError::Collector`] if it refuses.
async fn attached(
    config: &Config,
    once: &Once,
    record: Option<Recorder>,
    stop: &CancellationToken,
) -> Result<Result<RunResult, Ended>, RunError> {
    let mut readers = Readers::default();
    let record = readers.record_frames(record);
    let (source, stream, link) = Source::attached(config, None, record).await?;
    let Link { mut requests, out, history, .. } = link;
    let find = async || attach::find::find(&history).await.map(|(_, socket)| socket);
    let connection = match Connection::within(find, &actor(), ATTACH_PATIENCE, stop).await {
        Ok(connection) => connection,
        Err(AttachError::Refused(why)) => return Err(RunError::Collector(why)),
        Err(error) => return Ok(Err(Ended(chain(&error)))),
    };
    tracing::info!("asking the running collector to sweep: {}", connection.to());
    let watch = Watch::new(stream, Scope::Sweep, once.show.clone());
    let watched = tokio::select! {
        // The other branch reports its end, which it receives through the channel.
        why = connection.run(&mut requests, &out, stop) => Err(WatchError::Ended(why)),
        watched = watch.follow(&source, order(config, once.held_logins)) => watched,
    };
    readers.ended().await;
    once.show.progress.clear();
    let watched = match watched {
        Ok(watched) => watched,
        Err(WatchError::Ended(why)) => return Ok(Err(Ended(why))),
        Err(WatchError::Refused(why)) => return Err(RunError::Collector(why)),
    };
    let mut database = watched.fleet.database_away().map_or(Database::Complete, |away| Database::Away {
        waiting: away.waiting,
        why: format!("database {} is away, as its collector says", history.place()),
    });
    let stored = Stored::ask(&history, &mut database).await?;
    history.close().await;
    Ok(Ok(RunResult::new(watched, Scope::Sweep, stored, database)))
}

/// One sweep over every client of the configuration.
fn order(config: &Config, held: HeldLogins) -> Order {
    let clients = config.clients.iter().map(|client| client.id.clone()).collect();
    match held {
        HeldLogins::Respected => Order::Once(clients),
        HeldLogins::Retried => Order::OnceRetryingLogins(clients),
    }
}
