//! `kill -9` at random times of many sweeps: no data is incomplete and no decided mail is lost. The times come from a
//! seed that is printed; `FLEETSWEEP_TEST_SEED` sets it.
#![expect(clippy::print_stdout, reason = "the seed and the figures are what a test like this has to say")]

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use fleetsweep::demo::Behaviour;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use support::{SOON, Signal, Trial};

use crate::site::{Config, Fleet, OVER, mails, number, once, parsed, sql};

pub(crate) fn trials() -> Vec<Trial> {
    support::trial_list! {
        needs() => a_hundred_killed_runs_leave_nothing_half_and_lose_no_mail;
    }
}

/// How often a run is killed; and at least how often, on a machine that is so slow that all of them would take longer
/// than this.
const KILLS: usize = 100;
const KILLS_AT_LEAST: usize = 25;
const KILLING: Duration = Duration::from_secs(180);

const CLIENTS: usize = 20;

/// Rows that must never exist, with a description.
const HALVES: [(&str, &str); 5] = [
    (
        "a successful collection without its sample",
        "SELECT count(*) FROM v1_collections c LEFT JOIN v1_samples s ON s.client_ip = c.client_ip
         AND s.collected_at_ms = c.started_at_ms + c.duration_ms WHERE c.status = 'ok' AND s.client_ip IS NULL",
    ),
    (
        "a sample without its cores",
        "SELECT count(*) FROM collections c WHERE c.status = 'ok'
         AND c.core_count <> (SELECT count(*) FROM cores WHERE cores.collection_id = c.id)",
    ),
    (
        "a client over its limit without an open alert, or with two",
        "SELECT count(*) FROM v1_latest l WHERE 1 <> (SELECT count(*) FROM v1_alerts a
         WHERE a.client_ip = l.client_ip AND a.resolved_at_ms IS NULL AND a.last_mail_at_ms IS NOT NULL)",
    ),
    (
        "a collection over the limit without its mail, or a mail without its collection",
        "SELECT abs((SELECT count(*) FROM v1_collections WHERE status = 'ok')
         - (SELECT count(*) FROM v1_mails WHERE kind = 'alert'))",
    ),
    (
        "a latest sample that is not the newest",
        "SELECT count(*) FROM v1_latest l JOIN v1_samples s ON s.client_ip = l.client_ip
         AND s.collected_at_ms > l.collected_at_ms",
    ),
];

async fn a_hundred_killed_runs_leave_nothing_half_and_lose_no_mail() {
    let given = std::env::var("FLEETSWEEP_TEST_SEED").ok();
    let seed: u64 = given.map_or_else(rand::random, |text| text.parse().expect("a seed is a number"));
    println!("seed {seed}");
    let started = Instant::now();
    let mut random = StdRng::seed_from_u64(seed);
    let fleet = Fleet::of(&[Behaviour::Healthy; CLIENTS]).await;
    let config = Config { alerts: r#"repeat="every""#, ..fleet.config(OVER) };
    fleet.program.write_config(&config.text());
    let (mut in_mid_run, mut kills, mut whole_runs, mut whole) = (0, 0, 0, Duration::ZERO);
    while kills < KILLS && (kills < KILLS_AT_LEAST || started.elapsed() < KILLING) {
        // A run is killed within the time that a complete run takes on this machine now. The load of a machine changes.
        if kills % 10 == 0 {
            let began = Instant::now();
            once(&fleet.program).await;
            whole = began.elapsed();
            whole_runs += 1;
        }
        let mode = if random.random() { "--once" } else { "--headless" };
        let life = whole.mul_f64(random.random_range(0.0..1.0));
        let mut running = fleet.program.spawn([mode]);
        tokio::time::sleep(life).await;
        if running.is_running() {
            in_mid_run += 1;
            running.signal(Signal::KILL);
        }
        let outcome = running.ended(SOON).await;
        assert!(outcome.signal == Some(9) || outcome.code == Some(0), "seed {seed}, run {kills}: {outcome:#?}");
        kills += 1;
    }
    for (what, query) in HALVES {
        assert_eq!(number(&fleet.program, query).await, 0, "seed {seed}: {what}");
    }
    assert_eq!(sql(&fleet.program, "PRAGMA integrity_check").await, ["ok"], "seed {seed}");
    let waited = number(&fleet.program, "SELECT count(*) FROM v1_mails WHERE status = 'waiting'").await;

    // One run tries to send mails for ten seconds: usually all of them, on a busy machine some.
    let mut runs = 0;
    loop {
        let (sent, waiting) = mails(&once(&fleet.program).await);
        runs += 1;
        if waiting == 0 {
            break;
        }
        assert!(sent > 2 * CLIENTS as u64, "seed {seed}: {sent} mails sent by clean run {runs}, {waiting} wait");
    }
    let received: HashSet<String> = fleet.sink.mails().iter().map(|mail| parsed(mail).message_id).collect();
    let decided = sql(&fleet.program, "SELECT id, status FROM mails").await;
    for row in &decided {
        let (id, status) = row.split_once('|').unwrap();
        assert_eq!(status, "sent", "seed {seed}: {id}");
        assert!(received.contains(&format!("{id}@example.com")), "seed {seed}: {id} was never received");
    }
    // Otherwise the test would be meaningless.
    assert!(in_mid_run > kills / 2, "seed {seed}: {in_mid_run} runs were killed before their end");
    let by_killed = decided.len().saturating_sub(CLIENTS * (whole_runs + runs));
    assert!(by_killed > kills / 2, "seed {seed}: {by_killed} mails were decided by {kills} killed runs");
    println!(
        "{:?}: {in_mid_run} of {kills} runs killed before their end, {by_killed} mails decided by them, {waited} waited at the end \
         and left with {runs} clean runs, {} received",
        started.elapsed(),
        fleet.sink.mails().len()
    );
}
