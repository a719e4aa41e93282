//! Another process collects into the same database already: where it is, and `--once` beside it. Not its side
//! of the conversation.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc, time::Duration};

use tokio::{sync::mpsc, task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    config::Config,
    fleet::{
        Event, EventKind, SweepId,
        event::MailStep,
        history::Memory,
        order::{Order, Reply, Signed},
        state::Fleet,
        stream::Frame,
    },
    headless::{json::Mails, log},
    relay::{
        client::{Connection, Incoming},
        record::Recorder,
    },
    spine::Orders,
    store::{Holder, Reader, StoreError},
};

use super::{
    Failed,
    once::{DATABASE_WAIT, Database, MAIL_WAIT, Once, Swept},
};

/// How long a collector that is just starting or being restarted is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many pieces may wait to be folded. When it is full the connection is not read, and in the end the
/// collector gives the whole fleet in place of what was missed.
const WAITING: usize = 1024;

/// Where the collector of a database can be reached from here; in words why it cannot.
pub async fn find(reader: &Reader) -> Result<PathBuf, String> {
    let holder = reader.holder().await.map_err(|error| super::chain(&error))?;
    let Some(holder) = holder else { return Err("no collector has announced itself".to_owned()) };
    if holder.host != super::here() {
        return Err(format!("it is {holder}: attach to it there"));
    }
    holder.socket.clone().ok_or_else(|| format!("it is {holder}, which sweeps once and takes no orders"))
}

/// Whether a holder only sweeps once, on this machine: it will have ended soon.
#[must_use]
pub fn ends_soon(holder: Option<&Holder>) -> bool {
    holder.is_none_or(|holder| holder.host == super::here() && holder.socket.is_none())
}

/// Has the running collector sweep the clients of `config` now, and waits for that and its mails.
///
/// # Errors
/// [`Failed::Collector`] where it cannot be reached, refuses, or ends meanwhile.
pub async fn sweep(
    config: &Config,
    once: &Once,
    record: Option<Recorder>,
    stop: &CancellationToken,
) -> Result<Swept, Failed> {
    let reader = Reader::open_configured(&config.database).await?;
    let actor = super::actor();
    let connection = Connection::within(|| find(&reader), &actor, PATIENCE, stop)
        .await
        .map_err(|error| Failed::Collector(super::chain(&error)))?;
    tracing::info!("asking the running collector to sweep: {}", connection.to());
    let (orders, mut asked) = Orders::new();
    let (out, incoming) = mpsc::channel(WAITING);
    let clients = config.clients.iter().map(|client| client.id.clone()).collect();
    let order = Signed { actor, order: Order::Once(clients) };
    let mut recording = JoinSet::new();
    let record = record.map(|recorder| {
        let (frames, waiting) = mpsc::channel(WAITING);
        recording.spawn(recorder.run_frames(waiting));
        frames
    });
    let swept = tokio::select! {
        // Its end is told by the other branch, which hears of it through the channel.
        why = connection.run(&mut asked, &out, stop) => Err(Failed::Collector(why)),
        swept = Watch::new(incoming, record, once).follow(&orders, order) => swept,
    };
    while recording.join_next().await.is_some() {}
    once.progress.clear();
    let (mut fleet, sweep, MailTally { sent, waiting, .. }) = swept?;
    let waiting = waiting.len() as u64;
    let away = fleet.database_away();
    let mut database = away.map_or(Database::Complete, |away| Database::Away {
        waiting: away.waiting,
        why: format!("database {} is away, as its collector says", reader.place()),
    });
    let asked = async { Ok::<_, StoreError>((reader.open_alerts().await?, reader.mail_counts().await?.waiting)) };
    let waiting = match asked.await {
        Ok((alerts, waiting)) => {
            fleet.remember(Memory { clients: Vec::new(), alerts });
            waiting
        }
        Err(error) if error.kind.will_pass() => {
            if database == Database::Complete {
                tracing::error!("the outbox cannot be read: {}", super::chain(&error));
                database = Database::Silent;
            }
            waiting
        }
        Err(error) => return Err(error.into()),
    };
    reader.close().await;
    Ok(Swept { sweep, fleet, mails: Mails { sent, waiting }, database })
}

/// Follows the collector's stream.
struct Watch<'a> {
    incoming: mpsc::Receiver<Incoming>,
    /// Where it is recorded as well; closed when the recording has ended.
    record: Option<mpsc::Sender<Frame>>,
    once: &'a Once,
    fleet: Fleet,
    /// What was told since the whole fleet was.
    events: Vec<Arc<Event>>,
}

impl<'a> Watch<'a> {
    fn new(incoming: mpsc::Receiver<Incoming>, record: Option<mpsc::Sender<Frame>>, once: &'a Once) -> Self {
        Self { incoming, record, once, fleet: Fleet::default(), events: Vec::new() }
    }

    /// Gives the order once the fleet is known, and watches until the sweep has ended and its mails have met
    /// their fate, or for [`MAIL_WAIT`]; a database that is away has [`DATABASE_WAIT`] before. The fleet then, the
    /// sweep, and what became of the mails.
    async fn follow(mut self, orders: &Orders, order: Signed) -> Result<(Fleet, SweepId, MailTally), Failed> {
        while !self.take_in().await? {}
        let reply = orders.ask(order);
        tokio::pin!(reply);
        let sweep = loop {
            tokio::select! {
                biased;
                reply = &mut reply => break accepted(reply)?,
                taken = self.take_in() => { taken?; }
            }
        };
        let mut tally = MailTally::of(sweep);
        let ended = |fleet: &Fleet| fleet.sweep(sweep).is_some_and(|sweep| sweep.duration_ms.is_some());
        loop {
            tally.count(self.events.drain(..));
            if ended(&self.fleet) {
                break;
            }
            self.take_in().await?;
        }
        let deadline = Instant::now() + DATABASE_WAIT;
        while self.fleet.database_away().is_some() {
            match tokio::time::timeout_at(deadline, self.take_in()).await {
                Ok(taken) => taken?,
                Err(_) => return Ok((self.fleet, sweep, tally)),
            };
            tally.count(self.events.drain(..));
        }
        let deadline = Instant::now() + MAIL_WAIT;
        while !tally.waiting.is_empty() {
            match tokio::time::timeout_at(deadline, self.take_in()).await {
                Ok(taken) => taken?,
                Err(_) => break,
            };
            tally.count(self.events.drain(..));
        }
        Ok((self.fleet, sweep, tally))
    }

    /// Takes in one piece; whether that was the whole fleet.
    async fn take_in(&mut self) -> Result<bool, Failed> {
        let ended = || Failed::Collector("it has ended".to_owned());
        let incoming = self.incoming.recv().await.ok_or_else(ended)?;
        if let (Some(record), Incoming::Frame(frame)) = (&self.record, &incoming)
            && record.send(frame.clone()).await.is_err()
        {
            self.record = None;
        }
        match incoming {
            Incoming::Connected { .. } => {}
            Incoming::Gone { why } => return Err(Failed::Collector(why)),
            Incoming::Frame(Frame::Fleet(fleet)) => {
                self.fleet = Arc::unwrap_or_clone(fleet);
                return Ok(true);
            }
            Incoming::Frame(Frame::Event(event)) => {
                self.fleet.apply(&event);
                self.once.progress.show(&self.fleet, &event);
                if self.once.log_events {
                    log::log(&self.fleet, &event);
                }
                self.events.push(event);
            }
            Incoming::Frame(Frame::Remembered(memory)) => self.fleet.remember(memory.as_ref().clone()),
            Incoming::Frame(Frame::About(_) | Frame::Log(_)) => {}
        }
        Ok(false)
    }
}

fn accepted(reply: Reply) -> Result<SweepId, Failed> {
    match reply {
        Reply::Done { sweep: Some(sweep), .. } => Ok(sweep),
        Reply::Done { text, sweep: None } | Reply::Refused { text } => Err(Failed::Collector(text)),
    }
}

/// What becomes of the mails of one sweep.
struct MailTally {
    sweep: SweepId,
    waiting: BTreeSet<Uuid>,
    sent: u64,
}

impl MailTally {
    fn of(sweep: SweepId) -> Self {
        Self { sweep, waiting: BTreeSet::new(), sent: 0 }
    }

    fn count(&mut self, events: impl Iterator<Item = Arc<Event>>) {
        for event in events {
            let EventKind::Mail { mail, step, .. } = &event.kind else { continue };
            match step {
                MailStep::Queued if event.sweep == Some(self.sweep) => {
                    self.waiting.insert(*mail);
                }
                MailStep::Queued => {}
                MailStep::Sent { .. } => {
                    self.waiting.remove(mail);
                    self.sent += 1;
                }
                MailStep::Deferred { .. } | MailStep::Refused { .. } => {
                    self.waiting.remove(mail);
                }
            }
        }
    }
}
