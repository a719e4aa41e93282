//! Orders a collector to sweep, and follows its events until the sweep is done and its mails were tried. Works in the
//! same way for this process's collector and for another one.

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

/// What counts for the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Everything until the stream ends: the collector runs only for this sweep.
    Collector,
    /// One sweep and its mails: the collector also does other things.
    Sweep,
}

/// The result of a sweep.
#[derive(Debug)]
pub struct SweepResult {
    /// The fleet after it.
    pub fleet: Fleet,
    /// The sweep.
    pub sweep: SweepId,
    /// The mails by result, according to the events.
    pub mails: Mails,
}

/// Why a sweep could not be followed to its end.
#[derive(Debug)]
pub enum WatchError {
    /// The collector ended.
    Ended(String),
    /// It refused the order.
    Refused(String),
}

/// How progress is shown.
#[derive(Debug, Clone)]
pub struct Show {
    /// The progress bar on standard error.
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
    /// The fleet. As soon as the sweep is known, only events within `scope` are applied.
    fleet: Fleet,
    /// Later events that are not applied to `fleet`.
    events: Vec<Arc<Event>>,
}

impl Watch {
    /// Starts to follow a stream.
    #[must_use]
    pub fn new(stream: Stream, scope: Scope, show: Show) -> Self {
        Self { stream, scope, show, fleet: Fleet::default(), events: Vec::new() }
    }

    /// Gives the order once the fleet is known, and follows the sweep to its end. A collector that also does other
    /// things then has [`DATABASE_WAIT`] if its database is away, and [`MAIL_WAIT`] for the mails of the sweep.
    ///
    /// # Errors
    /// [`WatchError`] if the collector refuses, or ends before the sweep.
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
                // The sweep is complete, so it does not matter if the collector ends now.
                if self.until(DATABASE_WAIT, sweep, &mut tally, |fleet, _| fleet.database_away().is_none()).await {
                    self.until(MAIL_WAIT, sweep, &mut tally, |_, tally| !tally.is_waiting()).await;
                }
                Ok(SweepResult { fleet: self.fleet, sweep, mails: tally.mails() })
            }
        }
    }

    /// Follows until a condition holds, for at most `time`. Returns whether it holds.
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

    /// Reads one frame. Returns whether it was the whole fleet.
    async fn take_in(&mut self) -> Result<bool, WatchError> {
        match self.stream.next().await {
            None => return Err(WatchError::Ended("it has ended".to_owned())),
            Some(Update::Missing { why, .. }) => return Err(WatchError::Ended(why)),
            Some(Update::Frame(Frame::Fleet(fleet))) => {
                // It contains missed events, also those of other sweeps.
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

    /// Applies events within the scope.
    fn fold(&mut self, sweep: SweepId, tally: &mut MailTally) {
        for event in self.events.drain(..) {
            tally.count(&event);
            // Results of other sweeps are not reported.
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

/// The mails of one sweep by result.
struct MailTally {
    sweep: SweepId,
    /// Not offered yet.
    queued: BTreeSet<Uuid>,
    /// Offered and deferred.
    put_off: BTreeSet<Uuid>,
    sent: u64,
    refused: u64,
}

impl MailTally {
    fn of(sweep: SweepId) -> Self {
        Self { sweep, queued: BTreeSet::new(), put_off: BTreeSet::new(), sent: 0, refused: 0 }
    }

    /// Whether any of them has no final result yet.
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
        // Only mails of this sweep count, because others wait in the same outbox.
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
