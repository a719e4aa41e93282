//! The fleet as it was at the end of earlier sweeps.

use support::{Database, Trial};
use tokio_util::sync::CancellationToken;

use crate::{
    fleet::{
        ClientId, Failure, FailureKind, Metric, Percent, Reading, Sample, Stage, SweepId,
        alert::{Change, HoldReason, Notice, NoticeReason, OpenAlert, Step},
        alerts::AlertEnd,
        event::{ClientCard, Trigger},
        listing::Part,
        metric::{Instance, Observed},
        state::{Fleet, SweepView},
    },
    open,
    records::{AT, alert, at, mail, plain, reading, uuid},
    store::{Outcome, Record, Store, StoreErrorKind, reader::Past},
};

pub(crate) fn trials() -> Vec<Trial> {
    support::trials_per_database![
        sweeps_are_listed_and_their_numbers_go_on,
        the_fleet_is_shown_as_it_stood_then,
        of_a_reading_that_is_gone_its_sample_is_shown,
        a_row_that_cannot_be_read_costs_that_row_and_no_sweep,
        what_is_not_wanted_any_more_is_left,
        open_alerts_are_found_early_and_late,
    ]
}

const MINUTE: i64 = 60_000;

fn sweep(number: u64) -> SweepId {
    SweepId(uuid(900 + u128::from(number)))
}

fn id(name: &str) -> ClientId {
    ClientId::new(name, 22)
}

fn cards() -> Vec<ClientCard> {
    let card =
        |name: &str| ClientCard { id: id(name), name: name.to_owned(), username: "ops".to_owned(), limits: Vec::new() };
    ["a", "b", "new"].map(card).into()
}

/// A collection of a client in a sweep, with an alert.
fn visit(number: u64, client: &str, cpu: Option<f64>) -> Record {
    let outcome = match cpu {
        Some(cpu) => Outcome::Collected(Box::new(Reading { cpu: Some(Percent::new(cpu).unwrap()), ..reading() })),
        None => Outcome::Failed(Failure::new(Stage::Connect, FailureKind::Refused)),
    };
    let minute = i64::try_from(number).unwrap() * MINUTE;
    let started_at = at(minute + if client == "a" { 1 } else { 2 });
    Record { sweep: sweep(number), client: id(client), outcome, started_at, ..plain(u128::from(number)) }
}

fn with_alert(record: Record, metric: Metric, alert: OpenAlert, step: Step, notice: Notice) -> Record {
    let mails = match notice {
        Notice::Send(_) => vec![mail(500 + record.collection.as_u128(), (record.started_at.as_millisecond() - AT) + 1)],
        Notice::Hold(_) => Vec::new(),
    };
    Record { changes: vec![Change { metric, instance: Instance::HOST, alert, step, notice }], mails, ..record }
}

/// Three sweeps: all clients are healthy; `a` is over its limit and `b` fails; `a` is healthy again and `b` still
/// fails.
async fn three_sweeps(store: &Store) {
    let cpu = |value| OpenAlert { value, peak: 95.0, raised_at: at(2 * MINUTE + 5), ..alert() };
    let gone = |value| OpenAlert { id: uuid(200), value, limit: 0.0, raised_at: at(2 * MINUTE + 6), ..alert() };
    let (raised, recent) = (Notice::Send(NoticeReason::Raised), Notice::Hold(HoldReason::RecentlyMailed));
    let sweeps = [
        [visit(1, "a", Some(50.0)), visit(1, "b", Some(60.0))],
        [
            with_alert(visit(2, "a", Some(90.0)), Metric::Cpu, cpu(90.0), Step::Raised, raised),
            with_alert(
                visit(2, "b", None),
                Metric::Unreachable,
                gone(1.0),
                Step::Raised,
                Notice::Hold(HoldReason::NoRecipient),
            ),
        ],
        [
            with_alert(
                visit(3, "a", Some(10.0)),
                Metric::Cpu,
                cpu(10.0),
                Step::Resolved,
                Notice::Hold(HoldReason::NoRecoveryMail),
            ),
            with_alert(visit(3, "b", None), Metric::Unreachable, gone(2.0), Step::Continues, recent),
        ],
    ];
    for (number, records) in (1..).zip(sweeps) {
        let begin = i64::try_from(number).unwrap() * MINUTE;
        store.sweep_started(sweep(number), number, Trigger::Schedule, at(begin), records.len()).await.unwrap();
        for record in records {
            store.record(record).await.unwrap();
        }
        store.sweep_ended(sweep(number), at(begin + 500), 500, 2, 0).await.unwrap();
    }
}

async fn past(store: &Store, number: u64) -> Fleet {
    match store.reader().past(sweep(number), &cards(), &CancellationToken::new()).await.unwrap() {
        Past::Known { fleet, unreadable: 0 } => *fleet,
        other @ (Past::Known { .. } | Past::Unknown | Past::Superseded) => panic!("{other:?}"),
    }
}

async fn sweeps_are_listed_and_their_numbers_go_on(database: Database) {
    let store = open(&database).await;
    assert_eq!(store.reader().last_sweep_number().await.unwrap(), 0);
    three_sweeps(&store).await;
    store.sweep_started(sweep(4), 4, Trigger::Manual, at(4 * MINUTE), 2).await.unwrap();
    store.close().await;

    let store = open(&database).await;
    assert_eq!(store.reader().last_sweep_number().await.unwrap(), 4);
    let listed = store.reader().sweeps(2).await.unwrap();
    let view = |number: u64, begin| SweepView {
        id: sweep(number),
        number,
        trigger: Trigger::Schedule,
        started_at: at(begin),
        clients: Vec::new(),
        ok: 2,
        failed: 0,
        duration_ms: Some(500),
    };
    assert_eq!(listed, [view(2, 2 * MINUTE), view(3, 3 * MINUTE)]);
    for unknown in [sweep(4), sweep(5)] {
        assert_eq!(store.reader().past(unknown, &cards(), &CancellationToken::new()).await.unwrap(), Past::Unknown);
    }
}

async fn the_fleet_is_shown_as_it_stood_then(database: Database) {
    let store = open(&database).await;
    three_sweeps(&store).await;

    let first = past(&store, 1).await;
    assert_eq!(first.newest_sweep().map(|sweep| (sweep.number, sweep.clients.len())), Some((1, 2)));
    assert!(
        first.clients().filter(|client| client.last.is_some()).all(|client| client.live && client.exceeded.is_empty())
    );
    assert_eq!(first.alerts().newest_first().len(), 0);
    assert!(first.client(&id("new")).unwrap().last.is_none());
    assert_eq!(first.client(&id("a")).unwrap().recent.len(), 1);

    let second = past(&store, 2).await;
    let (a, b) = (second.client(&id("a")).unwrap(), second.client(&id("b")).unwrap());
    assert_eq!(a.reading.as_ref().unwrap().1.cpu, Some(Percent::new(90.0).unwrap()));
    assert_eq!((a.exceeded.len(), a.recent.len(), a.last.as_ref().unwrap().stages.len()), (1, 2, 2));
    assert!(b.failure().is_some() && b.live);
    assert_eq!(b.reading.as_ref().map(|(at, _)| *at), Some(at(MINUTE + 12)));
    let (of_a, of_b) = (second.alerts().open_of(&id("a")).next().unwrap().clone(), id("b"));
    assert_eq!((of_a.value, of_a.mailed_in, of_a.ended), (90.0, Some(sweep(2)), None));
    assert_eq!(of_a.notice, Notice::Send(NoticeReason::Raised));
    let of_b = second.alerts().open_of(&of_b).next().unwrap().clone();
    assert_eq!((of_b.metric, of_b.value, of_b.mailed_in), (Metric::Unreachable, 1.0, None));

    let third = past(&store, 3).await;
    let open: Vec<_> =
        third.alerts().newest_first().iter().map(|alert| (alert.metric, alert.value, alert.ended)).collect();
    let end = Some((at(3 * MINUTE + 11), AlertEnd::Resolved));
    assert_eq!(open, [(Metric::Unreachable, 2.0, None), (Metric::Cpu, 10.0, end)]);

    // Later events do not change it.
    let later = with_alert(
        visit(9, "b", Some(1.0)),
        Metric::Unreachable,
        alert(),
        Step::Raised,
        Notice::Hold(HoldReason::NoRecipient),
    );
    store.record(Record { changes: Vec::new(), ..later }).await.unwrap();
    store.acknowledge(&id("b"), &Metric::Unreachable.into(), uuid(200), at(9 * MINUTE), "ops").await.unwrap();
    assert_eq!(past(&store, 2).await, second);
    assert_eq!(past(&store, 3).await, third);
}

async fn of_a_reading_that_is_gone_its_sample_is_shown(database: Database) {
    let store = open(&database).await;
    three_sweeps(&store).await;
    for number in 10..50 {
        store.record(visit(number, "a", Some(5.0))).await.unwrap();
    }
    let fleet = past(&store, 2).await;
    let (when, shown) = fleet.client(&id("a")).unwrap().reading.clone().unwrap();
    let whole = reading();
    // The values of the file systems are gone, but not those of the metrics.
    assert!(whole.disk_percent().is_some() && shown.disk_percent().is_none());
    let stored = Reading { cpu: Percent::new(90.0).ok(), ..whole.clone() };
    // Of a metric with instances, the worst value is stored.
    let (sample, measured) = (&fleet.client(&id("a")).unwrap().sample, Sample::measure(Observed::reading(&stored)));
    for metric in Metric::ALL {
        assert_eq!(sample.worst(metric), measured.worst(metric), "{metric}");
    }
    assert_eq!(when, at(2 * MINUTE + 11));
    assert_eq!(shown.cpu, Some(Percent::new(90.0).unwrap()));
    assert_eq!((shown.cores, shown.memory, shown.swap), (whole.cores, whole.memory, whole.swap));
    assert_eq!(
        (shown.load, shown.uptime_seconds, shown.host_name),
        (whole.load, whole.uptime_seconds, whole.host_name)
    );
    assert_eq!((shown.file_systems.len(), shown.top_cpu.len()), (0, 0));
    assert!(
        !fleet.client(&id("b")).unwrap().reading.clone().unwrap().1.file_systems.is_empty(),
        "this one is kept still"
    );
}

/// Such a row once made the whole sweep fail, with a message that advised to restore a backup.
async fn a_row_that_cannot_be_read_costs_that_row_and_no_sweep(database: Database) {
    let store = open(&database).await;
    three_sweeps(&store).await;
    let of = async |number| match store.reader().past(sweep(number), &cards(), &CancellationToken::new()).await {
        Ok(Past::Known { fleet, unreadable }) => (*fleet, unreadable),
        other => panic!("{other:?}"),
    };
    let (whole, none) = of(2).await;
    assert_eq!(none, 0);
    // One row of each kind. Only the data in it is missing.
    let newest =
        "collection_id = (SELECT MAX(id) FROM collections WHERE started_at_ms < 1700000180000 AND status = 'ok')";
    for (number, change) in [
        (1, format!("UPDATE readings SET reading = '{{\"nonsense\"' WHERE {newest}")),
        (2, "UPDATE alerts SET notice = 'nonsense' WHERE metric = 'cpu'".to_owned()),
        (
            3,
            "UPDATE collections SET failure = '{}' WHERE status = 'failed' AND started_at_ms < 1700000180000"
                .to_owned(),
        ),
    ] {
        database.change(&change).await;
        let (fleet, unreadable) = of(2).await;
        assert_eq!(unreadable, number, "{change}");
        let (a, b) = (fleet.client(&id("a")).unwrap(), fleet.client(&id("b")).unwrap());
        assert!(a.last.is_some() && b.reading.is_some(), "{change}");
        // The sample replaces the reading.
        assert_eq!(a.reading.as_ref().unwrap().1.cpu, Some(Percent::new(90.0).unwrap()));
        assert_eq!(fleet.newest_sweep().unwrap().number, whole.newest_sweep().unwrap().number);
    }
    // The start of a collector and the lists also work.
    let memory = store.reader().memory().await.unwrap();
    assert_eq!((memory.clients.len(), memory.alerts.len()), (2, 1));
    let alerts = store.reader().alerts_page(Part::Newest, 9).await.unwrap();
    assert_eq!((alerts.rows.len(), alerts.unreadable.len(), alerts.total), (1, 1, 2));
    database.change("UPDATE sweeps SET set_off_by = 'nobody' WHERE sweep_number = 2").await;
    let sweeps = store.reader().sweeps_page(Part::Newest, 9).await.unwrap();
    let numbers: Vec<_> = sweeps.rows.iter().map(|sweep| sweep.number).collect();
    assert_eq!((numbers, sweeps.unreadable.len(), sweeps.total), (vec![3, 1], 1, 3));
    let error = store.reader().past(sweep(2), &cards(), &CancellationToken::new()).await.unwrap_err();
    assert!(error.kind == StoreErrorKind::Unreadable && !error.to_string().contains("damaged"), "{error}");
}

async fn what_is_not_wanted_any_more_is_left(database: Database) {
    let store = open(&database).await;
    three_sweeps(&store).await;
    let superseded = CancellationToken::new();
    superseded.cancel();
    assert_eq!(store.reader().past(sweep(2), &cards(), &superseded).await.unwrap(), Past::Superseded);
    past(&store, 2).await;
}

/// A sweep is looked for from the nearer end of the alerts.
async fn open_alerts_are_found_early_and_late(database: Database) {
    let store = open(&database).await;
    for number in 1..=8 {
        let begin = i64::try_from(number).unwrap() * MINUTE;
        store.sweep_started(sweep(number), number, Trigger::Schedule, at(begin), 1).await.unwrap();
        store.record(visit(number, "a", Some(50.0))).await.unwrap();
        store.sweep_ended(sweep(number), at(begin + 500), 500, 1, 0).await.unwrap();
    }
    // From which minute to which.
    let alerts =
        [(0, Some(3)), (1, Some(9)), (2, None), (3, Some(4)), (7, Some(8)), (8, None), (5, Some(7)), (0, None)];
    for (index, (from, to)) in (0..).zip(alerts) {
        let to = to.map_or_else(|| "NULL".to_owned(), |to: i64| (AT + to * MINUTE).to_string());
        let sql = format!(
            "INSERT INTO alerts (id, client_id, metric, instance, limit_value, last_value, peak_value, raised_at_ms,
             resolved_at_ms, notice) SELECT '{}', id, 'disk', '/{index}', 90, 95, 96, {}, {to},
             '{{\"mail\":\"hold\",\"reason\":\"no_recipient\"}}' FROM clients WHERE ip = 'a'",
            uuid(700 + index),
            AT + from * MINUTE
        );
        database.change(&sql).await;
    }
    for number in 1..=8_i64 {
        let fleet = past(&store, u64::try_from(number).unwrap()).await;
        let mut open: Vec<_> = fleet.alerts().open_of(&id("a")).map(|alert| alert.instance.to_string()).collect();
        open.sort();
        let is_open = |(from, to): &(i64, Option<i64>)| *from <= number && to.is_none_or(|to| to > number);
        let indices = alerts.iter().enumerate().filter(|(_, span)| is_open(span));
        let expected: Vec<_> = indices.map(|(index, _)| format!("/{index}")).collect();
        assert_eq!(open, expected, "sweep {number}");
    }
}
