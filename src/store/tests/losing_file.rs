//! An SQLite file that is removed, moved, replaced or emptied while it is in use.

use std::fs;

use super::*;

/// The time limit of all waits. A missing file is checked for every few seconds.
const SOON: Duration = Duration::from_secs(60);

impl Home {
    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A database in its own directory, open, with one collection.
    async fn with_one() -> (Self, Store, PathBuf) {
        let home = Self::new();
        fs::create_dir(home.path("data")).unwrap();
        let path = home.path("data/fleet.db");
        let store = open(&path).await;
        store.record(plain(1)).await.unwrap();
        (home, store, path)
    }
}

async fn open(path: &Path) -> Store {
    let state = path.ancestors().nth(2).unwrap().join("state");
    let environment = Environment { state_directory: Some(state.into()), ..Environment::default() };
    Store::open(&url(path), &environment).await.unwrap()
}

/// The collections in a file, in order.
async fn collections(path: &Path) -> Vec<String> {
    let mut connection = SqliteConnection::connect(&format!("sqlite:{}", path.display())).await.unwrap();
    let found = sqlx::query_scalar("SELECT collection_uuid FROM collections ORDER BY id").fetch_all(&mut connection);
    let found = found.await.unwrap();
    connection.close().await.unwrap();
    found
}

fn uuids(numbers: impl IntoIterator<Item = u128>) -> Vec<String> {
    numbers.into_iter().map(|number| plain(number).collection.to_string()).collect()
}

fn why(store: &Store) -> Option<StoreErrorKind> {
    store.status().borrow().away.as_ref().map(|away| away.why.kind)
}

async fn until(what: &str, store: &Store, wanted: impl Fn(&Store) -> bool) {
    let waited = async {
        while !wanted(store) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(tokio::time::timeout(SOON, waited).await.is_ok(), "{what}: {:?}", store.status().borrow());
}

#[tokio::test]
async fn what_is_collected_after_the_file_was_removed_waits_for_a_file() {
    let (_home, store, path) = Home::with_one().await;
    fs::remove_file(&path).unwrap();
    store.record(plain(2)).await.unwrap();
    assert_eq!((why(&store), store.waiting()), (Some(StoreErrorKind::Missing), 1));
    let error = store.reader().client_states().await.unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Unreachable, "{error}");
    store.record(plain(3)).await.unwrap();
    assert!(!path.exists(), "nobody asked for a new database");
    fs::write(&path, "").unwrap();
    assert_eq!(store.settle(SOON).await, 0);
    assert_eq!(collections(&path).await, uuids([2, 3]));
    store.record(plain(4)).await.unwrap();
    assert_eq!(store.reader().client_states().await.unwrap().len(), 3);
    store.close().await;
    assert_eq!(collections(&path).await, uuids([2, 3, 4]));
}

#[tokio::test]
async fn a_file_that_was_moved_away_and_back_has_everything_once() {
    let (home, store, path) = Home::with_one().await;
    let away = home.path("away.db");
    fs::rename(&path, &away).unwrap();
    store.record(plain(2)).await.unwrap();
    assert_eq!(why(&store), Some(StoreErrorKind::Missing));
    assert_eq!(collections(&away).await, uuids([1]), "what was in the log went with the file");
    fs::rename(&away, &path).unwrap();
    assert_eq!(store.settle(SOON).await, 0);
    store.close().await;
    assert_eq!(collections(&path).await, uuids([1, 2]));
}

#[tokio::test]
async fn another_database_in_the_same_place_is_taken_up_with_its_lock_and_holder() {
    let (home, store, path) = Home::with_one().await;
    let owner = LockOwner {
        host: "collector-1".into(),
        pid: 4711,
        account: "ops".into(),
        socket: None,
        started_at: at(5),
        version: "0.1.0".into(),
        mode: None,
        mark: None,
        is_ending: false,
    };
    store.announce(&owner).await.unwrap();
    fs::create_dir(home.path("others")).unwrap();
    let (other, old) = (home.path("others/other.db"), home.path("old.db"));
    let second = open(&other).await;
    second.record(plain(7)).await.unwrap();
    second.close().await;
    fs::rename(&path, &old).unwrap();
    fs::rename(&other, &path).unwrap();
    store.record(plain(2)).await.unwrap();
    assert_eq!(why(&store), Some(StoreErrorKind::Replaced));
    assert_eq!(store.settle(SOON).await, 0);
    assert_eq!(store.reader().lock_owner().await.unwrap(), Some(owner));
    let refused = Store::open(&url(&path), &Environment::default()).await.unwrap_err();
    assert_eq!(refused.kind, StoreErrorKind::InUse);
    store.close().await;
    assert_eq!(collections(&path).await, uuids([7, 2]));
    assert_eq!(collections(&old).await, uuids([1]));
}

#[tokio::test]
async fn nothing_else_is_taken_for_the_database() {
    let (home, store, path) = Home::with_one().await;
    let old = home.path("old.db");
    fs::rename(&path, &old).unwrap();
    store.record(plain(2)).await.unwrap();

    fs::write(&path, "a text that is no database at all\n".repeat(100)).unwrap();
    until("a text", &store, |store| why(store) == Some(StoreErrorKind::Replaced)).await;
    store.record(plain(3)).await.unwrap();
    assert!(fs::read_to_string(&path).unwrap().starts_with("a text"));
    fs::remove_file(&path).unwrap();
    until("nothing", &store, |store| why(store) == Some(StoreErrorKind::Missing)).await;

    fs::create_dir(&path).unwrap();
    until("a directory", &store, |store| why(store) == Some(StoreErrorKind::Replaced)).await;
    fs::remove_dir(&path).unwrap();
    until("nothing again", &store, |store| why(store) == Some(StoreErrorKind::Missing)).await;

    let foreign = home.path("foreign.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&foreign).create_if_missing(true);
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::raw_sql("CREATE TABLE theirs (a INT)").execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    let before = fs::read(&foreign).unwrap();
    fs::rename(&foreign, &path).unwrap();
    until("another program's", &store, |store| why(store) == Some(StoreErrorKind::Replaced)).await;
    store.record(plain(4)).await.unwrap();
    assert_eq!(fs::read(&path).unwrap(), before);

    fs::rename(&old, &path).unwrap();
    assert_eq!(store.settle(SOON).await, 0);
    store.close().await;
    assert_eq!(collections(&path).await, uuids([1, 2, 3, 4]));
}

#[tokio::test]
async fn a_log_that_is_removed_takes_nothing_with_it() {
    let (_home, store, path) = Home::with_one().await;
    store.record(plain(2)).await.unwrap();
    for end in ["-wal", "-shm"] {
        let mut name = path.clone().into_os_string();
        name.push(end);
        fs::remove_file(name).unwrap();
    }
    store.record(plain(3)).await.unwrap();
    assert_eq!(store.settle(SOON).await, 0);
    store.record(plain(4)).await.unwrap();
    assert_eq!(collections(&path).await, uuids([1, 2, 3, 4]), "others see it");
    store.close().await;
    assert_eq!(collections(&path).await, uuids([1, 2, 3, 4]));
}

#[tokio::test]
async fn a_directory_that_is_renamed_takes_the_lock_with_it() {
    let (home, store, path) = Home::with_one().await;
    let (data, elsewhere) = (home.path("data"), home.path("elsewhere"));
    fs::rename(&data, &elsewhere).unwrap();
    store.record(plain(2)).await.unwrap();
    assert_eq!(why(&store), Some(StoreErrorKind::Missing));
    fs::create_dir(&data).unwrap();
    fs::copy(elsewhere.join("fleet.db"), &path).unwrap();
    assert_eq!(store.settle(SOON).await, 0);
    let refused = Store::open(&url(&path), &Environment::default()).await.unwrap_err();
    assert_eq!(refused.kind, StoreErrorKind::InUse);
    store.close().await;
    assert_eq!(collections(&path).await, uuids([1, 2]));
    assert_eq!(collections(&elsewhere.join("fleet.db")).await, uuids([1]));
}

#[tokio::test]
async fn an_emptied_file_is_not_written_on() {
    let (home, store, path) = Home::with_one().await;
    store.close().await;
    let backup = home.path("backup.db");
    fs::copy(&path, &backup).unwrap();
    let store = open(&path).await;
    store.record(plain(2)).await.unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_len(0).unwrap();
    store.record(plain(3)).await.unwrap();
    assert_eq!(why(&store), Some(StoreErrorKind::Replaced));
    fs::rename(&backup, &path).unwrap();
    assert_eq!(store.settle(SOON).await, 0);
    store.close().await;
    assert_eq!(collections(&path).await, uuids([1, 3]));
}

#[tokio::test]
async fn a_file_that_is_lost_is_noticed_when_nothing_is_written() {
    let (_home, store, path) = Home::with_one().await;
    fs::remove_file(&path).unwrap();
    until("the loss", &store, |store| why(store) == Some(StoreErrorKind::Missing)).await;
    assert_eq!(store.waiting(), 0);
}

#[tokio::test]
async fn a_reader_on_its_own_reads_what_lies_there_now() {
    let (home, store, path) = Home::with_one().await;
    let reader = Reader::open(&url(&path)).await.unwrap();
    assert_eq!(reader.memory().await.unwrap().clients.len(), 1);
    fs::create_dir(home.path("others")).unwrap();
    let other = home.path("others/other.db");
    let second = open(&other).await;
    second.close().await;
    store.close().await;
    fs::rename(&other, &path).unwrap();
    assert_eq!(reader.memory().await.unwrap().clients.len(), 0);
}

/// Changes of the file between the checks before and after a transaction.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_is_there_once_however_often_the_file_comes_and_goes() {
    let (home, store, path) = Home::with_one().await;
    let away = home.path("away.db");
    let stop = Arc::new(AtomicBool::new(false));
    let writing = tokio::spawn({
        let (store, stop) = (store.clone(), stop.clone());
        async move {
            let mut number = 2;
            while !stop.load(Ordering::Relaxed) {
                store.record(plain(number)).await.unwrap();
                number += 1;
                // Without a pause, most of the time would pass with storing what waited.
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            number
        }
    });
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_millis(30)).await;
        fs::rename(&path, &away).unwrap();
        until("the loss", &store, Store::is_away).await;
        fs::rename(&away, &path).unwrap();
        until("the return", &store, |store| !store.is_away()).await;
    }
    stop.store(true, Ordering::Relaxed);
    let next = writing.await.unwrap();
    assert_eq!(store.settle(SOON).await, 0);
    store.close().await;
    assert_eq!(collections(&path).await, uuids(1..next));
}
