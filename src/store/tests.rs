//! The store as a whole, on real SQLite files.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use futures_util::future::join_all;
use sqlx::{Column as _, Connection as _, Row as _, SqliteConnection, TypeInfo as _, ValueRef as _};

use super::{pool::Pool, *};
use crate::fleet::{
    Bytes, Failure, FailureKind, Percent, Reading, Stage,
    judge::{Change, Notice, NoticeReason, OpenAlert, RuleState, Step},
    mail::MailKind,
    reading::{FileSystem, Usage},
    security::{EventAccess, SecurityEvent, SecurityLog},
};

mod attachments;
mod look_back;
mod migration;
mod opening;
mod past;
mod retention;

const AT: i64 = 1_700_000_000_000;

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(AT + ms).unwrap()
}

fn uuid(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

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
        Store::open(&self.url()).await.unwrap()
    }

    /// What another program sees: each row as `column=value …`.
    async fn rows(&self, sql: &'static str) -> Vec<String> {
        let mut connection = SqliteConnection::connect(&format!("sqlite:{}", self.file().display())).await.unwrap();
        let rows = sqlx::query(sql).fetch_all(&mut connection).await.unwrap();
        rows.iter().map(shown).collect()
    }

    /// What another program changes.
    async fn change(&self, sql: &'static str) {
        let mut connection = SqliteConnection::connect(&format!("sqlite:{}", self.file().display())).await.unwrap();
        sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
    }

    async fn count(&self, sql: &'static str) -> i64 {
        let mut connection = SqliteConnection::connect(&format!("sqlite:{}", self.file().display())).await.unwrap();
        sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap()
    }
}

fn url(file: &Path) -> SecretString {
    format!("sqlite:{}", file.display()).into()
}

fn shown(row: &sqlx::sqlite::SqliteRow) -> String {
    let cells = row.columns().iter().map(|column| {
        let raw = row.try_get_raw(column.ordinal()).unwrap();
        let value = if raw.is_null() {
            "NULL".to_owned()
        } else {
            match raw.type_info().name() {
                "INTEGER" => row.get::<i64, _>(column.ordinal()).to_string(),
                "REAL" => format!("{:?}", row.get::<f64, _>(column.ordinal())),
                _ => format!("{:?}", row.get::<String, _>(column.ordinal())),
            }
        };
        format!("{}={value}", column.name())
    });
    cells.collect::<Vec<_>>().join("\n")
}

fn reading() -> Reading {
    Reading {
        host_name: Some("db-1".into()),
        os_family: Some("linux".into()),
        os_version: None,
        kernel: None,
        architecture: None,
        cpu: Some(Percent::new(62.5).unwrap()),
        cores: vec![Percent::new(25.0).unwrap(), Percent::HUNDRED],
        memory: Some(Usage { total: Bytes(1000), used: Bytes(750) }),
        swap: None,
        uptime_seconds: Some(86_400),
        load: Some([1.5, 1.0, 0.5]),
        file_systems: vec![FileSystem {
            mount: "/".into(),
            kind: "ext4".into(),
            total: Bytes(100),
            used: Bytes(50),
            available: Bytes(50),
        }],
        interfaces: Vec::new(),
        top_cpu: Vec::new(),
        top_memory: Vec::new(),
        warnings: vec!["swap: none".into()],
        agent_version: "0.1.0".into(),
        clock_ahead_ms: Some(-3),
    }
}

fn mail(number: u128, created_ms: i64) -> Mail {
    Mail {
        id: uuid(number),
        kind: MailKind::Alert,
        recipient: "ops@example.com".into(),
        subject: "cpu 62.5 % ☎".into(),
        body: "two\nlines".into(),
        attachments: Vec::new(),
        created_at: at(created_ms),
    }
}

fn alert() -> OpenAlert {
    OpenAlert {
        id: uuid(100),
        raised_at: at(10),
        limit: 20.0,
        value: 62.5,
        peak: 62.5,
        last_mail_at: Some(at(10)),
        acknowledged_at: None,
    }
}

fn state(alert: Option<OpenAlert>, over_in_a_row: u32) -> ClientState {
    ClientState { failed_in_a_row: 0, rules: [(Metric::Cpu, RuleState { over_in_a_row, alert })].into() }
}

/// A collection that raises an alert, brings an event and decides a mail.
fn record(number: u128) -> Record {
    Record {
        sweep: SweepId(uuid(1)),
        collection: uuid(1_000 + number),
        client: ClientId::new("10.0.4.1", 22),
        client_name: "db".into(),
        started_at: at(0),
        duration_ms: 10,
        attempts: 1,
        stages: vec![(Stage::Connect, at(1)), (Stage::Execute, at(4))],
        outcome: Outcome::Collected(Box::new(reading())),
        state: state(Some(alert()), 3),
        changes: vec![Change {
            metric: Metric::Cpu,
            alert: alert(),
            step: Step::Raised,
            notice: Notice::Send(NoticeReason::Raised),
        }],
        security: Some(SecurityLog {
            channel: "journal".into(),
            access: EventAccess::Read,
            bookmark: Some("s=1".into()),
            truncated: false,
            events: vec![SecurityEvent {
                record_id: "s=1;i=2".into(),
                event_id: None,
                level: "warning".into(),
                occurred_unix_ms: AT - 5,
                source: "sshd".into(),
                user: Some("root".into()),
                message: "Failed password for root".into(),
                data: vec![("pid".into(), "42".into())],
            }],
        }),
        mails: vec![mail(number, 10)],
    }
}

/// One without alert, event and mail, of a client of its own.
fn plain(number: u128) -> Record {
    Record {
        client: ClientId::new(format!("10.0.5.{number}"), 22),
        state: ClientState::default(),
        changes: Vec::new(),
        security: None,
        mails: Vec::new(),
        ..record(number)
    }
}

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

#[tokio::test]
async fn a_record_is_seen_through_the_views() {
    let home = Home::new();
    let store = home.open().await;
    store.record(record(1)).await.unwrap();
    let mut failed = plain(2);
    failed.client = ClientId::new("fe80::1", 2222);
    failed.outcome = Outcome::Failed(Failure::new(Stage::Connect, FailureKind::Refused).because("os error 111"));
    failed.state.failed_in_a_row = 1;
    failed.attempts = 2;
    store.record(failed).await.unwrap();
    store.audit(at(20), "root", "acknowledge", "10.0.4.1:22", "cpu").await.unwrap();
    let mut all = String::new();
    for view in VIEWS {
        all.push_str(&format!("{view}\n\n{}\n\n", home.rows(view).await.join("\n\n")));
    }
    insta::assert_snapshot!(all);
}

#[tokio::test]
async fn what_was_recorded_is_known_after_a_restart() {
    let home = Home::new();
    let store = home.open().await;
    store.record(record(1)).await.unwrap();
    let mut failed = plain(2);
    failed.outcome = Outcome::Failed(Failure::new(Stage::Connect, FailureKind::TimedOut));
    failed.state.failed_in_a_row = 4;
    store.record(failed).await.unwrap();
    store.close().await;

    let store = home.open().await;
    let expected: HashMap<_, _> = [
        (ClientId::new("10.0.4.1", 22), state(Some(alert()), 3)),
        (ClientId::new("10.0.5.2", 22), ClientState { failed_in_a_row: 4, ..ClientState::default() }),
    ]
    .into();
    assert_eq!(store.client_states().await.unwrap(), expected);
    assert_eq!(store.bookmarks().await.unwrap(), [(ClientId::new("10.0.4.1", 22), "s=1".to_owned())].into());
    let client = ClientId::new("10.0.4.1", 22);
    assert_eq!(store.reader().latest_reading(&client).await.unwrap(), Some((at(10), reading())));
    assert_eq!(store.reader().latest_reading(&ClientId::new("10.0.5.2", 22)).await.unwrap(), None);
}

#[tokio::test]
async fn an_alert_goes_on_and_ends() {
    let home = Home::new();
    let store = home.open().await;
    store.record(record(1)).await.unwrap();
    let with = |number: u128, step, value, over| {
        let alert = OpenAlert { value, peak: 80.0, last_mail_at: Some(at(20)), ..alert() };
        let open = matches!(step, Step::Raised | Step::Continues).then(|| alert.clone());
        Record {
            started_at: at(1_000 * i64::try_from(number).unwrap()),
            changes: vec![Change { metric: Metric::Cpu, alert, step, notice: Notice::Send(NoticeReason::Reminder) }],
            state: state(open, over),
            mails: Vec::new(),
            ..record(number)
        }
    };
    store.record(with(2, Step::Continues, 80.0, 4)).await.unwrap();
    let states = store.client_states().await.unwrap();
    let open = states[&ClientId::new("10.0.4.1", 22)].rules[&Metric::Cpu].clone();
    assert_eq!((open.over_in_a_row, open.alert.map(|alert| (alert.value, alert.peak))), (4, Some((80.0, 80.0))));

    store.record(with(3, Step::Resolved, 5.0, 0)).await.unwrap();
    assert_eq!(store.client_states().await.unwrap()[&ClientId::new("10.0.4.1", 22)], ClientState::default());
    assert_eq!(
        home.rows("SELECT value, raised_at_ms, resolved_at_ms, last_mail_at_ms FROM v1_alerts").await,
        [format!("value=5.0\nraised_at_ms={}\nresolved_at_ms={}\nlast_mail_at_ms={}", AT + 10, AT + 3_010, AT + 20)]
    );
}

#[tokio::test]
async fn history_is_newest_last_and_skips_what_was_not_measured() {
    let home = Home::new();
    let store = home.open().await;
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
    assert_eq!(home.rows("SELECT collected_at_ms FROM v1_latest").await, [format!("collected_at_ms={}", AT + 4_010)]);
}

#[tokio::test]
async fn the_outbox_keeps_every_mail_until_it_is_taken_or_refused() {
    let home = Home::new();
    let store = home.open().await;
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
            next_at: at(1_000),
            last_error: Some("451 later".into())
        }]
    );
    assert_eq!(store.mail_counts().await.unwrap(), MailCounts { waiting: 2, sent: 1, refused: 1 });
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

#[tokio::test]
async fn many_records_share_a_transaction() {
    let home = Home::new();
    let store = home.open().await;
    let stored = join_all((0..500).map(|number| store.record(plain(number)))).await;
    assert!(stored.iter().all(Result::is_ok));
    assert_eq!(home.count("SELECT COUNT(*) FROM v1_samples").await, 500);
    assert!(store.transactions() <= 10, "{} transactions", store.transactions());
}

#[tokio::test]
async fn a_record_that_fails_leaves_nothing_and_harms_nobody() {
    let home = Home::new();
    let store = home.open().await;
    store.queue(mail(3, 0)).await.unwrap();
    // Its mail, the last thing written, is there already.
    let records = (0..6).map(|number| if number == 3 { record(3) } else { plain(number) });
    let stored = join_all(records.map(|record| store.record(record))).await;
    for (number, stored) in stored.iter().enumerate() {
        assert_eq!(stored.as_ref().err().map(|error| error.kind), (number == 3).then_some(StoreErrorKind::Rejected));
    }
    assert_eq!(home.count("SELECT COUNT(*) FROM v1_samples").await, 5);
    for (table, count) in [
        ("SELECT COUNT(*) FROM clients WHERE ip = '10.0.4.1'", 0),
        ("SELECT COUNT(*) FROM alerts", 0),
        ("SELECT COUNT(*) FROM security_events", 0),
        ("SELECT COUNT(*) FROM rule_states", 0),
        ("SELECT COUNT(*) FROM mails", 1),
        ("SELECT COUNT(*) FROM cores", 10),
    ] {
        assert_eq!(home.count(table).await, count, "{table}");
    }
    assert_eq!(store.bookmarks().await.unwrap(), HashMap::new());
    // And it can be stored once its fault is gone.
    store.record(Record { mails: Vec::new(), ..record(3) }).await.unwrap();
}

#[tokio::test]
async fn what_another_program_wrote_meanwhile_is_no_obstacle() {
    let home = Home::new();
    let store = home.open().await;
    for number in 0..4 {
        store.record(Record { client: ClientId::new("a", 22), ..plain(number) }).await.unwrap();
        store.audit(at(0), "a", "b", "c", "d").await.unwrap();
        // Under the ids that are next.
        home.change(
            "INSERT INTO collections (id, collection_uuid, sweep_uuid, client_id, started_at_ms, duration_ms, attempts, status)
             SELECT MAX(id) + 1, '', '', 1, 0, 0, 1, 'failed' FROM collections;
             INSERT INTO audit_entries SELECT MAX(id) + 1, 0, '', '', '', '' FROM audit_entries",
        )
        .await;
    }
    assert_eq!(home.count("SELECT COUNT(*) FROM v1_collections").await, 8);
    assert_eq!(home.count("SELECT COUNT(*) FROM v1_audit").await, 8);
}

#[tokio::test]
async fn a_full_disk_is_said_and_leaves_no_half_collection() {
    let home = Home::new();
    home.open().await.close().await;
    let opened = Target::of(&home.url()).unwrap().hold().await.unwrap();
    let Pool::Sqlite(writes) = &opened.writes else { panic!("not SQLite") };
    // The database may grow by a few pages more: a disk that fills up, without one.
    let pages: i64 = sqlx::query_scalar("PRAGMA page_count").fetch_one(writes).await.unwrap();
    let limit = sqlx::AssertSqlSafe(format!("PRAGMA max_page_count = {}", pages + 8));
    sqlx::query(limit).execute(writes).await.unwrap();
    let store = Store::start(opened).await.unwrap();
    let mut stored = 0;
    let error = loop {
        match store.record(Record { changes: Vec::new(), ..record(stored) }).await {
            Ok(()) => stored += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind, StoreErrorKind::Full);
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

/// The test starts itself once more as the process to be killed.
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
    let store = Store::open(&url(file)).await.unwrap();
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
