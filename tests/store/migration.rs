//! The migration of a database that an earlier version has created, with its data.

use fleetsweep::config::directories::Environment;
use secrecy::SecretString;
use sqlx::{
    Connection as _, MySqlConnection, PgConnection, SqlSafeStr as _, SqliteConnection,
    migrate::{Migration, MigrationType, Migrator},
};
use support::{Database, Engine, Trial};

use crate::{
    contract,
    fleet::{ClientId, Failure, FailureKind, Metric, Stage, alerts::AlertEnd},
    open,
    records::{AT, at, reading, record, uuid},
    store::{Due, Reader, Record, Store, StoreErrorKind},
    url,
};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = support::trials_per_database![
        what_the_first_version_stored_is_carried_over,
        who_may_read_a_view_may_read_it_after_it_was_replaced
    ];
    trials.extend(support::trial_list! {
        needs(Mariadb) =>
            an_upgrade_that_ends_at_any_statement_goes_on_from_there,
            what_belongs_to_somebody_else_is_not_taken_for_a_part_of_the_schema;
    });
    trials
}

/// The migrations before a view was replaced for the first time.
const BEFORE_INSTANCES: [(&str, &str); 7] = [
    ("first", include_str!("../../migrations/0001_first.sql")),
    ("history", include_str!("../../migrations/0002_history.sql")),
    ("spool", include_str!("../../migrations/0003_spool.sql")),
    ("attachments", include_str!("../../migrations/0004_attachments.sql")),
    ("mail_outcome", include_str!("../../migrations/0005_mail_outcome.sql")),
    ("limits", include_str!("../../migrations/0006_limits.sql")),
    ("clock", include_str!("../../migrations/0007_clock.sql")),
];

/// Runs the first `count` migrations.
async fn migrate(database: &Database, count: usize) {
    let migration = |(version, (name, sql)): (i64, &(&'static str, &'static str))| {
        Migration::new(version, (*name).into(), MigrationType::Simple, (*sql).into_sql_str(), false)
    };
    let first = (1..).zip(&BEFORE_INSTANCES[..count]).map(migration).collect();
    let mut migrator = Migrator::with_migrations(first);
    migrator.dangerous_set_table_name("fleetsweep_migrations");
    // Creates the file.
    database.change("SELECT 1").await;
    macro_rules! migrate {
        ($connection:ident) => {
            migrator.run_direct(None, &mut $connection::connect(&database.url()).await.unwrap(), false).await.unwrap()
        };
    }
    match database.engine() {
        Engine::Sqlite => migrate!(SqliteConnection),
        Engine::Postgres => migrate!(PgConnection),
        Engine::Mariadb => migrate!(MySqlConnection),
    }
}

/// A database as the first version left it: two clients, one with a reading and one that failed; an open alert that was
/// mailed and one that has ended.
async fn made_by_the_first(database: &Database) {
    migrate(database, 1).await;
    let json = serde_json::to_string(&reading()).unwrap();
    let rows = format!(
        r#"INSERT INTO clients VALUES (1, '10.0.4.1', 22, 'db', 0, 1, 's=1'), (2, '10.0.5.2', 22, 'web', 1, NULL, NULL);
        INSERT INTO collections (id, collection_uuid, sweep_uuid, client_id, started_at_ms, duration_ms, attempts, status,
         stage, error, collected_at_ms, cpu_percent) VALUES
         (1, '{one}', '{sweep}', 1, {AT}, 10, 1, 'ok', NULL, NULL, {AT} + 10, 62.5),
         (2, '{two}', '{sweep}', 2, {AT}, 10, 2, 'failed', 'connect', 'connection refused: os error 111', NULL, NULL);
        INSERT INTO readings VALUES (1, {AT} + 10, '{json}');
        INSERT INTO mails (id, recipient, kind, subject, body, status, created_at_ms, next_at_ms, attempts)
         VALUES ('{mail}', 'ops@example.com', 'alert', 's', 'b', 'waiting', {AT}, {AT}, 0);
        INSERT INTO rule_states VALUES (1, 'cpu', 3);
        INSERT INTO alerts VALUES
         ('{open}', 1, 'cpu', 20, 62.5, 62.5, {AT}, NULL, {AT}, NULL),
         ('{ended}', 1, 'memory', 20, 10, 30, {AT}, {AT} + 5, NULL, NULL);"#,
        one = uuid(1001),
        two = uuid(1002),
        sweep = uuid(1),
        mail = uuid(3),
        open = uuid(100),
        ended = uuid(101),
    );
    database.change(&rows).await;
}

async fn what_the_first_version_stored_is_carried_over(database: Database) {
    made_by_the_first(&database).await;
    let older = Reader::open(&url(&database)).await.unwrap_err();
    assert_eq!(older.kind, StoreErrorKind::OlderSchema { found: 1, known: 18 });
    assert!(older.to_string().contains("has schema 1, and this program reads 18"), "{older}");

    is_carried_over(&database).await;
}

/// Opens a database that [the first version made](made_by_the_first), and looks at what was stored.
async fn is_carried_over(database: &Database) {
    let store = open(database).await;
    let reader = store.reader();
    let client = ClientId::new("10.0.4.1", 22);
    assert_eq!(reader.latest_reading(&client).await.unwrap(), Some((at(10), reading())));
    let memory = reader.memory().await.unwrap();
    let [db, web] = memory.clients.as_slice() else { panic!("{memory:#?}") };
    assert_eq!(db.reading, Some((at(10), Box::new(reading()))));
    assert_eq!(db.exceeded.iter().map(|exceeded| exceeded.metric).collect::<Vec<_>>(), [Metric::Cpu]);
    assert_eq!((db.recent.len(), db.last.as_ref().map(|last| last.stages.len())), (1, Some(0)));
    let failure = Failure::new(Stage::Connect, FailureKind::Refused).because("os error 111");
    assert_eq!(web.last.as_ref().and_then(|last| last.failure.clone()), Some(failure));
    let alerts: Vec<_> = memory.alerts.iter().map(|alert| (alert.key(), alert.ended, alert.mailed_in)).collect();
    assert_eq!(
        alerts,
        [(Metric::Cpu.into(), None, None), (Metric::Memory.into(), Some((at(5), AlertEnd::Resolved)), None)]
    );
    let rule = store.reader().client_states().await.unwrap()[&client].rules[&Metric::Cpu.into()].clone();
    assert_eq!((rule.over_in_a_row, rule.alert.map(|alert| alert.id)), (3, Some(uuid(100))));
    let due = store.mails_due(at(0), Due::All, None, 9).await.unwrap();
    assert_eq!((due.len(), &due[0].client, due[0].sweep), (1, &None, None));
    assert_eq!(reader.sweeps(9).await.unwrap(), []);
    assert_eq!(store.reader().last_sweep_number().await.unwrap(), 0);

    // The store works afterwards: the next reading has its own slot in the ring.
    store.record(Record { changes: Vec::new(), mails: Vec::new(), ..record(7) }).await.unwrap();
    assert_eq!(database.rows("SELECT slot, collection_id FROM readings ORDER BY slot").await, ["0|1", "1|3"]);
}

async fn who_may_read_a_view_may_read_it_after_it_was_replaced(database: Database) {
    migrate(&database, BEFORE_INSTANCES.len()).await;
    let reader = contract::reader(&database).await;
    open(&database).await.close().await;
    let instances = "SELECT instance FROM v1_alerts";
    match reader {
        None => assert_eq!(database.rows(instances).await, [""; 0]),
        Some(url) => assert_eq!(database.rows_to(&url, instances).await, [""; 0]),
    }
}

/// Each run may send the server one query more than the last, until it leads on. So the migration ends before each of its
/// statements, after it, and after how far it has come was stored.
async fn an_upgrade_that_ends_at_any_statement_goes_on_from_there() {
    const MANY: usize = 100;
    let database = Database::new(Engine::Mariadb).await;
    made_by_the_first(&database).await;
    let (server, name) = (database.server(), database.name());
    let change = async |sql: &str| server.change("mysql", sql).await;
    change(&format!("CREATE USER hurried IDENTIFIED BY 'x'; GRANT ALL ON {name}.* TO hurried")).await;
    let hurried = SecretString::from(server.url("hurried", "x", name));
    let progress = async || {
        let tables = "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE() AND
                      table_name = 'fleetsweep_migrations_steps'";
        if database.rows(tables).await == ["0"] {
            return Vec::new();
        }
        let applied = database.rows("SELECT MAX(version) FROM fleetsweep_migrations").await;
        let steps = database.rows("SELECT version, done, has_begun FROM fleetsweep_migrations_steps").await;
        [applied, steps].concat()
    };
    // The first run that led on found out how many queries come before the statements.
    let (mut queries, mut first, mut stages) = (1, 1, vec![progress().await]);
    loop {
        change(&format!("ALTER USER hurried WITH MAX_QUERIES_PER_HOUR {queries}; FLUSH USER_RESOURCES")).await;
        let error = match Store::open(&hurried, &Environment::default()).await {
            Ok(store) => break store.close().await,
            Err(error) => error,
        };
        let stage = progress().await;
        if stages.last() == Some(&stage) {
            queries += 1;
            assert!(queries < MANY, "after {stage:?}: {error:?}");
        } else {
            if stages.len() == 2 {
                first = queries;
            }
            queries = first;
            stages.push(stage);
        }
    }
    let begun = stages.iter().flatten().filter(|stage| stage.ends_with("|1")).count();
    assert!(begun > 100, "{stages:?}");
    change("ALTER USER hurried WITH MAX_QUERIES_PER_HOUR 0").await;
    is_carried_over(&database).await;
}

async fn what_belongs_to_somebody_else_is_not_taken_for_a_part_of_the_schema() {
    let database = Database::new(Engine::Mariadb).await;
    database.change("CREATE TABLE clients (name TEXT)").await;
    for _ in 0..2 {
        let error = Store::open(&url(&database), &Environment::default()).await.unwrap_err();
        assert!(format!("{:?}", error.source).contains("clients"), "{error:?}");
    }
}
