//! The metrics, read by the parser of Prometheus and compared with the database.

use std::{collections::BTreeMap, fs};

use support::{Fleetsweep, Trial};

use crate::{
    export::{printed, swept},
    site::sql,
};

pub(crate) fn trials() -> Vec<Trial> {
    support::trial_list! {
        needs(PrometheusParser) => metrics_are_read_by_another_parser_and_agree_with_the_database;
    }
}

/// Prints what the parser of Prometheus' Python library finds in a text: name, type, help and samples of each metric.
const PARSER: &str = "
import importlib, json, sys
parse = importlib.import_module(sys.argv[2]).text_string_to_metric_families
families = [[f.name, f.type, f.documentation, [[s.name, s.labels, s.value] for s in f.samples]]
            for f in parse(open(sys.argv[1]).read())]
json.dump(families, sys.stdout)
";

/// Name, type and help of a metric, and its samples: name, labels and value.
type Family = (String, String, String, Vec<(String, BTreeMap<String, String>, f64)>);

/// The formats, each with its parser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Text,
    OpenMetrics,
}

/// All samples of a text by metric and labels, as that parser reads them.
pub(crate) async fn read(text: &str, format: Format) -> BTreeMap<String, f64> {
    let parser = match format {
        Format::Text => "prometheus_client.parser",
        Format::OpenMetrics => "prometheus_client.openmetrics.parser",
    };
    let python = Fleetsweep::new("/usr/bin/python3");
    fs::write(python.path("text"), text).unwrap();
    let outcome = python.run(["-c", PARSER, "text", parser]).await;
    assert_eq!(outcome.code, Some(0), "{outcome:#?}\n{text}");
    let families: Vec<Family> = serde_json::from_str(&outcome.stdout).unwrap();
    let mut lines = BTreeMap::new();
    let mut names = Vec::new();
    for (family, kind, help, samples) in families {
        let is_known = kind == "gauge" || kind == "counter";
        assert!(is_known && !help.is_empty() && !samples.is_empty(), "{family} {kind} {help}");
        names.push(family);
        for (name, mut labels, value) in samples {
            // Both parsers name a counter without its ending.
            let of_counter = name.strip_suffix("_total").filter(|_| kind == "counter");
            assert_eq!(Some(of_counter.unwrap_or(&name)), names.last().map(String::as_str));
            if let Some(port) = labels.remove("port") {
                assert!(port.parse::<u16>().is_ok() && labels.remove("ip").is_some(), "{name} {labels:?}");
            }
            let labels: Vec<_> = labels.into_values().collect();
            let key = format!("{name} {}", labels.join(" "));
            assert_eq!(lines.insert(key.trim_end().to_owned(), value), None, "{name} is there twice: {text}");
        }
    }
    let heads = text.lines().filter(|line| line.starts_with("# TYPE ")).count();
    names.sort();
    names.dedup();
    assert_eq!((heads, text.matches("# HELP ").count()), (names.len(), names.len()), "{text}");
    assert!(text.ends_with('\n'));
    lines
}

async fn metrics_are_read_by_another_parser_and_agree_with_the_database() {
    let fleet = swept().await;
    let program = &fleet.program;
    let outcome = program.run(["--once", "--format", "prometheus"]).await;
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(1), ""), "{outcome:#?}");
    let once = read(&outcome.stdout, Format::Text).await;
    let exported = read(&printed(program, "export --format prometheus").await, Format::Text).await;
    // The database stores milliseconds.
    for ((name, once), (also, exported)) in once.iter().zip(&exported) {
        assert!(name == also && (once - exported).abs() < 1.0 + once.abs() * 1e-9, "{name} {once}, {also} {exported}");
    }
    assert_eq!(once.len(), exported.len(), "{once:#?} {exported:#?}");

    let of = |name: &str| exported.get(name).copied();
    for (name, expected) in [
        ("fleetsweep_up client-1", 1.0),
        ("fleetsweep_up client-2", 1.0),
        ("fleetsweep_up client-3", 0.0),
        ("fleetsweep_alerts_open client-1 memory", 1.0),
        ("fleetsweep_alerts_open client-1 cpu", 0.0),
        // Its login was refused in the sweep before and is held, so that no attempt was made.
        ("fleetsweep_last_collection_attempts client-3", 0.0),
        ("fleetsweep_last_sweep_clients ok", 2.0),
        ("fleetsweep_last_sweep_clients failed", 1.0),
        ("fleetsweep_mails_waiting", 0.0),
    ] {
        assert_eq!(of(name), Some(expected), "{name}: {exported:#?}");
    }
    for (name, column) in [
        ("cpu_usage_ratio", "cpu_percent / 100"),
        ("memory_total_bytes", "memory_total_bytes"),
        ("memory_used_bytes", "memory_used_bytes"),
        ("memory_usage_ratio", "memory_percent / 100"),
        ("uptime_seconds", "uptime_seconds"),
        ("load1", "load_1"),
        ("load15", "load_15"),
        ("fullest_disk_usage_ratio", "disk_percent / 100"),
        ("last_collection_timestamp_seconds", "collected_at_ms / 1000.0"),
    ] {
        let stored = sql(program, &format!("SELECT {column} FROM v1_latest WHERE client_name = 'client-1'")).await;
        let (stored, told) = (stored[0].parse::<f64>().unwrap(), of(&format!("fleetsweep_{name} client-1")).unwrap());
        assert!((stored - told).abs() <= stored * 1e-9, "{name}: {stored} {told}");
    }
    // A failed collection has no values, even if an earlier one had.
    let of_failed: Vec<&String> = exported.keys().filter(|name| name.contains("client-3")).collect();
    assert!(
        of_failed
            .iter()
            .all(|name| ["_up", "_last_collection_", "_alerts_open"].iter().any(|part| name.contains(part)))
    );

    let some = read(&printed(program, "export --format prometheus --client client-2").await, Format::Text).await;
    assert!(some.contains_key("fleetsweep_up client-2") && !some.contains_key("fleetsweep_up client-1"), "{some:#?}");
}
