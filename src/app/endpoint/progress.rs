//! When sweeps and collections last went on, by a clock that is never set.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::fleet::{Event, EventKind, event::Trigger, state::Fleet};

/// The times of the last events.
#[derive(Debug)]
pub struct Progress(Mutex<Times>);

#[derive(Debug, Clone, Copy)]
struct Times {
    /// When a sweep of the schedule began, or the schedule was resumed.
    sweep: Instant,
    /// When a collection ended, or the first of the current ones began.
    outcome: Instant,
}

impl Progress {
    /// Begins now.
    #[must_use]
    pub fn new() -> Self {
        let now = Instant::now();
        Self(Mutex::new(Times { sweep: now, outcome: now }))
    }

    /// Notes an event and the fleet after it.
    pub fn note(&self, fleet: &Fleet, event: &Event) {
        let now = Instant::now();
        let mut times = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &event.kind {
            EventKind::SweepStarted { trigger, clients, .. } => {
                if *trigger == Trigger::Schedule {
                    times.sweep = now;
                }
                // Otherwise collections of an earlier sweep are running, and their time goes on.
                if fleet.clients().filter(|client| client.running.is_some()).count() <= clients.len() {
                    times.outcome = now;
                }
            }
            EventKind::SchedulePaused { .. } => times.sweep = now,
            EventKind::Collected { .. } | EventKind::CollectionFailed { .. } => times.outcome = now,
            EventKind::Configured { .. }
            | EventKind::StageEntered { .. }
            | EventKind::AttemptFailed { .. }
            | EventKind::Alert { .. }
            | EventKind::Acknowledged { .. }
            | EventKind::Unacknowledged { .. }
            | EventKind::Mail { .. }
            | EventKind::SweepEnded { .. }
            | EventKind::DatabaseAway { .. }
            | EventKind::DatabaseBack { .. }
            | EventKind::ConfigurationRefused { .. } => {}
        }
    }

    /// The time since a sweep of the schedule began.
    #[must_use]
    pub fn since_sweep(&self) -> Duration {
        self.times().sweep.elapsed()
    }

    /// The time since a collection ended.
    #[must_use]
    pub fn since_outcome(&self) -> Duration {
        self.times().outcome.elapsed()
    }

    fn times(&self) -> Times {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use uuid::Uuid;

    use super::*;
    use crate::fleet::{ClientId, Failure, FailureKind, Stage, SweepId, event::ClientCard};

    #[tokio::test(start_paused = true)]
    async fn empty_sweeps_do_not_hide_a_collection_that_does_not_end() {
        let (client, sweep) = (ClientId::new("a", 22), SweepId(Uuid::from_u128(1)));
        let card =
            ClientCard { id: client.clone(), name: "a".to_owned(), username: "ops".to_owned(), limits: Vec::new() };
        let (progress, mut fleet) = (Progress::new(), Fleet::default());
        let mut say = |client: Option<&ClientId>, kind| {
            let event = Event { at: Timestamp::UNIX_EPOCH, sweep: Some(sweep), client: client.cloned(), kind };
            fleet.apply(&event);
            progress.note(&fleet, &event);
            (progress.since_sweep().as_secs(), progress.since_outcome().as_secs())
        };
        let started = |trigger, clients| EventKind::SweepStarted { number: 1, trigger, clients };
        let pass = async |seconds| tokio::time::advance(Duration::from_secs(seconds)).await;
        pass(5).await;
        assert_eq!(say(None, EventKind::Configured { clients: vec![card] }), (5, 5));
        assert_eq!(say(None, started(Trigger::Schedule, vec![client.clone()])), (0, 0));
        pass(60).await;
        assert_eq!(say(None, started(Trigger::Schedule, Vec::new())), (0, 60));
        pass(10).await;
        assert_eq!(say(None, started(Trigger::Manual, Vec::new())), (10, 70));
        let failure = Failure::new(Stage::Connect, FailureKind::TimedOut);
        let (collection, alerts) = (Uuid::nil(), Vec::new());
        let failed = EventKind::CollectionFailed { collection, duration_ms: 1, attempts: 1, failure, alerts };
        assert_eq!(say(Some(&client), failed), (10, 0));
        pass(100).await;
        // After a pause, the next sweep has the time of an interval again.
        assert_eq!(say(None, EventKind::SchedulePaused { paused: false, actor: "ops".to_owned() }), (0, 100));
    }
}
