//! Tests that need an SQLite file or private parts of the store. Tests on all databases are in `tests/store`.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use proptest::prelude::*;
use secrecy::SecretString;
use sqlx::{Connection as _, Row as _, SqliteConnection};

use self::records::{at, plain, reading, record, uuid};
use super::{
    pool::Pool,
    target::{DatabaseUrl, Target},
    *,
};
use crate::{
    config::directories::Environment,
    fleet::{self, ClientId, Metric, Reading, SweepId, history::Span},
    store,
};

mod export;
mod losing_file;
mod opening;
mod outage;
#[path = "../../tests/store/records.rs"]
mod records;

struct Home {
    directory: tempfile::TempDir,
}

impl Home {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("fleet.db")
    }

    fn url(&self) -> SecretString {
        url(&self.file())
    }

    async fn open(&self) -> Store {
        Store::open(&self.url(), &Environment::default()).await.unwrap()
    }

    /// Changes the database as another program would.
    async fn change(&self, sql: &str) {
        let mut connection = SqliteConnection::connect(&format!("sqlite:{}", self.file().display())).await.unwrap();
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.unwrap();
    }

    async fn count(&self, sql: &'static str) -> i64 {
        let mut connection = SqliteConnection::connect(&format!("sqlite:{}", self.file().display())).await.unwrap();
        sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap()
    }
}

fn url(file: &Path) -> SecretString {
    format!("sqlite:{}", file.display()).into()
}

#[tokio::test]
async fn a_full_disk_is_said_and_leaves_no_half_collection() {
    let home = Home::new();
    home.open().await.close().await;
    let opened = open::hold(Target::of(DatabaseUrl::plain(&home.url())).unwrap()).await.unwrap();
    let Pool::Sqlite(writes) = &opened.writes else { panic!("not SQLite") };
    // The database can only grow by a few pages, as on a full disk.
    let pages: i64 = sqlx::query_scalar("PRAGMA page_count").fetch_one(writes).await.unwrap();
    let limit = sqlx::AssertSqlSafe(format!("PRAGMA max_page_count = {}", pages + 8));
    sqlx::query(limit).execute(writes).await.unwrap();
    // The spool is on the same disk.
    let store = Store::start(opened, &Environment::default(), 0).await.unwrap();
    let mut stored = 0;
    let error = loop {
        match store.record(Record { changes: Vec::new(), ..record(stored) }).await {
            Ok(()) => stored += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind, StoreErrorKind::Full, "{error:?}");
    assert!(error.to_string().contains("is full: free some space"), "{error}");
    let stored = i64::try_from(stored).unwrap();
    for (table, count) in [
        ("SELECT COUNT(*) FROM v1_collections", stored),
        ("SELECT COUNT(*) FROM v1_cores", 2 * stored),
        ("SELECT COUNT(*) FROM v1_events", stored),
        ("SELECT COUNT(*) FROM v1_mails", stored),
    ] {
        assert_eq!(home.count(table).await, count, "{table}");
    }
}

const CHILD: &str = "FLEETSWEEP_TEST_STORE_CHILD";

/// The test runs itself as the process that is killed.
#[tokio::test]
async fn a_killed_process_loses_nothing_that_was_answered_and_leaves_nothing_half() {
    if let Some(file) = std::env::var_os(CHILD) {
        return write_until_killed(Path::new(&file)).await;
    }
    for answered in [1, 40, 150] {
        let home = Home::new();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["store::tests::a_killed_process_loses_nothing_that_was_answered_and_leaves_nothing_half", "--exact"])
            .arg("--nocapture")
            .env(CHILD, home.file())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let stored: Vec<u128> =
            lines.filter_map(|line| line.strip_prefix("stored ")?.parse().ok()).take(answered).collect();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(stored.len(), answered, "the child ended too early");

        let store = home.open().await;
        let mails = store.mails_due(at(0), Due::All, None, 1_000_000).await.unwrap();
        for number in &stored {
            assert!(mails.iter().any(|due| due.mail.id == uuid(*number)), "the mail of {number} is lost");
        }
        let all = i64::try_from(mails.len()).unwrap();
        for (table, count) in [
            ("SELECT COUNT(*) FROM v1_collections", all),
            ("SELECT COUNT(*) FROM v1_cores", 2 * all),
            ("SELECT COUNT(*) FROM v1_events", all),
            ("SELECT COUNT(*) FROM pragma_foreign_key_check", 0),
            ("SELECT COUNT(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'", 0),
        ] {
            assert_eq!(home.count(table).await, count, "{table}");
        }
    }
}

async fn write_until_killed(file: &Path) {
    let store = Store::open(&url(file), &Environment::default()).await.unwrap();
    let writers = (0..8_u128).map(|writer| {
        let store = store.clone();
        async move {
            for number in 0.. {
                let number = writer * 1_000_000 + number;
                store.record(Record { changes: Vec::new(), ..record(number) }).await.unwrap();
                let mut out = std::io::stdout().lock();
                writeln!(out, "stored {number}").unwrap();
            }
        }
    });
    join_all(writers).await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn a_thinned_history_is_bounded_ordered_and_within_its_span(
        span in prop::sample::select(Span::ALL.to_vec()),
        every_ms in 1_000_i64..600_000,
        shift in 0_i64..600_000,
    ) {
        // More than there are points.
        const RECORDS: i64 = 500;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let points = runtime.block_on(async {
            let home = Home::new();
            let store = home.open().await;
            let times = (0..RECORDS).map(|number| shift + number * every_ms);
            let records = times.enumerate().map(|(number, ms)| {
                let reading = Reading { cores: Vec::new(), ..reading() };
                let outcome = Outcome::Collected(Box::new(reading));
                Record { client: ClientId::new("10.0.4.1", 22), started_at: at(ms), outcome, ..plain(number as u128) }
            });
            join_all(records.map(|record| store.record(record))).await.into_iter().collect::<Result<(), _>>().unwrap();
            store.reader().history(&ClientId::new("10.0.4.1", 22), span, at(shift + RECORDS * every_ms)).await.unwrap()
        });
        prop_assert!(points.len() <= 400, "{}", points.len());
        prop_assert!(points.iter().map(|point| point.at).is_sorted_by(|a, b| a < b));
        let from = at(shift + RECORDS * every_ms - span.milliseconds());
        prop_assert!(points.iter().all(|point| point.at > from));
        prop_assert!(points.iter().all(|point| point.cpu_percent == Some(62.5)));
    }
}
