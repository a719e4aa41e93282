//! The fold, event by event.

use uuid::Uuid;

use super::*;
use crate::fleet::{Failure, FailureKind};

const SWEEP: SweepId = SweepId(Uuid::from_u128(1));

fn id(name: &str) -> ClientId {
    ClientId::new(name, 22)
}

fn event(client: Option<&str>, kind: EventKind) -> Event {
    Event { at: Timestamp::UNIX_EPOCH, sweep: Some(SWEEP), client: client.map(id), kind }
}

fn started(names: &[&str]) -> Fleet {
    let mut fleet = Fleet::default();
    let card = |name: &&str| ClientCard {
        id: id(name),
        name: (*name).to_owned(),
        username: "ops".to_owned(),
        limits: Vec::new(),
    };
    fleet.apply(&event(None, EventKind::Configured { clients: names.iter().map(card).collect() }));
    let clients = names.iter().map(|name| id(name)).collect();
    fleet.apply(&event(None, EventKind::SweepStarted { number: 1, trigger: Trigger::Once, clients }));
    fleet
}

fn enter(fleet: &mut Fleet, client: &str, stage: Stage, attempt: u32) {
    fleet.apply(&event(Some(client), EventKind::StageEntered { stage, attempt }));
}

fn fail(fleet: &mut Fleet, client: &str) {
    let kind = EventKind::CollectionFailed {
        collection: Uuid::nil(),
        duration_ms: 5,
        attempts: 2,
        failure: Failure::new(Stage::Connect, FailureKind::Refused),
        alerts: Vec::new(),
    };
    fleet.apply(&event(Some(client), kind));
}

#[test]
fn the_counts_of_the_stages_add_up_to_the_clients_under_way() {
    let mut fleet = started(&["a", "b", "c"]);
    let sum = |fleet: &Fleet| fleet.stage_counts().iter().map(|(_, count)| count).sum::<usize>();
    assert_eq!(fleet.stage_counts()[0], (Stage::Queued, 3));
    enter(&mut fleet, "a", Stage::Connect, 1);
    enter(&mut fleet, "b", Stage::Connect, 1);
    enter(&mut fleet, "b", Stage::Authenticate, 1);
    assert_eq!(sum(&fleet), 3);
    fail(&mut fleet, "a");
    assert_eq!(sum(&fleet), 2);
    let sweep = fleet.sweep(SWEEP).unwrap();
    assert_eq!((sweep.ok, sweep.failed, sweep.finished()), (0, 1, 1));
}

#[test]
fn a_further_attempt_starts_its_stages_anew_and_remembers_why() {
    let mut fleet = started(&["a"]);
    enter(&mut fleet, "a", Stage::Connect, 1);
    enter(&mut fleet, "a", Stage::Authenticate, 1);
    let failure = Failure::new(Stage::Authenticate, FailureKind::ConnectionLost);
    let kind = EventKind::AttemptFailed { attempt: 1, failure: failure.clone(), retry_in_ms: 500 };
    fleet.apply(&event(Some("a"), kind));
    enter(&mut fleet, "a", Stage::Connect, 2);
    let running = fleet.client(&id("a")).unwrap().running.clone().unwrap();
    assert_eq!((running.attempt, running.stage(), running.stages.len()), (2, Stage::Connect, 1));
    assert_eq!(running.failed_before, Some(failure));
}

#[test]
fn a_new_configuration_keeps_what_is_known_of_the_clients_that_stay() {
    let mut fleet = started(&["a", "b"]);
    fail(&mut fleet, "a");
    let card = |name: &str| ClientCard {
        id: id(name),
        name: format!("new {name}"),
        username: "ops".to_owned(),
        limits: Vec::new(),
    };
    fleet.apply(&event(None, EventKind::Configured { clients: vec![card("c"), card("a")] }));
    let names: Vec<_> = fleet.clients().map(|client| client.card.name.as_str()).collect();
    assert_eq!(names, ["new c", "new a"]);
    assert!(fleet.client(&id("a")).unwrap().last.is_some());
    assert!(fleet.client(&id("b")).is_none());
}

#[test]
fn an_outage_of_the_database_is_known_while_it_lasts_and_old_fleets_have_none() {
    let mut fleet = started(&["a"]);
    let old = serde_json::to_string(&fleet).unwrap();
    assert!(!old.contains("database_away"));
    assert_eq!(serde_json::from_str::<Fleet>(&old).unwrap(), fleet);
    let since = Timestamp::UNIX_EPOCH;
    for waiting in [1, 37] {
        fleet.apply(&event(None, EventKind::DatabaseAway { since, waiting, why: None }));
        assert_eq!(fleet.database_away(), Some(DatabaseAway { since, waiting }));
    }
    assert_eq!(serde_json::from_str::<Fleet>(&serde_json::to_string(&fleet).unwrap()).unwrap(), fleet);
    fleet.apply(&event(None, EventKind::DatabaseBack { stored: 37, after_ms: 9 }));
    assert_eq!(fleet.database_away(), None);
}

#[test]
fn what_is_remembered_never_hides_what_was_told() {
    let mut fleet = started(&["a", "b"]);
    fail(&mut fleet, "a");
    let sample = |second| RecentCollection {
        at: Timestamp::from_second(second).unwrap(),
        duration_ms: 7,
        cpu_percent: Some(1.0),
        memory_percent: None,
    };
    let remembered = |name| Remembered {
        client: id(name),
        last: Some(Finished {
            sweep: SweepId(Uuid::from_u128(9)),
            collection: Uuid::nil(),
            at: Timestamp::from_second(-5).unwrap(),
            duration_ms: 7,
            attempts: 1,
            failure: None,
            stages: Vec::new(),
        }),
        reading: None,
        sample: None,
        exceeded: Vec::new(),
        recent: vec![sample(-9), sample(-5), sample(5)],
    };
    let clients = vec![remembered("a"), remembered("b"), remembered("stranger")];
    fleet.remember(StoredHistory { clients, alerts: Vec::new() });
    let (a, b) = (fleet.client(&id("a")).unwrap(), fleet.client(&id("b")).unwrap());
    assert!(a.failure().is_some() && a.live);
    assert_eq!(a.recent.iter().map(|s| s.at.as_second()).collect::<Vec<_>>(), [-9, -5, 0]);
    assert!(b.last.is_some() && !b.live && !b.is_fresh());
    assert_eq!(b.recent.len(), 3);
}

#[test]
fn what_concerns_an_unknown_client_is_passed_over() {
    let mut fleet = started(&["a"]);
    let before = fleet.clone();
    fail(&mut fleet, "stranger");
    enter(&mut fleet, "stranger", Stage::Connect, 1);
    assert_eq!(fleet, before);
}
