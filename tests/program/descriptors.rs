//! With a low limit of open files: everything takes longer but works, and no client is blamed.

use std::os::unix::fs::PermissionsExt;

use fleetsweep::demo::{Account, Behaviour, PasswordMethod, SshServer};
use russh::keys::{Algorithm, PrivateKey};
use support::{Fleetsweep, Signal, Trial, wait_until};

use crate::site::{Config, Fleet, LOGIN, SOON, UNDER, Watched, client, document, number, program, sql};

pub(crate) fn trials() -> Vec<Trial> {
    support::trial_list! {
        needs(Root) => a_collector_without_a_network_blames_no_client;
        needs() =>
        with_few_open_files_every_client_is_collected,
        with_few_open_files_sessions_are_given_up_before_clients_are,
        with_too_few_open_files_nothing_begins,
        what_the_collector_lacks_is_no_failure_of_a_client,
        a_hanging_ssh_agent_is_no_client_that_does_not_answer;
    }
}

/// A rule that one failed sweep breaks.
const STRICT: &str = r#"<alert type="unreachable" limit="0"/>"#;

async fn with_few_open_files_every_client_is_collected() {
    for open_files in [64, 40] {
        let mut fleet = Fleet::of(&[Behaviour::Healthy; 70]).await;
        fleet.program = fleet.program.with_open_files(open_files);
        // Waiting for a file descriptor does not count against a client's timeout.
        let collector = r#"interval="1h" timeout="60s" retries="0""#;
        fleet.program.write_config(&Config { collector, ..fleet.config(STRICT) }.text());
        let outcome = fleet.program.run(["--once", "--format", "json"]).await;
        assert_eq!(outcome.code, Some(0), "{open_files}: {outcome:#?}");
        assert_eq!(document(&outcome)["summary"]["ok"].as_u64(), Some(70), "{outcome:#?}");
        let warning = format!("this process may have {open_files} files open at once: ");
        let said: Vec<&str> = outcome.stderr.lines().filter(|line| line.contains("WARN")).collect();
        let [line] = said.as_slice() else { panic!("one warning: {said:?}") };
        assert!(
            line.contains(&warning) && line.contains("in place of 128; raise the limit with `ulimit -n 1024`"),
            "{line}"
        );
        assert_eq!(number(&fleet.program, "SELECT count(*) FROM v1_alerts").await, 0);
        assert!(fleet.sink.mails().is_empty());
    }
}

async fn with_few_open_files_sessions_are_given_up_before_clients_are() {
    let mut fleet = Fleet::of(&[Behaviour::Healthy; 40]).await;
    fleet.program = fleet.program.with_open_files(64);
    let collector = r#"interval="1s" timeout="60s" retries="0""#;
    fleet.program.write_config(&Config { collector, ..fleet.config(STRICT) }.text());
    let running = fleet.program.spawn(["--headless"]);
    let database = fleet.program.path("fleet.db");
    wait_until("three sweeps", SOON * 3, async || {
        database.exists()
            && number(&fleet.program, "SELECT count(*) FROM sqlite_master WHERE name = 'v1_collections'").await == 1
            && number(&fleet.program, "SELECT count(*) FROM v1_collections").await >= 120
    })
    .await;
    let open: usize = fleet.servers.iter().map(SshServer::connections).sum();
    assert!(open <= 40, "{open} sessions are open");
    running.signal(Signal::TERM);
    let outcome = running.ended(SOON).await;
    assert_eq!(outcome.code, Some(0), "{outcome:#?}");
    // Collections that were running at the end are cancelled, which is not a failure.
    let failed = "SELECT error FROM v1_collections WHERE status = 'failed' AND error NOT LIKE 'cancelled%'";
    assert_eq!(sql(&fleet.program, failed).await, Vec::<String>::new());
    assert_eq!(number(&fleet.program, "SELECT count(*) FROM v1_alerts").await, 0);
}

async fn with_too_few_open_files_nothing_begins() {
    for open_files in [32, 24, 12] {
        let watched = Watched::new();
        let program = program().with_open_files(open_files).with_config(&watched.config().text());
        for mode in ["--once", "--headless"] {
            let outcome = program.run([mode]).await;
            assert_eq!(outcome.code, Some(2), "{open_files} {mode}: {outcome:#?}");
            let said = format!("fleetsweep: this process may have {open_files} files open at once, and needs ");
            assert!(outcome.stderr.starts_with(&said), "{}", outcome.stderr);
            assert!(outcome.stderr.contains("`ulimit -n 1024`") && outcome.stderr.contains("LimitNOFILE=1024"));
        }
        assert!(watched.was_left_alone() && !program.path("fleet.db").exists());
        // Commands that open few files work.
        let outcome = program.run(["check"]).await;
        assert_eq!(outcome.code, Some(0), "{open_files}: {outcome:#?}");
    }
}

async fn what_the_collector_lacks_is_no_failure_of_a_client() {
    // Its session ends each time, so each sweep connects again.
    let fleet = Fleet::of(&[Behaviour::RefusesCommands]).await;
    let rule = r#"<alert type="unreachable" limit="5"/>"#;
    let collector = r#"interval="1s" timeout="1s" retries="0""#;
    fleet.program.write_config(&Config { collector, ..fleet.config(rule) }.text());
    let running = fleet.program.spawn(["--headless"]);
    let database = fleet.program.path("fleet.db");
    let ends = async |error: &str| {
        let query = format!("SELECT count(*) FROM v1_collections WHERE error LIKE '{error}%'");
        let made = "SELECT count(*) FROM sqlite_master WHERE name = 'v1_collections'";
        if database.exists() && number(&fleet.program, made).await == 1 {
            number(&fleet.program, &query).await
        } else {
            0
        }
    };
    let (refused, short) = ("command refused", "the collector is short of resources");
    wait_until("a first failure", SOON, async || ends(refused).await >= 1).await;
    // Lower than the number of open files, so that no further file can be opened.
    running.limit_open_files(8);
    wait_until("six sweeps without descriptors", SOON * 2, async || ends(short).await >= 6).await;
    let counted = ends(refused).await;
    assert!(counted <= 5, "the shortage came too late to show anything");
    assert_eq!(
        number(&fleet.program, "SELECT count(*) FROM v1_alerts").await,
        0,
        "the client was judged by our trouble"
    );
    running.limit_open_files(1024);
    wait_until("an alert", SOON, async || number(&fleet.program, "SELECT count(*) FROM v1_alerts").await == 1).await;
    // The next collection begins only after the one that raised the alert has ended.
    // On a busy machine, one of them can be a time-out.
    let raised = format!(
        "SELECT count(*) FROM v1_collections, v1_alerts WHERE status = 'failed' AND error NOT LIKE '{short}%' AND
         started_at_ms <= raised_at_ms"
    );
    assert_eq!(number(&fleet.program, &raised).await, 6, "the row is that of the client's own failures");
    // A mail that still waits at the end would be left for the next run.
    fleet.sink.received(1).await;
    running.signal(Signal::TERM);
    let outcome = running.ended(SOON).await;
    assert_eq!(outcome.code, Some(0), "{outcome:#?}");
    let errors = outcome.stderr.lines().filter(|line| line.contains("ERROR") && line.contains(short)).count();
    assert_eq!(errors, 1, "said once: {}", outcome.stderr);
    assert!(outcome.stderr.contains("because of a problem of this collector"), "{}", outcome.stderr);
    assert!(fleet.sink.mails().iter().all(|mail| !String::from_utf8_lossy(&mail.content).contains(short)));
}

async fn a_hanging_ssh_agent_is_no_client_that_does_not_answer() {
    let mut fleet = Fleet::of(&[]).await;
    // A server that takes keys, because the ssh-agent is not asked for another one.
    let key = PrivateKey::random(&mut rand::rng(), Algorithm::Ed25519).unwrap();
    let account = Account {
        username: "demo".to_owned(),
        password: Some((PasswordMethod::Password, "open sesame".into())),
        authorized_keys: vec![key.public_key().clone()],
    };
    let home = tempfile::tempdir().unwrap();
    let server =
        SshServer::start(SshServer::loopback(0), home.path().to_owned(), account, Behaviour::Healthy).await.unwrap();
    // It accepts connections and sends nothing.
    let socket = fleet.program.path("agent.sock");
    let _agent = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    fleet.program = fleet.program.with_environment("SSH_AUTH_SOCK", &socket.display().to_string());
    let one = client("client-1", server.address(), r#"username="demo""#, STRICT);
    let hangs = client("hangs", server.address(), r#"username="demo" password="cmd:sleep 60""#, STRICT);
    for (element, words) in
        [(one, "the list of the ssh-agent's keys did not come in time"), (hangs, "the password did not come in time")]
    {
        let config = Config {
            collector: r#"interval="1h" timeout="3s" retries="0""#,
            clients: vec![element],
            ..fleet.config(UNDER)
        };
        fleet.program.write_config(&config.text());
        let outcome = fleet.program.run(["--once", "--format", "json"]).await;
        assert_eq!(outcome.code, Some(1), "{outcome:#?}");
        let document = document(&outcome);
        let error = document["clients"][0]["error"].as_str().unwrap();
        assert!(error.starts_with("credential unusable: ") && error.contains(words), "{error}");
        assert_eq!(number(&fleet.program, "SELECT count(*) FROM v1_alerts").await, 0);
        assert!(outcome.stderr.contains("because of a problem of this collector"), "{}", outcome.stderr);
    }
}

async fn a_collector_without_a_network_blames_no_client() {
    let folder = tempfile::tempdir().unwrap();
    let wrapper = folder.path().join("fleetsweep");
    let script = format!("#!/bin/sh\nexec unshare --net {} \"$@\"\n", env!("CARGO_BIN_EXE_fleetsweep"));
    std::fs::write(&wrapper, script).unwrap();
    std::fs::set_permissions(&wrapper, PermissionsExt::from_mode(0o755)).unwrap();
    let address = "10.9.8.7:22".parse().unwrap();
    let mut config = Config::new("127.0.0.1:25".parse().unwrap(), vec![client("far", address, LOGIN, STRICT)]);
    config.collector = r#"interval="1h" timeout="5s" retries="0""#;
    let program = Fleetsweep::new(wrapper).with_config(&config.text());
    let outcome = program.run(["--once", "--format", "json"]).await;
    assert_eq!(outcome.code, Some(1), "{outcome:#?}");
    let error = document(&outcome)["clients"][0]["error"].as_str().unwrap().to_owned();
    assert!(error.starts_with("the collector has no network: Network is unreachable"), "{error}");
    assert_eq!(number(&program, "SELECT count(*) FROM v1_alerts").await, 0);
}
