//! Rates of a client. They are first what the agent measured during its sampling window. [`averages`](super::averages)
//! replaces them with those since the last collection.

use fleetsweep_agent::report::{MAX_VICTIMS, Report, Resource};
use serde::{Deserialize, Serialize};

use super::{
    Percent,
    clean_text::text,
    counters::MOST_INSTANCES,
    invalid_reading::{InvalidReading, LeftOut},
};

/// How many times the speed of its link an interface may transfer. The speed of virtual links is only a name.
const MOST_OF_LINK: f64 = 20.0;
/// The fastest possible interface, Mbit/s.
const FASTEST_MBIT: f64 = 4e6;

/// The rates.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Rates {
    /// The time over which CPU use is averaged, milliseconds: since the last collection, or the sampling window.
    pub cpu_span_ms: Option<u64>,
    /// The time that the hypervisor took, of all time.
    pub steal: Option<Percent>,
    /// The time without work in which a task waited for a disk, of all time.
    pub io_wait: Option<Percent>,
    /// Interfaces, physical ones first.
    pub interfaces: Vec<InterfaceRates>,
    /// Disks, physical ones first.
    pub disks: Vec<DiskRates>,
    /// Pressure by resource.
    pub pressure: Vec<PressureRate>,
    /// Context switches per second.
    pub context_switches: Option<f64>,
    /// Page faults per second.
    pub page_faults: Option<f64>,
    /// Page faults with a read from disk, per second.
    pub major_page_faults: Option<f64>,
    /// Processes killed because memory ran out since the last collection, however long ago it was.
    pub oom_kills: Option<u64>,
    /// These processes, as `name (id)`, oldest first, as far as the log of the kernel names them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub oom_victims: Vec<String>,
    /// 1 if the machine was restarted since the last collection, however long ago it was; otherwise 0.
    pub restarts: Option<u64>,
}

/// The rates of an interface.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct InterfaceRates {
    /// Its name.
    pub name: String,
    /// Received, Mbit/s.
    pub received_mbit: Option<f64>,
    /// Sent, Mbit/s.
    pub sent_mbit: Option<f64>,
    /// Packets received and sent, per second.
    pub packets: Option<f64>,
    /// Errors while receiving and sending, per second.
    pub errors: Option<f64>,
    /// The speed of its link, Mbit/s.
    pub speed_mbit: Option<u32>,
    /// Whether it only connects the machine with itself.
    pub is_loopback: bool,
}

impl InterfaceRates {
    /// The busier direction, Mbit/s.
    #[must_use]
    pub fn busier_mbit(&self) -> Option<f64> {
        match (self.received_mbit, self.sent_mbit) {
            (Some(received), Some(sent)) => Some(received.max(sent)),
            (received, sent) => received.or(sent),
        }
    }

    /// The busier direction, of the speed of its link.
    #[must_use]
    pub fn share(&self) -> Option<Percent> {
        let speed_mbit = self.speed_mbit.filter(|speed| *speed > 0)?;
        rounded(100.0 * self.busier_mbit()? / f64::from(speed_mbit))
    }
}

/// The rates of a disk.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DiskRates {
    /// Its name.
    pub name: String,
    /// The time with at least one operation in progress.
    pub busy: Option<Percent>,
    /// Read, bytes per second.
    pub read_bytes: Option<f64>,
    /// Written, bytes per second.
    pub written_bytes: Option<f64>,
    /// Operations per second.
    pub operations: Option<f64>,
}

/// The pressure on a resource.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PressureRate {
    /// `cpu`, `memory` or `io`.
    pub resource: String,
    /// The time in which at least one task waited for it.
    pub some: Option<Percent>,
}

impl Rates {
    /// What the agent measured during its sampling window, without percentages that are impossible.
    pub(super) fn of_window(report: &Report, left_out: &mut LeftOut) -> Self {
        if let Some(further @ 1..) = report.interfaces.len().checked_sub(MOST_INSTANCES) {
            let all = report.interfaces.len();
            left_out.add(format!(
                "further network interfaces: {further} of {all} have no rates: {MOST_INSTANCES} of a client are kept"
            ));
        }
        let mut percent = |part: String, percent: Option<f64>| {
            let measured = Percent::measured(percent?).map_err(|error| InvalidReading::new(&part, error));
            left_out.keep(measured)
        };
        let mbit = |bytes_per_second: Option<u64>| bytes_per_second.map(|bytes| mbit(bytes, 1000));
        let mut rates = Self {
            cpu_span_ms: report.cpu.as_ref().and_then(|cpu| u64::try_from(cpu.window.as_millis()).ok()),
            oom_victims: report.oom_victims.iter().take(MAX_VICTIMS).map(|victim| text(victim)).collect(),
            ..Self::default()
        };
        for interface in report.interfaces.iter().take(MOST_INSTANCES) {
            let mut rate = InterfaceRates {
                name: text(&interface.name),
                received_mbit: mbit(interface.window_received_bytes_per_second),
                sent_mbit: mbit(interface.window_sent_bytes_per_second),
                speed_mbit: interface.speed_mbit,
                is_loopback: interface.is_loopback,
                ..InterfaceRates::default()
            };
            for mbit in [&mut rate.received_mbit, &mut rate.sent_mbit] {
                *mbit = mbit.filter(|mbit| is_possible(*mbit, interface.speed_mbit));
            }
            rates.interfaces.push(rate);
        }
        let Some(counters) = &report.counters else { return rates };
        for disk in counters.disks.iter().take(MOST_INSTANCES) {
            let name = text(&disk.name);
            let busy = percent(format!("busy time of disk {name}"), disk.window_busy_percent);
            rates.disks.push(DiskRates { name, busy, ..DiskRates::default() });
        }
        for resource in Resource::ALL {
            if let Some(pressure) = counters.pressure.iter().find(|pressure| pressure.resource == resource) {
                let some = percent(format!("pressure on {}", resource.word()), pressure.window_some_percent);
                rates.pressure.push(PressureRate { resource: resource.word().to_owned(), some });
            }
        }
        rates
    }
}

/// A number of bytes in a time, as Mbit/s.
pub(super) fn mbit(bytes: u64, span_ms: u64) -> f64 {
    (bytes as f64 * 8.0 / span_ms as f64).round() / 1000.0
}

/// A percentage, rounded to hundredths and at most 100.
pub(super) fn rounded(percent: f64) -> Option<Percent> {
    Percent::measured(percent.min(100.0)).ok()
}

/// Whether an interface can transfer this much.
pub(super) fn is_possible(mbit: f64, speed_mbit: Option<u32>) -> bool {
    let speed_mbit = speed_mbit.filter(|speed| *speed > 0);
    mbit <= speed_mbit.map_or(FASTEST_MBIT, |speed| MOST_OF_LINK * f64::from(speed)).min(FASTEST_MBIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_of_the_link_is_rounded_to_hundredths_and_at_most_all_of_it() {
        for (received_mbit, sent_mbit, speed_mbit, expected) in [
            (Some(23.072), None, Some(10_000), Some(0.23)),
            (Some(1.0), Some(2.0), Some(3), Some(66.67)),
            (Some(150.0), Some(0.0), Some(100), Some(100.0)),
            (Some(1.0), Some(1.0), Some(0), None),
            (Some(1.0), Some(1.0), None, None),
            (None, None, Some(100), None),
        ] {
            let rates = InterfaceRates { received_mbit, sent_mbit, speed_mbit, ..InterfaceRates::default() };
            assert_eq!(rates.share().map(Percent::get), expected, "{rates:?}");
        }
    }
}
