//! The director of a lively demo: which healthy clients get into trouble, when, and when they recover. A script
//! that follows from a seed alone, and the task that performs it. Not the planned trouble of [`super::plan`],
//! which is there from the first sweep to the last.

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
    chance::{number, place},
    server::ServerControl,
};

/// How long nothing happens at first: a first sweep of a few hundred clients.
const CALM: Duration = Duration::from_secs(6);

/// By how much longer for each client: larger fleets take longer to sweep.
const CALM_EACH: Duration = Duration::from_millis(25);

/// How much time lies between one trouble and the next, in a small fleet.
const BEAT: Duration = Duration::from_millis(6500);

/// Fleets of more clients than this have more trouble, in proportion.
const SMALL_FLEET: u32 = 40;

/// One client in so many may be in trouble at once; a small fleet's only one may be.
const TROUBLED_AT_MOST: usize = 4;

/// What can become of a healthy client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Trouble {
    /// Refuses its password.
    RefusesLogin,
    /// Has too much work: its CPU is over the limit.
    Busy,
    /// Kills the agent.
    KillsAgent,
    /// Accepts connections and says nothing.
    Silent,
    /// Answers late.
    Slow,
}

impl Trouble {
    const ALL: [Self; 5] = [Self::RefusesLogin, Self::Busy, Self::KillsAgent, Self::Silent, Self::Slow];

    /// How long it lasts: with a sweep every ten seconds, one sweep or two; of two, the second raises an alert.
    fn lasts(self, chance: u64) -> Duration {
        let seconds = match self {
            Self::RefusesLogin | Self::KillsAgent | Self::Silent => [12, 22, 23],
            Self::Busy => [18, 22, 28],
            Self::Slow => [12, 15, 22],
        };
        let [short, middle, long] = seconds.map(Duration::from_secs);
        match chance % 3 {
            0 => short,
            1 => middle,
            _ => long,
        }
    }

    /// How the server behaves meanwhile.
    fn behaviour(self) -> Behaviour {
        match self {
            Self::RefusesLogin => Behaviour::RefusesLogin,
            Self::Busy => Behaviour::Healthy,
            Self::KillsAgent => Behaviour::KillsMidAnswer,
            Self::Silent => Behaviour::Silent,
            // With the longest greeting of a persona still within the deadline of `connect`.
            Self::Slow => Behaviour::Slow(Duration::from_millis(1200)),
        }
    }
}

/// What happens next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cue {
    /// When, from the beginning.
    at: Duration,
    /// To which client, by its place in the cast.
    client: usize,
    /// The trouble that begins, and for how long; `None` for the end of one.
    trouble: Option<(Trouble, Duration)>,
}

/// What happens, in order, without end; nothing where there is no cast.
#[derive(Debug)]
pub(super) struct Script {
    seed: u64,
    /// How many choices were made.
    choices: u64,
    /// Those out of trouble, the longest so first.
    rested: VecDeque<usize>,
    /// When those in trouble recover, the next one first.
    troubled: BinaryHeap<Reverse<(Duration, usize)>>,
    most_troubled: usize,
    beat: Duration,
    next_trouble: Duration,
    /// What has not happened yet in this round: each trouble comes once in a round.
    round: Vec<Trouble>,
}

impl Script {
    /// The script of a seed for so many healthy clients.
    pub(super) fn new(seed: u64, cast: usize) -> Self {
        let size = u32::try_from(cast).unwrap_or(u32::MAX);
        Self {
            seed,
            choices: 0,
            rested: (0..cast).collect(),
            troubled: BinaryHeap::new(),
            most_troubled: (cast / TROUBLED_AT_MOST).max(1),
            beat: BEAT * SMALL_FLEET / size.max(SMALL_FLEET),
            next_trouble: CALM + CALM_EACH * size,
            round: Vec::new(),
        }
    }

    fn choose(&mut self, of: usize) -> usize {
        self.choices += 1;
        place(self.seed, self.choices, of)
    }

    fn trouble(&mut self) -> (Trouble, Duration) {
        if self.round.is_empty() {
            self.round = Trouble::ALL.to_vec();
        }
        let chosen = self.choose(self.round.len());
        // Never out of bounds: the place is of the round's length, which is at least 1.
        let trouble = if chosen < self.round.len() { self.round.swap_remove(chosen) } else { Trouble::Slow };
        self.choices += 1;
        (trouble, trouble.lasts(number(self.seed, self.choices)))
    }
}

impl Iterator for Script {
    type Item = Cue;

    fn next(&mut self) -> Option<Cue> {
        loop {
            let recovers = self.troubled.peek().map(|Reverse((at, _))| *at);
            if recovers.is_some_and(|at| at <= self.next_trouble) {
                let Reverse((at, client)) = self.troubled.pop()?;
                self.rested.push_back(client);
                return Some(Cue { at, client, trouble: None });
            }
            let at = self.next_trouble;
            self.next_trouble += self.beat;
            if self.troubled.len() >= self.most_troubled {
                continue;
            }
            // Among the longer rested half, so that nobody is in trouble all the time.
            let chosen = self.choose(self.rested.len().div_ceil(2));
            let client = self.rested.remove(chosen)?;
            let (trouble, lasts) = self.trouble();
            self.troubled.push(Reverse((at + lasts, client)));
            return Some(Cue { at, client, trouble: Some((trouble, lasts)) });
        }
    }
}

/// The task that performs a script. Dropping it ends it where it stands.
#[derive(Debug)]
pub(super) struct Director {
    performing: JoinHandle<()>,
    over: CancellationToken,
}

impl Director {
    /// Begins to perform a script now, with the servers of its cast.
    pub(super) fn start(script: Script, cast: Vec<ServerControl>) -> Self {
        let over = CancellationToken::new();
        let performing = tokio::spawn({
            let over = over.clone();
            async move { over.run_until_cancelled(perform(script, &cast)).await.unwrap_or_default() }
        });
        Self { performing, over }
    }

    /// Ends the performance.
    pub(super) async fn stop(mut self) {
        self.over.cancel();
        if let Err(error) = (&mut self.performing).await {
            tracing::warn!(%error, "the director of the demo broke");
        }
    }
}

impl Drop for Director {
    fn drop(&mut self) {
        self.over.cancel();
    }
}

async fn perform(script: impl IntoIterator<Item = Cue>, cast: &[ServerControl]) {
    let began = Instant::now();
    for Cue { at, client, trouble } in script {
        sleep_until(began + at).await;
        let Some(server) = cast.get(client) else { continue };
        tracing::debug!(client, ?trouble, "the director of the demo gives a cue");
        match trouble {
            // Its connections stay: hard work is no reason to end them, nor is its end.
            Some((Trouble::Busy, lasts)) => server.strain(lasts),
            Some((trouble, _)) => server.turn(trouble.behaviour()),
            None if !server.behaves(Behaviour::Healthy) => server.turn(Behaviour::Healthy),
            None => (),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use tokio::{io::AsyncReadExt, net::TcpStream};

    use super::*;
    use crate::demo::{Account, Persona, SshServer};

    #[test]
    fn the_same_seed_gives_the_same_script_and_another_another() {
        let cues = |seed| Script::new(seed, 9).take(100).collect::<Vec<_>>();
        assert_eq!(cues(1), cues(1));
        assert_ne!(cues(1), cues(2));
        assert_eq!(Script::new(1, 0).next(), None);
    }

    /// Performs a script for ten minutes: how many troubles there were, by client.
    fn check(cast: usize, most_at_once: usize, troubles: std::ops::RangeInclusive<usize>) {
        let (mut open, mut counts, mut last) = (BTreeMap::new(), BTreeMap::new(), Duration::ZERO);
        let end = Duration::from_secs(600);
        let mut ending = false;
        // After the end until everybody has recovered: new troubles are left out.
        for Cue { at, client, trouble } in Script::new(7, cast) {
            assert!(at >= last, "{cast}: out of order");
            last = at;
            ending |= at > end;
            match trouble {
                Some(_) if ending => (),
                Some((trouble, lasts)) => {
                    assert!(client < cast);
                    assert!(at >= CALM, "the first sweep is disturbed");
                    assert_eq!(
                        open.insert(client, (at, trouble, lasts)),
                        None,
                        "{cast}: {client} is in trouble already"
                    );
                    assert!(open.len() <= most_at_once, "{cast}: {open:?}");
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
        assert!(troubles.contains(&all), "{cast}: {all} troubles");
        if cast <= 50 {
            assert_eq!(counts.len(), cast, "{cast}: not everybody was in trouble");
        }
    }

    #[test]
    fn every_client_recovers_and_only_a_few_are_in_trouble_at_once() {
        check(1, 1, 15..=40);
        check(9, 2, 50..=90);
        check(34, 8, 80..=95);
        check(170, 42, 350..=400);
    }

    #[test]
    fn everything_has_happened_within_the_first_minute() {
        let kinds: BTreeSet<_> = Script::new(super::super::SEED, 9)
            .take_while(|cue| cue.at < Duration::from_secs(60))
            .filter_map(|cue| Some(cue.trouble?.0))
            .collect();
        assert_eq!(kinds, Trouble::ALL.into_iter().collect());
    }

    #[tokio::test]
    async fn trouble_reaches_those_who_are_connected_and_ends() {
        let home = tempfile::tempdir().unwrap();
        let account = Account { username: "x".to_owned(), password: None, authorized_keys: Vec::new() };
        let played = (Persona::new("web-01", 0), std::time::Instant::now());
        let address = SshServer::loopback(0);
        let server = SshServer::start_playing(address, home.path().to_owned(), account, Behaviour::Healthy, played);
        let server = server.await.unwrap();
        let control = [server.control()];
        let cue = |milliseconds, trouble| Cue { at: Duration::from_millis(milliseconds), client: 0, trouble };
        let lasts = Duration::from_secs(9);

        let mut visit = TcpStream::connect(server.address()).await.unwrap();
        perform([cue(0, Some((Trouble::Busy, lasts))), cue(20, None)], &control).await;
        let mut greeting = [0; 8];
        visit.read_exact(&mut greeting).await.unwrap();
        assert_eq!(&greeting, b"SSH-2.0-");
        assert!(control[0].behaves(Behaviour::Healthy));

        perform([cue(0, Some((Trouble::Silent, lasts)))], &control).await;
        assert!(control[0].behaves(Behaviour::Silent));
        // What follows the greeting is the rest of it, then the end: by a reset too.
        let ended = tokio::time::timeout(Duration::from_secs(10), visit.read_to_end(&mut Vec::new())).await;
        assert!(ended.is_ok(), "the connection has outlived the change");

        perform([cue(0, None)], &control).await;
        assert!(control[0].behaves(Behaviour::Healthy));
        server.stop().await.unwrap();
    }

    #[tokio::test]
    async fn dropping_or_stopping_a_director_ends_it() {
        let director = Director::start(Script::new(1, 3), Vec::new());
        let over = director.over.clone();
        drop(director);
        assert!(over.is_cancelled());
        Director::start(Script::new(1, 3), Vec::new()).stop().await;
    }
}
