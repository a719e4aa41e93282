//! `--headless`: the interval, slow clients, signals, and notifications to the service manager.

use std::time::{Duration, Instant};

use fleetsweep::demo::{Behaviour, Fault};
use support::{NotifySocket, Outcome, Running, Signal, Trial, allowance, wait_until};

use crate::site::{Config, Fleet, OVER, SOON, UNDER, document, number, sql};

pub(crate) fn trials() -> Vec<Trial> {
    support::trial_list! {
        needs() =>
            sweeps_begin_on_the_interval_over_sessions_that_stay_open,
            a_client_slower_than_the_interval_is_left_out_and_holds_up_nobody,
            a_silent_mail_server_holds_up_no_sweep_and_no_end,
            a_service_ends_in_order_in_mid_sweep,
            a_single_sweep_ends_in_order_with_its_result,
            a_hangup_puts_a_changed_configuration_to_work_and_refuses_a_wrong_one,
            a_hangup_mails_nothing_twice;
    }
}

/// The largest delay of a sweep's start.
const LATE: Duration = Duration::from_millis(400);

/// The time limit for a clean shutdown.
const ENDS_WITHIN: Duration = Duration::from_secs(5);

/// A running service and its notification socket.
struct Service {
    running: Running,
    manager: NotifySocket,
}

impl Service {
    /// Starts it and waits until it is ready.
    async fn start(fleet: &Fleet, config: &Config) -> Self {
        fleet.program.write_config(&config.text());
        let manager = NotifySocket::bind(fleet.program.path("notify"));
        let service = Self { running: fleet.program.spawn(["--headless"]), manager };
        service.says("READY=1").await;
        service
    }

    /// Waits for its next notification, which must be this one.
    async fn says(&self, state: &str) {
        let lines = self.manager.next(SOON).await;
        assert!(lines.iter().any(|line| line == state), "{lines:?} instead of {state}");
    }

    /// Makes it load a changed configuration.
    async fn reload(&self, fleet: &Fleet, text: &str) {
        fleet.program.write_config(text);
        self.running.signal(Signal::HUP);
        self.says("RELOADING=1").await;
        self.says("READY=1").await;
    }

    /// Ends it with SIGTERM, as a service manager does. It must shut down cleanly in time.
    async fn stop(self) -> Outcome {
        let asked = Instant::now();
        self.running.signal(Signal::TERM);
        self.says("STOPPING=1").await;
        let outcome = self.running.ended(SOON).await;
        assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(0), ""), "{outcome:#?}");
        assert!(asked.elapsed() < allowance(ENDS_WITHIN), "{:?}", asked.elapsed());
        outcome
    }
}

/// Waits until a query returns at least this number.
async fn reaches(fleet: &Fleet, query: &str, at_least: u64) {
    wait_until(query, SOON, async || number(&fleet.program, query).await >= at_least).await;
}

fn collected(client: usize) -> String {
    format!("SELECT count(*) FROM v1_collections WHERE status = 'ok' AND client_ip = '127.10.0.{client}'")
}

async fn sweeps_begin_on_the_interval_over_sessions_that_stay_open() {
    let fleet = Fleet::of(&[Behaviour::Healthy; 2]).await;
    let service = Service::start(&fleet, &fleet.config(UNDER)).await;
    reaches(&fleet, &collected(1), 1).await;
    reaches(&fleet, &collected(2), 1).await;
    // From now on all logins are refused, so clients that are still collected have kept their sessions.
    for server in &fleet.servers {
        server.behave(Behaviour::RefusesLogin);
    }
    reaches(&fleet, &collected(1), 6).await;
    wait_until("one session to each", SOON, async || fleet.servers.iter().all(|server| server.connections() == 1))
        .await;
    service.stop().await;
    // A sweep that was running when the service was stopped leaves cancelled collections.
    let refused = "SELECT count(*) FROM v1_collections WHERE status <> 'ok' AND error NOT LIKE 'cancelled%'";
    assert_eq!(number(&fleet.program, refused).await, 0);
    wait_until("the sessions to end", SOON, async || fleet.servers.iter().all(|server| server.connections() == 0))
        .await;

    let starts: Vec<i64> =
        sql(&fleet.program, "SELECT started_at_ms FROM v1_collections WHERE client_ip = '127.10.0.1' ORDER BY 1")
            .await
            .iter()
            .map(|text| text.parse().unwrap())
            .collect();
    let late_ms = i64::try_from(allowance(LATE).as_millis()).unwrap();
    for (number, start) in (0..).zip(&starts) {
        // Relative to the first sweep, because delays must not add up.
        let off = start - starts[0] - number * 1000;
        assert!(off.abs() <= late_ms, "sweep {number} began {off} ms off: {starts:?}");
    }
}

async fn a_client_slower_than_the_interval_is_left_out_and_holds_up_nobody() {
    let slow = Behaviour::Slow(Duration::from_millis(1200));
    let fleet = Fleet::of(&[Behaviour::Healthy, slow]).await;
    let service = Service::start(&fleet, &fleet.config(UNDER)).await;
    reaches(&fleet, &collected(2), 2).await;
    let outcome = service.stop().await;
    assert!(outcome.stderr.contains("still being collected by an earlier sweep"), "{}", outcome.stderr);
    let overlaps = "SELECT count(*) FROM v1_collections a JOIN v1_collections b ON a.client_ip = b.client_ip
        AND a.started_at_ms < b.started_at_ms AND a.started_at_ms + a.duration_ms > b.started_at_ms";
    assert_eq!(number(&fleet.program, overlaps).await, 0);
    let (healthy, slow) = (number(&fleet.program, &collected(1)).await, number(&fleet.program, &collected(2)).await);
    assert!(healthy > slow, "{healthy} and {slow}");
}

async fn a_silent_mail_server_holds_up_no_sweep_and_no_end() {
    let fleet = Fleet::of(&[Behaviour::Healthy]).await;
    fleet.sink.fail(Fault::Silent);
    let service = Service::start(&fleet, &Config { alerts: r#"repeat="every""#, ..fleet.config(OVER) }).await;
    let started = Instant::now();
    reaches(&fleet, &collected(1), 4).await;
    assert!(started.elapsed() < allowance(Duration::from_secs(8)), "four sweeps took {:?}", started.elapsed());
    service.stop().await;
    let outbox = sql(&fleet.program, "SELECT DISTINCT status FROM v1_mails").await;
    assert_eq!(outbox, ["waiting"]);
    let mails = number(&fleet.program, "SELECT count(*) FROM v1_mails").await;
    assert_eq!(mails, number(&fleet.program, &collected(1)).await);
}

async fn a_service_ends_in_order_in_mid_sweep() {
    let fleet = Fleet::of(&[Behaviour::Healthy, Behaviour::StallsMidAnswer]).await;
    let config = Config { collector: r#"interval="60s" timeout="60s" retries="0""#, ..fleet.config(OVER) };
    let service = Service::start(&fleet, &config).await;
    reaches(&fleet, &collected(1), 1).await;
    wait_until("the answer to stall", SOON, async || !fleet.servers[1].written().is_empty()).await;
    let outcome = service.stop().await;
    assert!(!outcome.stderr.contains("ERROR"), "{}", outcome.stderr);
    let outcomes = sql(&fleet.program, "SELECT client_ip, status FROM v1_collections ORDER BY 1").await;
    assert_eq!(outcomes, ["127.10.0.1|ok", "127.10.0.2|failed"]);
    // A collection that the collector has cancelled says nothing about the client.
    assert_eq!(number(&fleet.program, "SELECT count(*) FROM v1_alerts").await, 1);
    wait_until("the sessions to end", SOON, async || {
        fleet.servers.iter().all(|server| server.connections() + server.commands() == 0)
    })
    .await;
}

async fn a_single_sweep_ends_in_order_with_its_result() {
    for signal in [Signal::INT, Signal::TERM] {
        let fleet = Fleet::of(&[Behaviour::Healthy, Behaviour::StallsMidAnswer, Behaviour::Healthy]).await;
        let config = Config {
            // One at a time: the third waits for the second.
            collector: r#"concurrency="1" timeout="60s" retries="0""#,
            ..fleet.config(UNDER)
        };
        fleet.program.write_config(&config.text());
        let running = fleet.program.spawn(["--once", "--format", "json"]);
        wait_until("the answer to stall", SOON, async || !fleet.servers[1].written().is_empty()).await;
        let asked = Instant::now();
        running.signal(signal);
        let outcome = running.ended(SOON).await;
        assert!(asked.elapsed() < allowance(ENDS_WITHIN), "{:?}", asked.elapsed());
        assert_eq!(outcome.code, Some(1), "{outcome:#?}");
        let document = document(&outcome);
        let states: Vec<_> =
            document["clients"].as_array().unwrap().iter().map(|client| client["status"].as_str().unwrap()).collect();
        assert_eq!(states, ["ok", "failed", "failed"]);
        assert_eq!(document["clients"][2]["stage"], "queued");
        let summary = &document["summary"];
        assert_eq!((summary["ok"].as_u64(), summary["failed"].as_u64()), (Some(1), Some(2)));
        assert_eq!(number(&fleet.program, &collected(1)).await, 1);
    }
}

async fn a_hangup_puts_a_changed_configuration_to_work_and_refuses_a_wrong_one() {
    let fleet = Fleet::of(&[Behaviour::Healthy; 2]).await;
    let both = fleet.config(UNDER);
    let first = Config { clients: both.clients[..1].to_vec(), ..both.clone() };
    let service = Service::start(&fleet, &first).await;
    reaches(&fleet, &collected(1), 1).await;
    assert_eq!(number(&fleet.program, "SELECT count(*) FROM v1_collections WHERE client_ip <> '127.10.0.1'").await, 0);

    service.reload(&fleet, &both.text()).await;
    reaches(&fleet, &collected(2), 1).await;

    for (text, name) in [
        (both.text().replace("ip=", "op="), "an unknown attribute"),
        (both.text().replace("sqlite:fleet.db", "sqlite:other.db"), "another database"),
    ] {
        service.reload(&fleet, &text).await;
        let before = number(&fleet.program, &collected(2)).await;
        wait_until(name, SOON, async || number(&fleet.program, &collected(2)).await > before).await;
    }
    let outcome = service.stop().await;
    assert!(outcome.stderr.contains("config.xml:6:") && outcome.stderr.contains("op"), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("the database cannot be changed while the program runs"), "{}", outcome.stderr);
    assert!(!fleet.program.path("other.db").exists());
}

async fn a_hangup_mails_nothing_twice() {
    let fleet = Fleet::of(&[Behaviour::Healthy]).await;
    fleet.sink.fail(Fault::Slow(Duration::from_millis(400)));
    let config = Config { collector: r#"interval="60s""#, ..fleet.config(OVER) };
    let service = Service::start(&fleet, &config).await;
    reaches(&fleet, "SELECT count(*) FROM v1_mails", 1).await;
    // The mail is being sent: a session with six replies, 400 ms each.
    tokio::time::sleep(Duration::from_millis(1200)).await;
    service.reload(&fleet, &config.text()).await;
    reaches(&fleet, "SELECT count(*) FROM v1_mails WHERE status = 'sent'", 1).await;
    service.stop().await;
    assert_eq!(fleet.sink.mails().len(), 1);
}
