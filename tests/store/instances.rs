//! Alerts for several instances of a metric. Each is stored, shown, acknowledged and ended separately.

use support::{Database, Trial};

use crate::{
    fleet::{
        ClientId, Metric, SweepId,
        alert::{AlertKey, Change, HoldReason, Notice, NoticeReason, OpenAlert, Step},
        alerts::AlertEnd,
        judge::{ClientState, RuleState},
        metric::Instance,
    },
    open,
    records::{AT, alert, at, mail, plain, uuid},
    store::{Due, Record, StoreErrorKind},
};

pub(crate) fn trials() -> Vec<Trial> {
    support::trials_per_database![two_open_alerts_of_one_metric_are_kept_apart]
}

fn disk(mount: &str) -> AlertKey {
    AlertKey { metric: Metric::Disk, instance: Instance::new(mount) }
}

fn client() -> ClientId {
    ClientId::new("10.0.4.1", 22)
}

/// The alert for a mount point: `/home` is number 1, `/var` is number 2.
fn of(mount: &str, value: f64) -> OpenAlert {
    let id = if mount == "/home" { 1 } else { 2 };
    OpenAlert { id: uuid(id), limit: 90.0, value, peak: value, raised_at: at(10), last_mail_at: None, ..alert() }
}

/// A collection with these changes of alerts.
fn collection(number: u128, changes: &[(&str, f64, Step, Notice)]) -> Record {
    let change = |&(mount, value, step, notice): &(&str, f64, Step, Notice)| {
        let AlertKey { metric, instance } = disk(mount);
        Change { metric, instance, alert: of(mount, value), step, notice }
    };
    let changes: Vec<Change> = changes.iter().map(change).collect();
    let open = changes.iter().filter(|change| matches!(change.step, Step::Raised | Step::Continues));
    let rule =
        |alert: &OpenAlert| RuleState { over_in_a_row: u32::try_from(number).unwrap(), alert: Some(alert.clone()) };
    let rules = open.map(|change| (change.key(), rule(&change.alert))).collect();
    let mailed = changes.iter().any(|change| matches!(change.notice, Notice::Send(_)));
    Record {
        client: client(),
        sweep: SweepId(uuid(number)),
        started_at: at(1_000 * i64::try_from(number).unwrap()),
        state: ClientState { failed_in_a_row: 0, rules },
        changes,
        mails: if mailed { vec![mail(500 + number, 0)] } else { Vec::new() },
        ..plain(number)
    }
}

async fn two_open_alerts_of_one_metric_are_kept_apart(database: Database) {
    const RAISED: Notice = Notice::Send(NoticeReason::Raised);
    const HELD: Notice = Notice::Hold(HoldReason::RecentlyMailed);
    let store = open(&database).await;
    store
        .record(collection(1, &[("/home", 95.0, Step::Raised, RAISED), ("/var", 96.0, Step::Raised, RAISED)]))
        .await
        .unwrap();
    store
        .record(collection(2, &[("/home", 97.0, Step::Continues, HELD), ("/var", 98.0, Step::Continues, HELD)]))
        .await
        .unwrap();

    // The judge continues with the same alerts after a restart.
    store.close().await;
    let store = open(&database).await;
    let state = store.reader().client_states().await.unwrap().remove(&client()).unwrap();
    let rules: Vec<_> = state
        .rules
        .iter()
        .map(|(key, rule)| (key.to_string(), rule.over_in_a_row, rule.alert.as_ref().unwrap().value))
        .collect();
    assert_eq!(rules, [("disk /home".to_owned(), 2, 97.0), ("disk /var".to_owned(), 2, 98.0)]);

    // The alerts that are shown.
    let memory = store.reader().memory().await.unwrap();
    let exceeded: Vec<_> = memory.clients[0].exceeded.iter().map(|exceeded| (exceeded.key(), exceeded.value)).collect();
    assert_eq!(exceeded, [(disk("/home"), 97.0), (disk("/var"), 98.0)]);
    let shown: Vec<_> = memory.alerts.iter().map(|alert| (alert.key(), alert.mailed_in)).collect();
    assert_eq!(shown, [(disk("/home"), Some(SweepId(uuid(1)))), (disk("/var"), Some(SweepId(uuid(1))))]);

    // An alert is acknowledged with its instance, not for the whole metric.
    let acknowledge = async |key: &AlertKey, id| store.acknowledge(&client(), key, uuid(id), at(2_500), "ops").await;
    assert_eq!(acknowledge(&disk("/home"), 2).await.unwrap_err().kind, StoreErrorKind::NoSuchAlert);
    assert_eq!(acknowledge(&Metric::Disk.into(), 2).await.unwrap_err().kind, StoreErrorKind::NoSuchAlert);
    acknowledge(&disk("/var"), 2).await.unwrap();
    let acknowledged = store.reader().memory().await.unwrap().alerts;
    assert_eq!(acknowledged.iter().map(|alert| alert.acknowledged.is_given()).collect::<Vec<_>>(), [false, true]);
    assert_eq!(database.rows("SELECT target, detail FROM v1_audit").await, ["10.0.4.1:22|disk /var"]);

    // One mount point disappears and the other alert continues. The mail about the end belongs to the thread of the
    // first alert.
    let gone = Notice::Send(NoticeReason::Gone);
    store
        .record(collection(3, &[("/home", 97.0, Step::Gone, gone), ("/var", 99.0, Step::Continues, HELD)]))
        .await
        .unwrap();
    let state = store.reader().client_states().await.unwrap().remove(&client()).unwrap();
    assert_eq!(state.rules.into_keys().collect::<Vec<_>>(), [disk("/var")]);
    assert_eq!(database.rows("SELECT instance, over_in_a_row FROM rule_states").await, ["/var|3"]);
    assert_eq!(
        database.rows("SELECT type, instance, value, resolved_at_ms FROM v1_alerts ORDER BY instance").await,
        [format!("disk|/home|97.0|{}", AT + 3_010), "disk|/var|99.0|NULL".to_owned()]
    );
    let ends: Vec<_> =
        store.reader().memory().await.unwrap().alerts.iter().map(|alert| (alert.key(), alert.ended)).collect();
    assert_eq!(ends, [(disk("/var"), None), (disk("/home"), Some((at(3_010), AlertEnd::Gone)))]);
    let due = store.mails_due(at(9_000), Due::All, None, 9).await.unwrap();
    let threads: Vec<_> = due.iter().map(|mail| (mail.mail.id, mail.mail.thread.clone())).collect();
    assert_eq!(threads, [(uuid(501), Vec::new()), (uuid(503), vec![uuid(501)])]);

    // The mount point is back, with a new alert.
    let again = Change {
        alert: OpenAlert { id: uuid(3), ..of("/home", 95.0) },
        ..collection(4, &[("/home", 95.0, Step::Raised, HELD)]).changes.remove(0)
    };
    store.record(Record { changes: vec![again], ..collection(4, &[]) }).await.unwrap();
    assert_eq!(database.count("SELECT COUNT(*) FROM v1_alerts WHERE instance = '/home'").await, 2);
}
