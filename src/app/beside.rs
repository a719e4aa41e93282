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
    headless::{json::Mails, log, metrics::StoredMails},
    relay::{
        client::{AttachError, Connection, Incoming},
        record::Recorder,
    },
    spine::{HAS_ENDED, Orders},
    store::{Holder, Reader, StoreError, holder::Mode},
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

/// Who collects into a database, and where that can be reached from here; in words why it cannot.
pub async fn find(reader: &Reader) -> Result<(Holder, PathBuf), String> {
    let holder = reader.holder().await.map_err(|error| super::chain(&error))?;
    let Some(holder) = holder else { return Err("no collector has announced itself".to_owned()) };
    if holder.host != super::here() {
        return Err(format!("it is {holder}: attach to it there"));
    }
    if holder.is_ending {
        return Err(format!("it is {holder}, which is ending"));
    }
    match holder.socket.clone() {
        Some(socket) => Ok((holder, socket)),
        None => Err(format!("it is {holder}, which takes no orders")),
    }
}

/// Whether a holder will have ended soon: one that says so, or that only sweeps once, on this machine. One that nobody
/// knows is just beginning or ending.
#[must_use]
pub fn ends_soon(holder: Option<&Holder>) -> bool {
    holder.is_none_or(|holder| {
        let sweeps_once = holder.mode.is_none_or(|mode| mode == Mode::Once) && holder.socket.is_none();
        holder.is_ending || (sweeps_once && holder.host == super::here())
    })
}

/// What came of asking the running collector.
#[derive(Debug)]
pub enum Asked {
    /// It swept.
    Swept(Box<Swept>),
    /// It ended before it was done, or was gone already; why that is thought.
    Ended(String),
}

/// Has the running collector sweep the clients of `config` now, and waits for that and its mails. What that collector
/// does beside this sweep is not counted.
///
/// # Errors
/// [`Failed::Collector`] where it refuses.
pub async fn sweep(
    config: &Config,
    once: &Once,
    record: Option<Recorder>,
    stop: &CancellationToken,
) -> Result<Asked, Failed> {
    let reader = Reader::open_configured(&config.database).await?;
    let actor = super::actor();
    let find = async || find(&reader).await.map(|(_, socket)| socket);
    let connection = match Connection::within(find, &actor, PATIENCE, stop).await {
        Ok(connection) => connection,
        Err(AttachError::Refused(why)) => return Err(Failed::Collector(why)),
        Err(error) => return Ok(Asked::Ended(super::chain(&error))),
    };
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
    let watched = tokio::select! {
        // Its end is told by the other branch, which hears of it through the channel.
        why = connection.run(&mut asked, &out, stop) => Err(Unwatched::Ended(why)),
        watched = Watch::new(incoming, record, once).follow(&orders, order) => watched,
    };
    while recording.join_next().await.is_some() {}
    once.progress.clear();
    let (mut fleet, sweep, tally) = match watched {
        Ok(watched) => watched,
        Err(Unwatched::Ended(why)) => return Ok(Asked::Ended(why)),
        Err(Unwatched::Refused(why)) => return Err(Failed::Collector(why)),
    };
    let away = fleet.database_away();
    let mut database = away.map_or(Database::Complete, |away| Database::Away {
        waiting: away.waiting,
        why: format!("database {} is away, as its collector says", reader.place()),
    });
    let mails = tally.mails();
    let asking = async { Ok::<_, StoreError>((reader.open_alerts().await?, reader.mail_counts().await?)) };
    let outbox = match asking.await {
        Ok((alerts, counts)) => {
            fleet.remember(Memory { clients: Vec::new(), alerts });
            StoredMails { waiting: counts.waiting, refused: Some(counts.refused) }
        }
        Err(error) if error.kind.will_pass() => {
            if database == Database::Complete {
                tracing::error!("the outbox cannot be read: {}", super::chain(&error));
                database = Database::Silent;
            }
            StoredMails { waiting: mails.waiting, refused: None }
        }
        Err(error) => return Err(error.into()),
    };
    reader.close().await;
    Ok(Asked::Swept(Box::new(Swept { sweep, fleet, mails, outbox, database })))
}

/// Why a sweep could not be watched to its end.
#[derive(Debug)]
enum Unwatched {
    /// The collector ended.
    Ended(String),
    /// It does not want to.
    Refused(String),
}

/// Follows the collector's stream.
struct Watch<'a> {
    incoming: mpsc::Receiver<Incoming>,
    /// Where it is recorded as well; closed when the recording has ended.
    record: Option<mpsc::Sender<Frame>>,
    once: &'a Once,
    /// Until the sweep is known: the fleet as it was told whole. From then on: with what happened in this sweep alone.
    fleet: Fleet,
    /// What was told since and is not in `fleet`.
    events: Vec<Arc<Event>>,
}

impl<'a> Watch<'a> {
    fn new(incoming: mpsc::Receiver<Incoming>, record: Option<mpsc::Sender<Frame>>, once: &'a Once) -> Self {
        Self { incoming, record, once, fleet: Fleet::default(), events: Vec::new() }
    }

    /// Gives the order once the fleet is known, and watches until the sweep has ended and its mails have met
    /// their fate, or for [`MAIL_WAIT`]; a database that is away has [`DATABASE_WAIT`] before. The fleet then, the
    /// sweep, and what became of its mails.
    async fn follow(mut self, orders: &Orders, order: Signed) -> Result<(Fleet, SweepId, MailTally), Unwatched> {
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
            self.fold(sweep, &mut tally);
            if ended(&self.fleet) {
                break;
            }
            self.take_in().await?;
        }
        let deadline = Instant::now() + DATABASE_WAIT;
        while self.fleet.database_away().is_some() {
            match tokio::time::timeout_at(deadline, self.take_in()).await {
                Ok(Ok(_)) => self.fold(sweep, &mut tally),
                // It has swept: that it ended is no matter any more.
                Ok(Err(_)) | Err(_) => return Ok((self.fleet, sweep, tally)),
            }
        }
        let deadline = Instant::now() + MAIL_WAIT;
        while tally.is_waiting() {
            match tokio::time::timeout_at(deadline, self.take_in()).await {
                Ok(Ok(_)) => self.fold(sweep, &mut tally),
                Ok(Err(_)) | Err(_) => break,
            }
        }
        Ok((self.fleet, sweep, tally))
    }

    /// Takes in one piece; whether that was the whole fleet.
    async fn take_in(&mut self) -> Result<bool, Unwatched> {
        let ended = || Unwatched::Ended("it has ended".to_owned());
        let incoming = self.incoming.recv().await.ok_or_else(ended)?;
        if let (Some(record), Incoming::Frame(frame)) = (&self.record, &incoming)
            && record.send(frame.clone()).await.is_err()
        {
            self.record = None;
        }
        match incoming {
            Incoming::Connected { .. } | Incoming::Succeeded => {}
            Incoming::Gone { why } => return Err(Unwatched::Ended(why)),
            Incoming::Frame(Frame::Fleet(fleet)) => {
                // What was missed is in it, whosever sweep it was of.
                self.fleet = Arc::unwrap_or_clone(fleet);
                self.events.clear();
                return Ok(true);
            }
            Incoming::Frame(Frame::Event(event)) => self.events.push(event),
            Incoming::Frame(Frame::Remembered(memory)) => self.fleet.remember(memory.as_ref().clone()),
            Incoming::Frame(Frame::About(_) | Frame::Log(_)) => {}
        }
        Ok(false)
    }

    /// Folds what belongs to the sweep, or to none; another sweep's outcomes are not ours to report.
    fn fold(&mut self, sweep: SweepId, tally: &mut MailTally) {
        for event in self.events.drain(..) {
            tally.count(&event);
            if event.sweep.is_some_and(|of| of != sweep) {
                continue;
            }
            self.fleet.apply(&event);
            self.once.progress.show(&self.fleet, &event);
            if self.once.log_events || log::is_grave(&event) {
                log::log(&self.fleet, &event);
            }
        }
    }
}

fn accepted(reply: Reply) -> Result<SweepId, Unwatched> {
    match reply {
        Reply::Done { sweep: Some(sweep), .. } => Ok(sweep),
        Reply::Refused { text } if text == HAS_ENDED => Err(Unwatched::Ended(text)),
        Reply::Done { text, sweep: None } | Reply::Refused { text } => Err(Unwatched::Refused(text)),
    }
}

/// What becomes of the mails of one sweep.
struct MailTally {
    sweep: SweepId,
    /// Not offered yet.
    queued: BTreeSet<Uuid>,
    /// Offered, and put off.
    put_off: BTreeSet<Uuid>,
    sent: u64,
    refused: u64,
}

impl MailTally {
    fn of(sweep: SweepId) -> Self {
        Self { sweep, queued: BTreeSet::new(), put_off: BTreeSet::new(), sent: 0, refused: 0 }
    }

    /// Whether any of them has not met its fate.
    fn is_waiting(&self) -> bool {
        !self.queued.is_empty()
    }

    fn mails(&self) -> Mails {
        let waiting = (self.queued.len() + self.put_off.len()) as u64;
        Mails { sent: self.sent, waiting, refused: self.refused }
    }

    fn count(&mut self, event: &Event) {
        let EventKind::Mail { mail, step, .. } = &event.kind else { return };
        if matches!(step, MailStep::Queued) {
            if event.sweep == Some(self.sweep) {
                self.queued.insert(*mail);
            }
            return;
        }
        // Only mails of this sweep: others wait in the same outbox.
        if !(self.queued.remove(mail) | self.put_off.remove(mail)) {
            return;
        }
        match step {
            MailStep::Sent { .. } => self.sent += 1,
            MailStep::Deferred { .. } => {
                self.put_off.insert(*mail);
            }
            MailStep::Refused { .. } => self.refused += 1,
            MailStep::Queued => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::fleet::mail::MailKind;

    #[test]
    fn only_the_mails_of_the_sweep_are_counted() {
        let [own, other] = [1, 2].map(|id| SweepId(Uuid::from_u128(id)));
        let mut tally = MailTally::of(own);
        let mut tell = |sweep: SweepId, mail: u128, step: MailStep| {
            let (mail, recipient) = (Uuid::from_u128(mail), "ops@example.com".to_owned());
            let kind = EventKind::Mail { mail, kind: MailKind::Alert, recipient, step };
            tally.count(&Event { at: Timestamp::UNIX_EPOCH, sweep: Some(sweep), client: None, kind });
            (tally.mails().sent, tally.mails().waiting, tally.is_waiting())
        };
        let sent = || MailStep::Sent { answer: "250".to_owned() };
        let put_off = || MailStep::Deferred { error: "451".to_owned(), next_at: Timestamp::UNIX_EPOCH };
        let refused = || MailStep::Refused { error: "550".to_owned() };
        for (sweep, mail, step, expected) in [
            (other, 1, MailStep::Queued, (0, 0, false)),
            (own, 2, MailStep::Queued, (0, 1, true)),
            (own, 3, MailStep::Queued, (0, 2, true)),
            (own, 4, MailStep::Queued, (0, 3, true)),
            (other, 1, sent(), (0, 3, true)),
            (own, 2, sent(), (1, 2, true)),
            (own, 3, put_off(), (1, 2, true)),
            (own, 4, refused(), (1, 1, false)),
            (own, 3, sent(), (2, 0, false)),
            (other, 9, put_off(), (2, 0, false)),
        ] {
            assert_eq!(tell(sweep, mail, step), expected, "{sweep:?} {mail}");
        }
    }
}
