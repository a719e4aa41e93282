//! Recording: what a collection stores in the database, what can be read afterwards, and that nothing is stored
//! partially.

use std::{collections::HashMap, time::Duration};

use fleetsweep_agent::report::CoreTime;
use futures_util::future::join_all;
use support::{Database, Trial};

use crate::{
    fleet::{
        ClientId, Failure, FailureKind, Metric, Percent, Reading, Stage,
        alert::{Change, Notice, NoticeReason, OpenAlert, Step},
        audit::AuditAction,
        counters::Counters,
        judge::ClientState,
        login_hold::{HeldCredential, HeldVerdict, HoldChange, LoginHold},
        metric::Instance,
        security::{
            SecurityEvent, SecurityLog,
            allowance::Spent,
            gathering::{Gathering, GatheringChange},
        },
    },
    open,
    records::{AT, alert, at, mail, plain, reading, record, state, uuid},
    store::{Due, MailCounts, OutboxMail, Outcome, Record, StoreErrorKind},
};

pub(crate) fn trials() -> Vec<Trial> {
    support::trials_per_database![
        a_record_is_seen_through_the_views,
        what_was_recorded_is_known_after_a_restart,
        an_alert_goes_on_and_ends,
        what_is_used_of_a_daily_allowance_is_kept,
        gathered_logs_are_read_back_with_their_events_until_they_are_mailed,
        a_login_that_is_held_is_known_to_the_next_run_until_it_is_released,
        the_counters_of_the_last_collection_are_known_to_the_next_run,
        history_is_newest_last_and_skips_what_was_not_measured,
        the_outbox_keeps_every_mail_until_it_is_taken_or_refused,
        many_records_share_a_transaction,
        a_record_that_fails_leaves_nothing_and_harms_nobody,
        what_a_client_may_say_at_most_is_stored,
        texts_that_differ_a_little_are_not_the_same,
        what_another_program_wrote_meanwhile_is_no_obstacle,
    ]
}

/// All views, in an order that is the same on all engines.
const VIEWS: [&str; 8] = [
    "SELECT * FROM v1_samples ORDER BY client_ip",
    "SELECT * FROM v1_latest ORDER BY client_ip",
    "SELECT * FROM v1_cores ORDER BY client_ip, core",
    "SELECT * FROM v1_collections ORDER BY client_ip",
    "SELECT * FROM v1_alerts",
    "SELECT * FROM v1_events",
    "SELECT * FROM v1_audit",
    "SELECT * FROM v1_mails",
];

async fn a_record_is_seen_through_the_views(database: Database) {
    let store = open(&database).await;
    store.record(record(1)).await.unwrap();
    let mut failed = plain(2);
    failed.client = ClientId::new("fe80::1", 2222);
    failed.outcome = Outcome::Failed(Failure::new(Stage::Connect, FailureKind::Refused).because("os error 111"));
    failed.state.failed_in_a_row = 1;
    failed.attempts = 2;
    store.record(failed).await.unwrap();
    store.audit(at(20), "root", AuditAction::Acknowledge, "10.0.4.1:22", "cpu").await.unwrap();
    let mut all = String::new();
    for view in VIEWS {
        all.push_str(&format!("{view}\n\n{}\n\n", database.named_rows(view).await.join("\n\n")));
    }
    insta::assert_snapshot!("views", all);
}

async fn what_was_recorded_is_known_after_a_restart(database: Database) {
    let store = open(&database).await;
    store.record(record(1)).await.unwrap();
    let mut failed = plain(2);
    failed.outcome = Outcome::Failed(Failure::new(Stage::Connect, FailureKind::TimedOut));
    failed.state.failed_in_a_row = 4;
    store.record(failed).await.unwrap();
    store.close().await;

    let store = open(&database).await;
    let expected: HashMap<_, _> = [
        (ClientId::new("10.0.4.1", 22), state(Some(alert()), 3)),
        (ClientId::new("10.0.5.2", 22), ClientState { failed_in_a_row: 4, ..ClientState::default() }),
    ]
    .into();
    assert_eq!(store.reader().client_states().await.unwrap(), expected);
    assert_eq!(store.reader().bookmarks().await.unwrap(), [(ClientId::new("10.0.4.1", 22), "s=1".to_owned())].into());
    let client = ClientId::new("10.0.4.1", 22);
    assert_eq!(store.reader().latest_reading(&client).await.unwrap(), Some((at(10), reading())));
    assert_eq!(store.reader().latest_reading(&ClientId::new("10.0.5.2", 22)).await.unwrap(), None);
}

async fn what_is_used_of_a_daily_allowance_is_kept(database: Database) {
    let store = open(&database).await;
    assert_eq!(store.reader().spent().await.unwrap(), HashMap::new());
    let used = |stored| Spent { day: 20_000, stored, bytes: stored * 1000, left_out: 7 };
    for stored in [3, 5] {
        store.record(Record { spent: Some(used(stored)), ..plain(1) }).await.unwrap();
    }
    // Nothing is used if no log was read, and earlier usage stays.
    store.record(plain(1)).await.unwrap();
    store.record(plain(2)).await.unwrap();
    store.close().await;
    let store = open(&database).await;
    assert_eq!(store.reader().spent().await.unwrap(), HashMap::from([(plain(1).client, used(5))]));
}

async fn gathered_logs_are_read_back_with_their_events_until_they_are_mailed(database: Database) {
    let store = open(&database).await;
    let begin = Some(GatheringChange::Mailed { since: Some(at(3)) });
    let add = |login_unix_ms| Some(GatheringChange::Add { login_unix_ms });
    let of = |number, gathering| Record {
        client: plain(1).client,
        gathering,
        security: record(1).security,
        ..plain(number)
    };
    let client = of(1, None).client;
    store.record(of(1, begin)).await.unwrap();
    assert_eq!(store.reader().gathered_logs(&client).await.unwrap(), []);
    store.record(of(2, add(Some((-5, i64::MAX))))).await.unwrap();
    // Another client between them, and a collection without anything to say.
    store.record(Record { gathering: begin, ..plain(7) }).await.unwrap();
    store.record(Record { gathering: add(None), security: record(1).security, ..plain(8) }).await.unwrap();
    let quiet = record(3).security.map(|log| SecurityLog { events: Vec::new(), ..log });
    store.record(Record { security: quiet, ..of(3, add(None)) }).await.unwrap();
    store.record(of(4, add(None))).await.unwrap();
    store.close().await;
    let store = open(&database).await;
    let logs = store.reader().gathered_logs(&client).await.unwrap();
    let events = record(1).security.unwrap().events;
    assert_eq!(logs.iter().map(|gathered| gathered.login_unix_ms).collect::<Vec<_>>(), [Some((-5, i64::MAX)), None]);
    assert!(logs.iter().all(|gathered| gathered.log.events == events && gathered.log.bookmark.is_none()), "{logs:?}");
    let expected = Gathering { since: at(3), logs: 2, events: 2 * events.len() as u64 };
    assert_eq!(store.reader().gatherings().await.unwrap().get(&client), Some(&expected));
    store.record(of(5, begin)).await.unwrap();
    assert_eq!(store.reader().gathered_logs(&client).await.unwrap(), []);
    store.record(of(6, Some(GatheringChange::Mailed { since: None }))).await.unwrap();
    assert_eq!(store.reader().gatherings().await.unwrap().get(&client), None);
}

async fn a_login_that_is_held_is_known_to_the_next_run_until_it_is_released(database: Database) {
    let store = open(&database).await;
    assert_eq!(store.reader().login_holds().await.unwrap(), HashMap::new());
    let held = |refusals| LoginHold {
        since: at(0),
        refused_at: at(10),
        refusals,
        reason: "password was refused: ‘nein’ 🔑".to_owned(),
        salt: "c2FsdA==".to_owned(),
        credentials: vec![HeldCredential { mark: "bWFyaw==".to_owned(), verdict: HeldVerdict::Refused }],
    };
    for refusals in [1, 2] {
        store.record(Record { login_hold: HoldChange::Held(held(refusals)), ..plain(1) }).await.unwrap();
    }
    store.record(Record { login_hold: HoldChange::Held(held(7)), ..plain(2) }).await.unwrap();
    store.record(plain(1)).await.unwrap();
    store.close().await;
    let store = open(&database).await;
    let both = HashMap::from([(plain(1).client, held(2)), (plain(2).client, held(7))]);
    assert_eq!(store.reader().login_holds().await.unwrap(), both);
    store.record(Record { login_hold: HoldChange::Released, ..plain(1) }).await.unwrap();
    assert_eq!(store.reader().login_holds().await.unwrap(), HashMap::from([(plain(2).client, held(7))]));
}

async fn the_counters_of_the_last_collection_are_known_to_the_next_run(database: Database) {
    let store = open(&database).await;
    assert_eq!(store.reader().counters().await.unwrap(), HashMap::new());
    // More than a TEXT of MariaDB holds.
    let core = |core| CoreTime { core, user_ms: u64::MAX, idle_ms: 7, ..CoreTime::default() };
    let counted = |monotonic_ms| Counters {
        boot_id: "2606b0f2 ‘☎’".to_owned(),
        monotonic_ms,
        cores: (0..2000).map(core).collect(),
        oom_kills: Some(3),
        ..Counters::default()
    };
    for monotonic_ms in [1, 2] {
        store.record(Record { counters: Some(Box::new(counted(monotonic_ms))), ..plain(1) }).await.unwrap();
    }
    // A failed collection has none.
    store.record(plain(1)).await.unwrap();
    store.close().await;
    let store = open(&database).await;
    assert_eq!(store.reader().counters().await.unwrap(), HashMap::from([(plain(1).client, counted(2))]));
    // Counters that another version wrote are left out.
    database.change("UPDATE client_counters SET counters = '{}'").await;
    assert_eq!(store.reader().counters().await.unwrap(), HashMap::new());
}

async fn an_alert_goes_on_and_ends(database: Database) {
    let store = open(&database).await;
    store.record(record(1)).await.unwrap();
    let with = |number: u128, step, value, over| {
        let alert = OpenAlert { value, peak: 80.0, last_mail_at: Some(at(20)), ..alert() };
        let open = matches!(step, Step::Raised | Step::Continues).then(|| alert.clone());
        Record {
            started_at: at(1_000 * i64::try_from(number).unwrap()),
            changes: vec![Change {
                metric: Metric::Cpu,
                instance: Instance::HOST,
                alert,
                step,
                notice: Notice::Send(NoticeReason::Reminder),
            }],
            state: state(open, over),
            mails: Vec::new(),
            ..record(number)
        }
    };
    store.record(with(2, Step::Continues, 80.0, 4)).await.unwrap();
    let states = store.reader().client_states().await.unwrap();
    let open = states[&ClientId::new("10.0.4.1", 22)].rules[&Metric::Cpu.into()].clone();
    assert_eq!((open.over_in_a_row, open.alert.map(|alert| (alert.value, alert.peak))), (4, Some((80.0, 80.0))));

    store.record(with(3, Step::Resolved, 5.0, 0)).await.unwrap();
    assert_eq!(store.reader().client_states().await.unwrap()[&ClientId::new("10.0.4.1", 22)], ClientState::default());
    assert_eq!(
        database.rows("SELECT value, raised_at_ms, resolved_at_ms, last_mail_at_ms FROM v1_alerts").await,
        [format!("5.0|{}|{}|{}", AT + 10, AT + 3_010, AT + 20)]
    );
}

async fn history_is_newest_last_and_skips_what_was_not_measured(database: Database) {
    let store = open(&database).await;
    for number in 0..5_u8 {
        let mut reading = reading();
        reading.cpu = (number != 2).then(|| Percent::new(f64::from(number)).unwrap());
        store
            .record(Record {
                outcome: Outcome::Collected(Box::new(reading)),
                started_at: at(1_000 * i64::from(number)),
                ..Record { client: ClientId::new("a", 22), ..plain(number.into()) }
            })
            .await
            .unwrap();
    }
    let client = ClientId::new("a", 22);
    let recent = store.recent(&client, Metric::Cpu, 4).await.unwrap();
    assert_eq!(recent, [(at(1_010), 1.0), (at(3_010), 3.0), (at(4_010), 4.0)]);
    assert_eq!(store.recent(&client, Metric::Load, 1).await.unwrap(), [(at(4_010), 0.75)]);
    for metric in [Metric::Swap, Metric::Unreachable] {
        assert_eq!(store.recent(&client, metric, 9).await.unwrap(), []);
    }
    assert_eq!(database.rows("SELECT collected_at_ms FROM v1_latest").await, [(AT + 4_010).to_string()]);
}

async fn the_outbox_keeps_every_mail_until_it_is_taken_or_refused(database: Database) {
    let store = open(&database).await;
    for number in 1..=4 {
        store.queue(mail(number, i64::try_from(number).unwrap())).await.unwrap();
    }
    let ids = async |due, now, most| -> Vec<u128> {
        store.mails_due(at(now), due, None, most).await.unwrap().iter().map(|due| due.mail.id.as_u128()).collect()
    };
    assert_eq!(ids(Due::Ready, 2, 9).await, [1, 2]);
    assert_eq!(ids(Due::All, 0, 3).await, [1, 2, 3]);
    assert_eq!(store.next_mail_at().await.unwrap(), Some(at(1)));

    store.mail_sent(uuid(1), at(50), "250 ok").await.unwrap();
    store.mail_refused(uuid(2), at(51), "550 no").await.unwrap();
    store.mail_deferred(uuid(3), 2, at(1_000), "451 later").await.unwrap();
    assert_eq!(ids(Due::Ready, 999, 9).await, [4]);
    assert_eq!(ids(Due::Ready, 1_000, 9).await, [3, 4]);
    let waiting = store.mails_due(at(0), Due::All, None, 1).await.unwrap();
    assert_eq!(
        waiting,
        [OutboxMail {
            mail: mail(3, 3),
            client: None,
            sweep: None,
            attempts: 2,
            waited: Duration::ZERO,
            splits: 0,
            next_at: at(1_000),
            last_error: Some("451 later".into())
        }]
    );
    assert_eq!(store.reader().mail_counts().await.unwrap(), MailCounts { waiting: 2, sent: 1, refused: 1 });
    // The same without counting what was sent.
    assert_eq!(store.reader().unsent_mails().await.unwrap(), MailCounts { waiting: 2, sent: 0, refused: 1 });
    store.mail_sent(uuid(3), at(60), "250 ok").await.unwrap();
    store.mail_sent(uuid(4), at(60), "250 ok").await.unwrap();
    assert_eq!(store.next_mail_at().await.unwrap(), None);
    assert_eq!(store.mail_sent(uuid(9), at(60), "").await.unwrap_err().kind, StoreErrorKind::NoSuchMail);
    assert_eq!(
        store.mail_deferred(uuid(4), 1, at(60), "").await.unwrap_err().kind,
        StoreErrorKind::NoSuchMail,
        "a mail that was sent never waits again"
    );
}

async fn many_records_share_a_transaction(database: Database) {
    let store = open(&database).await;
    let stored = join_all((0..500).map(|number| store.record(plain(number)))).await;
    assert!(stored.iter().all(Result::is_ok));
    assert_eq!(database.count("SELECT COUNT(*) FROM v1_samples").await, 500);
    assert!(store.transactions() <= 10, "{} transactions", store.transactions());
}

async fn a_record_that_fails_leaves_nothing_and_harms_nobody(database: Database) {
    let store = open(&database).await;
    store.queue(mail(3, 0)).await.unwrap();
    // Its mail, which is written last, exists already.
    let records = (0..6).map(|number| if number == 3 { record(3) } else { plain(number) });
    let stored = join_all(records.map(|record| store.record(record))).await;
    for (number, stored) in stored.iter().enumerate() {
        assert_eq!(stored.as_ref().err().map(|error| error.kind), (number == 3).then_some(StoreErrorKind::Rejected));
    }
    assert_eq!(database.count("SELECT COUNT(*) FROM v1_samples").await, 5);
    for (table, count) in [
        ("SELECT COUNT(*) FROM clients WHERE ip = '10.0.4.1'", 0),
        ("SELECT COUNT(*) FROM alerts", 0),
        ("SELECT COUNT(*) FROM security_events", 0),
        ("SELECT COUNT(*) FROM rule_states", 0),
        ("SELECT COUNT(*) FROM mails", 1),
        ("SELECT COUNT(*) FROM cores", 10),
    ] {
        assert_eq!(database.count(table).await, count, "{table}");
    }
    assert_eq!(store.reader().bookmarks().await.unwrap(), HashMap::new());
    // It can be stored after the fault is removed.
    store.record(Record { mails: Vec::new(), ..record(3) }).await.unwrap();
}

async fn what_another_program_wrote_meanwhile_is_no_obstacle(database: Database) {
    let store = open(&database).await;
    for number in 0..4 {
        store.record(Record { client: ClientId::new("a", 22), ..plain(number) }).await.unwrap();
        store.audit(at(0), "a", AuditAction::Cancel, "c", "d").await.unwrap();
        // Uses the ids of the next rows.
        database.change(
            "INSERT INTO collections (id, collection_uuid, sweep_uuid, client_id, started_at_ms, duration_ms, attempts, status)
             SELECT MAX(id) + 1, '', '', 1, 0, 0, 1, 'failed' FROM collections;
             INSERT INTO audit_entries SELECT MAX(id) + 1, 0, '', '', '', '' FROM audit_entries",
        )
        .await;
    }
    assert_eq!(database.count("SELECT COUNT(*) FROM v1_collections").await, 8);
    assert_eq!(database.count("SELECT COUNT(*) FROM v1_audit").await, 8);
}

/// The largest possible report: 4 MiB, mostly characters of four bytes.
async fn what_a_client_may_say_at_most_is_stored(database: Database) {
    let store = open(&database).await;
    let mut record = record(1);
    let log = record.security.as_mut().unwrap();
    let event = SecurityEvent { message: "\u{1f300}".repeat(1_000), ..log.events[0].clone() };
    log.events = vec![event; 1_000];
    let cores = vec![Percent::HUNDRED; 4_096];
    let file_systems = vec![reading().file_systems[0].clone(); 512];
    let large = Reading { cores, file_systems, warnings: vec!["\u{1f300}".repeat(256); 256], ..reading() };
    record.outcome = Outcome::Collected(Box::new(large.clone()));
    store.record(record.clone()).await.unwrap();
    assert_eq!(database.count("SELECT COUNT(*) FROM v1_cores").await, 4_096);
    let whole = format!("SELECT COUNT(*) FROM v1_events WHERE message = '{}'", "\u{1f300}".repeat(1_000));
    assert_eq!(database.count(&whole).await, 1_000);
    assert_eq!(store.reader().latest_reading(&record.client).await.unwrap(), Some((at(10), large)));
}

async fn texts_that_differ_a_little_are_not_the_same(database: Database) {
    let store = open(&database).await;
    let names = ["GPU-17", "gpu-17", "gpü-17", "gpu\u{308}-17"];
    for (number, name) in (1..).zip(names) {
        store.record(Record { client: ClientId::new(name, 22), ..plain(number) }).await.unwrap();
    }
    assert_eq!(database.count("SELECT COUNT(*) FROM v1_latest").await, 4);
    for name in names {
        let one = format!("SELECT COUNT(*) FROM v1_samples WHERE client_ip = '{name}'");
        assert_eq!(database.count(&one).await, 1, "{name}");
    }
}
