//! Opening a file: permissions, errors, and readers at the same time as a collector.

use super::*;

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
    let opened = open::hold(Target::of(DatabaseUrl::plain(&home.url())).unwrap()).await.unwrap();
    let Pool::Sqlite(writes) = &opened.writes else { panic!("not SQLite") };
    for (pragma, expected) in
        [("PRAGMA synchronous", "2"), ("PRAGMA journal_mode", "wal"), ("PRAGMA foreign_keys", "1")]
    {
        let row = sqlx::query(pragma).fetch_one(writes).await.unwrap();
        let found = row.try_get::<i64, _>(0).map_or_else(|_| row.get::<String, _>(0), |number| number.to_string());
        assert_eq!(found, expected, "{pragma}");
    }
}

/// Opening fails with this kind and message.
async fn refuses(url: SecretString, kind: StoreErrorKind, words: &str) {
    let error = Store::open(&url, &Environment::default()).await.err().unwrap();
    assert_eq!(error.kind, kind, "{error}: {:?}", error.source);
    assert!(error.to_string().contains(words), "{error}");
}

#[tokio::test]
async fn what_cannot_be_opened_is_named_with_its_hint() {
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
        let error = Store::open(&bad.into(), &Environment::default()).await.err().unwrap();
        assert_eq!(error.kind, StoreErrorKind::BadUrl, "{bad}");
        assert!(!format!("{error:?}").contains("secret"), "{error:?}");
    }
}

/// Root can write to read-only files, so the URL asks for read-only mode.
#[tokio::test]
async fn a_read_only_file_is_said() {
    let home = Home::new();
    home.open().await.close().await;
    let url = format!("sqlite:{}?mode=ro", home.file().display());
    let error = match Store::open(&url.into(), &Environment::default()).await {
        Ok(store) => store.record(plain(1)).await.unwrap_err(),
        Err(error) => error,
    };
    assert_eq!(error.kind, StoreErrorKind::ReadOnly, "{error}");
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
    // The last connection removes the log, so the next one has to create its index.
    reader.close().await;
    store.close().await;
    assert!(!home.directory.path().join("fleet.db-shm").exists());
    let reader = Reader::open(&home.url()).await.unwrap();
    assert_eq!(reader.memory().await.unwrap().clients.len(), 3);
    let Pool::Sqlite(pool) = connect::for_reading(&Target::of(DatabaseUrl::plain(&home.url())).unwrap()) else {
        panic!("not SQLite")
    };
    assert!(sqlx::query("DELETE FROM clients").execute(&pool).await.is_err());
    // A reader does not prevent a collector either.
    home.open().await.record(plain(4)).await.unwrap();
    assert_eq!(reader.memory().await.unwrap().clients.len(), 4);
}

#[tokio::test]
async fn the_lock_is_of_the_file_whichever_name_leads_there() {
    let home = Home::new();
    let _store = home.open().await;
    let link = home.directory.path().join("link.db");
    std::os::unix::fs::symlink(home.file(), &link).unwrap();
    refuses(url(&link), StoreErrorKind::InUse, "is in use").await;
}
