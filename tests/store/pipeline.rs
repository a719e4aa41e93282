//! The complete pipeline on every database: the real program sweeps demo clients twice. The results are in the views
//! and mails, and the second run continues with the data of the first.

use fleetsweep::demo::Behaviour;
use support::{Database, Trial};

use crate::{
    fleet::audit::AuditAction,
    open,
    records::record,
    site::{Config, Fleet, OVER, UNDER, document, mails, parsed},
};

pub(crate) fn trials() -> Vec<Trial> {
    support::trials_per_database![two_sweeps_leave_everything_in_the_views_and_the_second_goes_on_from_the_first]
}

/// The results after both runs, without values that differ from run to run.
const AFTER: [(&str, &[&str]); 6] = [
    (
        "SELECT client_name, COUNT(*) FROM v1_samples WHERE memory_used_bytes < memory_total_bytes
         AND memory_percent > 0 AND memory_percent < 100 AND uptime_seconds > 0 AND load_1 >= 0 AND disk_percent > 0
         AND host_name <> '' GROUP BY client_name ORDER BY 1",
        &["client-1|2", "client-2|2"],
    ),
    (
        "SELECT client_name, COUNT(*) FROM v1_latest WHERE collected_at_ms = (SELECT MAX(newer.collected_at_ms)
         FROM v1_samples newer WHERE newer.client_ip = v1_latest.client_ip) GROUP BY client_name ORDER BY 1",
        &["client-1|1", "client-2|1"],
    ),
    (
        "SELECT client_ip, COUNT(*) FROM v1_cores WHERE core = 0 AND cpu_percent >= 0 AND cpu_percent <= 100
         GROUP BY client_ip ORDER BY 1",
        &["127.10.0.1|2", "127.10.0.2|2"],
    ),
    (
        "SELECT client_ip, status, stage, COUNT(DISTINCT sweep_id), SUM(attempts) FROM v1_collections
         GROUP BY client_ip, status, stage ORDER BY 1",
        // The refused login is held in the second sweep, which makes no attempt.
        &["127.10.0.1|ok|NULL|2|2", "127.10.0.2|ok|NULL|2|2", "127.10.0.3|failed|authenticate|2|1"],
    ),
    (
        "SELECT client_ip, type, COUNT(*) FROM v1_alerts WHERE resolved_at_ms > raised_at_ms
         AND last_mail_at_ms >= raised_at_ms GROUP BY client_ip, type ORDER BY 1",
        &["127.10.0.1|memory|1", "127.10.0.2|memory|1"],
    ),
    (
        "SELECT recipient, kind, status, last_error, COUNT(*) FROM v1_mails WHERE sent_at_ms >= created_at_ms
         AND attempts = 1 AND subject <> '' AND body <> '' GROUP BY recipient, kind, status, last_error ORDER BY kind",
        &["ops@example.com|alert|sent|NULL|2", "ops@example.com|recovery|sent|NULL|2"],
    ),
];

async fn two_sweeps_leave_everything_in_the_views_and_the_second_goes_on_from_the_first(database: Database) {
    let fleet = Fleet::of(&[Behaviour::Healthy, Behaviour::Healthy, Behaviour::RefusesLogin]).await;
    for (rules, open_alerts) in [(OVER, 2), (UNDER, 0)] {
        fleet.program.write_config(&Config { database: database.url(), ..fleet.config(rules) }.text());
        let outcome = fleet.program.run(["--once", "--format", "json"]).await;
        assert_eq!(outcome.code, Some(1), "{outcome:#?}");
        let document = document(&outcome);
        let summary = &document["summary"];
        assert_eq!((summary["ok"].as_u64(), summary["failed"].as_u64(), mails(&document)), (Some(2), Some(1), (2, 0)));
        let open = "SELECT COUNT(*) FROM v1_alerts WHERE resolved_at_ms IS NULL";
        assert_eq!(database.count(open).await, open_alerts, "{rules}");
    }
    for (query, expected) in AFTER {
        assert_eq!(database.rows(query).await, expected, "{query}");
    }
    let subjects: Vec<_> = fleet.sink.mails().iter().map(|mail| parsed(mail).subject).collect();
    let of_ends = subjects.iter().filter(|subject| subject.contains("memory back to")).count();
    assert_eq!((subjects.len(), of_ends), (4, 2), "{subjects:?}");

    // Each host key is pinned once, by the first run.
    let audit = "SELECT action, COUNT(*) FROM v1_audit GROUP BY action";
    assert_eq!(database.rows(audit).await, ["pin|3"]);
    // The demo clients have no security log, and there were no orders.
    let store = open(&database).await;
    store.record(record(1)).await.unwrap();
    store.audit(jiff::Timestamp::now(), "ops", AuditAction::Pause, "schedule", "").await.unwrap();
    store.close().await;
    assert_eq!(database.count("SELECT COUNT(*) FROM v1_events").await, 1);
    assert_eq!(database.rows(&format!("{audit} ORDER BY action")).await, ["pause|1", "pin|3"]);
}
