//! The families about the fleet as a whole and about the collector.

use std::time::Duration;

use jiff::Timestamp;

use super::text::{Family, Head, Kind, Sample};
use crate::fleet::{
    FailureKind,
    state::{Fleet, MailTally, SweepView},
    totals::Totals,
    troubles::{TROUBLES, TroubleKind},
};

/// The mails that the database holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StoredMails {
    /// Not yet accepted by the SMTP server; `None` if unknown.
    pub waiting: Option<u64>,
    /// Permanently refused, or given up; `None` if unknown.
    pub refused: Option<u64>,
}

/// A collector that runs.
#[derive(Debug, Clone)]
pub struct RunningCollector {
    /// When it was started.
    pub started_at: Timestamp,
    /// From the start of one sweep to the start of the next.
    pub interval: Duration,
    /// The current troubles.
    pub troubles: Vec<TroubleKind>,
}

/// A number without labels.
fn one(value: f64) -> Vec<Sample> {
    vec![Sample::new([], value)]
}

/// A number for each of the words of a label.
fn each<'a>(label: &'a str, values: impl IntoIterator<Item = (&'a str, u64)>) -> Vec<Sample> {
    values.into_iter().map(|(word, value)| Sample::new([(label, word)], value as f64)).collect()
}

fn seconds(at: Timestamp) -> f64 {
    at.as_millisecond() as f64 / 1000.0
}

/// How many of the clients failed last time, by kind. Every kind has a sample, so that the value goes to 0.
pub(super) fn failed(count: impl Fn(FailureKind) -> u64) -> Vec<(Head, Vec<Sample>)> {
    let samples = each("kind", FailureKind::ALL.map(|kind| (kind.spec().word, count(kind))));
    let help = "Clients whose last collection failed, by the kind of failure.";
    vec![(Head { name: "fleetsweep_clients_failed", help, kind: Kind::Gauge }, samples)]
}

/// The mails that wait, and those that were refused.
pub(super) fn mails(mails: StoredMails) -> Vec<(Head, Vec<Sample>)> {
    let gauge = |name, help, count: Option<u64>| {
        (Head { name, help, kind: Kind::Gauge }, count.map(|count| one(count as f64)).unwrap_or_default())
    };
    vec![
        gauge("fleetsweep_mails_waiting", "Mails that the SMTP server has not taken yet.", mails.waiting),
        gauge(
            "fleetsweep_mails_refused",
            "Mails that were refused for good or given up and that the database still holds.",
            mails.refused,
        ),
    ]
}

/// The last sweep.
pub(super) fn sweep(sweep: &SweepView) -> Vec<(Head, Vec<Sample>)> {
    let gauge = |name, help, samples| (Head { name, help, kind: Kind::Gauge }, samples);
    vec![
        gauge(
            "fleetsweep_last_sweep_start_timestamp_seconds",
            "When the last sweep began, seconds since the epoch.",
            one(seconds(sweep.started_at)),
        ),
        gauge(
            "fleetsweep_last_sweep_duration_seconds",
            "How long the last sweep took, seconds.",
            sweep.duration_ms.map(|ms| one(ms as f64 / 1000.0)).unwrap_or_default(),
        ),
        gauge(
            "fleetsweep_last_sweep_clients",
            "Clients of the last sweep by result.",
            each("result", [("ok", sweep.ok as u64), ("failed", sweep.failed as u64)]),
        ),
    ]
}

/// A running collector: its state, and what it has done since it was started.
pub(super) fn collector(collector: &RunningCollector, fleet: &Fleet) -> Vec<(Head, Vec<Sample>)> {
    let gauge = |name, help, samples| (Head { name, help, kind: Kind::Gauge }, samples);
    let counter = |name, help, samples| (Head { name, help, kind: Kind::Counter }, samples);
    let Totals { sweeps, collected, failed } = fleet.totals();
    let MailTally { queued, sent, deferred, refused } = fleet.mails();
    let running = fleet.clients().filter(|client| client.running.is_some()).count();
    let away = fleet.database_away();
    vec![
        gauge(
            "fleetsweep_build_info",
            "The version of the collector, as a label of the value 1.",
            vec![Sample::new([("version", env!("CARGO_PKG_VERSION"))], 1.0)],
        ),
        gauge(
            "fleetsweep_start_timestamp_seconds",
            "When the collector was started, seconds since the epoch.",
            one(seconds(collector.started_at)),
        ),
        gauge(
            "fleetsweep_sweep_interval_seconds",
            "From the start of one sweep to the start of the next, seconds.",
            one(collector.interval.as_secs_f64()),
        ),
        gauge(
            "fleetsweep_schedule_paused",
            "Whether an operator has paused the schedule: 1, or 0.",
            one(f64::from(u8::from(fleet.is_paused()))),
        ),
        gauge("fleetsweep_clients", "Clients of the configuration.", one(fleet.clients().len() as f64)),
        gauge("fleetsweep_clients_collecting", "Clients that are being collected.", one(running as f64)),
        counter("fleetsweep_sweeps_total", "Sweeps that have ended since the start.", one(*sweeps as f64)),
        counter(
            "fleetsweep_collections_total",
            "Collections that have ended since the start, by result.",
            each("result", [("ok", *collected), ("failed", failed.values().sum())]),
        ),
        counter(
            "fleetsweep_collection_failures_total",
            "Collections that have failed since the start, by the kind of failure.",
            each("kind", FailureKind::ALL.map(|kind| (kind.spec().word, failed.get(&kind).copied().unwrap_or(0)))),
        ),
        counter("fleetsweep_mails_queued_total", "Mails that were decided since the start.", one(queued as f64)),
        counter(
            "fleetsweep_mail_deliveries_total",
            "Attempts to hand a mail to the SMTP server since the start, by result.",
            each("result", [("sent", sent), ("deferred", deferred), ("refused", refused)]),
        ),
        gauge(
            "fleetsweep_database_away",
            "Whether the database is away, so that what is collected waits in the spool: 1, or 0.",
            one(f64::from(u8::from(away.is_some()))),
        ),
        gauge(
            "fleetsweep_spool_changes",
            "Changes that wait in the spool for the database.",
            one(away.map_or(0, |away| away.waiting) as f64),
        ),
        gauge(
            "fleetsweep_trouble",
            "Whether the collector itself has a trouble of this kind: 1, or 0.",
            each("kind", TROUBLES.map(|spec| (spec.word, u64::from(collector.troubles.contains(&spec.kind))))),
        ),
    ]
}

/// Families with their samples.
///
/// # Errors
/// Only if a metric name or label is invalid, which no fleet can cause.
pub(super) fn families(rows: Vec<(Head, Vec<Sample>)>) -> std::io::Result<Vec<Family>> {
    let family = |(head, samples)| {
        let mut family = Family::new(head);
        family.add(samples).map(|()| family)
    };
    rows.into_iter().map(family).collect()
}
