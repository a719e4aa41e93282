//! The state of a fleet as text for Prometheus: for the textfile collector, and for the metrics endpoint, which also tells about
//! the collector. A metric is a gauge of the current value, or a counter since the collector was started; there is no history.
//!
//! Other programs rely on the names. Units are base units: seconds, bytes, ratios from 0 to 1. A value that was not
//! measured has no line. A client whose last collection failed has no lines of measured values.

use std::{collections::BTreeMap, io};

use crate::fleet::{
    FailureKind, SweepId,
    state::{ClientView, Fleet, SweepView},
};

use clients::Row;
pub use text::Exposition;
use text::Family;
pub use whole::{RunningCollector, StoredMails};

mod clients;
mod text;
mod whole;

/// The metrics of one ended sweep and its clients. Empty if the fleet does not have the sweep.
///
/// # Errors
/// Only if a metric name or label is invalid, which no fleet can cause.
pub fn of_sweep(fleet: &Fleet, sweep: SweepId, mails: StoredMails) -> io::Result<String> {
    let Some(view) = fleet.sweep(sweep) else { return Ok(String::new()) };
    let swept = |client: &&ClientView| client.last.as_ref().is_some_and(|last| last.sweep == sweep);
    let mut metrics = Metrics::new();
    metrics.add(fleet, view.clients.iter().filter_map(|id| fleet.client(id)).filter(swept))?;
    metrics.write(Exposition::Text, &Whole { mails, sweep: Some(view), collector: None })
}

/// The metrics of the current fleet and of the last sweep that ended.
///
/// # Errors
/// Only if a metric name or label is invalid, which no fleet can cause.
pub fn of_fleet(fleet: &Fleet, sweep: Option<&SweepView>, mails: StoredMails) -> io::Result<String> {
    let mut metrics = Metrics::new();
    metrics.add(fleet, fleet.clients())?;
    metrics.write(Exposition::Text, &Whole { mails, sweep, collector: None })
}

/// What is told beside the clients.
#[derive(Debug, Clone, Copy)]
pub struct Whole<'a> {
    /// The mails in the database.
    pub mails: StoredMails,
    /// The last sweep that has ended.
    pub sweep: Option<&'a SweepView>,
    /// The collector, if it runs, and its fleet.
    pub collector: Option<(&'a RunningCollector, &'a Fleet)>,
}

/// Metrics that are being written. Clients can be added in several steps, so that a large fleet need not be locked for long.
#[derive(Debug)]
pub struct Metrics {
    clients: Vec<(Row, Family)>,
    failed: BTreeMap<FailureKind, u64>,
}

impl Metrics {
    /// Without clients.
    #[must_use]
    pub fn new() -> Self {
        let clients = clients::rows().into_iter().map(|row| (row, Family::new(row.head))).collect();
        Self { clients, failed: BTreeMap::new() }
    }

    /// Adds clients. A client must not be added twice.
    ///
    /// # Errors
    /// Only if a metric name or label is invalid, which no fleet can cause.
    pub fn add<'a>(&mut self, fleet: &Fleet, clients: impl IntoIterator<Item = &'a ClientView>) -> io::Result<()> {
        let clients: Vec<&ClientView> = clients.into_iter().collect();
        for (row, family) in &mut self.clients {
            family.add(clients.iter().flat_map(|client| row.samples(fleet, client)).collect())?;
        }
        for failure in clients.iter().filter_map(|client| client.failure()) {
            *self.failed.entry(failure.kind).or_default() += 1;
        }
        Ok(())
    }

    /// The text.
    ///
    /// # Errors
    /// Only if a metric name or label is invalid, which no fleet can cause.
    pub fn write(self, exposition: Exposition, whole: &Whole<'_>) -> io::Result<String> {
        let Self { clients, failed } = self;
        let mut rows = whole::failed(|kind| failed.get(&kind).copied().unwrap_or(0));
        rows.extend(whole::mails(whole.mails));
        rows.extend(whole.sweep.map(whole::sweep).unwrap_or_default());
        rows.extend(whole.collector.map(|(collector, fleet)| whole::collector(collector, fleet)).unwrap_or_default());
        let mut text = String::new();
        for family in clients.iter().map(|(_, family)| family).chain(&whole::families(rows)?) {
            family.write(exposition, &mut text);
        }
        text.push_str(exposition.end());
        Ok(text)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::{
        fleet::{
            ClientId, Event, EventKind, Metric,
            alert::{HoldReason, Notice},
            alerts::AlertView,
            event::ClientCard,
            history::StoredHistory,
            metric::Instance,
            troubles::TroubleKind,
        },
        headless::table::tests::{SWEEP, swept},
    };

    #[test]
    fn a_sweep_is_told_with_help_type_and_base_units() {
        let mut fleet = swept();
        fleet.remember(StoredHistory { clients: Vec::new(), alerts: vec![alert()] });
        insta::assert_snapshot!(of_sweep(&fleet, SWEEP, StoredMails { waiting: Some(2), refused: Some(3) }).unwrap());
    }

    #[test]
    fn a_running_collector_is_told_in_both_formats() {
        let fleet = swept();
        let collector = RunningCollector {
            started_at: Timestamp::UNIX_EPOCH,
            interval: std::time::Duration::from_secs(60),
            troubles: vec![TroubleKind::Mail],
        };
        let text = |exposition| {
            let mut metrics = Metrics::new();
            let mails = StoredMails { waiting: Some(2), refused: Some(3) };
            let all: Vec<_> = fleet.clients().collect();
            let (some, others) = all.split_at(1);
            // Clients that are added in several steps stay in their families.
            metrics.add(&fleet, some.iter().copied()).unwrap();
            metrics.add(&fleet, others.iter().copied()).unwrap();
            let whole = Whole { mails, sweep: fleet.sweep(SWEEP), collector: Some((&collector, &fleet)) };
            metrics.write(exposition, &whole).unwrap()
        };
        let (plain, open_metrics) = (text(Exposition::Text), text(Exposition::OpenMetrics));
        assert!(plain.starts_with(of_fleet(&fleet, None, StoredMails::default()).unwrap().as_str()), "{plain}");
        let (_, of_collector) = open_metrics.split_once("# TYPE fleetsweep_clients_failed").unwrap();
        insta::assert_snapshot!(format!("# TYPE fleetsweep_clients_failed{of_collector}"));
        // Both have the same samples.
        let samples =
            |text: &str| text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(samples(&plain), samples(&open_metrics));
    }

    #[test]
    fn every_family_has_a_name_and_a_help_that_need_no_escapes() {
        let mut names: Vec<&str> = clients::rows().iter().map(|row| row.head.name).collect();
        assert!(clients::rows().iter().all(|row| !row.head.help.contains(['\\', '"', '\n'])));
        assert!(names.iter().all(|name| name.starts_with("fleetsweep_")), "{names:?}");
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
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
        let nothing = Fleet::default();
        let text = of_fleet(&nothing, None, StoredMails { waiting: Some(0), refused: None }).unwrap();
        let zeros = |line: &str| line.starts_with("fleetsweep_clients_failed{") && line.ends_with("} 0");
        let others: Vec<&str> = text.lines().filter(|line| !line.starts_with('#') && !zeros(line)).collect();
        assert_eq!(others, ["fleetsweep_mails_waiting 0"], "{text}");
        assert_eq!(text.lines().filter(|line| zeros(line)).count(), FailureKind::ALL.len());
        assert!(!of_fleet(&nothing, None, StoredMails::default()).unwrap().contains("mails"));
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
