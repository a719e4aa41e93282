//! Gives a collector the order to sweep, and watches its stream until that sweep is done and its mails have been tried.
//! It is the same for this process's collector and for another one. Not the result as it is printed.

use std::{collections::BTreeSet, sync::Arc};

use tokio::time::Instant;
use uuid::Uuid;

use crate::{
    app::{
        collector::one_shot::DATABASE_WAIT,
        mail::outbox_worker::MAIL_WAIT,
        source::{Source, Stream, Update},
    },
    bus::HAS_ENDED,
    fleet::{
        Event, EventKind, SweepId,
        event::MailStep,
        order::{Order, Reply},
        state::Fleet,
        stream::Frame,
    },
    headless::{json::Mails, log, progress::Progress},
};

/// What is to be watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// A collector that runs for this sweep alone: all it does, until its stream ends.
    Collector,
    /// One sweep of a collector that does other things beside: that sweep and its mails.
    Sweep,
}

/// What a sweep came to.
#[derive(Debug)]
pub struct SweepResult {
    /// The fleet after it.
    pub fleet: Fleet,
    /// The sweep.
    pub sweep: SweepId,
    /// What became of the mails, as far as the stream tells.
    pub mails: Mails,
}

/// Why a sweep could not be watched to its end.
#[derive(Debug)]
pub enum WatchError {
    /// The collector ended.
    Ended(String),
    /// It refused the order.
    Refused(String),
}

/// How what passes is shown meanwhile.
#[derive(Debug, Clone)]
pub struct Show {
    /// The bar on standard error.
    pub progress: Progress,
    /// Whether every event is logged.
    pub log_events: bool,
}

/// Follows a stream.
#[derive(Debug)]
pub struct Watch {
    stream: Stream,
    scope: Scope,
    show: Show,
    /// Until the sweep is known: the fleet as it was told whole. From then on: with what happened in `scope` alone.
    fleet: Fleet,
    /// What was told since and is not in `fleet`.
    events: Vec<Arc<Event>>,
}

impl Watch {
    /// A watch over a stream that begins.
    #[must_use]
    pub fn new(stream: Stream, scope: Scope, show: Show) -> Self {
        Self { stream, scope, show, fleet: Fleet::default(), events: Vec::new() }
    }

    /// Gives the order once the fleet is known, and watches the sweep to its end. A collector that does other things
    /// beside has then [`DATABASE_WAIT`] where its database is away, and [`MAIL_WAIT`] for the mails of the sweep.
    ///
    /// # Errors
    /// [`WatchError`] where the collector refuses, or ends before the sweep does.
    pub async fn follow(mut self, source: &Source, order: Order) -> Result<SweepResult, WatchError> {
        while !self.take_in().await? {}
        let reply = source.order(order);
        tokio::pin!(reply);
        let sweep = loop {
            tokio::select! {
                biased;
                reply = &mut reply => break accepted(reply)?,
                taken = self.take_in() => { taken?; }
            }
        };
        let mut tally = MailTally::of(sweep);
        loop {
            self.fold(sweep, &mut tally);
            if self.fleet.sweep(sweep).is_some_and(|sweep| sweep.duration_ms.is_some()) {
                break;
            }
            self.take_in().await?;
        }
        match self.scope {
            Scope::Collector => {
                while self.take_in().await.is_ok() {
                    self.fold(sweep, &mut tally);
                }
                let all = self.fleet.mails();
                let waiting = all.queued.saturating_sub(all.sent + all.refused);
                let mails = Mails { sent: all.sent, waiting, refused: all.refused };
                Ok(SweepResult { fleet: self.fleet, sweep, mails })
            }
            Scope::Sweep => {
                // It has swept: should the collector end now, that changes nothing.
                if self.until(DATABASE_WAIT, sweep, &mut tally, |fleet, _| fleet.database_away().is_none()).await {
                    self.until(MAIL_WAIT, sweep, &mut tally, |_, tally| !tally.is_waiting()).await;
                }
                Ok(SweepResult { fleet: self.fleet, sweep, mails: tally.mails() })
            }
        }
    }

    /// Watches until something has come to be, for `time` at most; whether it has.
    async fn until(
        &mut self,
        time: std::time::Duration,
        sweep: SweepId,
        tally: &mut MailTally,
        has_come: impl Fn(&Fleet, &MailTally) -> bool,
    ) -> bool {
        let deadline = Instant::now() + time;
        while !has_come(&self.fleet, tally) {
            match tokio::time::timeout_at(deadline, self.take_in()).await {
                Ok(Ok(_)) => self.fold(sweep, tally),
                Ok(Err(_)) | Err(_) => return false,
            }
        }
        true
    }

    /// Takes in one piece; whether that was the whole fleet.
    async fn take_in(&mut self) -> Result<bool, WatchError> {
        match self.stream.next().await {
            None => return Err(WatchError::Ended("it has ended".to_owned())),
            Some(Update::Gone { why, .. }) => return Err(WatchError::Ended(why)),
            Some(Update::Frame(Frame::Fleet(fleet))) => {
                // What was missed is in it, whosever sweep it was of.
                self.fleet = Arc::unwrap_or_clone(fleet);
                self.events.clear();
                return Ok(true);
            }
            Some(Update::Frame(Frame::Event(event))) => self.events.push(event),
            Some(Update::Frame(Frame::Remembered(memory))) => self.fleet.remember(memory.as_ref().clone()),
            Some(Update::Frame(Frame::About(_) | Frame::Log(_)) | Update::State(_) | Update::Succeeded) => {}
        }
        Ok(false)
    }

    /// Folds what belongs to the scope.
    fn fold(&mut self, sweep: SweepId, tally: &mut MailTally) {
        for event in self.events.drain(..) {
            tally.count(&event);
            // The outcome of another sweep is not ours to report.
            if self.scope == Scope::Sweep && event.sweep.is_some_and(|of| of != sweep) {
                continue;
            }
            self.fleet.apply(&event);
            self.show.progress.show(&self.fleet, &event);
            if self.show.log_events || log::is_grave(&event) {
                log::log(&self.fleet, &event);
            }
        }
    }
}

fn accepted(reply: Reply) -> Result<SweepId, WatchError> {
    match reply {
        Reply::Done { sweep: Some(sweep), .. } => Ok(sweep),
        Reply::Refused { text } if text == HAS_ENDED => Err(WatchError::Ended(text)),
        Reply::Done { text, sweep: None } | Reply::Refused { text } => Err(WatchError::Refused(text)),
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
