//! The incidents of a demo: which healthy clients fail or slow down, when, and when they recover. The schedule depends
//! only on a seed; a task applies it to the servers. The permanent faults are in [`super::plan`].

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    time::Duration,
};

use tokio::{
    task::JoinHandle,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    behaviour::Behaviour,
    pseudorandom::{number, place},
    server::ServerControl,
};

/// The time before the first incident, enough for a first sweep of a few hundred clients.
const QUIET_START: Duration = Duration::from_secs(6);

/// Added to [`QUIET_START`] for each client, because larger fleets take longer to sweep.
const QUIET_PER_CLIENT: Duration = Duration::from_millis(25);

/// The time between two incidents in a small fleet.
const INCIDENT_INTERVAL: Duration = Duration::from_millis(6500);

/// Fleets with more clients have proportionally more incidents.
const SMALL_FLEET: u32 = 40;

/// At most one in this many clients, but at least one, has an incident at the same time.
const AFFECTED_DIVISOR: usize = 4;

/// A temporary fault of a healthy client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Incident {
    /// Executes no commands. No incident is a refused login, because that is held after the incident has ended.
    RefusesCommands,
    /// The CPU usage exceeds the limit.
    Busy,
    /// Kills the agent.
    KillsAgent,
    /// Accepts connections and sends nothing.
    Silent,
    /// Answers slowly.
    Slow,
}

impl Incident {
    const ALL: [Self; 5] = [Self::RefusesCommands, Self::Busy, Self::KillsAgent, Self::Silent, Self::Slow];

    /// How long it lasts: one or two sweeps, if there is one every ten seconds. The second one raises an alert.
    fn lasts(self, random: u64) -> Duration {
        let seconds = match self {
            Self::RefusesCommands | Self::KillsAgent | Self::Silent => [12, 22, 23],
            Self::Busy => [18, 22, 28],
            Self::Slow => [12, 15, 22],
        };
        let [short, middle, long] = seconds.map(Duration::from_secs);
        match random % 3 {
            0 => short,
            1 => middle,
            _ => long,
        }
    }

    /// The behaviour of the server during the incident.
    fn behaviour(self) -> Behaviour {
        match self {
            Self::RefusesCommands => Behaviour::RefusesCommands,
            Self::Busy => Behaviour::Healthy,
            Self::KillsAgent => Behaviour::KillsMidAnswer,
            Self::Silent => Behaviour::Silent,
            // Together with the longest delay of a simulated host, this is within the deadline of `connect`.
            Self::Slow => Behaviour::Slow(Duration::from_millis(1200)),
        }
    }
}

/// The beginning or the end of an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ScheduledChange {
    /// The time since the start of the schedule.
    at: Duration,
    /// The index of the client.
    client: usize,
    /// The incident that begins and its duration; `None` if one ends.
    incident: Option<(Incident, Duration)>,
}

/// All changes in order, without end. Empty if there are no clients.
#[derive(Debug)]
pub(super) struct Schedule {
    seed: u64,
    /// How many random numbers were used.
    choices: u64,
    /// The clients without an incident; the first one has been without one for the longest time.
    waiting: VecDeque<usize>,
    /// The clients with an incident and when it ends, the next end first.
    affected: BinaryHeap<Reverse<(Duration, usize)>>,
    most_affected: usize,
    interval: Duration,
    next_incident: Duration,
    /// The incidents that are left in this round. Each comes once in a round.
    round: Vec<Incident>,
}

impl Schedule {
    /// The schedule for a seed and a number of healthy clients.
    pub(super) fn new(seed: u64, clients: usize) -> Self {
        let size = u32::try_from(clients).unwrap_or(u32::MAX);
        Self {
            seed,
            choices: 0,
            waiting: (0..clients).collect(),
            affected: BinaryHeap::new(),
            most_affected: (clients / AFFECTED_DIVISOR).max(1),
            interval: INCIDENT_INTERVAL * SMALL_FLEET / size.max(SMALL_FLEET),
            next_incident: QUIET_START + QUIET_PER_CLIENT * size,
            round: Vec::new(),
        }
    }

    fn choose(&mut self, of: usize) -> usize {
        self.choices += 1;
        place(self.seed, self.choices, of)
    }

    fn incident(&mut self) -> (Incident, Duration) {
        if self.round.is_empty() {
            self.round = Incident::ALL.to_vec();
        }
        let chosen = self.choose(self.round.len());
        // Always in bounds, because the round is not empty.
        let incident = if chosen < self.round.len() { self.round.swap_remove(chosen) } else { Incident::Slow };
        self.choices += 1;
        (incident, incident.lasts(number(self.seed, self.choices)))
    }
}

impl Iterator for Schedule {
    type Item = ScheduledChange;

    fn next(&mut self) -> Option<ScheduledChange> {
        loop {
            let recovers = self.affected.peek().map(|Reverse((at, _))| *at);
            if recovers.is_some_and(|at| at <= self.next_incident) {
                let Reverse((at, client)) = self.affected.pop()?;
                self.waiting.push_back(client);
                return Some(ScheduledChange { at, client, incident: None });
            }
            let at = self.next_incident;
            self.next_incident += self.interval;
            if self.affected.len() >= self.most_affected {
                continue;
            }
            // One of those without an incident for a long time, so that no client has one all the time.
            let chosen = self.choose(self.waiting.len().div_ceil(2));
            let client = self.waiting.remove(chosen)?;
            let (incident, lasts) = self.incident();
            self.affected.push(Reverse((at + lasts, client)));
            return Some(ScheduledChange { at, client, incident: Some((incident, lasts)) });
        }
    }
}

/// The task that applies a schedule. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct ScheduleRunner {
    task: JoinHandle<()>,
    cancel: CancellationToken,
}

impl ScheduleRunner {
    /// Starts to apply a schedule to the servers of the clients.
    pub(super) fn start(schedule: Schedule, clients: Vec<ServerControl>) -> Self {
        let cancel = CancellationToken::new();
        let task = tokio::spawn({
            let cancel = cancel.clone();
            async move { cancel.run_until_cancelled(apply(schedule, &clients)).await.unwrap_or_default() }
        });
        Self { task, cancel }
    }

    /// Stops the task.
    pub(super) async fn stop(mut self) {
        self.cancel.cancel();
        if let Err(error) = (&mut self.task).await {
            tracing::warn!(%error, "the schedule of the demo failed");
        }
    }
}

impl Drop for ScheduleRunner {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

async fn apply(schedule: impl IntoIterator<Item = ScheduledChange>, clients: &[ServerControl]) {
    let began = Instant::now();
    for ScheduledChange { at, client, incident } in schedule {
        sleep_until(began + at).await;
        let Some(server) = clients.get(client) else { continue };
        tracing::debug!(client, ?incident, "the demo changes a client");
        match incident {
            // The server behaves as before, so its connections stay open.
            Some((Incident::Busy, lasts)) => server.start_surge(lasts),
            Some((incident, _)) => server.set_behaviour(incident.behaviour()),
            None if !server.behaves(Behaviour::Healthy) => server.set_behaviour(Behaviour::Healthy),
            None => (),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use tokio::{io::AsyncReadExt, net::TcpStream};

    use super::*;
    use crate::{
        demo::{Account, SimulatedHost, SshServer},
        fleet::Stage,
    };

    #[test]
    fn a_schedule_depends_only_on_its_seed() {
        let changes = |seed| Schedule::new(seed, 9).take(100).collect::<Vec<_>>();
        assert_eq!(changes(1), changes(1));
        assert_ne!(changes(1), changes(2));
        assert_eq!(Schedule::new(1, 0).next(), None);
    }

    /// In a demo that ran for a while, all clients were held after an incident of refused logins.
    #[test]
    fn a_client_recovers_from_every_incident_by_itself() {
        for incident in Incident::ALL {
            assert_ne!(incident.behaviour().fails_at(), Some(Stage::Authenticate), "{incident:?}");
        }
    }

    /// Checks ten minutes of a schedule: the most incidents at once, and how many there are.
    fn check(clients: usize, most_at_once: usize, incidents: std::ops::RangeInclusive<usize>) {
        let (mut open, mut counts, mut last) = (BTreeMap::new(), BTreeMap::new(), Duration::ZERO);
        let end = Duration::from_secs(600);
        let mut ending = false;
        // After ten minutes, new incidents are ignored until all clients have recovered.
        for ScheduledChange { at, client, incident } in Schedule::new(7, clients) {
            assert!(at >= last, "{clients}: out of order");
            last = at;
            ending |= at > end;
            match incident {
                Some(_) if ending => (),
                Some((incident, lasts)) => {
                    assert!(client < clients);
                    assert!(at >= QUIET_START, "the first sweep is disturbed");
                    assert_eq!(
                        open.insert(client, (at, incident, lasts)),
                        None,
                        "{clients}: {client} has an incident already"
                    );
                    assert!(open.len() <= most_at_once, "{clients}: {open:?}");
                    *counts.entry(client).or_insert(0) += 1;
                }
                None => {
                    if let Some((began, _, lasts)) = open.remove(&client) {
                        assert_eq!(at - began, lasts);
                        assert!(lasts < Duration::from_secs(30));
                    }
                }
            }
            if ending && open.is_empty() {
                break;
            }
        }
        let all: usize = counts.values().sum();
        assert!(incidents.contains(&all), "{clients}: {all} incidents");
        if clients <= 50 {
            assert_eq!(counts.len(), clients, "{clients}: a client had no incident");
        }
    }

    #[test]
    fn every_client_recovers_and_only_a_few_have_an_incident_at_once() {
        check(1, 1, 15..=40);
        check(9, 2, 50..=90);
        check(34, 8, 80..=95);
        check(170, 42, 350..=400);
    }

    #[test]
    fn each_kind_of_incident_begins_within_the_first_minute() {
        let kinds: BTreeSet<_> = Schedule::new(super::super::SEED, 9)
            .take_while(|change| change.at < Duration::from_secs(60))
            .filter_map(|change| Some(change.incident?.0))
            .collect();
        assert_eq!(kinds, Incident::ALL.into_iter().collect());
    }

    #[tokio::test]
    async fn a_change_of_behaviour_ends_open_connections() {
        let home = tempfile::tempdir().unwrap();
        let account = Account { username: "x".to_owned(), password: None, authorized_keys: Vec::new() };
        let simulated = (SimulatedHost::new("web-01", 0), std::time::Instant::now());
        let address = SshServer::loopback(0);
        let server =
            SshServer::start_simulated(address, home.path().to_owned(), account, Behaviour::Healthy, simulated);
        let server = server.await.unwrap();
        let control = [server.control()];
        let change =
            |milliseconds, incident| ScheduledChange { at: Duration::from_millis(milliseconds), client: 0, incident };
        let lasts = Duration::from_secs(9);

        let mut visit = TcpStream::connect(server.address()).await.unwrap();
        apply([change(0, Some((Incident::Busy, lasts))), change(20, None)], &control).await;
        let mut greeting = [0; 8];
        visit.read_exact(&mut greeting).await.unwrap();
        assert_eq!(&greeting, b"SSH-2.0-");
        assert!(control[0].behaves(Behaviour::Healthy));

        apply([change(0, Some((Incident::Silent, lasts)))], &control).await;
        assert!(control[0].behaves(Behaviour::Silent));
        // The rest of the greeting follows, then the end of the connection, possibly a reset.
        let ended = tokio::time::timeout(Duration::from_secs(10), visit.read_to_end(&mut Vec::new())).await;
        assert!(ended.is_ok(), "the connection has outlived the change");

        apply([change(0, None)], &control).await;
        assert!(control[0].behaves(Behaviour::Healthy));
        server.stop().await.unwrap();
    }

    #[tokio::test]
    async fn dropping_or_stopping_the_runner_ends_its_task() {
        let runner = ScheduleRunner::start(Schedule::new(1, 3), Vec::new());
        let cancel = runner.cancel.clone();
        drop(runner);
        assert!(cancel.is_cancelled());
        ScheduleRunner::start(Schedule::new(1, 3), Vec::new()).stop().await;
    }
}
