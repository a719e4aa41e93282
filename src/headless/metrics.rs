//! The state of a fleet in the text format of Prometheus (version 0.0.4), for the textfile collector. Every metric is a
//! gauge of the current value; there is no history.
//!
//! Other programs rely on the names. Units are base units: seconds, bytes, ratios from 0 to 1. A value that was not
//! measured has no line. A client whose last collection failed has no lines of measured values.

use std::io;

use prometheus::{
    TextEncoder,
    proto::{self, LabelPair, Metric as Line, MetricFamily, MetricType},
};

use crate::fleet::{
    Bytes, Metric, Percent, Reading, SweepId,
    metric::{Gauge, Instance, Unit},
    state::{ClientView, Finished, Fleet, SweepView},
};

/// A gauge for a number of a reading that is not the value of a metric.
struct Companion {
    /// The metric before whose gauge it is written.
    before: Metric,
    gauge: Gauge,
    value: fn(&Reading) -> Option<f64>,
}

const COMPANIONS: [Companion; 9] = [
    Companion {
        before: Metric::Memory,
        gauge: Gauge { name: "fleetsweep_memory_total_bytes", help: "Memory, bytes." },
        value: |reading| Some(bytes(reading.memory?.total)),
    },
    Companion {
        before: Metric::Memory,
        gauge: Gauge { name: "fleetsweep_memory_used_bytes", help: "Memory in use (total less available), bytes." },
        value: |reading| Some(bytes(reading.memory?.used)),
    },
    Companion {
        before: Metric::Disk,
        gauge: Gauge { name: "fleetsweep_swap_total_bytes", help: "Swap, bytes." },
        value: |reading| Some(bytes(reading.swap?.total)),
    },
    Companion {
        before: Metric::Disk,
        gauge: Gauge { name: "fleetsweep_swap_used_bytes", help: "Swap in use, bytes." },
        value: |reading| Some(bytes(reading.swap?.used)),
    },
    Companion {
        before: Metric::Disk,
        gauge: Gauge { name: "fleetsweep_uptime_seconds", help: "Time since the client was booted, seconds." },
        value: |reading| Some(reading.uptime_seconds? as f64),
    },
    Companion {
        before: Metric::Disk,
        gauge: Gauge { name: "fleetsweep_load1", help: "Load average over 1 minute, of the whole machine." },
        value: |reading| Some(reading.load?[0]),
    },
    Companion {
        before: Metric::Disk,
        gauge: Gauge { name: "fleetsweep_load5", help: "Load average over 5 minutes, of the whole machine." },
        value: |reading| Some(reading.load?[1]),
    },
    Companion {
        before: Metric::Disk,
        gauge: Gauge { name: "fleetsweep_load15", help: "Load average over 15 minutes, of the whole machine." },
        value: |reading| Some(reading.load?[2]),
    },
    Companion {
        before: Metric::Disk,
        gauge: Gauge {
            name: "fleetsweep_fullest_disk_usage_ratio",
            help: "Use of the fullest mounted file system as df counts, 0 to 1.",
        },
        value: |reading| Some(Unit::Percent.to_base(reading.disk_percent()?.get())),
    },
];

/// A gauge about a collection, whether it failed or not: name, help and value.
type Told = (&'static str, &'static str, fn(&Finished) -> f64);

const TOLD: [Told; 4] = [
    ("fleetsweep_up", "Whether the last collection of the client succeeded: 1, or 0.", |last| {
        if last.failure.is_none() { 1.0 } else { 0.0 }
    }),
    (
        "fleetsweep_last_collection_timestamp_seconds",
        "When the last collection of the client ended, seconds since the epoch.",
        |last| last.at.as_millisecond() as f64 / 1000.0,
    ),
    (
        "fleetsweep_last_collection_duration_seconds",
        "How long the last collection of the client took with every attempt, seconds.",
        |last| seconds(last.duration_ms),
    ),
    ("fleetsweep_last_collection_attempts", "How many attempts the last collection of the client took.", |last| {
        f64::from(last.attempts)
    }),
];

/// The mails that the database holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StoredMails {
    /// Not yet accepted by the SMTP server.
    pub waiting: u64,
    /// Permanently refused, or given up; `None` if unknown.
    pub refused: Option<u64>,
}

/// The metrics of one ended sweep and its clients. Empty if the fleet does not have the sweep.
///
/// # Errors
/// Only if a metric name or label is invalid, which no fleet can cause.
pub fn of_sweep(fleet: &Fleet, sweep: SweepId, mails: StoredMails) -> io::Result<String> {
    let Some(view) = fleet.sweep(sweep) else { return Ok(String::new()) };
    let swept = |client: &&ClientView| client.last.as_ref().is_some_and(|last| last.sweep == sweep);
    let clients = view.clients.iter().filter_map(|id| fleet.client(id)).filter(swept).collect();
    text(fleet, clients, Some(view), mails)
}

/// The metrics of the current fleet and of the last sweep that ended.
///
/// # Errors
/// Only if a metric name or label is invalid, which no fleet can cause.
pub fn of_fleet(fleet: &Fleet, sweep: Option<&SweepView>, mails: StoredMails) -> io::Result<String> {
    text(fleet, fleet.clients().collect(), sweep, mails)
}

fn text(fleet: &Fleet, clients: Vec<&ClientView>, sweep: Option<&SweepView>, mails: StoredMails) -> io::Result<String> {
    let mut families = Vec::new();
    for (name, help, value) in TOLD {
        let line = |client: &&ClientView| Some(line(labels(client), value(client.last.as_ref()?)));
        families.push(gauge(name, help, clients.iter().filter_map(line).collect()));
    }
    let measured: Vec<(&ClientView, &Reading)> =
        clients.iter().filter_map(|client| Some((*client, fresh(client)?))).collect();
    for metric in Metric::ALL {
        for Companion { gauge: Gauge { name, help }, value, .. } in COMPANIONS.iter().filter(|it| it.before == metric) {
            let line = |(client, reading): &(&ClientView, &Reading)| Some(line(labels(client), value(reading)?));
            families.push(gauge(name, help, measured.iter().filter_map(line).collect()));
        }
        if let Some(Gauge { name, help }) = metric.spec().gauge {
            let lines = measured.iter().flat_map(|(client, _)| of_metric(metric, client));
            families.push(gauge(name, help, lines.collect()));
        }
    }
    families.push(gauge(
        "fleetsweep_core_usage_ratio",
        "CPU use of one core since the last collection, 0 to 1.",
        clients.iter().flat_map(|client| cores(client)).collect(),
    ));
    families.push(gauge(
        "fleetsweep_alerts_open",
        "Open alerts of the client by type.",
        clients.iter().flat_map(|client| alerts(fleet, client)).collect(),
    ));
    families.push(gauge(
        "fleetsweep_mails_waiting",
        "Mails that the SMTP server has not taken yet.",
        vec![line(Vec::new(), mails.waiting as f64)],
    ));
    families.push(gauge(
        "fleetsweep_mails_refused",
        "Mails that were refused for good or given up and that the database still holds.",
        mails.refused.map(|refused| line(Vec::new(), refused as f64)).into_iter().collect(),
    ));
    if let Some(sweep) = sweep {
        families.extend(of_last_sweep(sweep));
    }
    // A metric without lines has no HELP and TYPE lines either.
    families.retain(|family| !family.get_metric().is_empty());
    TextEncoder::new().encode_to_string(&families).map_err(io::Error::other)
}

/// The values of a metric, one line for each instance.
fn of_metric(metric: Metric, client: &ClientView) -> Vec<Line> {
    let spec = metric.spec();
    let line = |(instance, value): (Instance, f64)| {
        let mut labels = labels(client);
        labels.extend(spec.scope.label().map(|name| label(name, instance.name())));
        line(labels, spec.unit.to_base(value))
    };
    client.sample.values(metric).measured().into_iter().map(line).collect()
}

/// The reading of the last collection.
fn fresh(client: &ClientView) -> Option<&Reading> {
    let last = client.last.as_ref()?;
    last.failure.is_none().then_some(())?;
    client.reading.as_ref().map(|(_, reading)| &**reading)
}

fn cores(client: &ClientView) -> Vec<Line> {
    let cores = fresh(client).map(|reading| reading.cores.as_slice()).unwrap_or_default();
    let line = |(core, percent): (usize, &Percent)| {
        let mut labels = labels(client);
        labels.push(label("core", &core.to_string()));
        line(labels, Unit::Percent.to_base(percent.get()))
    };
    cores.iter().enumerate().map(line).collect()
}

/// Every type has a line, so that the value goes to 0 when an alert ends.
fn alerts(fleet: &Fleet, client: &ClientView) -> Vec<Line> {
    let line = |metric: Metric| {
        let mut labels = labels(client);
        labels.push(label("type", metric.word()));
        let open = fleet.alerts().open_of(&client.card.id).filter(|alert| alert.metric == metric).count();
        line(labels, open as f64)
    };
    Metric::ALL.into_iter().map(line).collect()
}

fn of_last_sweep(sweep: &SweepView) -> Vec<MetricFamily> {
    let one = |value| vec![line(Vec::new(), value)];
    let clients = |result, count: usize| line(vec![label("result", result)], count as f64);
    vec![
        gauge(
            "fleetsweep_last_sweep_start_timestamp_seconds",
            "When the last sweep began, seconds since the epoch.",
            one(sweep.started_at.as_millisecond() as f64 / 1000.0),
        ),
        gauge(
            "fleetsweep_last_sweep_duration_seconds",
            "How long the last sweep took, seconds.",
            sweep.duration_ms.map(seconds).map(one).unwrap_or_default(),
        ),
        gauge(
            "fleetsweep_last_sweep_clients",
            "Clients of the last sweep by result.",
            vec![clients("ok", sweep.ok), clients("failed", sweep.failed)],
        ),
    ]
}

fn gauge(name: &str, help: &str, lines: Vec<Line>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(MetricType::GAUGE);
    family.set_metric(lines);
    family
}

fn line(labels: Vec<LabelPair>, value: f64) -> Line {
    let mut gauge = proto::Gauge::default();
    gauge.set_value(value);
    let mut line = Line::from_gauge(gauge);
    line.set_label(labels);
    line
}

fn labels(client: &ClientView) -> Vec<LabelPair> {
    let id = &client.card.id;
    vec![label("client", &client.card.name), label("ip", id.address()), label("port", &id.port().to_string())]
}

fn label(name: &str, value: &str) -> LabelPair {
    let mut label = LabelPair::default();
    label.set_name(name.to_owned());
    label.set_value(value.to_owned());
    label
}

fn bytes(Bytes(bytes): Bytes) -> f64 {
    bytes as f64
}

fn seconds(milliseconds: u64) -> f64 {
    milliseconds as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::{
        fleet::{
            ClientId, Event, EventKind,
            alert::{HoldReason, Notice},
            alerts::AlertView,
            event::ClientCard,
            history::StoredHistory,
        },
        headless::table::tests::{SWEEP, swept},
    };

    #[test]
    fn a_sweep_is_told_with_help_type_and_base_units() {
        let mut fleet = swept();
        fleet.remember(StoredHistory { clients: Vec::new(), alerts: vec![alert()] });
        insta::assert_snapshot!(of_sweep(&fleet, SWEEP, StoredMails { waiting: 2, refused: Some(3) }).unwrap());
    }

    fn alert() -> AlertView {
        AlertView {
            client: ClientId::new("10.0.4.2", 22),
            metric: Metric::Memory,
            instance: Instance::HOST,
            limit: 50.0,
            value: 91.0,
            raised_at: Timestamp::UNIX_EPOCH,
            ended: None,
            notice: Notice::Hold(HoldReason::NoRecipient),
            mailed_in: None,
            acknowledged: crate::fleet::alert::Acknowledged::No,
        }
    }

    #[test]
    fn what_is_not_known_has_no_line() {
        let text = of_fleet(&Fleet::default(), None, StoredMails::default()).unwrap();
        assert_eq!(
            text,
            "# HELP fleetsweep_mails_waiting Mails that the SMTP server has not taken yet.\n\
             # TYPE fleetsweep_mails_waiting gauge\nfleetsweep_mails_waiting 0\n"
        );
        assert_eq!(of_sweep(&Fleet::default(), SWEEP, StoredMails::default()).unwrap(), "");
        // A client that failed has no lines with the values of its previous collection.
        let text = of_fleet(&swept(), None, StoredMails::default()).unwrap();
        assert!(text.contains(r#"fleetsweep_up{client="db",ip="fd00::3",port="22"} 0"#), "{text}");
        assert!(!text.contains(r#"fleetsweep_uptime_seconds{client="db""#), "{text}");
    }

    #[test]
    fn a_hostile_name_stays_within_its_label() {
        let mut fleet = Fleet::default();
        let card = ClientCard {
            id: ClientId::new("10.0.0.1", 22),
            name: "a\"} 1\n# TYPE evil\\n".into(),
            username: "ops".into(),
            limits: Vec::new(),
        };
        let kind = EventKind::Configured { clients: vec![card] };
        fleet.apply(&Event { at: Timestamp::UNIX_EPOCH, sweep: None, client: None, kind });
        let text = of_fleet(&fleet, None, StoredMails::default()).unwrap();
        let expected =
            r#"fleetsweep_alerts_open{client="a\"} 1\n# TYPE evil\\n",ip="10.0.0.1",port="22",type="cpu"} 0"#;
        assert!(text.lines().any(|line| line == expected), "{text}");
        assert!(text.lines().all(|line| line.starts_with("fleetsweep_") || line.starts_with("# ")), "{text}");
    }
}
