//! Opening and closing the store: one collector at a time, readers at the same time, and schemas of other versions.

use std::time::Duration;

use support::{Database, Engine, Trial};

use crate::{
    open,
    records::{at, plain},
    store::{LockOwner, Reader, Store, StoreError, StoreErrorKind},
    url,
};

pub(crate) fn trials() -> Vec<Trial> {
    support::trials_per_database![
        a_closed_store_takes_nothing_more,
        a_schema_from_the_future_is_left_alone,
        a_second_collector_is_refused_and_told_who_has_the_database,
        only_a_holder_whose_process_runs_is_named,
        a_store_that_is_dropped_gives_up_its_lock,
        a_collector_whose_place_was_taken_stores_nothing_more,
    ]
}

/// Opening fails with this kind and message.
async fn refuses(database: &Database, kind: StoreErrorKind, words: &str) {
    let error =
        Store::open(&url(database), &fleetsweep::config::directories::Environment::default()).await.err().unwrap();
    assert_eq!(error.kind, kind, "{error}: {:?}", error.source);
    assert!(error.to_string().contains(words), "{error}");
}

/// The error for a second collector.
async fn refused(database: &Database) -> StoreError {
    let error =
        Store::open(&url(database), &fleetsweep::config::directories::Environment::default()).await.unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::InUse, "{error}");
    error
}

fn owner() -> LockOwner {
    LockOwner {
        host: "collector-1".into(),
        pid: 4711,
        account: "ops".into(),
        socket: Some("/run/fleetsweep.sock".into()),
        started_at: at(5),
        version: "0.1.0".into(),
        mode: None,
        mark: None,
        is_ending: false,
    }
}

async fn a_closed_store_takes_nothing_more(database: Database) {
    let store = open(&database).await;
    let waiting = tokio::spawn({
        let store = store.clone();
        async move { store.record(plain(1)).await }
    });
    store.record(plain(2)).await.unwrap();
    store.close().await;
    store.close().await;
    assert_eq!(store.record(plain(3)).await.unwrap_err().kind, StoreErrorKind::Closed);
    assert_eq!(store.reader().mail_counts().await.unwrap_err().kind, StoreErrorKind::Closed);
    let first = waiting.await.unwrap().is_ok();
    assert_eq!(database.count("SELECT COUNT(*) FROM v1_samples").await, 1 + i64::from(first));
}

async fn a_schema_from_the_future_is_left_alone(database: Database) {
    open(&database).await.close().await;
    let change = async |sql: &str| database.change(sql).await;
    change("INSERT INTO fleetsweep_migrations SELECT 9999, 'x', installed_on, success, checksum, 0 FROM fleetsweep_migrations LIMIT 1")
        .await;
    let newer = StoreErrorKind::NewerSchema { found: 9999, known: 18 };
    refuses(&database, newer, "has schema 9999").await;
    assert_eq!(Reader::open(&url(&database)).await.unwrap_err().kind, newer);
    change("DELETE FROM fleetsweep_migrations WHERE version = 9999").await;
    let nothing = if database.engine() == Engine::Postgres { r"'\x00'" } else { "x'00'" };
    change(&format!("UPDATE fleetsweep_migrations SET checksum = {nothing}")).await;
    refuses(&database, StoreErrorKind::OtherSchema, "not this program's").await;
}

async fn a_second_collector_is_refused_and_told_who_has_the_database(database: Database) {
    let store = open(&database).await;
    let unnamed = refused(&database).await;
    assert!(unnamed.to_string().contains("in use by another fleetsweep"), "{unnamed}");
    store.announce(&owner()).await.unwrap();
    let named = refused(&database).await;
    assert_eq!(named.owner.as_deref(), Some(&owner()));
    assert!(named.to_string().contains("in use by pid 4711 of ops on collector-1: end that one"), "{named}");
    // The store works afterwards.
    store.record(plain(1)).await.unwrap();

    store.close().await;
    let store = open(&database).await;
    assert_eq!(
        store.reader().lock_owner().await.unwrap(),
        None,
        "who was there before is not taken for who is there now"
    );
    let other = LockOwner { pid: 4712, socket: None, ..owner() };
    store.announce(&owner()).await.unwrap();
    store.announce(&other).await.unwrap();
    assert_eq!(store.reader().lock_owner().await.unwrap(), Some(other));
}

async fn only_a_holder_whose_process_runs_is_named(database: Database) {
    use fleetsweep::store::{lock_owner::Mode, process};
    let store = open(&database).await;
    let pid = std::process::id();
    let own = LockOwner { pid, mode: Some(Mode::Dashboard), mark: process::mark(pid), ..owner() };
    store.announce(&own).await.unwrap();
    assert_eq!(store.reader().lock_owner().await.unwrap(), Some(own.clone()));
    let ending = LockOwner { is_ending: true, ..own.clone() };
    store.announce(&ending).await.unwrap();
    assert_eq!(store.reader().lock_owner().await.unwrap(), Some(ending));
    // The process id may belong to another process now.
    let mark = own.mark.as_ref().map(|mark| format!("{mark}1"));
    store.announce(&LockOwner { mark, ..own.clone() }).await.unwrap();
    assert_eq!(store.reader().lock_owner().await.unwrap(), None);
    let unnamed = refused(&database).await;
    assert!(unnamed.to_string().contains("in use by another fleetsweep"), "{unnamed}");
    store.announce(&own).await.unwrap();
    store.close().await;
    // After the lock is released, no collector is named, even before the next one has announced itself.
    let reader = Reader::open(&url(&database)).await.unwrap();
    assert_eq!(reader.lock_owner().await.unwrap(), None);
    reader.close().await;
}

async fn a_store_that_is_dropped_gives_up_its_lock(database: Database) {
    let store = open(&database).await;
    let (reader, clone) = (store.reader(), store.clone());
    drop(store);
    refused(&database).await;
    drop(clone);
    // The writer closes it by itself.
    let reopened = async {
        loop {
            match Store::open(&url(&database), &fleetsweep::config::directories::Environment::default()).await {
                Ok(store) => return store,
                Err(error) => assert_eq!(error.kind, StoreErrorKind::InUse),
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let store = tokio::time::timeout(support::SOON, reopened).await.unwrap();
    store.record(plain(1)).await.unwrap();
    assert_eq!(reader.memory().await.unwrap().clients.len(), 1, "a reader outlives its store");
}

/// A lock file can be removed, and the lock on a server is lost with its connection.
async fn a_collector_whose_place_was_taken_stores_nothing_more(database: Database) {
    let first = open(&database).await;
    first.record(plain(1)).await.unwrap();
    database.lose_lock().await;
    let second = open(&database).await;
    assert_eq!(first.record(plain(2)).await.unwrap_err().kind, StoreErrorKind::InUse);
    assert_eq!(first.announce(&owner()).await.unwrap_err().kind, StoreErrorKind::InUse);
    second.record(plain(3)).await.unwrap();
    second.close().await;
    assert_eq!(first.record(plain(4)).await.unwrap_err().kind, StoreErrorKind::InUse, "what it knows is old");
    assert_eq!(database.count("SELECT COUNT(*) FROM v1_samples").await, 2);
}
