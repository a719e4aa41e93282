//! Hostile and narrow bastions: each fault is told as what it is, takes few resources, and does not affect clients behind
//! other bastions.

use fleetsweep::demo::Behaviour;
use support::{Fault, Forwarding, HostileSsh};

use crate::{
    hostile::{SETTINGS, measured_sweep},
    sweeping::{DemoClient, client, password_login, program},
};

/// A `<bastion>` element of a server that accepts every login.
fn element(name: &str, server: &HostileSsh) -> String {
    let address = server.address();
    let login = password_login("anybody", "p");
    format!(r#"<bastion name="{name}" host="{}" port="{}" {login}/>"#, address.ip(), address.port())
}

pub(crate) async fn a_bastion_that_carries_few_connections_gets_as_many_sessions_as_its_clients_need() {
    const CLIENTS: usize = 5;
    let mut demos = Vec::new();
    for _ in 0..CLIENTS {
        demos.push(DemoClient::start(Behaviour::Healthy).await);
    }
    let narrow = [
        ("few-channels", Forwarding::AtMost(2), 3),
        ("few-files", Forwarding::Until(2, "Too many open files"), 3),
        ("many-channels", Forwarding::AtMost(100), 1),
    ];
    for (name, forwarding, sessions) in narrow {
        let server = HostileSsh::start(Fault::Forwards(forwarding));
        let clients: Vec<String> = demos
            .iter()
            .enumerate()
            .map(|(number, demo)| {
                let (address, login) = (demo.address(), demo.login());
                client(&format!("c{number}"), (address.ip(), address.port()), &format!(r#"{login} via="{name}""#))
            })
            .collect();
        // The sessions of the clients are kept, so that all connections are open at the end.
        let program = program(&format!("{SETTINGS}{}", element(name, &server)), &clients);
        let (swept, _) = measured_sweep(&program).await;
        swept.is_complete();
        assert_eq!(server.connections(), sessions, "{name}");
    }
}

pub(crate) async fn every_attack_of_a_bastion_fails_as_what_it_is_and_the_others_are_collected() {
    let healthy = DemoClient::start(Behaviour::Healthy).await;
    let direct = healthy.named("healthy");
    let cases = [
        ("full", Forwarding::AtMost(0), "not reached: bastion full: it opens no connection: no more channels"),
        ("silent", Forwarding::NeverAnswers, "timed out: `connect` was not done within "),
        ("wordy", Forwarding::Refuses("no \u{1b}[2J", 10_000), "not reached: bastion wordy: it may not forward to "),
        ("refusing", Forwarding::RefusesForEver, "not reached: bastion refusing: it may not forward to "),
        (
            "printing",
            Forwarding::PrintsErrors,
            "not reached: bastion printing: misbehaving SSH server: it sent more than ",
        ),
        ("nowhere", Forwarding::Nowhere, "timed out: `connect` was not done within "),
        ("endless", Forwarding::GoesOnAfterTheEnd, "timed out: `connect` was not done within "),
        ("ending", Forwarding::HangsUp, "not reached: bastion ending: connection lost: "),
    ];
    let servers: Vec<HostileSsh> =
        cases.iter().map(|(_, forwarding, _)| HostileSsh::start(Fault::Forwards(*forwarding))).collect();
    let elements: String = cases.iter().zip(&servers).map(|((name, ..), server)| element(name, server)).collect();
    let mut clients = vec![direct];
    for (name, ..) in &cases {
        let (address, login) = (healthy.address(), healthy.login());
        let server = if *name == "nowhere" { "localhost".to_owned() } else { address.ip().to_string() };
        // The same server under other names, so that each client is one of its own.
        let port = 1000 + u16::try_from(clients.len()).unwrap();
        clients.push(format!(r#"<client name="{name}" ip="{server}" port="{port}" {login} via="{name}"/>"#));
    }
    let (swept, usage) = measured_sweep(&program(&format!("{SETTINGS}{elements}"), &clients)).await;
    assert_eq!(swept.client("healthy").status, "ok", "{swept:?}");
    let mut wrong = Vec::new();
    for (name, _, begins) in &cases {
        let (stage, error) = swept.failure(name);
        if stage != "connect" || !error.starts_with(begins) || error.len() > 700 || error.contains('\u{1b}') {
            wrong.push(format!("{name}: {stage}: {error}"));
        }
    }
    assert!(wrong.is_empty(), "{}\n{}", wrong.join("\n"), swept.outcome.stderr);
    for ((name, ..), server) in cases.iter().zip(&servers) {
        // A megabyte is 32 messages. In a session, 3 MiB may be read that were not asked for; the rest fills buffers.
        let most = 512 * u64::try_from(server.connections()).unwrap();
        assert!(server.flooded() < most && server.connections() <= 4, "{name}: {}", server.flooded());
    }
    assert!(usage.cpu < std::time::Duration::from_secs(10) && usage.peak_bytes < 200 << 20, "{usage:?}");
    assert!(swept.outcome.stderr.lines().count() < 5 * clients.len(), "{}", swept.outcome.stderr);
}
