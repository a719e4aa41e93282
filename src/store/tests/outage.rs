//! A database that is away during a run: another program locks an SQLite file for longer than the store waits.

use super::{records::mail, *};
use crate::fleet::{Failure, FailureKind, Stage, audit::AuditAction, event::Trigger};

const VIEWS: [&str; 8] = [
    "SELECT * FROM v1_samples",
    "SELECT * FROM v1_latest",
    "SELECT * FROM v1_cores",
    "SELECT * FROM v1_collections",
    "SELECT * FROM v1_alerts",
    "SELECT * FROM v1_events",
    "SELECT * FROM v1_audit",
    "SELECT * FROM v1_mails",
];

/// The time limit of all waits. An attempt takes five seconds while the file is locked.
const SOON: Duration = Duration::from_secs(60);

/// The transaction of another program.
struct Held(SqliteConnection);

impl Held {
    async fn of(home: &Home) -> Self {
        let mut connection = SqliteConnection::connect(&format!("sqlite:{}", home.file().display())).await.unwrap();
        sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut connection).await.unwrap();
        Self(connection)
    }

    async fn release(mut self) {
        sqlx::raw_sql("ROLLBACK").execute(&mut self.0).await.unwrap();
    }
}

impl Home {
    async fn rows(&self, sql: &'static str) -> Vec<String> {
        let mut connection = SqliteConnection::connect(&format!("sqlite:{}", self.file().display())).await.unwrap();
        let rows = sqlx::query(sql).fetch_all(&mut connection).await.unwrap();
        let shown = |row: &sqlx::sqlite::SqliteRow| {
            let cell = |index| row.try_get_unchecked::<Option<String>, _>(index).unwrap().unwrap_or("NULL".into());
            (0..row.len()).map(cell).collect::<Vec<_>>().join("|")
        };
        rows.iter().map(shown).collect()
    }

    fn spool(&self, end: &str) -> Option<PathBuf> {
        let directory = self.directory.path().join("fleet.db.spool");
        let entries = std::fs::read_dir(directory).into_iter().flatten().map(|entry| entry.unwrap().path());
        entries.into_iter().find(|path| path.to_str().unwrap().ends_with(end))
    }

    async fn all(&self) -> String {
        let mut all = String::new();
        for view in VIEWS.into_iter().chain(["SELECT * FROM sweeps", "SELECT id, collection_uuid FROM collections"]) {
            all.push_str(&format!("{view}\n\n{}\n\n", self.rows(view).await.join("\n\n")));
        }
        all
    }
}

/// A sweep with a change of each kind.
async fn sweep(store: &Store) {
    let sweep = SweepId(uuid(1));
    store.sweep_started(sweep, 1, Trigger::Schedule, at(0), 3).await.unwrap();
    store.record(record(1)).await.unwrap();
    let mut failed = plain(2);
    failed.outcome = Outcome::Failed(Failure::new(Stage::Connect, FailureKind::Refused).because("os error 111"));
    failed.state.failed_in_a_row = 1;
    store.record(failed).await.unwrap();
    store.record(Record { changes: Vec::new(), mails: vec![mail(9, 30)], ..record(3) }).await.unwrap();
    store.audit(at(20), "root", AuditAction::Pause, "schedule", "").await.unwrap();
    store.queue(mail(7, 20)).await.unwrap();
    store.mail_sent(uuid(1), at(40), "250 Ok").await.unwrap();
    store.mail_deferred(uuid(7), 1, at(99), "451 later").await.unwrap();
    store.mail_refused(uuid(9), at(41), "550 no such user").await.unwrap();
    store.sweep_ended(sweep, at(50), 50, 2, 1).await.unwrap();
}

#[tokio::test]
async fn what_comes_meanwhile_is_stored_afterwards_as_if_nothing_had_been() {
    let (home, other) = (Home::new(), Home::new());
    let (store, direct) = (home.open().await, other.open().await);
    sweep(&direct).await;
    let held = Held::of(&home).await;
    sweep(&store).await;
    assert_eq!((store.is_away(), store.waiting()), (true, 10));
    let status = store.status().borrow().clone();
    assert_eq!(status.away.map(|away| away.why.kind), Some(StoreErrorKind::Locked));
    assert_eq!(home.count("SELECT count(*) FROM collections").await, 0);
    assert!(home.spool(".jsonl").is_some());
    let refused =
        store.acknowledge(&record(1).client, &Metric::Cpu.into(), uuid(100), at(60), "ops").await.unwrap_err();
    assert_eq!(refused.kind, StoreErrorKind::Away);
    assert!(refused.to_string().contains("is away for now, and changes wait for it: try again"), "{refused}");
    held.release().await;
    assert_eq!(store.settle(SOON).await, 0);
    assert_eq!(home.all().await, other.all().await);
    assert_eq!(home.spool(".jsonl"), None);
    let status = store.status().borrow().clone();
    assert!(status.away.is_none());
    assert_eq!(status.ended.map(|ended| (ended.number, ended.stored)), Some((1, 10)));
    store.acknowledge(&record(1).client, &Metric::Cpu.into(), uuid(100), at(60), "ops").await.unwrap();
}

#[tokio::test]
async fn what_waits_at_the_end_is_stored_by_the_next_start_before_anything_is_read() {
    let (home, other) = (Home::new(), Home::new());
    let (store, direct) = (home.open().await, other.open().await);
    sweep(&direct).await;
    let held = Held::of(&home).await;
    sweep(&store).await;
    store.close().await;
    let spool = home.spool(".jsonl").unwrap();
    let kept = std::fs::read(&spool).unwrap();
    // Still locked: this is reported, and the spool stays.
    let away = Store::open(&home.url(), &Environment::default()).await.unwrap_err();
    assert_eq!(away.kind, StoreErrorKind::Locked);
    assert_eq!(std::fs::read(&spool).unwrap(), kept);
    held.release().await;
    let store = home.open().await;
    assert_eq!(store.reader().client_states().await.unwrap(), direct.reader().client_states().await.unwrap());
    assert_eq!(home.all().await, other.all().await);
    store.close().await;

    // Killed after the commit and before the spool was removed: the spool is still there, but nothing is stored twice.
    std::fs::write(&spool, &kept).unwrap();
    let store = home.open().await;
    assert_eq!(home.all().await, other.all().await);
    assert_eq!(home.spool(".jsonl"), None);
    store.close().await;

    // Killed between two batches: the rest is not in the database yet.
    home.change("DELETE FROM sweeps; DELETE FROM audit_entries; UPDATE collectors SET spool_position = 0").await;
    std::fs::write(&spool, &kept).unwrap();
    let lines: Vec<&[u8]> = kept.split_inclusive(|byte| *byte == b'\n').collect();
    let position: usize = lines[..10].iter().map(|line| line.len()).sum();
    home.change(&format!("UPDATE collectors SET spool_position = {position}")).await;
    home.change(
        "INSERT INTO sweeps SELECT '00000000-0000-0000-0000-000000000001', 1, 'schedule', 0, NULL, NULL, 3, 0, 0, NULL",
    )
    .await;
    home.open().await.close().await;
    assert_eq!(home.count("SELECT count(*) FROM sweeps WHERE ended_at_ms IS NOT NULL AND ok_count = 2").await, 1);
    assert_eq!(home.count("SELECT count(*) FROM audit_entries").await, 0);
    assert_eq!(home.count("SELECT count(*) FROM collections").await, 3);
}

#[tokio::test]
async fn a_transaction_whose_answer_was_lost_is_not_stored_again() {
    let home = Home::new();
    let store = home.open().await;
    let held = Held::of(&home).await;
    store.record(record(1)).await.unwrap();
    store.record(plain(2)).await.unwrap();
    store.close().await;
    held.release().await;
    let spool = home.spool(".jsonl").unwrap();
    let kept = std::fs::read(&spool).unwrap();
    home.open().await.close().await;
    assert_eq!(home.count("SELECT count(*) FROM collections").await, 2);

    // The same with another spool, whose first change was tried in the last transaction of the database.
    let text = String::from_utf8(kept).unwrap();
    let tried = text.split_once("\"tried\":\"").unwrap().1.split_once('"').unwrap().0.to_owned();
    home.change(&format!("UPDATE collectors SET last_write = '{tried}', spool_uuid = NULL, spool_position = NULL"))
        .await;
    home.change("DELETE FROM collections WHERE id = 2; UPDATE clients SET latest_collection = NULL WHERE id = 2").await;
    std::fs::write(&spool, text).unwrap();
    home.open().await.close().await;
    let found =
        home.rows("SELECT c.id, k.ip FROM collections c JOIN clients k ON k.id = c.client_id ORDER BY c.id").await;
    assert_eq!(found, ["1|10.0.4.1", "2|10.0.5.2"]);
}

#[tokio::test]
async fn what_the_database_rejects_is_set_aside_and_holds_up_nothing() {
    let home = Home::new();
    let store = home.open().await;
    store.record(record(1)).await.unwrap();
    let held = Held::of(&home).await;
    store.record(plain(2)).await.unwrap();
    // Its mail is stored already.
    store.record(record(1)).await.unwrap();
    store.record(plain(3)).await.unwrap();
    held.release().await;
    assert_eq!(store.settle(SOON).await, 0);
    assert_eq!(home.count("SELECT count(*) FROM collections").await, 3);
    let aside = std::fs::read_to_string(home.spool(".rejected").unwrap()).unwrap();
    assert_eq!(aside.lines().count(), 1);
    assert!(aside.contains(&uuid(1_001).to_string()), "{aside}");
    store.record(plain(4)).await.unwrap();
    assert_eq!((home.count("SELECT count(*) FROM collections").await, store.is_away()), (4, false));
}

#[tokio::test]
async fn a_full_spool_is_said_and_what_was_kept_before_is_stored() {
    let home = Home::new();
    home.open().await.close().await;
    let opened = open::hold(Target::of(DatabaseUrl::plain(&home.url())).unwrap()).await.unwrap();
    let store = Store::start(opened, &Environment::default(), 4096).await.unwrap();
    let held = Held::of(&home).await;
    let mut kept = 0;
    let error = loop {
        match store.record(plain(10 + kept)).await {
            Ok(()) => kept += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind, StoreErrorKind::SpoolFull);
    assert!(error.to_string().contains("is away, and its spool is full (256 MiB)"), "{error}");
    assert!(kept > 0);
    held.release().await;
    assert_eq!(store.settle(SOON).await, 0);
    assert_eq!(home.count("SELECT count(*) FROM collections").await, i64::try_from(kept).unwrap());
}

#[tokio::test]
async fn a_full_disk_is_away_until_there_is_room_again() {
    // The transaction ends differently, depending on the statement that finds no room.
    for room_pages in [4, 8, 16, 64] {
        let home = Home::new();
        home.open().await.close().await;
        let opened = open::hold(Target::of(DatabaseUrl::plain(&home.url())).unwrap()).await.unwrap();
        let Pool::Sqlite(writes) = opened.writes.clone() else { panic!("not SQLite") };
        // A limit of the connection.
        let limit = async |pages: i64| {
            let limit = sqlx::AssertSqlSafe(format!("PRAGMA max_page_count = {pages}"));
            sqlx::query(limit).execute(&writes).await.unwrap();
        };
        let pages: i64 = sqlx::query_scalar("PRAGMA page_count").fetch_one(&writes).await.unwrap();
        limit(pages + room_pages).await;
        let store = Store::start(opened, &Environment::default(), spool::MOST_BYTES).await.unwrap();
        let mut stored = 0;
        while !store.is_away() {
            store.record(plain(stored)).await.unwrap();
            stored += 1;
        }
        let why = store.status().borrow().away.as_ref().map(|away| away.why.kind);
        assert_eq!(why, Some(StoreErrorKind::Full), "{room_pages}");
        limit(i64::from(u32::MAX) - 1).await;
        assert_eq!(store.settle(SOON).await, 0, "{room_pages}: {:?}", store.status().borrow());
        assert_eq!(home.count("SELECT count(*) FROM collections").await, i64::try_from(stored).unwrap());
    }
}
