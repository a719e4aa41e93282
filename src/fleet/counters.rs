//! The counters of a client at one collection, after validation. They are stored until the next collection, which takes
//! the differences in [`averages`](super::averages).

use std::collections::BTreeMap;

use fleetsweep_agent::report::{self, CoreTime, Report, Resource};
use serde::{Deserialize, Serialize};

use super::clean_text::{clean, text};

/// The most interfaces and the most disks of a client whose rates are known. The agent reports physical ones first.
pub(super) const MOST_INSTANCES: usize = 64;
/// The longest identity of a start, characters.
const BOOT_ID_CHARS: usize = 64;

/// The counters of a client.
///
/// They are stored at every collection, so their JSON is short: absent counters are left out, and the time of a core is
/// a list.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Counters {
    /// Names the start of the machine. Never empty.
    pub boot_id: String,
    /// The time of a clock of the client that is never set, milliseconds.
    pub monotonic_ms: u64,
    /// The time since the start, including the time that the machine was suspended, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uptime_ms: Option<u64>,
    /// The time of each core.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "core_times")]
    pub cores: Vec<CoreTime>,
    /// Context switches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_switches: Option<u64>,
    /// Page faults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_faults: Option<u64>,
    /// Page faults with a read from disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub major_page_faults: Option<u64>,
    /// Processes killed because memory ran out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oom_kills: Option<u64>,
    /// Interfaces by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub interfaces: BTreeMap<String, InterfaceCounters>,
    /// Disks by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub disks: BTreeMap<String, DiskCounters>,
    /// The time in which at least one task waited for a resource, microseconds, by the name of the resource.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pressure_us: BTreeMap<String, u64>,
}

/// The counters of an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct InterfaceCounters {
    /// Its number, which it keeps when it gets another name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u32>,
    /// Bytes received.
    pub received_bytes: u64,
    /// Bytes sent.
    pub sent_bytes: u64,
    /// Packets received and sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub packets: Option<u64>,
    /// Errors while receiving and sending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errors: Option<u64>,
}

/// The counters of a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DiskCounters {
    /// Bytes read.
    pub read_bytes: u64,
    /// Bytes written.
    pub written_bytes: u64,
    /// Completed reads and writes.
    pub operations: u64,
    /// The time with at least one operation in progress, milliseconds. It may wrap at 2^32.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub busy_ms: Option<u64>,
}

impl Counters {
    /// The counters of a report; `None` if the start of the machine is not identified.
    #[must_use]
    pub fn from_report(report: &Report) -> Option<Self> {
        let counters = report.counters.as_ref()?;
        let boot_id = clean(&counters.boot_id, BOOT_ID_CHARS);
        if boot_id.is_empty() {
            return None;
        }
        let mut cores = counters.cores.clone();
        cores.sort_by_key(|time| time.core);
        cores.dedup_by_key(|time| time.core);
        Some(Self {
            boot_id,
            monotonic_ms: counters.monotonic_ms,
            uptime_ms: report.uptime.map(|uptime| u64::try_from(uptime.as_millis()).unwrap_or(u64::MAX)),
            cores,
            context_switches: counters.context_switches,
            page_faults: counters.page_faults,
            major_page_faults: counters.major_page_faults,
            oom_kills: counters.oom_kills,
            interfaces: named(&report.interfaces, |it| (&it.name, InterfaceCounters::of(it))),
            disks: named(&counters.disks, |it| (&it.name, DiskCounters::of(it))),
            pressure_us: counters.pressure.iter().map(|it| (it.resource.word().to_owned(), it.some_us)).collect(),
        })
    }

    /// The time in which at least one task waited for a resource, microseconds.
    #[must_use]
    pub fn pressure_us(&self, resource: Resource) -> Option<u64> {
        self.pressure_us.get(resource.word()).copied()
    }
}

impl InterfaceCounters {
    fn of(interface: &report::Interface) -> Self {
        let sum = |received: Option<u64>, sent: Option<u64>| Some(received?.saturating_add(sent?));
        Self {
            index: interface.index,
            received_bytes: interface.received_bytes,
            sent_bytes: interface.sent_bytes,
            packets: sum(interface.received_packets, interface.sent_packets),
            errors: sum(interface.received_errors, interface.sent_errors),
        }
    }
}

impl DiskCounters {
    fn of(disk: &report::Disk) -> Self {
        Self {
            read_bytes: disk.read_bytes,
            written_bytes: disk.written_bytes,
            operations: disk.reads.saturating_add(disk.writes),
            busy_ms: disk.busy_ms,
        }
    }
}

/// The first instances by name.
fn named<T, C>(instances: &[T], counters: impl Fn(&T) -> (&str, C)) -> BTreeMap<String, C> {
    instances.iter().take(MOST_INSTANCES).map(counters).map(|(name, counters)| (text(name), counters)).collect()
}

/// The time of a core as a list of numbers: core, user, nice, system, idle, waiting for disks, interrupts, deferred
/// work, steal.
mod core_times {
    use fleetsweep_agent::report::CoreTime;
    use serde::{Deserialize, Deserializer, Serializer};

    type Times = (u32, u64, Option<u64>, u64, u64, Option<u64>, Option<u64>, Option<u64>, Option<u64>);

    pub(super) fn serialize<S: Serializer>(cores: &[CoreTime], serializer: S) -> Result<S::Ok, S::Error> {
        let times = |time: &CoreTime| -> Times {
            (
                time.core,
                time.user_ms,
                time.nice_ms,
                time.system_ms,
                time.idle_ms,
                time.io_wait_ms,
                time.interrupt_ms,
                time.soft_interrupt_ms,
                time.steal_ms,
            )
        };
        serializer.collect_seq(cores.iter().map(times))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<CoreTime>, D::Error> {
        let time = |(core, user_ms, nice_ms, system_ms, idle_ms, io_wait_ms, interrupt_ms, soft, steal_ms): Times| {
            let soft_interrupt_ms = soft;
            CoreTime {
                core,
                user_ms,
                nice_ms,
                system_ms,
                idle_ms,
                io_wait_ms,
                interrupt_ms,
                soft_interrupt_ms,
                steal_ms,
            }
        };
        Ok(Vec::<Times>::deserialize(deserializer)?.into_iter().map(time).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use fleetsweep_agent::report::{Disk, Interface, Pressure};

    use super::*;

    fn report() -> Report {
        let full = CoreTime {
            core: 7,
            user_ms: 1,
            nice_ms: Some(2),
            system_ms: 3,
            idle_ms: 4,
            io_wait_ms: Some(5),
            interrupt_ms: Some(6),
            soft_interrupt_ms: Some(7),
            steal_ms: Some(8),
        };
        let interface = |name: &str| Interface {
            name: name.to_owned(),
            received_bytes: 10,
            sent_bytes: 20,
            received_packets: Some(1),
            sent_packets: Some(u64::MAX),
            ..Interface::default()
        };
        let disk = |number: usize| Disk { name: format!("sd\u{1b}{number}"), reads: 1, writes: 2, ..Disk::default() };
        Report {
            uptime: Some(Duration::from_millis(1234)),
            interfaces: vec![interface("eth0")],
            counters: Some(report::Counters {
                boot_id: "2606b0f2".into(),
                monotonic_ms: 99,
                cores: vec![full, CoreTime { core: 1, ..CoreTime::default() }, full],
                oom_kills: Some(3),
                disks: (0..100).map(disk).collect(),
                pressure: vec![Pressure {
                    resource: Resource::Io,
                    some_us: 5,
                    full_us: None,
                    window_some_percent: None,
                }],
                ..report::Counters::default()
            }),
            ..Report::default()
        }
    }

    #[test]
    fn counters_are_limited_named_once_and_stored_in_short() {
        let counters = Counters::from_report(&report()).unwrap();
        assert_eq!(counters.cores.iter().map(|time| time.core).collect::<Vec<_>>(), [1, 7]);
        assert_eq!((counters.disks.len(), counters.disks["sd0"].operations), (MOST_INSTANCES, 3));
        assert_eq!((counters.uptime_ms, counters.pressure_us(Resource::Io)), (Some(1234), Some(5)));
        assert_eq!(counters.interfaces["eth0"].packets, Some(u64::MAX));
        let few = Counters { disks: BTreeMap::new(), ..counters };
        let json = serde_json::to_string(&few).unwrap();
        assert_eq!(
            json,
            r#"{"boot_id":"2606b0f2","monotonic_ms":99,"uptime_ms":1234,"cores":[[1,0,null,0,0,null,null,null,null],[7,1,2,3,4,5,6,7,8]],"oom_kills":3,"interfaces":{"eth0":{"received_bytes":10,"sent_bytes":20,"packets":18446744073709551615}},"pressure_us":{"io":5}}"#
        );
        assert_eq!(serde_json::from_str::<Counters>(&json).unwrap(), few);
    }

    #[test]
    fn the_identity_of_a_start_is_short_or_absent() {
        for (boot_id, expected) in [
            ("b".repeat(1 << 20), Some("b".repeat(BOOT_ID_CHARS))),
            ("a\x1b\n ".into(), Some("a".into())),
            (" \u{200b}".into(), None),
        ] {
            let mut report = report();
            report.counters.as_mut().unwrap().boot_id = boot_id;
            assert_eq!(Counters::from_report(&report).map(|counters| counters.boot_id), expected);
        }
        assert_eq!(Counters::from_report(&Report::default()), None);
    }
}
