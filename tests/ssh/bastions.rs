//! Clients behind bastions: real servers behind real servers.

use support::{Fleetsweep, Sshd, SshdOptions, rows, wait_until};

use crate::sweeping::{PATIENT, SOON, at, client, key_login, program, sshd_with, sweep};

/// A server that forwards, with a user who has no right to run a command.
async fn bastion(config: &[&str]) -> Sshd {
    let config = config.iter().map(|line| (*line).to_owned()).collect();
    sshd_with("/bin/false", SshdOptions { config, ..SshdOptions::default() }).await
}

/// A `<bastion>` element of a server.
fn element(name: &str, sshd: &Sshd) -> String {
    let (host, port) = at(sshd, 0);
    format!(r#"<bastion name="{name}" host="{host}" port="{port}" {}/>"#, key_login(sshd))
}

/// The number that a query gives.
async fn count(program: &Fleetsweep, query: &str) -> usize {
    let rows = rows(&program.path("fleetsweep.db"), query).await;
    let number = rows.first().and_then(|row| row.first()?.as_deref());
    number.unwrap().parse().unwrap()
}

fn logins(sshd: &Sshd) -> usize {
    sshd.log().matches("Accepted publickey").count()
}

pub(crate) async fn clients_behind_bastions_are_collected_over_one_session_with_each() {
    const CLIENTS: u16 = 30;
    let (outer, inner) = (bastion(&[]).await, bastion(&["ListenAddress 127.0.0.1"]).await);
    let far = sshd_with("/bin/sh", SshdOptions { addresses: CLIENTS, ..SshdOptions::default() }).await;
    let settings = format!(
        r#"<collector timeout="120s" retries="0" interval="1s"/>{}{}"#,
        element("outer", &outer),
        element("inner", &inner)
    );
    let mut clients: Vec<String> = (0..CLIENTS)
        .map(|number| {
            let via = if number % 2 == 0 { "outer" } else { "outer, inner" };
            client(&format!("c{number}"), at(&far, number.into()), &format!(r#"{} via="{via}""#, key_login(&far)))
        })
        .collect();
    // A server without an element has the account that is written, and the key of the client.
    let (host, port) = at(&far, 0);
    let named = format!(
        r#"<client name="named" ip="localhost" port="{port}" via="{}@{host}:{port}" {}/>"#,
        far.username(),
        key_login(&far)
    );
    clients.push(named);
    let program = program(&settings, &clients);
    let swept = sweep(&program).await;
    // The bastion looks the name up: it is the client itself.
    assert_eq!(swept.client("named").status, "ok", "{:?}", swept.client("named"));
    for number in 0..CLIENTS {
        assert_eq!(swept.client(&format!("c{number}")).status, "ok", "{:?}", swept.client(&format!("c{number}")));
    }
    assert_eq!((logins(&outer), logins(&inner)), (1, 1), "one session serves all");

    // Sessions with bastions and clients stay open from sweep to sweep.
    let running = program.spawn(["--headless"]);
    let before = logins(&far);
    let query = "SELECT count(*) FROM v1_collections WHERE status = 'ok'";
    wait_until("three sweeps more", SOON, async || count(&program, query).await >= usize::from(CLIENTS + 1) * 4).await;
    running.signal(support::Signal::TERM);
    let outcome = running.ended(SOON).await;
    assert_eq!(outcome.code, Some(0), "{outcome:#?}");
    assert_eq!((logins(&outer), logins(&inner)), (2, 2));
    // One for each client, and one for the server that is a bastion without an element.
    assert_eq!(logins(&far) - before, usize::from(CLIENTS + 2));
}

pub(crate) async fn a_bastion_that_cannot_be_used_is_one_failure_and_no_failure_of_the_clients() {
    const BEHIND: usize = 6;
    let mut gone = bastion(&[]).await;
    let (closed, refusing) =
        (bastion(&["AllowTcpForwarding no"]).await, bastion(&["PasswordAuthentication yes"]).await);
    let far = sshd_with("/bin/sh", SshdOptions { addresses: 7, ..SshdOptions::default() }).await;
    let (host, port) = at(&refusing, 0);
    let wrong = format!(
        r#"<bastion name="refusing" host="{host}" port="{port}" username="{}" password="wrong"/>"#,
        refusing.username()
    );
    let settings = format!("{PATIENT}{}{}{wrong}", element("gone", &gone), element("closed", &closed));
    gone.stop();
    let mut clients = vec![client("direct", at(&far, 0), &key_login(&far))];
    for via in ["gone", "closed", "refusing", "gone, closed"] {
        for number in 0..BEHIND {
            let name = format!("{via} {number}").replace(", ", "-");
            // Each client is one of its own.
            let port = if via == "gone" { far.port() } else { 1000 + u16::try_from(clients.len()).unwrap() };
            let rule = r#"<alert type="unreachable" limit="0"/>"#;
            let (ip, _) = at(&far, number + 1);
            let login = key_login(&far);
            clients
                .push(format!(r#"<client name="{name}" ip="{ip}" port="{port}" {login} via="{via}">{rule}</client>"#));
        }
    }
    let program = program(&settings, &clients);
    let swept = sweep(&program).await;
    assert_eq!(swept.client("direct").status, "ok");
    for number in 0..BEHIND {
        for (name, expected) in [
            ("gone", "not reached: bastion gone: connection refused"),
            ("closed", "not reached: bastion closed: it may not forward to "),
            ("refusing", "not reached: bastion refusing: authentication refused"),
            ("gone-closed", "not reached: bastion gone: connection refused"),
        ] {
            let (stage, words) = swept.failure(&format!("{name} {number}"));
            assert!(stage == "connect" && words.starts_with(expected), "{name}: {stage} {words}");
        }
    }
    // Told once for each bastion, and nobody is judged.
    let told: Vec<&str> = swept.outcome.stderr.lines().filter(|line| line.contains(" ERROR ")).collect();
    assert_eq!(told.len(), 3, "{told:#?}");
    assert!(told.iter().all(|line| line.contains("were not collected because of a bastion: ")), "{told:#?}");
    assert!(told.iter().any(|line| line.contains("12 clients were not collected")), "{told:#?}");
    assert_eq!(count(&program, "SELECT count(*) FROM v1_alerts").await, 0);
    assert_eq!(refusing.log().matches("Failed password").count(), 1, "one login for all clients behind it");
    // A command visits its clients as a sweep does.
    let outcome = program.run(["clean"]).await;
    assert_eq!(outcome.code, Some(1), "{outcome:#?}");
    assert_eq!(outcome.stdout.matches("not reached: bastion refusing").count(), BEHIND, "{}", outcome.stdout);
    assert_eq!(refusing.log().matches("Failed password").count(), 2, "one login for all clients behind it");
}

pub(crate) async fn trust_pins_a_bastion_before_it_logs_in_there() {
    let gate = bastion(&[]).await;
    let far = sshd_with("/bin/sh", SshdOptions::default()).await;
    let settings = format!(r#"{PATIENT}<ssh host-keys="strict" known-hosts="known"/>{}"#, element("gate", &gate));
    let program = program(&settings, &[client("far", at(&far, 0), &format!(r#"{} via="gate""#, key_login(&far)))]);
    let swept = sweep(&program).await;
    let (stage, words) = swept.failure("far");
    assert!(stage == "connect" && words.starts_with("not reached: bastion gate: host key not known"), "{words}");
    // Before its fingerprint can be compared, nothing is sent to the bastion.
    let outcome = program.run(["trust"]).await;
    assert_eq!(outcome.code, Some(1), "{outcome:#?}");
    let pinned = "not reached: bastion gate: its host key is pinned now: ssh-ed25519 SHA256:";
    assert!(outcome.stdout.contains(pinned), "{}", outcome.stdout);
    assert!(!gate.log().contains("Accepted") && !gate.log().contains("publickey"), "{}", gate.log());
    let outcome = program.run(["trust"]).await;
    assert_eq!(outcome.code, Some(0), "{outcome:#?}");
    assert!(outcome.stdout.contains("pinned now      ssh-ed25519 SHA256:"), "{}", outcome.stdout);
    assert!(outcome.stdout.contains("; over bastion gate ssh-ed25519 SHA256:"), "{}", outcome.stdout);
    sweep(&program).await.is_complete();
}
