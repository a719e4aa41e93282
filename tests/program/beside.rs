//! `--once` while another collector runs: it reports its own sweep, and sweeps itself if that collector ends.

use fleetsweep::demo::Behaviour;
use serde_json::Value;
use support::{Running, Signal, Trial, wait_until};

use crate::site::{Config, Fleet, OVER, SOON, document, mails, number};

pub(crate) fn trials() -> Vec<Trial> {
    support::trial_list! {
        needs() =>
            a_single_sweep_beside_a_busy_collector_counts_itself_alone,
            a_single_sweep_whose_collector_is_killed_sweeps_itself,
            a_single_sweep_waits_for_a_collector_that_is_ending;
    }
}

async fn service(fleet: &Fleet, config: &Config, collections: u64) -> Running {
    fleet.program.write_config(&config.text());
    let running = fleet.program.spawn(["--headless"]);
    let database = fleet.program.path("fleet.db");
    let holds = format!("SELECT count(*) FROM collectors WHERE process_id = {}", running.pid().as_raw_nonzero());
    wait_until("the service", SOON, async || {
        // The last table that is used here, in the order of the migrations.
        let made = "SELECT count(*) FROM sqlite_master WHERE name = 'collectors'";
        database.exists()
            && number(&fleet.program, made).await == 1
            && number(&fleet.program, &holds).await == 1
            && number(&fleet.program, "SELECT count(*) FROM v1_collections").await >= collections
    })
    .await;
    running
}

async fn a_single_sweep_beside_a_busy_collector_counts_itself_alone() {
    let fleet = Fleet::of(&[Behaviour::Healthy, Behaviour::RefusesLogin, Behaviour::Healthy]).await;
    // Each of its sweeps mails about both clients that answer.
    let config = Config {
        collector: r#"interval="1s" timeout="20s" retries="0""#,
        alerts: r#"repeat="every" recovery="no""#,
        ..fleet.config(OVER)
    };
    let running = service(&fleet, &config, 6).await;
    for _ in 0..4 {
        let outcome = fleet.program.run(["--once", "--client", "client-1", "--format", "json"]).await;
        // The failing client is not part of this sweep.
        assert_eq!(outcome.code, Some(0), "{outcome:#?}");
        let document = document(&outcome);
        let clients = document["clients"].as_array().unwrap();
        assert_eq!(clients.len(), 1, "{document:#}");
        assert_eq!(clients[0]["name"], Value::from("client-1"));
        for (count, expected) in [("clients", 1), ("ok", 1), ("failed", 0), ("alerts", 1)] {
            assert_eq!(document["summary"][count].as_u64(), Some(expected), "{count}: {document:#}");
        }
        assert_eq!(mails(&document), (1, 0), "{document:#}");
    }
    let outcome = fleet.program.run(["--once", "--client", "client-2", "--format", "json"]).await;
    assert_eq!(outcome.code, Some(1), "{outcome:#?}");
    assert_eq!(mails(&document(&outcome)), (0, 0));
    running.signal(Signal::TERM);
    assert_eq!(running.ended(SOON).await.code, Some(0));
}

async fn a_single_sweep_whose_collector_is_killed_sweeps_itself() {
    // The second client hangs, so that the collector is in the middle of a sweep.
    let fleet = Fleet::of(&[Behaviour::Healthy, Behaviour::StallsMidAnswer]).await;
    let config = Config { collector: r#"interval="1h" timeout="12s" retries="0""#, ..fleet.config(OVER) };
    let running = service(&fleet, &config, 1).await;
    let once = fleet.program.spawn(["--once", "--format", "json", "--record", "run.jsonl"]);
    // It has sent its order and waits.
    let asked = "SELECT count(*) FROM sweeps WHERE set_off_by = 'once'";
    wait_until("the sweep that was asked for", SOON, async || number(&fleet.program, asked).await == 1).await;
    running.signal(Signal::KILL);
    running.ended(SOON).await;
    let outcome = once.ended(SOON * 2).await;
    assert_eq!(outcome.code, Some(1), "one of two hangs: {outcome:#?}");
    let document = document(&outcome);
    assert_eq!((document["summary"]["ok"].as_u64(), document["summary"]["failed"].as_u64()), (Some(1), Some(1)));
    assert!(outcome.stderr.contains("sweeping again"), "{}", outcome.stderr);
    assert!(fleet.program.path("run.jsonl").exists());
}

async fn a_single_sweep_waits_for_a_collector_that_is_ending() {
    let fleet = Fleet::of(&[Behaviour::Healthy]).await;
    let config = Config { collector: r#"interval="1h" timeout="20s" retries="0""#, ..fleet.config(OVER) };
    for _ in 0..3 {
        let running = service(&fleet, &config, 1).await;
        running.signal(Signal::TERM);
        // Whatever the state of the collector is: running, ending or gone.
        let outcome = fleet.program.run(["--once", "--format", "json"]).await;
        assert_eq!(outcome.code, Some(0), "{outcome:#?}");
        assert_eq!(document(&outcome)["summary"]["ok"].as_u64(), Some(1));
        assert_eq!(running.ended(SOON).await.code, Some(0));
    }
    // A service that starts while another one ends waits for it.
    let running = service(&fleet, &config, 1).await;
    running.signal(Signal::TERM);
    let mut next = fleet.program.spawn(["--headless"]);
    assert_eq!(running.ended(SOON).await.code, Some(0));
    let before = number(&fleet.program, "SELECT count(*) FROM v1_collections").await;
    wait_until("the next service's sweep", SOON, async || {
        assert!(next.is_running(), "it gave up");
        number(&fleet.program, "SELECT count(*) FROM v1_collections").await > before
    })
    .await;
    next.signal(Signal::TERM);
    assert_eq!(next.ended(SOON).await.code, Some(0));
}
