//! The metrics endpoint of a running collector: read by other parsers and scraped by a real Prometheus, its health, its place,
//! and reloads.

use std::{fs, net::SocketAddr};

use fleetsweep::demo::Behaviour;
use serde_json::Value;
use support::{
    HttpAnswer, NotifySocket, Prometheus, Running, Signal, Trial, free_port, http_get, promtool_check, wait_until,
};

use crate::{
    metrics::{Format, read},
    site::{Config, Fleet, OVER, SOON, UNDER},
};

pub(crate) fn trials() -> Vec<Trial> {
    support::trial_list! {
        needs() => the_endpoint_tells_its_health, a_place_that_cannot_be_used_is_said_and_a_reload_keeps_the_old_one;
        needs(PrometheusParser) => both_formats_are_read_by_another_parser;
        needs(Prometheus) => a_real_prometheus_scrapes_a_collector;
    }
}

/// A free place on this machine.
fn place() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], free_port()))
}

/// A configuration with an endpoint.
fn with_endpoint(config: &Config, place: &str) -> String {
    config.text().replacen("<alerts", &format!("<metrics listen=\"{place}\"/>\n<alerts"), 1)
}

/// Starts a collector with an endpoint and waits until it has swept twice.
async fn start(fleet: &Fleet, rules: &str) -> (Running, SocketAddr) {
    let place = place();
    fleet.program.write_config(&with_endpoint(&fleet.config(rules), &place.to_string()));
    let collector = fleet.program.spawn(["--headless"]);
    wait_until("two sweeps", SOON, async || value(&metrics(place).await, "fleetsweep_sweeps_total") >= Some(2.0)).await;
    (collector, place)
}

/// The value of a series in a text of metrics.
fn value(text: &str, series: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.map(|value| value.parse().unwrap())
}

/// The metrics at a place; nothing if there are none yet.
async fn metrics(place: SocketAddr) -> String {
    match http_get(place, "/metrics", "").await {
        Some(HttpAnswer { status: 200, body, .. }) => body,
        Some(_) | None => String::new(),
    }
}

/// Status and text of the health at a place; `None` if nobody listens.
async fn health(place: SocketAddr) -> Option<(u16, String)> {
    http_get(place, "/healthz", "").await.map(|answer| (answer.status, answer.body))
}

async fn ends_well(collector: Running) -> String {
    collector.signal(Signal::TERM);
    let outcome = collector.ended(SOON).await;
    assert_eq!(outcome.code, Some(0), "{outcome:#?}");
    outcome.stderr
}

async fn both_formats_are_read_by_another_parser() {
    let fleet = Fleet::of(&[Behaviour::Healthy, Behaviour::RefusesLogin]).await;
    let (collector, place) = start(&fleet, OVER).await;
    // On a busy machine, a sweep leaves out the clients that the one before still collects.
    let mut text = None;
    wait_until("a later sweep of both clients", SOON, async || {
        text = http_get(place, "/metrics", "text/plain").await;
        let is = |series: &str, least| text.as_ref().and_then(|text| value(&text.body, series)) >= Some(least);
        is("fleetsweep_last_sweep_clients{result=\"failed\"}", 1.0)
            && is("fleetsweep_clients_failed{kind=\"login-held\"}", 1.0)
            && is("fleetsweep_collections_total{result=\"ok\"}", 2.0)
            && is("fleetsweep_mails_queued_total", 1.0)
    })
    .await;
    let text = text.unwrap();
    let open_metrics = http_get(place, "/metrics", "application/openmetrics-text; version=1.0.0").await.unwrap();
    ends_well(collector).await;
    for (answer, kind) in [
        (&text, "content-type: text/plain; version=0.0.4; charset=utf-8"),
        (&open_metrics, "content-type: application/openmetrics-text; version=1.0.0; charset=utf-8"),
    ] {
        assert!(answer.status == 200 && answer.headers.to_ascii_lowercase().contains(kind), "{answer:#?}");
    }
    assert!(open_metrics.body.ends_with("\n# EOF\n") && !text.body.contains("# EOF"), "{}", open_metrics.body);
    let samples = read(&text.body, Format::Text).await;
    let open_samples = read(&open_metrics.body, Format::OpenMetrics).await;
    assert!(samples.keys().eq(open_samples.keys()), "{samples:#?} {open_samples:#?}");
    let of = |name: &str| samples.get(name).copied().unwrap_or_else(|| panic!("no {name}: {samples:#?}"));
    for (name, expected) in [
        ("fleetsweep_up client-1", 1.0),
        ("fleetsweep_up client-2", 0.0),
        ("fleetsweep_alerts_open client-1 memory", 1.0),
        ("fleetsweep_clients", 2.0),
        ("fleetsweep_clients_failed login-held", 1.0),
        ("fleetsweep_clients_failed refused", 0.0),
        ("fleetsweep_collection_failures_total authentication-refused", 1.0),
        ("fleetsweep_schedule_paused", 0.0),
        ("fleetsweep_sweep_interval_seconds", 1.0),
        ("fleetsweep_database_away", 0.0),
        ("fleetsweep_spool_changes", 0.0),
        ("fleetsweep_trouble database", 0.0),
        ("fleetsweep_last_sweep_clients failed", 1.0),
    ] {
        assert_eq!(of(name), expected, "{name}");
    }
    assert!(of("fleetsweep_collections_total ok") >= 2.0 && of("fleetsweep_mails_queued_total") >= 1.0);
    let (last, ok) =
        (of("fleetsweep_last_collection_timestamp_seconds client-1"), of("fleetsweep_start_timestamp_seconds"));
    assert!(last >= ok && of("fleetsweep_last_success_timestamp_seconds client-1") == last, "{last} {ok}");
    // Values have the digits that were measured: no ratio is longer than 0.1234.
    let ratios = text.body.lines().filter(|line| line.contains("_ratio{"));
    let longest = ratios.filter_map(|line| line.rsplit(' ').next()).map(str::len).max().unwrap();
    assert!(longest <= "0.1234".len(), "{}", text.body);
}

async fn the_endpoint_tells_its_health() {
    let fleet = Fleet::of(&[Behaviour::Healthy]).await;
    let (collector, place) = start(&fleet, UNDER).await;
    assert_eq!(health(place).await, Some((200, "ok\n".to_owned())));
    // The database is away while its file is somewhere else.
    let (file, elsewhere) = (fleet.program.path("fleet.db"), fleet.program.path("elsewhere"));
    fs::rename(&file, &elsewhere).unwrap();
    wait_until("the health to tell about the database", SOON, async || {
        health(place).await.is_some_and(|(status, text)| {
            status == 503 && text.starts_with("the database is away since 20") && text.ends_with(" wait in the spool\n")
        })
    })
    .await;
    // A text is kept for a second.
    wait_until("the metrics to tell about the database", SOON, async || {
        metrics(place).await.contains("\nfleetsweep_database_away 1\n")
    })
    .await;
    fs::rename(&elsewhere, &file).unwrap();
    wait_until("the database to be back", SOON, async || health(place).await == Some((200, "ok\n".to_owned()))).await;
    ends_well(collector).await;
    assert_eq!(health(place).await, None);
}

async fn a_place_that_cannot_be_used_is_said_and_a_reload_keeps_the_old_one() {
    let fleet = Fleet::of(&[Behaviour::Healthy]).await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let config = |place: &str| with_endpoint(&fleet.config(UNDER), place);
    let (program, taken) = (&fleet.program, taken.local_addr().unwrap().to_string());
    program.write_config(&config(&taken));
    let outcome = program.run(["--headless"]).await;
    let expected = format!(
        "config.xml: <metrics listen=\"{taken}\">: another program listens there: end it (`ss -ltnp` names it), or write \
         another port: Address already in use (os error 98)"
    );
    assert_eq!(outcome.code, Some(2), "{outcome:#?}");
    assert!(outcome.stderr.lines().any(|line| line == format!("fleetsweep: {expected}")), "{outcome:#?}");
    // A check says it of an address of another machine, and warns of one that others reach.
    for (place, code, word) in [
        ("192.0.2.1:9469", 2, "error: `listen`: no network interface of this machine has this address"),
        ("0.0.0.0:9469", 0, "warning: everybody who reaches this address can read the metrics"),
        (taken.as_str(), 0, ""),
    ] {
        program.write_config(&config(place));
        let outcome = program.run(["check"]).await;
        assert_eq!(outcome.code, Some(code), "{place}: {outcome:#?}");
        let found = outcome.stderr.contains(word.rsplit(": ").next().unwrap());
        assert!(found && (word.is_empty() || outcome.stderr.contains("config.xml:")), "{place}: {outcome:#?}");
    }

    let manager = NotifySocket::bind(program.path("notify"));
    let (first, second) = (place(), place());
    program.write_config(&config(&first.to_string()));
    let collector = program.spawn(["--headless"]);
    let ready = async || {
        wait_until("the collector to be ready", SOON, async || {
            manager.next(SOON).await.iter().any(|line| line == "READY=1")
        })
        .await;
    };
    ready().await;
    let reload = async |place: &str| {
        program.write_config(&config(place));
        collector.signal(Signal::HUP);
        ready().await;
    };
    reload(&taken).await;
    assert_eq!(health(first).await.map(|(status, _)| status), Some(200));
    reload(&second.to_string()).await;
    assert_eq!((health(first).await, health(second).await.map(|(status, _)| status)), (None, Some(200)));
    let log = ends_well(collector).await;
    assert!(log.contains(&format!("<metrics listen=\"{taken}\">: another program listens there")), "{log}");
}

async fn a_real_prometheus_scrapes_a_collector() {
    let fleet = Fleet::of(&[Behaviour::Healthy, Behaviour::RefusesLogin]).await;
    let (collector, place) = start(&fleet, OVER).await;
    assert_eq!(promtool_check(&metrics(place).await), "");
    let prometheus = Prometheus::start(place).await;
    let ask = async |path: &str| -> Option<Value> {
        Some(serde_json::from_str::<Value>(&prometheus.ask(path).await?).unwrap()["data"].take())
    };
    // The value of an expression; `None` while there is none.
    let value = async |expression: &str| -> Option<f64> {
        let data = ask(&format!("/api/v1/query?query={expression}")).await?;
        data["result"].get(0)?["value"][1].as_str()?.parse().ok()
    };
    wait_until("a scrape", SOON, async || value("up").await == Some(1.0)).await;
    for (expression, expected) in [
        ("fleetsweep_up{client=%22client-1%22}", 1.0),
        ("fleetsweep_up{client=%22client-2%22}", 0.0),
        ("fleetsweep_alerts_open{client=%22client-1%22,type=%22memory%22}", 1.0),
        ("count(fleetsweep_clients_failed>0)", 1.0),
    ] {
        assert_eq!(value(expression).await, Some(expected), "{expression}");
    }
    // It is scraped again and again, and counters grow.
    let before = value("fleetsweep_sweeps_total").await.unwrap();
    wait_until("a counter to grow", SOON, async || {
        value("fleetsweep_sweeps_total").await.is_some_and(|now| now > before)
    })
    .await;
    // Only OpenMetrics has units.
    let about = ask("/api/v1/metadata?metric=fleetsweep_cpu_usage_ratio").await.unwrap();
    let about = &about["fleetsweep_cpu_usage_ratio"][0];
    assert_eq!((about["type"].as_str(), about["unit"].as_str()), (Some("gauge"), Some("ratio")), "{about}");
    ends_well(collector).await;
}
