//! Stored history: what is loaded at the start, listed and charted.

use jiff::Timestamp;
use support::{Database, Trial};
use uuid::Uuid;

use crate::{
    fleet::{
        ClientId, Failure, FailureKind, Metric, Percent, Reading, Stage, SweepId,
        alert::{Acknowledged, AlertKey, Change, Exceeded, HoldReason, Notice, NoticeReason, OpenAlert, Step},
        alerts::{AlertEnd, AlertView},
        history::{AlertRow, EventRow, MailStatus, Span},
        listing::Part,
        metric::Instance,
        security::SecurityEvent,
        state::{Finished, RecentCollection},
    },
    open,
    records::{AT, alert, at, mail, plain, reading, record, state, uuid},
    store::{Due, Outcome, Record, StoreErrorKind},
};

pub(crate) fn trials() -> Vec<Trial> {
    support::trials_per_database![
        a_fleet_is_remembered_as_its_last_collections_left_it,
        only_so_many_readings_and_samples_are_remembered,
        an_alert_is_told_with_its_mails_and_its_end,
        a_mail_knows_its_client_and_sweep,
        security_events_are_listed_newest_first_whatever_the_client_s_clock_says,
        an_alert_is_acknowledged_once_and_audited,
        an_acknowledgement_is_withdrawn_and_audited,
        a_part_of_the_history_is_its_average_and_a_single_sample_is_itself,
    ]
}

const SWEEP: SweepId = SweepId(Uuid::from_u128(1));

fn client() -> ClientId {
    ClientId::new("10.0.4.1", 22)
}

async fn a_fleet_is_remembered_as_its_last_collections_left_it(database: Database) {
    let store = open(&database).await;
    store.record(record(1)).await.unwrap();
    let failure = Failure::new(Stage::Connect, FailureKind::TimedOut).because("after 5 s");
    let failed = Record {
        outcome: Outcome::Failed(failure.clone()),
        started_at: at(1_000),
        attempts: 2,
        stages: vec![(Stage::Connect, at(1_001))],
        client: client(),
        ..plain(2)
    };
    store.record(failed).await.unwrap();
    store.record(plain(3)).await.unwrap();
    let memory = store.reader().memory().await.unwrap();
    assert_eq!(memory.clients.len(), 2);
    let db = &memory.clients[0];
    assert_eq!(db.client, client());
    let last = Finished {
        sweep: SWEEP,
        collection: uuid(1_002),
        at: at(1_010),
        duration_ms: 10,
        attempts: 2,
        failure: Some(failure),
        stages: vec![(Stage::Connect, at(1_001))],
    };
    assert_eq!(db.last, Some(last));
    assert_eq!(db.reading, Some((at(10), Box::new(reading()))));
    let sample = |ms, percent: Option<(f64, f64)>| RecentCollection {
        at: at(ms),
        duration_ms: 10,
        cpu_percent: percent.map(|(cpu, _)| cpu),
        memory_percent: percent.map(|(_, memory)| memory),
    };
    assert_eq!(db.recent, [sample(10, Some((62.5, 75.0))), sample(1_010, None)]);
    let open = AlertView {
        client: client(),
        metric: Metric::Cpu,
        instance: Instance::HOST,
        limit: 20.0,
        value: 62.5,
        raised_at: at(10),
        ended: None,
        notice: Notice::Send(NoticeReason::Raised),
        mailed_in: Some(SWEEP),
        acknowledged: Acknowledged::No,
    };
    assert_eq!(db.exceeded, [Exceeded { metric: Metric::Cpu, instance: Instance::HOST, limit: 20.0, value: 62.5 }]);
    assert_eq!(memory.alerts, [open]);
    assert_eq!(memory.clients[1].last.as_ref().unwrap().stages, plain(3).stages);
}

async fn only_so_many_readings_and_samples_are_remembered(database: Database) {
    let store = open(&database).await;
    let at_of = |number: u32| at(1_000 * i64::from(number));
    for number in 0..100 {
        let one = Record { client: client(), started_at: at_of(number), ..plain(number.into()) };
        store.record(one).await.unwrap();
    }
    assert_eq!(database.count("SELECT COUNT(*) FROM readings").await, 32);
    assert_eq!(database.count("SELECT MIN(collection_id) FROM readings").await, 69);
    let memory = store.reader().memory().await.unwrap();
    let known = &memory.clients[0];
    assert_eq!(known.reading.as_ref().unwrap().0, at(99_010));
    let times: Vec<_> = known.recent.iter().map(|sample| sample.at).collect();
    assert_eq!(times, (40..100).map(|number| at(1_000 * number + 10)).collect::<Vec<_>>());
    // The ring buffer continues after a restart.
    store.close().await;
    let store = open(&database).await;
    store.record(Record { client: client(), started_at: at_of(100), ..plain(100) }).await.unwrap();
    assert_eq!(database.count("SELECT MIN(collection_id) FROM readings").await, 70);
}

fn changed(number: u128, alert: OpenAlert, step: Step, notice: Notice) -> Record {
    let open = matches!(step, Step::Raised | Step::Continues).then(|| alert.clone());
    Record {
        started_at: at(1_000 * i64::try_from(number).unwrap()),
        state: state(open, 0),
        changes: vec![Change { metric: Metric::Cpu, instance: Instance::HOST, alert, step, notice }],
        sweep: SweepId(uuid(number)),
        security: None,
        ..record(number)
    }
}

async fn an_alert_is_told_with_its_mails_and_its_end(database: Database) {
    let store = open(&database).await;
    let of = |id| OpenAlert { id: uuid(id), ..alert() };
    let (raised, reminder) = (Notice::Send(NoticeReason::Raised), Notice::Send(NoticeReason::Reminder));
    store.record(changed(1, of(100), Step::Raised, raised)).await.unwrap();
    store.record(changed(2, of(100), Step::Continues, Notice::Hold(HoldReason::RecentlyMailed))).await.unwrap();
    store.record(changed(3, of(100), Step::Continues, reminder)).await.unwrap();
    let rule_gone = Notice::Hold(HoldReason::RuleRemoved);
    store.record(changed(4, of(100), Step::Withdrawn, rule_gone)).await.unwrap();
    let unheard = OpenAlert { id: uuid(200), raised_at: at(5_000), last_mail_at: None, ..alert() };
    store.record(changed(5, unheard, Step::Raised, Notice::Hold(HoldReason::NoRecipient))).await.unwrap();
    store.mail_sent(uuid(1), at(1), "250 ok").await.unwrap();
    store.mail_refused(uuid(3), at(1), "550 no such user").await.unwrap();

    let told = store.reader().alerts_page(Part::Newest, 9).await.unwrap().rows;
    let [AlertRow { alert: newer, mails: none, .. }, AlertRow { alert: older, mails, .. }] = told.as_slice() else {
        panic!("{told:#?}")
    };
    assert_eq!((newer.raised_at, newer.ended, newer.mailed_in, none.len()), (at(5_000), None, None, 0));
    assert_eq!(mails, &["ops@example.com: refused: 550 no such user", "ops@example.com: sent"]);
    assert_eq!(older.ended, Some((at(4_010), AlertEnd::Withdrawn)));
    assert_eq!((older.mailed_in, older.notice), (Some(SweepId(uuid(3))), rule_gone));
    assert_eq!(store.reader().alerts_page(Part::Newest, 1).await.unwrap().rows, told[..1]);
    let memory = store.reader().memory().await.unwrap();
    assert_eq!(memory.alerts, [newer.clone(), older.clone()]);
}

async fn a_mail_knows_its_client_and_sweep(database: Database) {
    let store = open(&database).await;
    store.record(record(1)).await.unwrap();
    store.queue(mail(2, 20)).await.unwrap();
    let due = store.mails_due(at(0), Due::All, None, 9).await.unwrap();
    let origins: Vec<_> = due.iter().map(|due| (due.client.clone(), due.sweep)).collect();
    assert_eq!(origins, [(Some(client()), Some(SWEEP)), (None, None)]);

    store.queue(mail(3, 30)).await.unwrap();
    store.mail_sent(uuid(1), at(50), "250 ok").await.unwrap();
    store.mail_refused(uuid(2), at(51), "550 no").await.unwrap();
    store.mail_deferred(uuid(3), 2, at(90), "451 later").await.unwrap();
    let mails = store.reader().mails_page(Part::Newest, 9).await.unwrap().rows;
    let fates: Vec<_> =
        mails.iter().map(|mail| (mail.id, mail.status, mail.attempts, mail.answer.as_deref())).collect();
    assert_eq!(
        fates,
        [
            (uuid(3), MailStatus::Waiting { next_at: at(90) }, 2, Some("451 later")),
            (uuid(2), MailStatus::Refused, 1, Some("550 no")),
            (uuid(1), MailStatus::Sent { at: at(50) }, 1, Some("250 ok")),
        ]
    );
    assert_eq!(store.reader().mails_page(Part::Newest, 2).await.unwrap().rows, mails[..2]);
}

async fn security_events_are_listed_newest_first_whatever_the_client_s_clock_says(database: Database) {
    let store = open(&database).await;
    let mut one = record(1);
    let log = one.security.as_mut().unwrap();
    let event = log.events[0].clone();
    let times = [at(7).as_millisecond(), i64::MIN, i64::MAX, at(9).as_millisecond()];
    log.events = times.map(|occurred_unix_ms| SecurityEvent { occurred_unix_ms, ..event.clone() }).into();
    store.record(one).await.unwrap();
    let listed = store.reader().security_events(&client(), 9).await.unwrap();
    let times: Vec<_> = listed.iter().map(|event| event.at).collect();
    assert_eq!(times, [Timestamp::MAX, at(9), at(7), Timestamp::MIN]);
    let words = ["warning", "sshd", "Failed password for root"].map(str::to_owned);
    let [level, source, message] = words;
    assert_eq!(listed[1], EventRow { at: at(9), level, source, message });
    assert_eq!(store.reader().security_events(&client(), 2).await.unwrap(), listed[..2]);
    assert_eq!(store.reader().security_events(&ClientId::new("b", 22), 9).await.unwrap(), []);
}

async fn an_alert_is_acknowledged_once_and_audited(database: Database) {
    let store = open(&database).await;
    store.record(record(1)).await.unwrap();
    let acknowledge =
        async |metric: Metric, id, ms| store.acknowledge(&client(), &metric.into(), uuid(id), at(ms), "ops").await;
    acknowledge(Metric::Cpu, 100, 20).await.unwrap();
    acknowledge(Metric::Cpu, 100, 30).await.unwrap();
    let open = &store.reader().client_states().await.unwrap()[&client()].rules[&Metric::Cpu.into()].alert;
    let open = open.as_ref().unwrap();
    assert_eq!((open.acknowledged_at, open.acknowledged_by.as_deref()), (Some(at(20)), Some("ops")));
    let shown = async || store.reader().memory().await.unwrap().alerts[0].acknowledged.clone();
    let by_ops = |ms| Acknowledged::By { at: at(ms), actor: Some("ops".to_owned()) };
    assert_eq!(shown().await, by_ops(20));
    let entry = |ms| format!("{}|ops|acknowledge|10.0.4.1:22|cpu", AT + ms);
    assert_eq!(database.rows("SELECT * FROM v1_audit ORDER BY at_ms").await, [entry(20), entry(30)]);

    for (metric, id) in [(Metric::Cpu, 101), (Metric::Disk, 100)] {
        assert_eq!(acknowledge(metric, id, 40).await.unwrap_err().kind, StoreErrorKind::NoSuchAlert);
    }
    // A collection that was judged earlier does not revert it.
    store.record(changed(2, alert(), Step::Continues, Notice::Hold(HoldReason::RecentlyMailed))).await.unwrap();
    assert_eq!(shown().await, by_ops(20));
    assert_eq!(store.reader().alerts_page(Part::Newest, 9).await.unwrap().rows[0].alert.acknowledged, by_ops(20));
    store.record(changed(3, alert(), Step::Resolved, Notice::Hold(HoldReason::NoRecoveryMail))).await.unwrap();
    assert_eq!(acknowledge(Metric::Cpu, 100, 50).await.unwrap_err().kind, StoreErrorKind::AlertEnded);
    assert_eq!(database.count("SELECT COUNT(*) FROM v1_audit").await, 2);
}

async fn an_acknowledgement_is_withdrawn_and_audited(database: Database) {
    let store = open(&database).await;
    store.record(record(1)).await.unwrap();
    let cpu = AlertKey::from(Metric::Cpu);
    let withdraw = async |id, ms| store.unacknowledge(&client(), &cpu, uuid(id), at(ms), "dev").await;
    store.acknowledge(&client(), &cpu, uuid(100), at(20), "ops").await.unwrap();
    withdraw(100, 30).await.unwrap();
    let states = store.reader().client_states().await.unwrap();
    let open = states[&client()].rules[&cpu].alert.clone().unwrap();
    assert_eq!((open.acknowledged_at, open.acknowledged_by), (None, None));
    // A collection that was judged while the alert was acknowledged does not restore the acknowledgement.
    let judged_before = OpenAlert { acknowledged_at: Some(at(20)), acknowledged_by: Some("ops".to_owned()), ..alert() };
    store.record(changed(2, judged_before, Step::Continues, Notice::Hold(HoldReason::Acknowledged))).await.unwrap();
    assert_eq!(store.reader().memory().await.unwrap().alerts[0].acknowledged, Acknowledged::No);
    // Another operator can acknowledge it again.
    store.acknowledge(&client(), &cpu, uuid(100), at(40), "dev").await.unwrap();
    let expected = Acknowledged::By { at: at(40), actor: Some("dev".to_owned()) };
    assert_eq!(store.reader().memory().await.unwrap().alerts[0].acknowledged, expected);
    let actions = ["ops|acknowledge", "dev|unacknowledge", "dev|acknowledge"];
    let entries = (0..).zip(actions).map(|(n, who)| format!("{}|{who}|10.0.4.1:22|cpu", AT + 20 + 10 * n));
    assert_eq!(database.rows("SELECT * FROM v1_audit ORDER BY at_ms").await, entries.collect::<Vec<_>>());
    assert_eq!(withdraw(101, 50).await.unwrap_err().kind, StoreErrorKind::NoSuchAlert);
    store.record(changed(3, alert(), Step::Resolved, Notice::Hold(HoldReason::NoRecoveryMail))).await.unwrap();
    assert_eq!(withdraw(100, 60).await.unwrap_err().kind, StoreErrorKind::AlertEnded);
}

async fn a_part_of_the_history_is_its_average_and_a_single_sample_is_itself(database: Database) {
    let store = open(&database).await;
    let with_cpu = |number: u32, ms, cpu: Option<f64>| {
        let reading = Reading { cpu: cpu.map(|cpu| Percent::new(cpu).unwrap()), ..reading() };
        let outcome = Outcome::Collected(Box::new(reading));
        Record { client: client(), started_at: at(ms), outcome, ..plain(number.into()) }
    };
    // An hour in about 400 intervals of nine seconds.
    for (number, ms, cpu) in [(1, 0, Some(10.0)), (2, 62_000, Some(20.0)), (3, 62_500, Some(40.0)), (4, 120_000, None)]
    {
        store.record(with_cpu(number, ms, cpu)).await.unwrap();
    }
    let now = at(130_000);
    let points = store.reader().history(&client(), Span::Hour, now).await.unwrap();
    let shown: Vec<_> = points.iter().map(|point| (point.at, point.cpu_percent, point.memory_percent)).collect();
    assert_eq!(
        shown,
        [(at(10), Some(10.0), Some(75.0)), (at(62_510), Some(30.0), Some(75.0)), (at(120_010), None, Some(75.0))]
    );
    assert_eq!(store.reader().history(&ClientId::new("b", 22), Span::Hour, now).await.unwrap(), []);
    assert_eq!(store.reader().history(&client(), Span::Hour, at(3_600_000 + 60_005)).await.unwrap().len(), 2);
}
