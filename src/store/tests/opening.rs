//! Opening and closing: what is refused and how that is said; one collector at a time, and readers beside it.

use super::*;

#[tokio::test]
async fn a_closed_store_takes_nothing_more() {
    let home = Home::new();
    let store = home.open().await;
    let waiting = tokio::spawn({
        let store = store.clone();
        async move { store.record(plain(1)).await }
    });
    store.record(plain(2)).await.unwrap();
    store.close().await;
    store.close().await;
    assert_eq!(store.record(plain(3)).await.unwrap_err().kind, StoreErrorKind::Closed);
    assert_eq!(store.mail_counts().await.unwrap_err().kind, StoreErrorKind::Closed);
    let first = waiting.await.unwrap().is_ok();
    assert_eq!(home.count("SELECT COUNT(*) FROM v1_samples").await, 1 + i64::from(first));
}

#[tokio::test]
async fn a_new_file_is_private_and_durable() {
    let home = Home::new();
    let store = home.open().await;
    store.record(plain(1)).await.unwrap();
    for name in ["fleet.db", "fleet.db-wal", "fleet.db-shm", "fleet.db.lock"] {
        let mode = std::fs::metadata(home.directory.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    store.close().await;
    let opened = Target::of(&home.url()).unwrap().hold().await.unwrap();
    let Pool::Sqlite(writes) = &opened.writes else { panic!("not SQLite") };
    for (pragma, expected) in
        [("PRAGMA synchronous", "2"), ("PRAGMA journal_mode", "wal"), ("PRAGMA foreign_keys", "1")]
    {
        let row = sqlx::query(pragma).fetch_one(writes).await.unwrap();
        let found = row.try_get::<i64, _>(0).map_or_else(|_| row.get::<String, _>(0), |number| number.to_string());
        assert_eq!(found, expected, "{pragma}");
    }
}

/// Opening fails, and says how.
async fn refuses(url: SecretString, kind: StoreErrorKind, words: &str) {
    let error = Store::open(&url).await.err().unwrap();
    assert_eq!(error.kind, kind, "{error}: {:?}", error.source);
    assert!(error.to_string().contains(words), "{error}");
}

#[tokio::test]
async fn what_cannot_be_opened_is_named_with_its_mend() {
    let home = Home::new();
    let directory = home.directory.path();
    let missing = directory.join("no").join("fleet.db");
    refuses(url(&missing), StoreErrorKind::Unreachable, &missing.display().to_string()).await;
    refuses(url(directory), StoreErrorKind::Unreachable, "cannot be reached").await;

    let text = directory.join("notes.txt");
    std::fs::write(&text, "a text that is no database at all\n".repeat(100)).unwrap();
    refuses(url(&text), StoreErrorKind::NotADatabase, "is no SQLite database").await;
    assert!(std::fs::read_to_string(&text).unwrap().starts_with("a text"));

    for bad in ["fleet.db", "redis://h", "postgres://user:secret@host:notaport/db", "sqlite::memory:"] {
        let error = Store::open(&bad.into()).await.err().unwrap();
        assert_eq!(error.kind, StoreErrorKind::BadUrl, "{bad}");
        assert!(!format!("{error:?}").contains("secret"), "{error:?}");
    }
}

/// Rights do not bind root, so the file is opened as one that may only be read.
#[tokio::test]
async fn a_read_only_file_is_said() {
    let home = Home::new();
    home.open().await.close().await;
    let url = format!("sqlite:{}?mode=ro", home.file().display());
    let error = match Store::open(&url.into()).await {
        Ok(store) => store.record(plain(1)).await.unwrap_err(),
        Err(error) => error,
    };
    assert_eq!(error.kind, StoreErrorKind::ReadOnly, "{error}");
}

#[tokio::test]
async fn a_schema_from_the_future_is_left_alone() {
    let home = Home::new();
    home.open().await.close().await;
    let change = async |sql| home.change(sql).await;
    change("INSERT INTO fleetsweep_migrations SELECT 7, 'x', installed_on, success, checksum, 0 FROM fleetsweep_migrations LIMIT 1")
        .await;
    let newer = StoreErrorKind::NewerSchema { found: 7, known: 4 };
    refuses(home.url(), newer, "has schema 7").await;
    assert_eq!(Reader::open(&home.url()).await.unwrap_err().kind, newer);
    change("DELETE FROM fleetsweep_migrations WHERE version = 7").await;
    change("UPDATE fleetsweep_migrations SET checksum = x'00'").await;
    refuses(home.url(), StoreErrorKind::OtherSchema, "not this program's").await;
}

#[tokio::test]
async fn a_broken_page_is_said() {
    let home = Home::new();
    let store = home.open().await;
    join_all((0..200).map(|number| store.record(plain(number)))).await;
    store.close().await;
    let mut bytes = std::fs::read(home.file()).unwrap();
    let middle = bytes.len() / 4096 / 2 * 4096;
    bytes[4096..middle].fill(0xa5);
    std::fs::write(home.file(), bytes).unwrap();
    refuses(home.url(), StoreErrorKind::Corrupt, "is damaged").await;
}

fn holder() -> Holder {
    Holder {
        host: "collector-1".into(),
        pid: 4711,
        account: "ops".into(),
        socket: Some("/run/fleetsweep.sock".into()),
        started_at: at(5),
        version: "0.1.0".into(),
    }
}

#[tokio::test]
async fn a_second_collector_is_refused_and_told_who_has_the_database() {
    let home = Home::new();
    let store = home.open().await;
    let unnamed = refused(&home.url()).await;
    assert!(unnamed.to_string().contains("in use by another fleetsweep"), "{unnamed}");
    store.announce(&holder()).await.unwrap();
    let named = refused(&home.url()).await;
    assert_eq!(named.holder.as_deref(), Some(&holder()));
    assert!(named.to_string().contains("in use by pid 4711 of ops on collector-1: end that one"), "{named}");
    // Whichever name leads there.
    let link = home.directory.path().join("link.db");
    std::os::unix::fs::symlink(home.file(), &link).unwrap();
    refused(&url(&link)).await;
    // And it goes on as if nothing had been.
    store.record(plain(1)).await.unwrap();

    store.close().await;
    let store = home.open().await;
    assert_eq!(store.reader().holder().await.unwrap(), None, "who was there before is not taken for who is there now");
    let other = Holder { pid: 4712, socket: None, ..holder() };
    store.announce(&holder()).await.unwrap();
    store.announce(&other).await.unwrap();
    assert_eq!(store.reader().holder().await.unwrap(), Some(other));
}

async fn refused(url: &SecretString) -> StoreError {
    let error = Store::open(url).await.unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::InUse, "{error}");
    error
}

#[tokio::test]
async fn a_store_that_is_dropped_gives_up_its_lock() {
    let home = Home::new();
    let store = home.open().await;
    let (reader, clone) = (store.reader(), store.clone());
    drop(store);
    refused(&home.url()).await;
    drop(clone);
    // Its writer ends on its own.
    let reopened = async {
        loop {
            match Store::open(&home.url()).await {
                Ok(store) => return store,
                Err(error) => assert_eq!(error.kind, StoreErrorKind::InUse),
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let store = tokio::time::timeout(Duration::from_secs(5), reopened).await.unwrap();
    store.record(plain(1)).await.unwrap();
    assert_eq!(reader.memory().await.unwrap().clients.len(), 1, "a reader outlives its store");
}

/// A lock file can be removed, and a server's lock is lost with its connection.
#[tokio::test]
async fn a_collector_whose_place_was_taken_stores_nothing_more() {
    let home = Home::new();
    let first = home.open().await;
    first.record(plain(1)).await.unwrap();
    std::fs::remove_file(home.directory.path().join("fleet.db.lock")).unwrap();
    let second = home.open().await;
    assert_eq!(first.record(plain(2)).await.unwrap_err().kind, StoreErrorKind::InUse);
    assert_eq!(first.announce(&holder()).await.unwrap_err().kind, StoreErrorKind::InUse);
    second.record(plain(3)).await.unwrap();
    second.close().await;
    assert_eq!(first.record(plain(4)).await.unwrap_err().kind, StoreErrorKind::InUse, "what it knows is old");
    assert_eq!(home.count("SELECT COUNT(*) FROM v1_samples").await, 2);
}

#[tokio::test]
async fn a_reader_sees_what_a_collector_writes_and_changes_nothing() {
    let home = Home::new();
    let missing = Reader::open(&home.url()).await.unwrap_err();
    assert_eq!(missing.kind, StoreErrorKind::Unreachable);
    assert!(!home.file().exists());
    std::fs::write(home.file(), "").unwrap();
    let empty = Reader::open(&home.url()).await.unwrap_err();
    assert!(empty.to_string().contains("holds nothing of fleetsweep yet"), "{empty}");
    let store = home.open().await;
    let reader = Reader::open(&home.url()).await.unwrap();
    for number in 1..4 {
        store.record(plain(number)).await.unwrap();
        assert_eq!(reader.memory().await.unwrap().clients.len(), usize::try_from(number).unwrap());
    }
    // The last to leave: no log is left behind, and what opens then has to make its index.
    reader.close().await;
    store.close().await;
    assert!(!home.directory.path().join("fleet.db-shm").exists());
    let reader = Reader::open(&home.url()).await.unwrap();
    assert_eq!(reader.memory().await.unwrap().clients.len(), 3);
    let Pool::Sqlite(pool) = Target::of(&home.url()).unwrap().read().await.unwrap() else { panic!("not SQLite") };
    assert!(sqlx::query("DELETE FROM clients").execute(&pool).await.is_err());
    // Nor does one keep a collector out.
    home.open().await.record(plain(4)).await.unwrap();
    assert_eq!(reader.memory().await.unwrap().clients.len(), 4);
}
