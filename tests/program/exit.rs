//! The exit codes, and that nothing is contacted if the configuration is invalid.

use std::{
    fs,
    io::{Seek as _, SeekFrom, Write as _},
};

use fleetsweep::demo::Behaviour;
use sqlx::{Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};
use support::{Fleetsweep, Outcome, SOON, Signal, Trial, wait_until};

use crate::site::{Fleet, OVER, UNDER, Watched, program};

pub(crate) fn trials() -> Vec<Trial> {
    support::trial_list! {
        needs() =>
            the_exit_code_tells_how_a_sweep_went,
            an_invalid_configuration_is_refused_with_every_error_and_contacts_nothing,
            a_check_contacts_nothing,
            a_database_that_cannot_be_used_ends_the_run_with_3,
            a_database_that_may_not_be_written_ends_the_run_with_3,
            a_crash_writes_no_memory_to_the_disk;
    }
}

async fn the_exit_code_tells_how_a_sweep_went() {
    let healthy = Fleet::of(&[Behaviour::Healthy; 2]).await;
    let troubled = Fleet::of(&[Behaviour::Healthy, Behaviour::RefusesLogin]).await;
    for (fleet, rules, arguments, expected) in [
        (&healthy, UNDER, &["--once"][..], 0),
        (&healthy, OVER, &["--once"], 0),
        (&healthy, OVER, &["--once", "--fail-on-alert"], 4),
        (&healthy, UNDER, &["--once", "--fail-on-alert"], 0),
        (&troubled, OVER, &["--once"], 1),
        (&troubled, OVER, &["--once", "--fail-on-alert"], 1),
        (&troubled, UNDER, &["--once", "--client", "client-1"], 0),
        (&healthy, UNDER, &["--once", "--client", "web-*"], 2),
        (&healthy, UNDER, &["--once", "--config", "absent.xml"], 2),
        (&healthy, UNDER, &["--twice"], 2),
        (&healthy, UNDER, &["--help"], 0),
        (&healthy, UNDER, &["--version"], 0),
    ] {
        fleet.program.write_config(&fleet.config(rules).text());
        let outcome = fleet.program.run(arguments).await;
        assert_eq!(outcome.code, Some(expected), "{arguments:?}: {outcome:#?}");
        if expected == 2 {
            assert!(outcome.stdout.is_empty() && !outcome.stderr.is_empty(), "{arguments:?}: {outcome:#?}");
        }
    }
}

async fn an_invalid_configuration_is_refused_with_every_error_and_contacts_nothing() {
    let watched = Watched::new();
    let mut config = watched.config();
    config.collector = r#"interval="soon""#;
    config.clients.push(r#"<client ip="10.0.4.1" port="0" username="ops" colour="red"/>"#.to_owned());
    let program = program().with_config(&config.text());
    for arguments in [&["--once"][..], &["--headless"], &["check"], &["trust"], &["mail-test"], &["clean"]] {
        let outcome = program.run(arguments).await;
        assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(2), ""), "{arguments:?}");
        for place in ["config.xml:2:", "config.xml:7:"] {
            assert!(outcome.stderr.contains(place), "{arguments:?}: {}", outcome.stderr);
        }
        for word in ["soon", "port", "colour"] {
            assert!(outcome.stderr.contains(word), "{arguments:?}: {}", outcome.stderr);
        }
        assert!(watched.was_left_alone(), "{arguments:?}");
    }
    assert!(!program.path("fleet.db").exists(), "a database was made");
}

async fn a_check_contacts_nothing() {
    let watched = Watched::new();
    let program = program().with_config(&watched.config().text());
    let outcome = program.run(["check"]).await;
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
    assert!(outcome.stdout.contains("watched"), "{}", outcome.stdout);
    assert!(watched.was_left_alone() && !program.path("fleet.db").exists());
    // `Watched` works: the same configuration with a sweep.
    assert_eq!(program.run(["--once", "--client", "watched"]).await.code, Some(1));
    assert!(!watched.was_left_alone());
}

/// A program with a database from an earlier run.
async fn with_database(watched: &Watched) -> Fleetsweep {
    let fleet = Fleet::of(&[Behaviour::Healthy]).await;
    fleet.once(&fleet.config(UNDER)).await;
    fleet.program.write_config(&watched.config().text());
    fleet.program
}

fn assert_database_failed(outcome: &Outcome, words: &str) {
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(3), ""), "{outcome:#?}");
    assert!(outcome.stderr.contains("fleet.db") && outcome.stderr.contains(words), "{words}: {}", outcome.stderr);
}

async fn a_database_that_cannot_be_used_ends_the_run_with_3() {
    let watched = Watched::new();
    for mode in ["--once", "--headless"] {
        let text = program().with_config(&watched.config().text());
        fs::write(text.path("fleet.db"), "not a database, but somebody's notes\n".repeat(200)).unwrap();
        assert_database_failed(&text.run([mode]).await, "is no SQLite database");
        assert!(fs::read(text.path("fleet.db")).unwrap().starts_with(b"not a database"));

        let newer = with_database(&watched).await;
        let options = SqliteConnectOptions::new().filename(newer.path("fleet.db"));
        let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
        let migration = "INSERT INTO fleetsweep_migrations SELECT 9999, 'newer', installed_on, success, checksum,
            execution_time FROM fleetsweep_migrations LIMIT 1";
        sqlx::raw_sql(migration).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        assert_database_failed(&newer.run([mode]).await, "has schema 9999");

        let damaged = with_database(&watched).await;
        let mut file = fs::OpenOptions::new().write(true).open(damaged.path("fleet.db")).unwrap();
        let length = file.metadata().unwrap().len();
        file.seek(SeekFrom::Start(4096)).unwrap();
        file.write_all(&vec![0xa5; usize::try_from(length - 4096).unwrap()]).unwrap();
        drop(file);
        assert_database_failed(&damaged.run([mode]).await, "is damaged");

        let homeless = program().with_config(&watched.config().text().replace("fleet.db", "no/such/fleet.db"));
        assert_database_failed(&homeless.run([mode]).await, "cannot be reached");
    }
    assert!(watched.was_left_alone(), "a client was contacted though nothing could be stored");
}

async fn a_database_that_may_not_be_written_ends_the_run_with_3() {
    let watched = Watched::new();
    let program = with_database(&watched).await;
    let set_mode = |name: &str, mode: u32| {
        fs::set_permissions(program.path(name), std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    };
    set_mode("fleet.db", 0o400);
    set_mode("", 0o500);
    let file = program.path("fleet.db");
    // Root can write to read-only files unless it lacks that capability.
    let is_root = fs::OpenOptions::new().write(true).open(&file).is_ok();
    let (runner, arguments) = if is_root {
        let without_that_right = ["--bounding-set=-dac_override", env!("CARGO_BIN_EXE_fleetsweep"), "--once"];
        (Fleetsweep::new("setpriv"), without_that_right.to_vec())
    } else {
        (Fleetsweep::new(env!("CARGO_BIN_EXE_fleetsweep")), vec!["--once"])
    };
    runner.write_config(&watched.config().text().replace("fleet.db", &file.display().to_string()));
    let outcome = runner.run(arguments).await;
    set_mode("", 0o700);
    assert_database_failed(&outcome, "is read-only");
    assert!(watched.was_left_alone());
}

async fn a_crash_writes_no_memory_to_the_disk() {
    let fleet = Fleet::of(&[Behaviour::Healthy]).await;
    fleet.program.write_config(&fleet.config(UNDER).text());
    let running = fleet.program.spawn(["--headless"]);
    let limits = format!("/proc/{}/limits", running.pid().as_raw_nonzero());
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    wait_until("no core file to be allowed", SOON, async || {
        let text = fs::read_to_string(&limits).unwrap();
        let line = text.lines().find(|line| line.starts_with("Max core file size")).unwrap();
        words(line).ends_with(&["0", "0", "bytes"].map(str::to_owned))
    })
    .await;
    wait_until("the database to be there", SOON, async || fleet.program.path("fleet.db").exists()).await;
    running.signal(Signal::ABORT);
    let outcome = running.ended(SOON).await;
    assert_eq!(outcome.signal, Some(6), "{outcome:#?}");
    let names = fs::read_dir(fleet.program.path("")).unwrap().map(|entry| entry.unwrap().file_name());
    let left: Vec<_> = names.filter(|name| name.to_string_lossy().starts_with("core")).collect();
    assert!(left.is_empty(), "{left:?}");
}
