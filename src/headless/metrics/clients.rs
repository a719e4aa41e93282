//! The families about single clients, as one table.

use super::text::{Head, Kind, Sample};
use crate::fleet::{
    Bytes, Metric, Percent, Reading,
    metric::{Gauge, Instance, Unit},
    state::{ClientView, Finished, Fleet},
};

/// A family about clients.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    /// Its name, help and type.
    pub head: Head,
    samples: Samples,
}

/// Where the samples of a client come from.
#[derive(Debug, Clone, Copy)]
enum Samples {
    /// One about its last collection, whether it failed or not.
    Last(fn(&Finished) -> f64),
    /// One about the client.
    Client(fn(&ClientView) -> Option<f64>),
    /// A number of the last reading that is not the value of a metric.
    Reading(fn(&Reading) -> Option<f64>),
    /// The values of a metric, one for each instance.
    Metric(Metric),
    /// One for each core.
    Cores,
    /// The number of open alerts of each type.
    Alerts,
}

const fn gauge(name: &'static str, help: &'static str, samples: Samples) -> Row {
    Row { head: Head { name, help, kind: Kind::Gauge }, samples }
}

/// About collections.
const COLLECTIONS: [Row; 5] = [
    gauge(
        "fleetsweep_up",
        "Whether the last collection of the client succeeded: 1, or 0.",
        Samples::Last(|last| if last.failure.is_none() { 1.0 } else { 0.0 }),
    ),
    gauge(
        "fleetsweep_last_collection_timestamp_seconds",
        "When the last collection of the client ended, seconds since the epoch.",
        Samples::Last(|last| seconds(last.at.as_millisecond())),
    ),
    gauge(
        "fleetsweep_last_success_timestamp_seconds",
        "When the last successful collection of the client ended, seconds since the epoch.",
        Samples::Client(|client| client.reading.as_ref().map(|(at, _)| seconds(at.as_millisecond()))),
    ),
    gauge(
        "fleetsweep_last_collection_duration_seconds",
        "How long the last collection of the client took with every attempt, seconds.",
        Samples::Last(|last| seconds(i64::try_from(last.duration_ms).unwrap_or(i64::MAX))),
    ),
    gauge(
        "fleetsweep_last_collection_attempts",
        "How many attempts the last collection of the client took.",
        Samples::Last(|last| f64::from(last.attempts)),
    ),
];

/// Numbers of a reading that are not the value of a metric, each with the metric before whose family it is written.
const COMPANIONS: [(Metric, Row); 9] = [
    (
        Metric::Memory,
        gauge(
            "fleetsweep_memory_total_bytes",
            "Memory, bytes.",
            Samples::Reading(|reading| Some(bytes(reading.memory?.total))),
        ),
    ),
    (
        Metric::Memory,
        gauge(
            "fleetsweep_memory_used_bytes",
            "Memory in use (total less available), bytes.",
            Samples::Reading(|reading| Some(bytes(reading.memory?.used))),
        ),
    ),
    (
        Metric::Disk,
        gauge(
            "fleetsweep_swap_total_bytes",
            "Swap, bytes.",
            Samples::Reading(|reading| Some(bytes(reading.swap?.total))),
        ),
    ),
    (
        Metric::Disk,
        gauge(
            "fleetsweep_swap_used_bytes",
            "Swap in use, bytes.",
            Samples::Reading(|reading| Some(bytes(reading.swap?.used))),
        ),
    ),
    (
        Metric::Disk,
        gauge(
            "fleetsweep_uptime_seconds",
            "Time since the client was booted, seconds.",
            Samples::Reading(|reading| Some(reading.uptime_seconds? as f64)),
        ),
    ),
    (
        Metric::Disk,
        gauge(
            "fleetsweep_load1",
            "Load average over 1 minute, of the whole machine.",
            Samples::Reading(|reading| Some(reading.load?[0])),
        ),
    ),
    (
        Metric::Disk,
        gauge(
            "fleetsweep_load5",
            "Load average over 5 minutes, of the whole machine.",
            Samples::Reading(|reading| Some(reading.load?[1])),
        ),
    ),
    (
        Metric::Disk,
        gauge(
            "fleetsweep_load15",
            "Load average over 15 minutes, of the whole machine.",
            Samples::Reading(|reading| Some(reading.load?[2])),
        ),
    ),
    (
        Metric::Disk,
        gauge(
            "fleetsweep_fullest_disk_usage_ratio",
            "Use of the fullest mounted file system as df counts, 0 to 1.",
            Samples::Reading(|reading| Some(Unit::Percent.to_base(reading.disk_percent()?.get()))),
        ),
    ),
];

/// Every family about clients, in the order in which they are written.
pub(super) fn rows() -> Vec<Row> {
    let mut rows = COLLECTIONS.to_vec();
    for metric in Metric::ALL {
        rows.extend(COMPANIONS.iter().filter(|(before, _)| *before == metric).map(|(_, row)| *row));
        rows.extend(metric.spec().gauge.map(|Gauge { name, help }| gauge(name, help, Samples::Metric(metric))));
    }
    rows.push(gauge(
        "fleetsweep_core_usage_ratio",
        "CPU use of one core since the last collection, 0 to 1.",
        Samples::Cores,
    ));
    rows.push(gauge("fleetsweep_alerts_open", "Open alerts of the client by type.", Samples::Alerts));
    rows
}

impl Row {
    /// The samples of a client.
    pub(super) fn samples(&self, fleet: &Fleet, client: &ClientView) -> Vec<Sample> {
        let labels = Labels::of(client);
        let one = |value: Option<f64>| value.map(|value| labels.sample(None, value)).into_iter().collect();
        match self.samples {
            Samples::Last(value) => one(client.last.as_ref().map(value)),
            Samples::Client(value) => one(value(client)),
            Samples::Reading(value) => one(fresh(client).and_then(value)),
            Samples::Metric(metric) if fresh(client).is_some() => of_metric(metric, client, &labels),
            Samples::Metric(_) => Vec::new(),
            Samples::Cores => cores(client, &labels),
            Samples::Alerts => alerts(fleet, client, &labels),
        }
    }
}

/// The labels that identify a client.
struct Labels<'a> {
    name: &'a str,
    ip: &'a str,
    port: String,
}

impl<'a> Labels<'a> {
    fn of(client: &'a ClientView) -> Self {
        let id = &client.card.id;
        Self { name: &client.card.name, ip: id.address(), port: id.port().to_string() }
    }

    fn sample(&self, further: Option<(&str, &str)>, value: f64) -> Sample {
        let own = [("client", self.name), ("ip", self.ip), ("port", self.port.as_str())];
        Sample::new(own.into_iter().chain(further), value)
    }
}

/// The reading of the last collection.
fn fresh(client: &ClientView) -> Option<&Reading> {
    let last = client.last.as_ref()?;
    last.failure.is_none().then_some(())?;
    client.reading.as_ref().map(|(_, reading)| &**reading)
}

fn of_metric(metric: Metric, client: &ClientView, labels: &Labels<'_>) -> Vec<Sample> {
    let spec = metric.spec();
    let sample = |(instance, value): (Instance, f64)| {
        labels.sample(spec.scope.label().map(|label| (label, instance.name())), spec.unit.to_base(value))
    };
    client.sample.values(metric).measured().into_iter().map(sample).collect()
}

fn cores(client: &ClientView, labels: &Labels<'_>) -> Vec<Sample> {
    let cores = fresh(client).map(|reading| reading.cores.as_slice()).unwrap_or_default();
    let sample = |(core, percent): (usize, &Percent)| {
        labels.sample(Some(("core", &core.to_string())), Unit::Percent.to_base(percent.get()))
    };
    cores.iter().enumerate().map(sample).collect()
}

/// Every type has a sample, so that the value goes to 0 when an alert ends.
fn alerts(fleet: &Fleet, client: &ClientView, labels: &Labels<'_>) -> Vec<Sample> {
    let open: Vec<Metric> = fleet.alerts().open_of(&client.card.id).map(|alert| alert.metric).collect();
    let sample = |metric: Metric| {
        let count = open.iter().filter(|open| **open == metric).count();
        labels.sample(Some(("type", metric.word())), count as f64)
    };
    Metric::ALL.into_iter().map(sample).collect()
}

fn bytes(Bytes(bytes): Bytes) -> f64 {
    bytes as f64
}

fn seconds(milliseconds: i64) -> f64 {
    milliseconds as f64 / 1000.0
}
