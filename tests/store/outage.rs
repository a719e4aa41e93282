//! The database fails several times during sweeps: PostgreSQL and MariaDB servers are killed and restarted, and another
//! program locks a SQLite file. The real program continues to sweep, and afterwards all events are in the database,
//! once and in order.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    time::Duration,
};

use fleetsweep::demo::Behaviour;
use serde_json::Value;
use sqlx::{Connection as _, SqliteConnection};
use support::{Access, Mariadb, Postgres, SOON, Signal, Trial, rows, wait_until};

use crate::site::{Config, Fleet, OVER, document, mails, parsed};

pub(crate) fn trials() -> Vec<Trial> {
    support::trial_list! {
        needs() => nothing_is_lost_while_a_file_is_held, killed_runs_neither_lose_nor_repeat_what_waits, a_run_that_ends_during_an_outage_says_so_and_the_next_stores_it;
        needs(Postgres) => nothing_is_lost_while_postgresql_is_restarted;
        needs(Mariadb) => nothing_is_lost_while_mariadb_is_restarted;
    }
}

const CLIENTS: usize = 5;

/// How many changes wait before the database is back: several sweeps.
const ENOUGH: u64 = 20;

/// A database that can be made unavailable.
enum Server {
    File { path: std::path::PathBuf, held: Option<SqliteConnection> },
    Postgres(Postgres, String),
    Mariadb(Mariadb, String),
}

impl Server {
    async fn take_away(&mut self) {
        match self {
            Self::File { path, held } => {
                let mut connection = SqliteConnection::connect(&format!("sqlite:{}", path.display())).await.unwrap();
                // The program may be writing at this time.
                sqlx::raw_sql("PRAGMA busy_timeout = 30000; BEGIN IMMEDIATE").execute(&mut connection).await.unwrap();
                *held = Some(connection);
            }
            Self::Postgres(server, _) => server.stop(),
            Self::Mariadb(server, _) => server.stop(),
        }
    }

    async fn bring_back(&mut self) {
        match self {
            Self::File { held, .. } => held.take().unwrap().close().await.unwrap(),
            Self::Postgres(server, _) => server.start_again().await,
            Self::Mariadb(server, _) => server.start_again().await,
        }
    }

    fn access(&self) -> Option<(Access, String)> {
        match self {
            Self::File { .. } => None,
            Self::Postgres(server, name) => Some((server.access(), name.clone())),
            Self::Mariadb(server, name) => Some((server.access(), name.clone())),
        }
    }

    fn url(&self) -> String {
        match (self.access(), self) {
            (Some((access, name)), _) => access.url_of_owner(&name),
            (None, Self::File { path, .. }) => format!("sqlite:{}", path.display()),
            (None, _) => panic!("only a file has no server"),
        }
    }

    /// The rows of a query, with `|` between the cells.
    async fn rows(&self, sql: &str) -> Vec<String> {
        let rows: Vec<Vec<Option<String>>> = match (self.access(), self) {
            (Some((access, name)), _) => {
                let rows = access.cells(&access.url_of_owner(&name), sql).await.unwrap();
                rows.into_iter().map(|row| row.into_iter().map(|(_, cell)| cell).collect()).collect()
            }
            (None, Self::File { path, .. }) => rows(path, sql).await,
            (None, _) => panic!("only a file has no server"),
        };
        let line = |row: Vec<Option<String>>| {
            row.into_iter().map(|cell| cell.unwrap_or_else(|| "NULL".into())).collect::<Vec<_>>().join("|")
        };
        rows.into_iter().map(line).collect()
    }
}

/// The events in the complete lines of a recording: the client and the `kind` of each.
pub(crate) fn events(recording: &Path) -> Vec<(String, Value)> {
    let text = fs::read_to_string(recording).unwrap_or_default();
    let pieces = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let event = |piece: Value| {
        let event = piece["frame"].get("event")?.clone();
        Some((event["client"].to_string(), event["kind"].clone()))
    };
    pieces.filter_map(event).collect()
}

pub(crate) fn of_type<'a>(events: &'a [(String, Value)], kind: &'a str) -> impl Iterator<Item = &'a (String, Value)> {
    events.iter().filter(move |(_, found)| found["type"] == kind)
}

async fn nothing_is_lost_while_a_file_is_held() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("fleet.db");
    nothing_is_lost(Server::File { path, held: None }, 2).await;
}

async fn nothing_is_lost_while_postgresql_is_restarted() {
    let server = Postgres::start_durable().await;
    let name = server.access().new_database(None).await;
    nothing_is_lost(Server::Postgres(server, name), 3).await;
}

async fn nothing_is_lost_while_mariadb_is_restarted() {
    let server = Mariadb::start_durable().await;
    let name = server.access().new_database(None).await;
    nothing_is_lost(Server::Mariadb(server, name), 3).await;
}

async fn nothing_is_lost(mut server: Server, outages: usize) {
    let fleet = Fleet::of(&[Behaviour::Healthy; CLIENTS]).await;
    // One client at a time, so that the end finds some that wait for their turn.
    let collector = r#"interval="1s" timeout="20s" retries="0" concurrency="1""#;
    let config = Config { database: server.url(), collector, alerts: r#"repeat="every""#, ..fleet.config(OVER) };
    fleet.program.write_config(&config.text());
    let recording = fleet.program.path("recording");
    let running = fleet.program.spawn(["--headless", "--record", "recording"]);
    for outage in 0..outages {
        // Outages during sweeps, and collections after the last one.
        let collected = of_type(&events(&recording), "collected").count();
        wait_until("further collections", SOON, async || {
            of_type(&events(&recording), "collected").count() > collected + CLIENTS
        })
        .await;
        server.take_away().await;
        wait_until("changes to wait in the spool", SOON, async || {
            let events = events(&recording);
            let after = events.iter().rposition(|(_, kind)| kind["type"] == "database_back").map_or(0, |at| at + 1);
            let last = of_type(&events[after..], "database_away").last();
            of_type(&events, "database_back").count() == outage
                && last.is_some_and(|(_, kind)| kind["waiting"].as_u64() >= Some(ENOUGH))
        })
        .await;
        server.bring_back().await;
        wait_until("the database to be back", SOON, async || {
            of_type(&events(&recording), "database_back").count() > outage
        })
        .await;
    }
    running.signal(Signal::TERM);
    let outcome = running.ended(SOON).await;
    assert_eq!(outcome.code, Some(0), "{outcome:#?}");
    for (what, times) in
        [("the database is unavailable, collected data waits", outages), ("the database is back", outages)]
    {
        assert_eq!(outcome.stderr.matches(what).count(), times, "{what}: {}", outcome.stderr);
    }

    // For each client, the stored collections are those in the recording, once and in this order. This includes those that
    // were cancelled at the end before their first attempt.
    let told = events(&recording);
    let mut expected: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (client, kind) in &told {
        if kind["type"] == "collected" || kind["type"] == "collection_failed" {
            expected.entry(client.clone()).or_default().push(kind["collection"].as_str().unwrap().to_owned());
        }
    }
    assert!(told.iter().all(|(_, kind)| kind["failure"]["kind"] != "store-failed"), "{told:#?}");
    let sql = "SELECT collections.collection_uuid FROM collections ORDER BY collections.id";
    let stored = server.rows(sql).await;
    let all: BTreeSet<&String> = expected.values().flatten().collect();
    assert_eq!(stored.iter().collect::<BTreeSet<_>>(), all);
    assert_eq!(stored.len(), all.len(), "something is stored twice");
    for (client, collections) in &expected {
        let of_client: Vec<_> = stored.iter().filter(|uuid| collections.contains(uuid)).collect();
        assert_eq!(of_client, collections.iter().collect::<Vec<_>>(), "{client}");
    }
    let ended = of_type(&told, "sweep_ended").count();
    assert_eq!(server.rows("SELECT COUNT(*) FROM sweeps WHERE ended_at_ms IS NOT NULL").await, [ended.to_string()]);
    let wrong = "SELECT COUNT(*) FROM sweeps WHERE ok_count <> (SELECT COUNT(*) FROM collections
        WHERE collections.sweep_uuid = sweeps.sweep_uuid AND collections.status = 'ok')";
    assert_eq!(server.rows(wrong).await, ["0"], "a sweep counts otherwise than its collections");

    // Every decided mail is sent with its original id.
    // A run sends mails for a limited time, so there may be several.
    let mut runs = 0;
    wait_until("no mail to wait", SOON, async || {
        runs += 1;
        let last = fleet.program.run(["--once", "--format", "json"]).await;
        assert_eq!(last.code, Some(0), "{last:#?}");
        mails(&document(&last)).1 == 0
    })
    .await;
    let received: BTreeSet<String> = fleet.sink.mails().iter().map(|mail| parsed(mail).message_id).collect();
    let decided = server.rows("SELECT id FROM mails").await;
    let collected = of_type(&told, "collected").count();
    assert_eq!(decided.len(), collected + runs * CLIENTS, "each collection over the limit has its mail");
    for id in decided {
        assert!(received.contains(&format!("{id}@example.com")), "{id} was never received");
    }
}

async fn a_run_that_ends_during_an_outage_says_so_and_the_next_stores_it() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("fleet.db");
    let mut server = Server::File { path: path.clone(), held: None };
    let fleet = Fleet::of(&[Behaviour::Healthy, Behaviour::Healthy]).await;
    let config = Config { database: server.url(), ..fleet.config(OVER) };
    fleet.program.write_config(&config.text());
    let first = fleet.program.run(["--once", "--format", "json"]).await;
    assert_eq!(first.code, Some(0), "{first:#?}");

    // Locked as soon as the second run has the database.
    let held = "SELECT COUNT(*) FROM collectors WHERE process_id IS NOT NULL";
    sqlx::raw_sql("UPDATE collectors SET process_id = NULL")
        .execute(&mut SqliteConnection::connect(&server.url()).await.unwrap())
        .await
        .unwrap();
    let running = fleet.program.spawn(["--once", "--format", "json"]);
    wait_until("the run to have announced itself", SOON, async || server.rows(held).await == ["1"]).await;
    server.take_away().await;
    let second = running.ended(SOON).await;
    assert_eq!(second.code, Some(3), "{second:#?}");
    assert!(
        second.stderr.contains("changes wait in the spool; nothing is lost, the next run stores them"),
        "{second:#?}"
    );
    assert_eq!(document(&second)["summary"]["ok"].as_u64(), Some(2));
    assert_eq!(server.rows("SELECT COUNT(*) FROM v1_collections").await, ["2"]);
    server.bring_back().await;

    let third = fleet.program.run(["--once", "--format", "json"]).await;
    assert_eq!(third.code, Some(0), "{third:#?}");
    assert_eq!(server.rows("SELECT COUNT(*) FROM v1_collections").await, ["6"]);
    assert_eq!(server.rows("SELECT COUNT(*) FROM sweeps WHERE ok_count = 2 AND failed_count = 0").await, ["3"]);
}

/// How often the program is killed while it stores the spool or just afterwards.
const KILLS: u64 = 12;

async fn killed_runs_neither_lose_nor_repeat_what_waits() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("fleet.db");
    let mut server = Server::File { path, held: None };
    let fleet = Fleet::of(&[Behaviour::Healthy; CLIENTS]).await;
    let config = Config { database: server.url(), alerts: r#"repeat="every""#, ..fleet.config(OVER) };
    fleet.program.write_config(&config.text());
    let mut told = BTreeSet::new();
    for round in 0..2 {
        let name = format!("recording-{round}");
        let recording = fleet.program.path(&name);
        let running = fleet.program.spawn(["--headless", "--record", &name]);
        wait_until("a sweep", SOON, async || of_type(&events(&recording), "sweep_ended").count() > 0).await;
        server.take_away().await;
        wait_until("changes to wait in the spool", SOON, async || {
            of_type(&events(&recording), "database_away").any(|(_, kind)| kind["waiting"].as_u64() >= Some(ENOUGH))
        })
        .await;
        running.signal(Signal::KILL);
        running.ended(SOON).await;
        server.bring_back().await;
        let of_run = events(&recording);
        let collected = of_type(&of_run, "collected").map(|(_, kind)| kind["collection"].as_str().unwrap().to_owned());
        told.extend(collected);
        // From before the database is open until after the spool is stored.
        for kill in 0..KILLS {
            let mut running = fleet.program.spawn(["--headless"]);
            tokio::time::sleep(support::allowance(Duration::from_millis(20 + 25 * kill))).await;
            if running.is_running() {
                running.signal(Signal::KILL);
            }
            running.ended(SOON).await;
        }
    }
    let last = fleet.program.run(["--once", "--format", "json"]).await;
    assert_eq!(last.code, Some(0), "{last:#?}");
    let stored = server.rows("SELECT collection_uuid FROM collections").await;
    let once: BTreeSet<String> = stored.iter().cloned().collect();
    assert_eq!(stored.len(), once.len(), "something is stored twice");
    assert_eq!(told.difference(&once).collect::<Vec<_>>(), Vec::<&String>::new(), "something is lost");
    let mails = "SELECT abs((SELECT count(*) FROM collections WHERE status = 'ok') - (SELECT count(*) FROM mails))";
    assert_eq!(server.rows(mails).await, ["0"], "a collection over the limit without its mail, or the other way round");
}
