//! A large fleet, some of it dead.

use std::{collections::BTreeSet, time::Duration};

use fleetsweep::demo::Behaviour;
use support::{SshdOptions, allowance, rows};

use crate::sweeping::{DemoClient, at, client, key_login, program, sshd_with, sweep};

const ALIVE: u16 = 190;
const DEAD: u16 = 10;

#[expect(clippy::print_stdout, reason = "the figures are for the reader of a test run")]
pub(crate) async fn a_large_sweep_waits_for_its_slowest_deadline_alone() {
    // As many at the same time as can log in within the deadline on a busy machine.
    let settings = r#"<collector timeout="60s" retries="1" concurrency="48"/>"#;
    let connect = Duration::from_secs(20);
    let options = SshdOptions { addresses: ALIVE, ..SshdOptions::default() };
    let sshd = sshd_with("/bin/sh", options).await;
    let mut clients: Vec<String> = (0..ALIVE)
        .map(|number| client(&format!("alive-{number}"), at(&sshd, number.into()), &key_login(&sshd)))
        .collect();
    let alone = sweep(&program(settings, &clients)).await;
    alone.is_complete();

    let mut dead = Vec::new();
    for number in 0..DEAD {
        let demo = DemoClient::start(Behaviour::Silent).await;
        // The dead clients are spread over the configuration.
        clients.insert((number * ALIVE / DEAD).into(), demo.named(&format!("dead-{number}")));
        dead.push(demo);
    }
    let program = program(settings, &clients);
    let swept = sweep(&program).await;
    println!(
        "{ALIVE} clients alone: {:.1?}; with {DEAD} silent ones whose deadline is {connect:?}: {:.1?}",
        alone.duration, swept.duration
    );
    let most = connect + allowance(alone.duration);
    assert!(swept.duration < most, "{:?} alone, {:?}", alone.duration, swept.duration);
    assert_eq!(swept.outcome.code, Some(1));
    let failed: BTreeSet<&str> =
        swept.clients.values().filter(|row| row.status != "ok").map(|row| row.name.as_str()).collect();
    let names: Vec<String> = (0..DEAD).map(|number| format!("dead-{number}")).collect();
    assert_eq!(failed, names.iter().map(String::as_str).collect());
    for name in &names {
        let expected = "timed out: `connect` was not done within 20s of the `timeout` of 1m";
        assert_eq!((swept.failure(name), swept.client(name).attempts), (("connect", expected), 1));
    }
    let counted = "SELECT (SELECT COUNT(DISTINCT client_ip) FROM v1_samples), \
                   (SELECT COUNT(*) FROM v1_collections WHERE status = 'failed' AND stage = 'connect')";
    let expected = [ALIVE, DEAD].map(|number| Some(number.to_string()));
    assert_eq!(rows(&program.path("fleetsweep.db"), counted).await, [expected]);
}
