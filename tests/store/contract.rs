//! The contract with other programs: the queries of docs/databases.md return the same on every engine, the reader's role can run
//! them and cannot read tables, and all columns of the views are documented.

use std::collections::BTreeSet;

use support::{Access, Database, Engine, Trial};

use crate::{
    fleet::{ClientId, Failure, FailureKind, Percent, Reading, Stage, audit::AuditAction, rows::View},
    open,
    records::{AT, at, plain, reading, record},
    store::{Outcome, Record},
};

pub(crate) fn trials() -> Vec<Trial> {
    support::trials_per_database![
        the_queries_of_the_page_give_the_same_everywhere_to_a_reader_who_sees_no_table,
        every_column_of_every_view_is_documented
    ]
}

const PAGE: &str = include_str!("../../docs/databases.md");
const COLUMNS: &str = include_str!("../../migrations/README.md");

const HOUR: i64 = 3_600_000;

/// The queries of the page.
fn queries() -> Vec<&'static str> {
    let blocks = PAGE.split("```sql\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.flat_map(|block| block.split(';')).map(str::trim).filter(|query| !query.is_empty()).collect()
}

/// Three clients: one over its limit, one that was collected twice in different hours, one that fails.
async fn fill(database: &Database) {
    let store = open(database).await;
    let cpu =
        |percent| Outcome::Collected(Box::new(Reading { cpu: Some(Percent::new(percent).unwrap()), ..reading() }));
    let web = |number, hours, outcome| Record {
        client: ClientId::new("10.0.5.1", 22),
        client_name: "web".into(),
        started_at: at(hours * HOUR),
        outcome,
        ..plain(number)
    };
    let failed = || Outcome::Failed(Failure::new(Stage::Connect, FailureKind::Refused));
    let gone = |number, hours| Record { client: ClientId::new("10.0.5.9", 22), ..web(number, hours, failed()) };
    for record in [record(1), web(2, 0, cpu(10.0)), web(3, 0, cpu(20.0)), web(4, 2, cpu(40.0)), gone(5, 1), gone(6, 2)]
    {
        store.record(record).await.unwrap();
    }
    store.close().await;
}

/// The results of the queries, in the order of the page.
fn expected() -> Vec<Vec<String>> {
    let hour = |hours: i64| (AT + hours * HOUR) / HOUR * HOUR;
    vec![
        vec!["db|75.0|50.0".into(), "web|75.0|50.0".into()],
        // No disk has been watched long enough.
        Vec::new(),
        vec![format!("connect|connection refused|2|1|{}", AT + 2 * HOUR)],
        vec![format!("db|10.0.4.1|{}", AT + 10)],
        vec![
            format!("db|{}|62.5|62.5", hour(0)),
            format!("web|{}|15.0|20.0", hour(0)),
            format!("web|{}|40.0|40.0", hour(2)),
        ],
        vec![format!("10.0.4.1|cpu|20.0|62.5|{0}|{0}", AT + 10)],
    ]
}

/// The URL for reading. On a server, this is an account with the reader's role, created as the files that the page names say.
pub(crate) async fn reader(database: &Database) -> Option<String> {
    let account = format!("reader_of_{}", database.name());
    let text = match database.engine() {
        Engine::Sqlite => return None,
        Engine::Postgres => format!(
            "{} CREATE ROLE {account} LOGIN PASSWORD 'look' IN ROLE fleetsweep_reader",
            include_str!("../../migrations/reader-postgresql.sql")
        ),
        Engine::Mariadb => format!(
            "{} CREATE USER {account} IDENTIFIED BY 'look'; GRANT fleetsweep_reader TO {account};
             SET DEFAULT ROLE fleetsweep_reader FOR {account}",
            include_str!("../../migrations/reader-mariadb.sql")
        ),
    };
    let text = without_later_views(&text, &views(database).await);
    // Twice, because running a file again must not fail.
    let (role, _) = text.rsplit_once("CREATE").unwrap();
    database.server().change(database.name(), role).await;
    database.server().change(database.name(), &text).await;
    Some(database.server().url(&account, "look", database.name()))
}

/// The statements without those about views that an older schema does not have.
fn without_later_views(text: &str, views: &[String]) -> String {
    let view =
        |line: &str| line.strip_prefix("GRANT SELECT ON v1_")?.split(' ').next().map(|name| format!("v1_{name}"));
    let lines = text.lines().filter(|line| view(line).is_none_or(|view| views.contains(&view)));
    lines.collect::<Vec<_>>().join("\n")
}

async fn may(server: &Access, url: &str, sql: &str) -> bool {
    server.cells(url, sql).await.is_ok()
}

async fn the_queries_of_the_page_give_the_same_everywhere_to_a_reader_who_sees_no_table(database: Database) {
    fill(&database).await;
    let reader = reader(&database).await;
    let (queries, expected) = (queries(), expected());
    assert_eq!(queries.len(), expected.len());
    for (query, expected) in queries.iter().zip(expected) {
        let rows = match &reader {
            None => database.rows(query).await,
            Some(url) => database.rows_to(url, query).await,
        };
        assert_eq!(rows, expected, "{query}");
    }
    let Some(url) = reader else { return };
    for view in views(&database).await {
        assert!(may(database.server(), &url, &format!("SELECT * FROM {view}")).await, "{view}");
        assert!(!may(database.server(), &url, &format!("DELETE FROM {view}")).await, "{view}");
    }
    let tables = named(&database, "BASE TABLE").await;
    assert!(tables.len() > 10, "{tables:?}");
    for table in tables {
        assert!(!may(database.server(), &url, &format!("SELECT * FROM {table}")).await, "{table}");
    }
    assert!(!may(database.server(), &url, "CREATE TABLE notes (id BIGINT)").await);
}

/// The names of the tables or views of a database on a server.
async fn named(database: &Database, kind: &str) -> Vec<String> {
    let schema = if database.engine() == Engine::Postgres { "public" } else { database.name() };
    let sql = format!(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = '{schema}' AND table_type = '{kind}'"
    );
    database.rows(&sql).await
}

async fn views(database: &Database) -> Vec<String> {
    match database.engine() {
        Engine::Sqlite => database.rows("SELECT name FROM sqlite_schema WHERE type = 'view'").await,
        Engine::Postgres | Engine::Mariadb => named(database, "VIEW").await,
    }
}

/// The columns of a view that the README of the migrations documents.
fn documented(view: &str) -> BTreeSet<&'static str> {
    let section = COLUMNS.split("\n## ").find(|section| section.starts_with(&format!("`{view}`"))).unwrap_or_default();
    if section.contains("The same columns") {
        return documented("v1_samples");
    }
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let cells = rows.filter_map(|row| row.trim_start_matches("| ").split(" | ").next());
    cells.flat_map(|cell| cell.split(", ")).map(|name| name.trim_matches('`')).collect()
}

/// The columns of an export of a view in order; `None` if the view cannot be exported.
fn exported(view: &str) -> Option<Vec<&'static str>> {
    let like = if view == "v1_latest" { "v1_samples" } else { view };
    let view = View::ALL.into_iter().find(|view| view.name() == like)?;
    Some(view.columns().iter().map(|column| column.name).collect())
}

async fn every_column_of_every_view_is_documented(database: Database) {
    fill(&database).await;
    let store = open(&database).await;
    store.audit(at(0), "ops", AuditAction::Pause, "schedule", "").await.unwrap();
    store.close().await;
    let views = views(&database).await;
    assert_eq!(views.len(), 12, "{views:?}");
    for view in views {
        let row = database.named_rows(&format!("SELECT * FROM {view} LIMIT 1")).await.concat();
        let columns: Vec<&str> = row.lines().filter_map(|cell| Some(cell.split_once('=')?.0)).collect();
        assert_eq!(columns.iter().copied().collect::<BTreeSet<_>>(), documented(&view), "{view}");
        if let Some(exported) = exported(&view) {
            assert_eq!(columns, exported, "{view}");
        }
    }
}
