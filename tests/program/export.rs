//! Exports for other programs: the rows agree with the views, and files are never incomplete.

use std::{fs, os::unix::fs::PermissionsExt as _};

use fleetsweep::demo::Behaviour;
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};
use support::{Fleetsweep, Signal, Trial};

use crate::site::{Fleet, OVER, SOON, UNDER, number, sql};

pub(crate) fn trials() -> Vec<Trial> {
    support::trial_list! {
        needs() =>
            every_export_agrees_with_its_view,
            rows_are_chosen_by_client_and_time,
            an_export_reads_beside_a_collector_and_contacts_nobody,
            a_result_goes_to_a_file_whole_and_with_its_own_rights,
            an_export_that_cannot_be_made_says_why;
    }
}

const VIEWS: [&str; 5] = ["samples", "cores", "alerts", "events", "mails"];

/// Changes the database as another program would.
pub(crate) async fn change(program: &Fleetsweep, statements: &str) {
    let options = SqliteConnectOptions::new().filename(program.path("fleet.db")).busy_timeout(SOON);
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// The output of a successful run.
pub(crate) async fn printed(program: &Fleetsweep, arguments: &str) -> String {
    let outcome = program.run(arguments.split_whitespace()).await;
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""), "{arguments}: {outcome:#?}");
    outcome.stdout
}

/// The header and rows of a CSV text.
fn parsed(csv: &str) -> (Vec<String>, Vec<Vec<String>>) {
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let header = reader.headers().unwrap().iter().map(str::to_owned).collect();
    (header, reader.records().map(|record| record.unwrap().iter().map(str::to_owned).collect()).collect())
}

fn objects(lines: &str) -> Vec<Value> {
    lines.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// A fleet after two sweeps, with rows in all views.
pub(crate) async fn swept() -> Fleet {
    let fleet = Fleet::of(&[Behaviour::Healthy, Behaviour::Healthy, Behaviour::RefusesLogin]).await;
    fleet.program.write_config(&fleet.config(OVER).text());
    for _ in 0..2 {
        let outcome = fleet.program.run(["--once"]).await;
        assert_eq!(outcome.code, Some(1), "{outcome:#?}");
    }
    // Clients get their ids in the order in which they are first stored, which varies.
    change(
        &fleet.program,
        "INSERT INTO security_events (id, client_id, channel, record_id, event_id, level, occurred_at_ms, stored_at_ms,
           source, message, data_fields) VALUES
           (1, (SELECT id FROM clients WHERE name = 'client-1'), 'journal', 's=1', NULL, 'warning', 1000, 0, 'sshd', '=cmd|'' /C calc''!A0', '[]'),
           (2, (SELECT id FROM clients WHERE name = 'client-2'), 'Security', '7', 4625, 'info', 2000, 0, 'a \"b\", c', 'ü ☎ ''quoted''', '[]')",
    )
    .await;
    fleet
}

async fn every_export_agrees_with_its_view() {
    let fleet = swept().await;
    let program = &fleet.program;
    for what in VIEWS {
        let names = sql(program, &format!("SELECT name FROM pragma_table_info('v1_{what}')")).await;
        let mut view = support::rows(&program.path("fleet.db"), &format!("SELECT * FROM v1_{what}")).await;
        assert!(view.len() > 1, "{what}: {view:?}");
        let (header, mut csv) = parsed(&printed(program, &format!("export {what} --raw")).await);
        assert_eq!(header, names, "{what}");
        let json = objects(&printed(program, &format!("export {what} --format jsonl")).await);
        let mut json: Vec<Vec<Option<String>>> = json
            .iter()
            .map(|object| {
                let value = |name: &String| match &object[name] {
                    Value::Null => None,
                    Value::String(text) => Some(text.clone()),
                    Value::Number(number) => Some(number.to_string()),
                    other @ (Value::Bool(_) | Value::Array(_) | Value::Object(_)) => panic!("{what}: {other}"),
                };
                assert_eq!(object.as_object().unwrap().len(), names.len(), "{what}: {object}");
                names.iter().map(value).collect()
            })
            .collect();
        // Numbers have the digits that were measured.
        let numbers = csv.iter().flatten().filter(|field| field.parse::<f64>().is_ok());
        let decimals = numbers.filter_map(|number| number.split_once('.')).map(|(_, decimals)| decimals.len());
        assert!(decimals.max().unwrap_or(0) <= 3, "{what}: {csv:?}");
        view.sort();
        csv.sort();
        json.sort();
        assert_eq!((csv.len(), json.len()), (view.len(), view.len()), "{what}");
        for (view, (csv, json)) in view.iter().zip(csv.iter().zip(&json)) {
            for (view, (csv, json)) in view.iter().zip(csv.iter().zip(json)) {
                assert!(same(view.as_deref(), json.as_deref()), "{what}: {view:?} {json:?}");
                assert_eq!(csv, json.as_deref().unwrap_or_default(), "{what}");
            }
        }
    }
    // Each of them is in the audit.
    let audit = sql(program, "SELECT target || ' ' || detail FROM v1_audit WHERE action = 'export'").await;
    assert_eq!(audit.len(), 2 * VIEWS.len(), "{audit:?}");
    assert!(audit.iter().any(|entry| entry == "v1_alerts 2 rows to standard output"), "{audit:?}");
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_fleetsweep"));
    command.args(["export", "alerts"]).current_dir(program.path("")).stdout(full);
    assert!(!command.output().unwrap().status.success());
    assert_eq!(number(program, "SELECT count(*) FROM v1_audit WHERE action = 'export'").await, 11, "also what failed");
    // `samples` is the default.
    assert_eq!(printed(program, "export").await, printed(program, "export samples --format csv").await);
    let (_, disarmed) = parsed(&printed(program, "export events").await);
    let mut messages: Vec<&str> = disarmed.iter().map(|row| row[8].as_str()).collect();
    messages.sort_unstable();
    assert_eq!(messages, ["'=cmd|' /C calc'!A0", "ü ☎ 'quoted'"]);
}

/// Whether two texts are the same value. SQLite prints fifteen digits of a number.
fn same(one: Option<&str>, other: Option<&str>) -> bool {
    let number = |text: Option<&str>| text.and_then(|text| text.parse::<f64>().ok());
    one == other || number(one).zip(number(other)).is_some_and(|(one, other)| (one - other).abs() <= one.abs() * 1e-12)
}

async fn rows_are_chosen_by_client_and_time() {
    let fleet = swept().await;
    let program = &fleet.program;
    let times = sql(program, "SELECT DISTINCT collected_at_ms FROM v1_samples ORDER BY 1").await;
    let at = |index: usize| jiff::Timestamp::from_millisecond(times[index].parse().unwrap()).unwrap().to_string();
    let (first, last) = (at(0), at(times.len() - 1));
    let all = number(program, "SELECT count(*) FROM v1_samples").await;
    let at_first =
        number(program, &format!("SELECT count(*) FROM v1_samples WHERE collected_at_ms = {}", times[0])).await;
    for (arguments, expected) in [
        ("samples".to_owned(), all),
        ("samples --client client-1".to_owned(), 2),
        ("samples --client client-1 --client 127.10.0.2".to_owned(), 4),
        // Never collected successfully, and never collected at all.
        ("samples --client client-3".to_owned(), 0),
        ("samples --since 1h".to_owned(), all),
        ("samples --until 1h".to_owned(), 0),
        (format!("samples --since {first}"), all),
        (format!("samples --until {first}"), 0),
        (
            format!("samples --until {last} --client *"),
            number(
                program,
                &format!("SELECT count(*) FROM v1_samples WHERE collected_at_ms < {}", times[times.len() - 1]),
            )
            .await,
        ),
        (format!("samples --since 1970-01-01T00:00:00Z --until {}", at(1)), at_first),
        ("alerts --client client-2".to_owned(), 1),
        ("events --until 1970-01-01T00:00:02Z".to_owned(), 1),
        ("events --client client-2".to_owned(), 1),
        // One mail for each client over its limit, and its client is known.
        ("mails".to_owned(), 2),
        ("mails --client client-2".to_owned(), 1),
        ("mails --client client-3".to_owned(), 0),
    ] {
        let (_, rows) = parsed(&printed(program, &format!("export {arguments}")).await);
        assert_eq!(rows.len() as u64, expected, "{arguments}");
    }
    let (_, cores) = parsed(&printed(program, "export cores --client client-2").await);
    assert!(!cores.is_empty() && cores.iter().all(|row| row[0] == "127.10.0.2"), "{cores:?}");
    // A client that is no longer configured is still in the database.
    let mut config = fleet.config(OVER);
    config.clients.remove(0);
    program.write_config(&config.text());
    assert_eq!(parsed(&printed(program, "export --client client-1").await).1.len(), 2);
    let nobody = program.run(["export", "--client", "client-9"]).await;
    assert_eq!((nobody.code, nobody.stdout.as_str()), (Some(2), ""), "{nobody:#?}");
    assert!(nobody.stderr.contains("--client"), "{nobody:#?}");
}

async fn an_export_reads_beside_a_collector_and_contacts_nobody() {
    let fleet = swept().await;
    let before = number(&fleet.program, "SELECT count(*) FROM v1_collections").await;
    for what in VIEWS {
        printed(&fleet.program, &format!("export {what}")).await;
    }
    printed(&fleet.program, "export --format prometheus").await;
    assert_eq!(number(&fleet.program, "SELECT count(*) FROM v1_collections").await, before);
    let collector = fleet.program.spawn(["--headless"]);
    support::wait_until("a sweep of the collector", SOON, async || {
        number(&fleet.program, "SELECT count(*) FROM v1_collections").await > before
    })
    .await;
    assert!(parsed(&printed(&fleet.program, "export").await).1.len() >= 4);
    assert!(printed(&fleet.program, "export --format prometheus").await.contains("fleetsweep_up{"));
    collector.signal(Signal::TERM);
    assert_eq!(collector.ended(SOON).await.code, Some(0));
}

async fn a_result_goes_to_a_file_whole_and_with_its_own_rights() {
    let fleet = Fleet::of(&[Behaviour::Healthy]).await;
    let program = &fleet.program;
    program.write_config(&fleet.config(UNDER).text());
    for (arguments, name, begins_with, mode) in [
        ("--once", "table.txt", "STATE", 0o600),
        ("--once --format json", "sweep.json", "{\"sweep\":", 0o600),
        ("--once --format prometheus", "sweep.prom", "# HELP fleetsweep_up ", 0o644),
        ("export", "samples.csv", "client_ip,", 0o600),
        ("export mails --format jsonl", "mails.jsonl", "", 0o600),
        ("export --format prometheus", "state.prom", "# HELP fleetsweep_up ", 0o644),
    ] {
        fs::write(program.path(name), "what was there before").unwrap();
        assert_eq!(printed(program, &format!("{arguments} --output {name}")).await, "", "{arguments}");
        let text = fs::read_to_string(program.path(name)).unwrap();
        let rights = fs::metadata(program.path(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!((text.starts_with(begins_with), rights), (true, mode), "{arguments}: {text}");
        assert!(text.is_empty() || text.ends_with('\n'), "{arguments}: {text}");
    }
    assert_eq!(leftovers(program), [] as [String; 0]);
    // No sweep if the file cannot be written.
    let before = number(program, "SELECT count(*) FROM v1_collections").await;
    for arguments in ["--once --output no/where.txt", "--once --output /dev/null", "export --output no/where.csv"] {
        let outcome = program.run(arguments.split_whitespace()).await;
        assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(2), ""), "{arguments}: {outcome:#?}");
        assert!(outcome.stderr.contains("cannot write"), "{arguments}: {outcome:#?}");
    }
    assert_eq!(number(program, "SELECT count(*) FROM v1_collections").await, before);
}

/// Temporary files that were not removed.
pub(crate) fn leftovers(program: &Fleetsweep) -> Vec<String> {
    let names = fs::read_dir(program.path("")).unwrap().map(|entry| entry.unwrap().file_name());
    names.filter_map(|name| name.into_string().ok()).filter(|name| name.ends_with(".part")).collect()
}

async fn an_export_that_cannot_be_made_says_why() {
    let fleet = Fleet::of(&[Behaviour::Healthy]).await;
    let program = &fleet.program;
    program.write_config(&fleet.config(UNDER).text());
    let refused = async |arguments: &str, code: i32, word: &str| {
        let outcome = program.run(arguments.split_whitespace()).await;
        assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(code), ""), "{arguments}: {outcome:#?}");
        assert!(outcome.stderr.contains(word), "{arguments}: {outcome:#?}");
    };
    // There is no database yet, and an export does not create one.
    refused("export", 3, "fleet.db").await;
    refused("export --format prometheus --output a.prom", 3, "fleet.db").await;
    assert!(!program.path("fleet.db").exists() && !program.path("a.prom").exists());
    refused("export --since 1h --until 2h", 2, "--until").await;
    refused("export --demo", 2, "--demo").await;
    refused("export columns", 2, "samples").await;
    refused("export --since soon", 2, "is not a time").await;
    refused("export --config absent.xml", 2, "absent.xml").await;
    fs::write(program.path("fleet.db"), "no database").unwrap();
    refused("export", 3, "fleet.db").await;
}
