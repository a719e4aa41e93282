//! The state of the fleet, folded from the event stream.
//!
//! Subscribers (the result table, the progress bar, the dashboard) keep a [`Fleet`] and apply events to it in their
//! order. It decides nothing.

use std::collections::{HashMap, VecDeque};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use super::client_view::{ClientView, Finished, RecentCollection, Remembered, Running};
use super::{
    ClientId, Event, EventKind, Sample, Stage, SweepId,
    alerts::AlertList,
    client_view::SAMPLES_KEPT,
    event::{ClientCard, MailStep, Trigger},
    history::StoredHistory,
    metric::Observed,
    reading::Usage,
    roster::Roster,
    totals::Totals,
};

/// How many ended sweeps are kept.
const SWEEPS_KEPT: usize = 16;

/// The fleet, folded from events.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Fleet {
    clients: Roster,
    sweeps: VecDeque<SweepView>,
    mails: MailTally,
    // Old recordings do not have them.
    #[serde(default)]
    totals: Totals,
    alerts: AlertList,
    paused: bool,
    // Old recordings do not have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    database_away: Option<DatabaseAway>,
}

/// The database is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseAway {
    /// When that began.
    pub since: Timestamp,
    /// How many changes wait in the spool.
    pub waiting: u64,
}

/// One sweep.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SweepView {
    /// Its id.
    pub id: SweepId,
    /// Its number, from 1.
    pub number: u64,
    /// Its trigger.
    pub trigger: Trigger,
    /// When it began.
    pub started_at: Timestamp,
    /// Its clients, in order.
    pub clients: Vec<ClientId>,
    /// How many clients were collected so far.
    pub ok: usize,
    /// How many clients failed so far.
    pub failed: usize,
    /// How long it took; `None` while it runs.
    pub duration_ms: Option<u64>,
}

impl SweepView {
    /// How many clients have their outcome.
    #[must_use]
    pub fn finished(&self) -> usize {
        self.ok + self.failed
    }

    /// When it ended; while it runs, when it began.
    #[must_use]
    pub fn latest_at(&self) -> Timestamp {
        let duration_ms = i64::try_from(self.duration_ms.unwrap_or(0)).unwrap_or(i64::MAX);
        let millisecond = self.started_at.as_millisecond().saturating_add(duration_ms);
        Timestamp::from_millisecond(millisecond).unwrap_or(self.started_at)
    }
}

/// The number of mails by result since this process started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailTally {
    /// Mails that were decided.
    pub queued: u64,
    /// Accepted by the SMTP server.
    pub sent: u64,
    /// Deferred; counts attempts, not mails.
    pub deferred: u64,
    /// Permanently refused.
    pub refused: u64,
}

impl Fleet {
    /// Applies one event. Events about clients that are no longer configured are ignored.
    pub fn apply(&mut self, event: &Event) {
        self.alerts.apply(event);
        if event.client.as_ref().is_none_or(|id| self.clients.get(id).is_some()) {
            self.totals.apply(event);
        }
        match &event.kind {
            EventKind::Configured { clients } => self.configure(clients),
            EventKind::SweepStarted { number, trigger, clients } => {
                let Some(id) = event.sweep else { return };
                self.start_sweep(id, event.at, *number, *trigger, clients);
            }
            EventKind::StageEntered { stage, attempt } => {
                let Some((sweep, client)) = self.place(event) else { return };
                let running = client.running.get_or_insert_with(|| Running::new(sweep));
                if running.attempt != *attempt {
                    running.attempt = *attempt;
                    running.stages.clear();
                }
                running.stages.push((*stage, event.at));
            }
            EventKind::AttemptFailed { failure, .. } => {
                let Some((sweep, client)) = self.place(event) else { return };
                let running = client.running.get_or_insert_with(|| Running::new(sweep));
                running.failed_before = Some(failure.clone());
                running.stages.clear();
            }
            EventKind::Collected { collection, duration_ms, attempts, reading, alerts } => {
                let Some((sweep, client)) = self.place(event) else { return };
                let measured = (reading.cpu, reading.memory.and_then(Usage::percent));
                client.note_sample(event.at, *duration_ms, measured.0.map(f64::from), measured.1.map(f64::from));
                client.finish(sweep, event.at, *collection, (*duration_ms, *attempts), None, alerts);
                client.sample = Sample::measure(Observed::reading(reading));
                client.reading = Some((event.at, reading.clone()));
                self.count(sweep, true);
            }
            EventKind::CollectionFailed { collection, duration_ms, attempts, failure, alerts } => {
                let Some((sweep, client)) = self.place(event) else { return };
                let failure = Some(failure.clone());
                client.note_sample(event.at, *duration_ms, None, None);
                client.finish(sweep, event.at, *collection, (*duration_ms, *attempts), failure, alerts);
                self.count(sweep, false);
            }
            EventKind::Mail { step, .. } => match step {
                MailStep::Queued => self.mails.queued += 1,
                MailStep::Sent { .. } => self.mails.sent += 1,
                MailStep::Deferred { .. } => self.mails.deferred += 1,
                MailStep::Refused { .. } => self.mails.refused += 1,
            },
            EventKind::SweepEnded { duration_ms, .. } => {
                if let Some(sweep) = self.sweeps.iter_mut().find(|sweep| Some(sweep.id) == event.sweep) {
                    sweep.duration_ms = Some(*duration_ms);
                }
            }
            EventKind::SchedulePaused { paused, .. } => self.paused = *paused,
            EventKind::DatabaseAway { since, waiting, .. } => {
                self.database_away = Some(DatabaseAway { since: *since, waiting: *waiting });
            }
            EventKind::DatabaseBack { .. } => self.database_away = None,
            EventKind::Alert { .. }
            | EventKind::Acknowledged { .. }
            | EventKind::Unacknowledged { .. }
            | EventKind::ConfigurationRefused { .. } => {}
        }
    }

    /// Whether the schedule is paused.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// The current outage of the database; `None` if there is none.
    #[must_use]
    pub fn database_away(&self) -> Option<DatabaseAway> {
        self.database_away
    }

    /// Every client, in the configuration's order.
    pub fn clients(&self) -> impl ExactSizeIterator<Item = &ClientView> {
        self.clients.all().iter()
    }

    /// One client.
    #[must_use]
    pub fn client(&self, id: &ClientId) -> Option<&ClientView> {
        self.clients.get(id)
    }

    /// A sweep, if it is kept.
    #[must_use]
    pub fn sweep(&self, id: SweepId) -> Option<&SweepView> {
        self.sweeps.iter().find(|sweep| sweep.id == id)
    }

    /// The sweep that started last.
    #[must_use]
    pub fn newest_sweep(&self) -> Option<&SweepView> {
        self.sweeps.back()
    }

    /// The sweep that started last of those that have ended.
    #[must_use]
    pub fn newest_ended_sweep(&self) -> Option<&SweepView> {
        self.sweeps.iter().rev().find(|sweep| sweep.duration_ms.is_some())
    }

    /// The last sweep that the schedule started, of those that are kept.
    #[must_use]
    pub fn newest_scheduled_sweep(&self) -> Option<&SweepView> {
        self.sweeps.iter().rev().find(|sweep| sweep.trigger == Trigger::Schedule)
    }

    /// The number of mails by result.
    #[must_use]
    pub fn mails(&self) -> MailTally {
        self.mails
    }

    /// What was done since the process was started.
    #[must_use]
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// The alerts, open and ended, and the mails about them.
    #[must_use]
    pub fn alerts(&self) -> &AlertList {
        &self.alerts
    }

    /// Adds the stored history. Data from events is newer and is kept.
    pub fn remember(&mut self, memory: StoredHistory) {
        for remembered in memory.clients {
            let Some(view) = self.clients.get_mut(&remembered.client) else { continue };
            if view.last.is_none() {
                view.last = remembered.last;
                view.exceeded = remembered.exceeded;
            }
            if view.reading.is_none() {
                let whole = || Some(Sample::measure(Observed::reading(&remembered.reading.as_ref()?.1)));
                view.sample = remembered.sample.or_else(whole).unwrap_or_default();
                view.reading = remembered.reading;
            }
            let known_from = view.recent.front().map(|sample| sample.at);
            for sample in remembered.recent.into_iter().rev() {
                let older = known_from.is_none_or(|from| sample.at < from);
                if older && view.recent.len() < SAMPLES_KEPT {
                    view.recent.push_front(sample);
                }
            }
        }
        self.alerts.remember(memory.alerts);
    }

    /// The fleet at the end of a past sweep.
    #[must_use]
    pub fn past(sweep: SweepView, cards: &[ClientCard], memory: StoredHistory) -> Self {
        let mut fleet = Self::default();
        fleet.configure(cards);
        fleet.remember(memory);
        for view in fleet.clients.all_mut() {
            view.live = view.last.as_ref().is_some_and(|last| last.sweep == sweep.id);
        }
        fleet.sweeps.push_back(sweep);
        fleet
    }

    /// How many clients have a running collection in each stage, in the order of [`Stage::ALL`].
    #[must_use]
    pub fn stage_counts(&self) -> [(Stage, usize); 8] {
        Stage::ALL.map(|stage| {
            let count = self.clients().filter_map(|client| client.running.as_ref());
            (stage, count.filter(|running| running.stage() == stage).count())
        })
    }

    fn configure(&mut self, cards: &[ClientCard]) {
        let before = std::mem::take(&mut self.clients).into_all();
        let mut before: HashMap<_, _> = before.into_iter().map(|view| (view.card.id.clone(), view)).collect();
        let view = |card: &ClientCard| match before.remove(&card.id) {
            Some(known) => ClientView { card: card.clone(), ..known },
            None => ClientView::new(card.clone()),
        };
        self.clients = cards.iter().map(view).collect::<Vec<_>>().into();
    }

    fn start_sweep(&mut self, id: SweepId, at: Timestamp, number: u64, trigger: Trigger, clients: &[ClientId]) {
        for client in clients {
            if let Some(view) = self.clients.get_mut(client) {
                view.running = Some(Running { stages: vec![(Stage::Queued, at)], ..Running::new(id) });
            }
        }
        if self.sweeps.len() >= SWEEPS_KEPT {
            self.sweeps.pop_front();
        }
        self.sweeps.push_back(SweepView {
            id,
            number,
            trigger,
            started_at: at,
            clients: clients.to_vec(),
            ok: 0,
            failed: 0,
            duration_ms: None,
        });
    }

    fn place(&mut self, event: &Event) -> Option<(SweepId, &mut ClientView)> {
        Some((event.sweep?, self.clients.get_mut(event.client.as_ref()?)?))
    }

    fn count(&mut self, sweep: SweepId, ok: bool) {
        if let Some(sweep) = self.sweeps.iter_mut().find(|known| known.id == sweep) {
            if ok {
                sweep.ok += 1;
            } else {
                sweep.failed += 1;
            }
        }
    }
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests;
