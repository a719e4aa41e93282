//! Property tests of the fold: counts add up, stages never go backwards, every client of a sweep gets an outcome, and
//! no stream makes it panic, however broken it is.

use jiff::Timestamp;
use proptest::prelude::*;
use uuid::Uuid;

use super::Fleet;
use crate::fleet::{
    ClientId, Event, EventKind, Failure, FailureKind, Phase, Stage, SweepId,
    event::{ClientCard, Trigger},
    phase::Tally,
};

/// One client in one sweep: how many stages each attempt reaches, and whether the last one succeeds.
type ClientSweep = (Vec<usize>, bool);

fn id(number: usize) -> ClientId {
    ClientId::new(format!("c{number}"), 22)
}

fn configured(count: usize) -> EventKind {
    let card = |number| ClientCard {
        id: id(number),
        name: format!("c{number}"),
        username: "ops".to_owned(),
        limits: Vec::new(),
    };
    EventKind::Configured { clients: (0..count).map(card).collect() }
}

fn failed() -> EventKind {
    EventKind::CollectionFailed {
        collection: Uuid::nil(),
        duration_ms: 1,
        attempts: 1,
        failure: Failure::new(Stage::Connect, FailureKind::Refused),
        alerts: Vec::new(),
    }
}

/// The events of one client, as the pipeline publishes them.
fn events_of((attempts, succeeds): &ClientSweep) -> Vec<EventKind> {
    let stages = [Stage::Connect, Stage::Authenticate, Stage::Upload, Stage::Execute, Stage::Decrypt];
    let mut events = Vec::new();
    for (attempt, reached) in (1..).zip(attempts) {
        for stage in stages.iter().take(*reached) {
            events.push(EventKind::StageEntered { stage: *stage, attempt });
        }
        if usize::try_from(attempt).unwrap() < attempts.len() {
            let failure = Failure::new(Stage::Connect, FailureKind::Refused);
            events.push(EventKind::AttemptFailed { attempt, failure, retry_in_ms: 1 });
        }
    }
    let attempt = u32::try_from(attempts.len()).unwrap();
    events.push(EventKind::StageEntered { stage: Stage::Store, attempt });
    events.push(if *succeeds {
        let report = fleetsweep_agent::report::Report::default();
        EventKind::Collected {
            collection: Uuid::nil(),
            duration_ms: 1,
            attempts: attempt,
            reading: Box::new(crate::fleet::Reading::from_report(&report, 0)),
            alerts: Vec::new(),
        }
    } else {
        failed()
    });
    events
}

/// Sweeps over a fleet, with the events of the clients interleaved by `order`.
fn stream(clients: usize, sweeps: &[Vec<ClientSweep>], order: &[usize]) -> Vec<Event> {
    let event = |sweep: Option<usize>, client: Option<usize>, kind| Event {
        at: Timestamp::UNIX_EPOCH,
        sweep: sweep.map(|sweep| SweepId(Uuid::from_u128(sweep as u128 + 1))),
        client: client.map(id),
        kind,
    };
    let mut events = vec![event(None, None, configured(clients))];
    let mut order = order.iter().cycle();
    for (sweep, client_sweeps) in sweeps.iter().enumerate() {
        let here = Some(sweep);
        let number = sweep as u64 + 1;
        let taken = client_sweeps.len().min(clients);
        let ids = (0..taken).map(id).collect();
        events.push(event(here, None, EventKind::SweepStarted { number, trigger: Trigger::Schedule, clients: ids }));
        let mut waiting: Vec<_> =
            client_sweeps.iter().take(taken).map(|way| events_of(way).into_iter()).enumerate().collect();
        while !waiting.is_empty() {
            let at = order.next().unwrap() % waiting.len();
            let (client, way) = &mut waiting[at];
            match way.next() {
                Some(kind) => events.push(event(here, Some(*client), kind)),
                None => drop(waiting.remove(at)),
            }
        }
        let ended = EventKind::SweepEnded { number, duration_ms: 1, ok: 0, failed: 0 };
        events.push(event(here, None, ended));
    }
    events
}

fn client_sweeps() -> impl Strategy<Value = Vec<ClientSweep>> {
    let way = (proptest::collection::vec(1_usize..=5, 1..4), any::<bool>());
    proptest::collection::vec(way, 1..6)
}

proptest! {
    #[test]
    fn counts_add_up_and_stages_never_run_backwards(
        clients in 1_usize..6,
        sweeps in proptest::collection::vec(client_sweeps(), 1..4),
        order in proptest::collection::vec(any::<usize>(), 1..40),
    ) {
        let mut fleet = Fleet::default();
        for event in stream(clients, &sweeps, &order) {
            fleet.apply(&event);
            let tally = Tally::of(&fleet);
            prop_assert_eq!(tally.total(), clients);
            prop_assert_eq!(Phase::ALL.iter().map(|phase| tally.count(*phase)).sum::<usize>(), clients);
            let running = fleet.clients().filter(|client| client.running.is_some()).count();
            if let Some(sweep) = fleet.newest_sweep() {
                prop_assert!(sweep.finished() <= sweep.clients.len());
                prop_assert_eq!(sweep.clients.len() - sweep.finished(), running);
            }
            for client in fleet.clients() {
                let under_way = client.running.iter().map(|running| &running.stages);
                for stages in under_way.chain(client.last.iter().map(|last| &last.stages)) {
                    prop_assert!(stages.iter().map(|(stage, _)| stage).is_sorted(), "{stages:?}");
                }
            }
        }
        let sweep = fleet.newest_sweep().unwrap();
        prop_assert_eq!(sweep.finished(), sweep.clients.len());
        prop_assert!(fleet.clients().all(|client| client.running.is_none()));
    }

    /// A recording may be truncated, and its frames may come from anywhere.
    #[test]
    fn no_stream_makes_it_panic(
        clients in 0_usize..4,
        sweeps in proptest::collection::vec(client_sweeps(), 0..3),
        picks in proptest::collection::vec(any::<proptest::sample::Index>(), 0..60),
    ) {
        let events = stream(clients, &sweeps, &[1, 3, 2]);
        let mut fleet = Fleet::default();
        for pick in picks {
            fleet.apply(pick.get(&events));
        }
        prop_assert_eq!(Tally::of(&fleet).total(), fleet.clients().count());
    }
}
