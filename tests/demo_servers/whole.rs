//! The complete demo: configuration, simulated hosts and incidents.

use std::{
    fs,
    io::ErrorKind,
    os::unix::fs::PermissionsExt,
    path::Path,
    time::{Duration, Instant},
};

use async_ssh2_tokio::client::{AuthMethod, Client, ServerCheckMethod};
use fleetsweep::{
    bus::{EventBus, Publisher},
    config::Config,
    demo::{Account, Behaviour, Demo, Expectation, PasswordMethod, SimulatedHost, SshServer},
    fleet::{ClientId, Stage, SweepId, login_hold::HeldLogins},
    sweep::{Collection, CollectionOrder, Collector, SessionKeeping},
};
use fleetsweep_agent::{envelope, request::EventsWanted};
use support::{SOON, Trial, allowance};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::fixture::{PASSWORD, account};

pub(crate) fn trials() -> Vec<Trial> {
    support::trial_list! {
        needs() =>
            a_demo_writes_a_private_configuration_and_leaves_nothing,
            the_report_of_a_simulated_host_replaces_that_of_this_machine,
            incidents_add_a_line_to_the_legend_and_end_with_the_demo,
            a_thousand_clients_start_within_seconds;
    }
}

/// The clients of a configuration: name, identity.
fn clients_of(config: &str) -> Vec<(String, ClientId)> {
    let attribute = |line: &str, name: &str| {
        line.split_once(&format!(" {name}=\"")).unwrap().1.split('"').next().unwrap().to_owned()
    };
    config
        .lines()
        .filter(|line| line.trim_start().starts_with("<client "))
        .map(|line| {
            (attribute(line, "name"), ClientId::new(attribute(line, "ip"), attribute(line, "port").parse().unwrap()))
        })
        .collect()
}

async fn a_demo_writes_a_private_configuration_and_leaves_nothing() {
    let demo = Demo::start(12).await.unwrap();
    let directory = demo.directory().to_owned();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&directory), mode(demo.config_path())), (0o700, 0o600));
    let config = fs::read_to_string(demo.config_path()).unwrap();
    let clients = clients_of(&config);
    assert_eq!(clients.len(), 12);
    for (name, id) in &clients {
        let expected = match name.rsplit_once('-').unwrap().0 {
            "over-limit" => Expectation::OverLimit,
            "refuses-login" => Expectation::FailsAt(Stage::Authenticate),
            "silent" => Expectation::FailsAt(Stage::Connect),
            _ => Expectation::Collected,
        };
        assert_eq!(demo.expectation(id), Some(expected), "{name}");
        assert_eq!(mode(&directory.join(name)), 0o700, "{name}");
    }
    assert_eq!(demo.expectation(&ClientId::new("127.0.0.1", 1)), None);
    let password = config.split_once(" password=\"").unwrap().1.split('"').next().unwrap();
    let auth = AuthMethod::with_password(password);
    let address = demo.servers().first().unwrap().address();
    let client = Client::connect(address, "demo", auth, ServerCheckMethod::NoCheck).await.unwrap();
    assert_eq!(client.execute("pwd").await.unwrap().stdout.trim(), directory.join("web-01").to_str().unwrap());
    demo.stop().await.unwrap();
    assert!(!directory.exists());

    for none in [0, 10_001] {
        assert_eq!(Demo::start(none).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    }
}

/// Collects from one server as in a sweep.
async fn collect(directory: &Path, server: &SshServer, username: &str) -> Collection {
    let known_hosts = directory.join("known_hosts");
    let config = format!(
        r#"<config><collector timeout="10s"/><smtp host="127.0.0.1" from="sweep@localhost"/>
        <ssh known-hosts="{}" host-keys="accept-new"/>
        <client name="one" ip="{}" port="{}" username="{username}" password="{PASSWORD}"/></config>"#,
        known_hosts.display(),
        server.address().ip(),
        server.address().port(),
    );
    let path = directory.join("config.xml");
    fs::write(&path, config).unwrap();
    let config = Config::load(&path).unwrap().config;
    let (publisher, events) = Publisher::new();
    let bus = EventBus::start(events);
    let collector = Collector::new(&config, SessionKeeping::CloseAfterUse, publisher).unwrap();
    let client = config.clients.first().unwrap();
    let cancel = CancellationToken::new();
    let order = CollectionOrder {
        sweep: SweepId(Uuid::new_v4()),
        events: EventsWanted::No,
        login_hold: None,
        held_logins: HeldLogins::Respected,
    };
    let collection = collector.collect(client, order, &cancel).await;
    drop(collector);
    bus.finish().await;
    collection
}

async fn the_report_of_a_simulated_host_replaces_that_of_this_machine() {
    let directory = tempfile::tempdir().unwrap();
    let username = Uuid::new_v4().simple().to_string();
    let account = || Account {
        username: username.clone(),
        password: Some((PasswordMethod::Password, PASSWORD.into())),
        ..account()
    };
    let started = |behaviour| {
        let simulated = (SimulatedHost::new("db-03", 2), Instant::now());
        SshServer::start_simulated(SshServer::loopback(0), directory.path().to_owned(), account(), behaviour, simulated)
    };
    let server = started(Behaviour::Healthy).await.unwrap();
    let delays = SimulatedHost::new("db-03", 2).delays(Duration::ZERO);
    let began = Instant::now();
    let reading = collect(directory.path(), &server, &username).await.outcome.unwrap().reading;
    assert!(began.elapsed() >= delays.total() / 2, "{:?} of {delays:?}", began.elapsed());
    assert_eq!(reading.host_name.as_deref(), Some("db-03.demo.example"));
    assert!(reading.top_cpu.iter().any(|process| process.name == "postgres"), "{:?}", reading.top_cpu);
    // The answer of the real agent comes first.

    let said = String::from_utf8_lossy(&server.written()).into_owned();
    assert_eq!(said.matches(envelope::BEGIN).count(), 2, "{said}");
    drop(server);

    for (behaviour, stage) in [
        (Behaviour::KillsMidAnswer, Stage::Execute),
        (Behaviour::AltersAnswer, Stage::Decrypt),
        (Behaviour::RefusesLogin, Stage::Authenticate),
    ] {
        let server = started(behaviour).await.unwrap();
        let failure = collect(directory.path(), &server, &username).await.outcome.unwrap_err();
        assert_eq!(failure.stage, stage, "{behaviour:?}: {failure}");
    }

    let plain = SshServer::start(SshServer::loopback(0), directory.path().to_owned(), account(), Behaviour::Healthy);
    let reading = collect(directory.path(), &plain.await.unwrap(), &username).await.outcome.unwrap().reading;
    assert_ne!(reading.host_name.as_deref(), Some("db-03.demo.example"));
    support::remove_kept(&username);
}

async fn incidents_add_a_line_to_the_legend_and_end_with_the_demo() {
    let mut demo = Demo::start(4).await.unwrap();
    let before = demo.legend().to_owned();
    demo.start_incidents();
    let after = demo.legend().to_owned();
    demo.start_incidents();
    assert_eq!(demo.legend(), after);
    let added = after.strip_prefix(&before).unwrap();
    assert!(added.contains("recover") && added.ends_with('\n') && added.lines().count() == 1, "{added}");
    timeout(SOON, demo.stop()).await.unwrap().unwrap();
}

async fn a_thousand_clients_start_within_seconds() {
    let started = Instant::now();
    let demo = Demo::start(1000).await.unwrap();
    assert!(started.elapsed() < allowance(Duration::from_secs(30)), "{:?}", started.elapsed());
    let mut addresses: Vec<_> = demo.servers().iter().map(|server| server.address().ip()).collect();
    addresses.sort();
    addresses.dedup();
    assert_eq!(addresses.len(), 1000);
    assert!(addresses.iter().all(std::net::IpAddr::is_loopback));
    demo.stop().await.unwrap();
}
