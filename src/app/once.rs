//! `--once`: one turn of the wheel, its result on standard output.

use std::{
    io::{self, IsTerminal as _, Write as _},
    path::Path,
    pin::pin,
    time::Duration,
};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    cli::{Exit, Format},
    config::Config,
    fleet::{FailureKind, SweepId, event::Trigger, state::Fleet},
    headless::{
        json::{Document, Mails},
        log,
        progress::Progress,
        table::{self, Look},
    },
    relay::record::Recorder,
    spine::{Hub, Spine},
    store::{Due, StoreError},
    sweep::SessionKeeping,
};

use super::{
    Failed,
    base::{Base, Opened},
    beside, counter,
    outbox::{LAST_MAIL, Outbox},
};

/// The longest that a run waits for the SMTP server; what it has not taken by then stays in the outbox.
pub const MAIL_WAIT: Duration = Duration::from_secs(10);

/// The longest that a run waits at its end for a database that is away; what waits then is stored by the next run.
pub const DATABASE_WAIT: Duration = Duration::from_secs(10);

/// What a run is told by its arguments.
#[derive(Debug, Clone)]
pub struct Once {
    /// How the result is printed.
    pub format: Format,
    /// Whether an exceeded limit has an exit code of its own.
    pub fail_on_alert: bool,
    /// Whether every event is logged.
    pub log_events: bool,
    /// The bar on standard error.
    pub progress: Progress,
}

/// What a run came to.
#[derive(Debug)]
pub struct Swept {
    /// The sweep.
    pub sweep: SweepId,
    /// The fleet after it.
    pub fleet: Fleet,
    /// What became of the mails.
    pub mails: Mails,
    /// How the database stood at the end.
    pub database: Database,
}

/// How the database stood at the end of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Database {
    /// Everything is stored.
    Complete,
    /// So many changes wait for it in the spool.
    Away(u64),
    /// What was collected is stored; what became of the mails could not be asked.
    Silent,
}

/// Sweeps once, offers the mails, prints the result.
///
/// # Errors
/// [`Failed`] where the run could not begin, or its result could not be printed.
pub async fn run(
    config: &Config,
    once: &Once,
    record: Option<&Path>,
    stop: &CancellationToken,
) -> Result<Swept, Failed> {
    let record = record.map(Recorder::create).transpose()?;
    let (spine, told) = Spine::new();
    let hub = Hub::start(told);
    let swept = match Base::open_or_find(config, spine, stop).await? {
        Opened::Ours(base) => own(config, *base, hub, once, record, stop).await?,
        Opened::Held(_) => beside::sweep(config, once, record, stop).await?,
    };
    print(&swept, once.format)?;
    if let Database::Away(waiting) = swept.database {
        // Also where nothing is logged: it is why the run did not succeed. Where standard error is closed nobody
        // can be told.
        let _ = writeln!(
            io::stderr(),
            "fleetsweep: the database is away: {waiting} changes wait in the spool; nothing is lost, the next run stores them"
        );
    }
    Ok(swept)
}

/// This process sweeps.
async fn own(
    config: &Config,
    base: Base,
    hub: Hub,
    once: &Once,
    record: Option<Recorder>,
    stop: &CancellationToken,
) -> Result<Swept, Failed> {
    let mut readers = JoinSet::new();
    if let Some(recorder) = record {
        readers.spawn(recorder.run(hub.listen()));
    }
    readers.spawn(hub.listen().each({
        let (progress, log_events) = (once.progress.clone(), once.log_events);
        move |fleet, event| {
            progress.show(fleet, event);
            if log_events {
                log::log(fleet, event);
            }
        }
    }));
    let swept = sweep(config, &base, stop).await;
    let fleet = hub.finish().await;
    while let Some(ended) = readers.join_next().await {
        if let Err(error) = ended {
            tracing::error!("a reader of events broke: {error}");
        }
    }
    once.progress.clear();
    let (sweep, waiting, database) = swept?;
    let tally = fleet.mails();
    // Those of this run, where the outbox cannot be read.
    let waiting = waiting.unwrap_or_else(|| tally.queued.saturating_sub(tally.sent + tally.refused));
    let mails = Mails { sent: tally.sent, waiting };
    Ok(Swept { sweep, fleet, mails, database })
}

/// One turn, then the mails, then an orderly end; the sweep, how many mails still wait as far as that can be read,
/// and how the database stands.
async fn sweep(
    config: &Config,
    base: &Base,
    stop: &CancellationToken,
) -> Result<(SweepId, Option<u64>, Database), Failed> {
    counter::announce(base, None).await;
    let mut outbox = base.outbox(config).await?;
    let pipeline = base.pipeline(config, SessionKeeping::CloseAfterUse).await?;
    let sweep = SweepId(Uuid::now_v7());
    let due = base.wheel.take_up(pipeline.clients());
    base.wheel.turn(&pipeline, sweep, Trigger::Once, due, stop).await;
    pipeline.close().await;
    base.store.settle(DATABASE_WAIT).await;
    let mailed = async {
        offer_mails(&mut outbox, stop).await?;
        Ok::<_, StoreError>(base.store.mail_counts().await?.waiting)
    };
    let mut database = Database::Complete;
    let mut waiting = None;
    if !base.store.is_away() {
        match mailed.await {
            Ok(mails) => waiting = Some(mails),
            Err(error) if error.kind.will_pass() => {
                tracing::error!("the outbox cannot be read: {}", super::chain(&error));
                database = Database::Silent;
            }
            Err(error) => return Err(error.into()),
        }
    }
    // Also what became of a mail may have to wait. Closing tries a last time, and answers when that is over.
    let condition = base.store.condition();
    base.store.close().await;
    if let Some(away) = &condition.borrow().away {
        database = Database::Away(away.waiting);
    }
    Ok((sweep, waiting, database))
}

/// Offers every waiting mail, for as long as a run waits for that.
async fn offer_mails(outbox: &mut Outbox, stop: &CancellationToken) -> Result<(), StoreError> {
    let end = stop.child_token();
    let mut offering = pin!(outbox.offer(Due::All, &end));
    tokio::select! {
        offered = &mut offering => offered.map(drop),
        () = tokio::time::sleep(MAIL_WAIT.saturating_sub(LAST_MAIL)) => {
            tracing::warn!("the SMTP server is slow: the mails left stay in the outbox");
            end.cancel();
            offering.await.map(drop)
        }
    }
}

fn print(swept: &Swept, format: Format) -> Result<(), Failed> {
    let mut stdout = anstream::AutoStream::auto(io::stdout().lock());
    match format {
        Format::Table => {
            let colour = io::stdout().is_terminal();
            let columns = colour.then(|| crossterm::terminal::size().ok().map(|(columns, _)| columns)).flatten();
            let look = Look { colour, width: columns.filter(|columns| *columns >= table::NARROWEST) };
            let text = table::render(&swept.fleet, swept.sweep, swept.mails, look);
            stdout.write_all(text.as_bytes())?;
        }
        Format::Json => {
            if let Some(document) = Document::of(&swept.fleet, swept.sweep, swept.mails) {
                serde_json::to_writer(&mut stdout, &document).map_err(io::Error::from)?;
                stdout.write_all(b"\n")?;
            }
        }
    }
    Ok(stdout.flush()?)
}

impl Swept {
    /// The exit code of a run.
    #[must_use]
    pub fn exit(&self, fail_on_alert: bool) -> Exit {
        if self.database != Database::Complete {
            return Exit::Database;
        }
        let mut exit = Exit::Success;
        // A running collector knows other clients as well.
        let swept = self.fleet.sweep(self.sweep).map(|sweep| sweep.clients.as_slice()).unwrap_or_default();
        for client in swept.iter().filter_map(|id| self.fleet.client(id)) {
            match client.last.as_ref().and_then(|last| last.failure.as_ref()) {
                Some(failure) if failure.kind == FailureKind::StoreFailed => return Exit::Database,
                Some(_) => exit = Exit::ClientFailed,
                None if exit == Exit::Success && fail_on_alert && !client.exceeded.is_empty() => {
                    exit = Exit::LimitExceeded;
                }
                None => {}
            }
        }
        exit
    }
}
