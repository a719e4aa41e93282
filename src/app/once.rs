//! `--once`: one turn of the wheel, its result on standard output.

use std::{
    io::{self, IsTerminal as _, Write as _},
    path::{Path, PathBuf},
    pin::pin,
    time::Duration,
};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    cli::{Exit, Format},
    config::Config,
    fleet::{FailureKind, SweepId, alerts::AlertView, event::Trigger, history::Memory, state::Fleet},
    headless::{
        json::{Document, Mails},
        log,
        metrics::{self, StoredMails},
        progress::Progress,
        table::{self, Look},
    },
    relay::record::Recorder,
    spine::{Hub, Spine},
    store::{Due, MailCounts, StoreError, holder::Mode},
    sweep::room::Costs,
};

use super::{
    Failed,
    base::{self, Base, ONCE_PATIENCE, Opened, Sessions},
    beside, counter,
    outbox::{LAST_MAIL, Outbox},
    output::{Audience, Output},
    readers::Readers,
    tidying,
};

/// The longest that a run waits for the SMTP server; what it has not taken by then stays in the outbox.
pub const MAIL_WAIT: Duration = Duration::from_secs(10);

/// The longest that a run deletes what has grown old; what is left then is the next one's.
const TIDYING: Duration = Duration::from_secs(2);

/// The longest that a run waits at its end for a database that is away; what waits then is stored by the next run.
pub const DATABASE_WAIT: Duration = Duration::from_secs(10);

/// What a run is told by its arguments.
#[derive(Debug, Clone)]
pub struct Once {
    /// How the result is printed.
    pub format: Format,
    /// Into which file; `None` for standard output.
    pub output: Option<PathBuf>,
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
    /// What became of the mails; beside a running collector, of those of this sweep.
    pub mails: Mails,
    /// The mails in the outbox, whosever they are.
    pub outbox: StoredMails,
    /// How the database stood at the end.
    pub database: Database,
}

/// How the database stood at the end of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Database {
    /// Everything is stored.
    Complete,
    /// It does not take what it is given.
    Away {
        /// How many changes wait for it in the spool.
        waiting: u64,
        /// Which database, and why, in words.
        why: String,
    },
    /// What was collected is stored; what became of the mails could not be asked.
    Silent,
}

/// Sweeps once, offers the mails, prints the result.
///
/// # Errors
/// [`Failed`] where the run could not begin, or its result could not be printed.
pub async fn run(
    config: &Config,
    costs: Costs,
    once: &Once,
    record: Option<&Path>,
    stop: &CancellationToken,
) -> Result<Swept, Failed> {
    let mut recorder = record.map(Recorder::create).transpose()?;
    let output = once.output.as_deref().map(|file| Output::create(file, audience_of(once.format))).transpose()?;
    let deadline = Instant::now() + ONCE_PATIENCE;
    let swept = loop {
        let (spine, told) = Spine::new();
        let left = deadline.saturating_duration_since(Instant::now());
        let opened = match Base::open_or_find(config, costs, spine, left, stop).await {
            Ok(opened) => opened,
            Err(failed) => {
                base::tell_of_database(config, None, &failed).await;
                return Err(failed);
            }
        };
        match opened {
            Opened::Ours(base) => {
                let troubles = base.troubles.clone();
                let swept = own(config, *base, Hub::start(told), once, recorder.take(), stop).await;
                if let Err(failed) = &swept {
                    base::tell_of_database(config, Some(troubles), failed).await;
                }
                break swept?;
            }
            Opened::Held(_) => match beside::sweep(config, once, recorder.take(), stop).await? {
                beside::Asked::Swept(swept) => break *swept,
                beside::Asked::Ended(why) if stop.is_cancelled() || Instant::now() >= deadline => {
                    return Err(Failed::Collector(why));
                }
                beside::Asked::Ended(why) => {
                    tracing::warn!("the collector that was asked is gone ({why}): sweeping again");
                    if let Some(file) = record {
                        recorder = Some(Recorder::anew(file)?);
                    }
                }
            },
        }
    };
    match output {
        Some(mut output) => {
            output.write(&result(&swept, once.format, PLAIN)?)?;
            output.finish()?;
        }
        None => {
            let mut stdout = anstream::AutoStream::auto(io::stdout().lock());
            stdout.write_all(&result(&swept, once.format, look())?)?;
            stdout.flush()?;
        }
    }
    if let Database::Away { waiting, why } = &swept.database {
        // Also where nothing is logged: it is why the run did not succeed. Where standard error is closed nobody
        // can be told.
        let _ = match waiting {
            0 => writeln!(io::stderr(), "fleetsweep: {why}"),
            waiting => writeln!(
                io::stderr(),
                "fleetsweep: the database is away: {waiting} changes wait in the spool; nothing is lost, the next run stores them: {why}"
            ),
        };
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
    let mut readers = Readers::default();
    readers.record(&hub, record);
    readers.add(hub.listen().each({
        let (progress, log_events) = (once.progress.clone(), once.log_events);
        move |fleet, event| {
            progress.show(fleet, event);
            if log_events || log::is_grave(event) {
                log::log(fleet, event);
            }
        }
    }));
    let swept = sweep(config, &base, stop).await;
    let fleet = hub.finish().await;
    readers.ended().await;
    once.progress.clear();
    let Turned { sweep, counts, alerts, database } = swept?;
    let mut fleet = fleet;
    // Of a client that failed, only the database knows the alerts that stay open.
    fleet.remember(Memory { clients: Vec::new(), alerts });
    let tally = fleet.mails();
    // Those of this run, where the outbox cannot be read.
    let waiting =
        counts.map_or_else(|| tally.queued.saturating_sub(tally.sent + tally.refused), |counts| counts.waiting);
    let mails = Mails { sent: tally.sent, waiting, refused: tally.refused };
    let outbox = StoredMails { waiting, refused: counts.map(|counts| counts.refused) };
    Ok(Swept { sweep, fleet, mails, outbox, database })
}

/// What one turn came to.
struct Turned {
    sweep: SweepId,
    /// The mails in the outbox, as far as that can be read.
    counts: Option<MailCounts>,
    /// The alerts that are open, as far as that can be read.
    alerts: Vec<AlertView>,
    database: Database,
}

/// One turn, then the mails, then an orderly end.
async fn sweep(config: &Config, base: &Base, stop: &CancellationToken) -> Result<Turned, Failed> {
    counter::announce(base, None, Mode::Once).await;
    let (mut outbox, mut courier) = base.mailing(config).await?;
    let pipeline = base.pipeline(config, Sessions::Closed).await?;
    let sweep = SweepId(Uuid::now_v7());
    let due = base.wheel.take_up(pipeline.clients());
    base.wheel.turn(&pipeline, sweep, Trigger::Once, due, stop).await;
    pipeline.close().await;
    base.store.settle(DATABASE_WAIT).await;
    base.troubles.note_away(&base.store.condition().borrow());
    let mails_until = Instant::now() + MAIL_WAIT;
    // First, since a slow server would leave them no time.
    courier.deliver(mails_until).await;
    let afterwards = async {
        offer_mails(&mut outbox, mails_until, stop).await?;
        courier.deliver(mails_until.max(Instant::now() + LAST_MAIL)).await;
        let deletion = tidying::forget(&base.store, config.database.retention, Some(TIDYING)).await?;
        if let Some(behind) = deletion.waits_for {
            tidying::say_why(behind);
        }
        Ok::<_, StoreError>((base.store.mail_counts().await?, base.store.reader().open_alerts().await?))
    };
    let mut turned = Turned { sweep, counts: None, alerts: Vec::new(), database: Database::Complete };
    if !base.store.is_away() {
        match afterwards.await {
            Ok((counts, alerts)) => (turned.counts, turned.alerts) = (Some(counts), alerts),
            Err(error) if error.kind.will_pass() => {
                tracing::error!("the outbox cannot be read: {}", super::chain(&error));
                turned.database = Database::Silent;
            }
            Err(error) => return Err(error.into()),
        }
    }
    // Also what became of a mail may have to wait. Closing tries a last time, and answers when that is over.
    let condition = base.store.condition();
    base.store.close().await;
    if let Some(away) = &condition.borrow().away {
        turned.database = Database::Away { waiting: away.waiting, why: super::chain(&away.why) };
    }
    Ok(turned)
}

/// Offers every waiting mail, for as long as a run waits for that.
async fn offer_mails(outbox: &mut Outbox, until: Instant, stop: &CancellationToken) -> Result<(), StoreError> {
    let end = stop.child_token();
    let mut offering = pin!(outbox.offer(Due::All, &end));
    tokio::select! {
        offered = &mut offering => offered.map(drop),
        () = tokio::time::sleep_until(until - LAST_MAIL) => {
            tracing::warn!("the SMTP server is slow: the mails left stay in the outbox");
            end.cancel();
            offering.await.map(drop)
        }
    }
}

/// The table as it is where it is not read on a terminal.
const PLAIN: Look = Look { colour: false, width: None };

/// How the table is shown on standard output.
fn look() -> Look {
    let colour = io::stdout().is_terminal();
    let columns = colour.then(|| crossterm::terminal::size().ok().map(|(columns, _)| columns)).flatten();
    Look { colour, width: columns.filter(|columns| *columns >= table::NARROWEST) }
}

/// The result as it is printed.
fn result(swept: &Swept, format: Format, look: Look) -> io::Result<Vec<u8>> {
    Ok(match format {
        Format::Table => table::render(&swept.fleet, swept.sweep, swept.mails, look).into_bytes(),
        Format::Json => {
            let mut text = Vec::new();
            if let Some(document) = Document::of(&swept.fleet, swept.sweep, swept.mails) {
                serde_json::to_writer(&mut text, &document)?;
                text.push(b'\n');
            }
            text
        }
        Format::Prometheus => metrics::of_sweep(&swept.fleet, swept.sweep, swept.outbox)?.into_bytes(),
    })
}

/// Who may read a file of that format.
fn audience_of(format: Format) -> Audience {
    match format {
        Format::Table | Format::Json => Audience::Owner,
        Format::Prometheus => Audience::Everyone,
    }
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
