//! What is deleted after the retention time, and what is not.

use futures_util::future::join_all;
use support::{Database, Trial};

use crate::{
    fleet::{
        ClientId, SweepId,
        alert::{Change, Step},
        event::Trigger,
        judge::ClientState,
    },
    open,
    records::{at, mail, plain, record, uuid},
    store::{Record, Store},
};

pub(crate) fn trials() -> Vec<Trial> {
    support::trials_per_database![
        what_is_older_goes_with_all_that_hangs_on_it_and_what_is_open_stays,
        much_is_forgotten_in_pieces_between_which_others_write,
    ]
}

async fn forget(store: &Store, before_ms: i64) -> usize {
    let mut pieces = 1;
    while store.forget(at(before_ms)).await.unwrap() {
        pieces += 1;
    }
    pieces
}

async fn what_is_older_goes_with_all_that_hangs_on_it_and_what_is_open_stays(database: Database) {
    let store = open(&database).await;
    let sweep = SweepId(uuid(1));
    store.sweep_started(sweep, 1, Trigger::Once, at(0), 2).await.unwrap();
    store.record(record(1)).await.unwrap();
    store.sweep_ended(sweep, at(20), 20, 2, 0).await.unwrap();
    store.mail_sent(uuid(1), at(30), "250 ok").await.unwrap();
    store.queue(mail(2, 5)).await.unwrap();
    store.record(Record { started_at: at(5_000), client: ClientId::new("10.0.4.1", 22), ..plain(2) }).await.unwrap();
    assert_eq!(forget(&store, 1_000).await, 1);
    for (count, sql) in [
        (1, "SELECT COUNT(*) FROM v1_collections"),
        (1, "SELECT COUNT(*) FROM v1_samples"),
        (2, "SELECT COUNT(*) FROM v1_cores"),
        (1, "SELECT COUNT(*) FROM readings"),
        (0, "SELECT COUNT(*) FROM v1_events"),
        (0, "SELECT COUNT(*) FROM sweeps"),
        // An open alert, and one with a waiting mail.
        (1, "SELECT COUNT(*) FROM v1_alerts"),
        (1, "SELECT COUNT(*) FROM v1_mails WHERE status = 'waiting'"),
        (0, "SELECT COUNT(*) FROM v1_mails WHERE status = 'sent'"),
        (0, "SELECT COUNT(*) FROM alert_mails"),
        (1, "SELECT COUNT(*) FROM v1_latest"),
    ] {
        assert_eq!(database.count(sql).await, count, "{sql}");
    }
    let resolved = Change { step: Step::Resolved, ..record(1).changes.pop().unwrap() };
    let ended = Record { changes: vec![resolved], state: ClientState::default(), mails: Vec::new(), ..record(3) };
    store.record(Record { started_at: at(6_000), ..ended }).await.unwrap();
    forget(&store, 7_000).await;
    assert_eq!(database.count("SELECT COUNT(*) FROM v1_alerts").await, 0);
    assert_eq!(database.count("SELECT COUNT(*) FROM v1_latest").await, 0);
    // Ids are not reused: the next rows have new ones.
    store.record(Record { started_at: at(9_000), ..plain(4) }).await.unwrap();
    assert_eq!(database.count("SELECT COUNT(*) FROM v1_samples").await, 1);
}

async fn much_is_forgotten_in_pieces_between_which_others_write(database: Database) {
    let store = open(&database).await;
    let many = 757;
    let records = (0..many).map(|number| store.record(Record { client: ClientId::new("c", 22), ..plain(number) }));
    for stored in join_all(records).await {
        stored.unwrap();
    }
    let before = store.transactions();
    let pieces = forget(&store, 1_000).await;
    assert!((3..=20).contains(&pieces), "{pieces} pieces");
    assert_eq!(store.transactions() - before, pieces as u64, "each piece is a transaction of its own");
    assert_eq!(database.count("SELECT COUNT(*) FROM collections").await, 0);
    assert_eq!(database.count("SELECT COUNT(*) FROM cores").await, 0);
}
