//! The table of metrics, which are the values that rules can check. Judge, filter, sort, store, history, exports,
//! mails, configuration and dashboard all read this table.
//!
//! A new metric is a new row here. If its value is new, it also needs a field of [`Reading`]; if it is stored in its
//! own column, a migration too.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{
    Percent, Reading,
    counters::MOST_INSTANCES,
    outlook::{HORIZON_DAYS, Outlook},
    rates::InterfaceRates,
    reading::{FileSystem, Usage},
    states::Commit,
};

pub use observed::{Observation, Observed, Previous};
pub use pattern::InstancePattern;
pub use properties::{Evidence, Gauge, History, Nature, Scope, StoredValue, Worse};
pub use unit::Unit;
pub use values::{Instance, Measured, Values};

mod observed;
mod pattern;
mod properties;
mod unit;
mod values;

/// The properties of a metric.
#[derive(Debug, Clone, Copy)]
pub struct MetricSpec {
    /// Its keyword in the configuration, in JSON, in filters and in the database; at most 16 bytes.
    pub word: &'static str,
    /// Its short name, for the dashboard's table and as a second keyword in filters.
    pub short: &'static str,
    /// Its name in mails.
    pub label: &'static str,
    /// The unit of its values and limits.
    pub unit: Unit,
    /// The metric that is meant if a limit of this one is written with `%`.
    pub in_percent: Option<Metric>,
    /// What its instances are.
    pub scope: Scope,
    /// Whether higher or lower values are worse.
    pub worse: Worse,
    /// How its value is stored in a row of `collections`; `None` if it is not stored, so that it has no history and no
    /// filter.
    pub stored: Option<StoredValue>,
    /// Which of its values are rolled up.
    pub history: History,
    /// Its gauge in the Prometheus export; `None` if it has none.
    pub gauge: Option<Gauge>,
    /// The evidence that mails and the details of a client show with it.
    pub evidence: Evidence,
    /// Whether it is a state that lasts or something that happens.
    pub nature: Nature,
    /// Computes its values from a collection.
    pub measure: fn(Observed<'_>) -> Values,
}

/// Generates the enum, the list of all metrics and the lookup from one table, so that each metric has a row.
macro_rules! metrics {
    ($($(#[$doc:meta])* $metric:ident: $spec:expr;)*) => {
        /// A metric.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(into = "&'static str", try_from = "String")]
        pub enum Metric {
            $($(#[$doc])* $metric,)*
        }

        impl Metric {
            /// Every metric, in the order in which mails list them.
            pub const ALL: [Self; [$(stringify!($metric)),*].len()] = [$(Self::$metric),*];

            /// Its row of the table.
            #[must_use]
            pub const fn spec(self) -> &'static MetricSpec {
                match self {
                    $(Self::$metric => const { &$spec },)*
                }
            }
        }
    };
}

metrics! {
    /// CPU use since the last collection, percent.
    Cpu: MetricSpec {
        word: "cpu",
        short: "cpu",
        label: "CPU",
        unit: Unit::Percent,
        in_percent: None,
        scope: Scope::Host,
        worse: Worse::High,
        stored: Some(StoredValue::Own("cpu_percent")),
        history: History::Every,
        gauge: Some(Gauge {
            name: "fleetsweep_cpu_usage_ratio",
            help: "CPU use of all cores together since the last collection, 0 to 1.",
        }),
        evidence: Evidence::ProcessesByCpu,
        nature: Nature::State,
        measure: |of| Values::of_host(of.reading.and_then(|reading| reading.cpu).map(Percent::get)),
    };
    /// Used memory, percent.
    Memory: MetricSpec {
        word: "memory",
        short: "mem",
        label: "memory",
        unit: Unit::Percent,
        in_percent: None,
        scope: Scope::Host,
        worse: Worse::High,
        stored: Some(StoredValue::Own("memory_percent")),
        history: History::Every,
        gauge: Some(Gauge { name: "fleetsweep_memory_usage_ratio", help: "Memory in use of all, 0 to 1." }),
        evidence: Evidence::ProcessesByMemory,
        nature: Nature::State,
        measure: |of| Values::of_host(of.reading.and_then(|reading| reading.memory).and_then(Usage::percent).map(Percent::get)),
    };
    /// Used swap, percent.
    Swap: MetricSpec {
        word: "swap",
        short: "swap",
        label: "swap",
        unit: Unit::Percent,
        in_percent: None,
        scope: Scope::Host,
        worse: Worse::High,
        stored: Some(StoredValue::Own("swap_percent")),
        history: History::Every,
        gauge: None,
        evidence: Evidence::ProcessesByMemory,
        nature: Nature::State,
        measure: |of| Values::of_host(of.reading.and_then(|reading| reading.swap).and_then(Usage::percent).map(Percent::get)),
    };
    /// Use of each mounted file system, percent. The fullest is stored.
    Disk: MetricSpec {
        word: "disk",
        short: "disk",
        label: "disk",
        unit: Unit::Percent,
        in_percent: None,
        scope: Scope::Mount,
        worse: Worse::High,
        stored: Some(StoredValue::Own("disk_percent")),
        history: History::Every,
        gauge: Some(Gauge {
            name: "fleetsweep_disk_usage_ratio",
            help: "Use of a mounted file system as df counts, 0 to 1.",
        }),
        evidence: Evidence::FileSystems,
        nature: Nature::State,
        measure: |of| of_mounts(of, Worse::High, |system| system.percent().map(Percent::get)),
    };
    /// One-minute load average per core, a number.
    Load: MetricSpec {
        word: "load",
        short: "load",
        label: "load",
        unit: Unit::PerCore,
        in_percent: None,
        scope: Scope::Host,
        worse: Worse::High,
        stored: Some(StoredValue::Quotient("load_1", "core_count")),
        history: History::Every,
        gauge: None,
        evidence: Evidence::ProcessesByCpu,
        nature: Nature::State,
        measure: |of| Values::of_host(of.reading.and_then(Reading::load_per_core)),
    };
    /// Traffic of each network interface in its busier direction, Mbit/s.
    Network: MetricSpec {
        word: "network",
        short: "net",
        label: "network",
        unit: Unit::MbitPerSecond,
        in_percent: Some(Metric::NetworkShare),
        scope: Scope::Interface,
        worse: Worse::High,
        stored: Some(StoredValue::Own("network_mbit")),
        history: History::Every,
        gauge: Some(Gauge {
            name: "fleetsweep_network_bytes_per_second",
            help: "Traffic of the interface in its busier direction since the last collection, bytes per second.",
        }),
        evidence: Evidence::Nothing,
        nature: Nature::State,
        measure: |of| each_interface(of, InterfaceRates::busier_mbit),
    };
    /// The same, percent of the speed of its link.
    NetworkShare: MetricSpec {
        word: "network-share",
        short: "netshare",
        label: "network use of the link",
        unit: Unit::Percent,
        in_percent: None,
        scope: Scope::Interface,
        worse: Worse::High,
        stored: Some(StoredValue::Own("network_percent")),
        history: History::Every,
        gauge: Some(Gauge {
            name: "fleetsweep_network_usage_ratio",
            help: "Traffic of the interface in its busier direction since the last collection, of the speed of its link, 0 to 1.",
        }),
        evidence: Evidence::Nothing,
        nature: Nature::State,
        measure: |of| each_interface(of, |rates| rates.share().map(Percent::get)),
    };
    /// The time in which each disk had operations in progress, percent.
    DiskBusy: MetricSpec {
        word: "disk-busy",
        short: "busy",
        label: "busy disk",
        unit: Unit::Percent,
        in_percent: None,
        scope: Scope::Disk,
        worse: Worse::High,
        stored: Some(StoredValue::Own("disk_busy_percent")),
        history: History::Every,
        gauge: Some(Gauge {
            name: "fleetsweep_disk_busy_ratio",
            help: "Time since the last collection in which the disk had operations in progress, 0 to 1.",
        }),
        evidence: Evidence::Nothing,
        nature: Nature::State,
        measure: |of| {
            let disks = of.reading.map(|reading| reading.rates.disks.as_slice()).unwrap_or_default();
            let values = disks.iter().map(|disk| (&disk.name, disk.busy.map(Percent::get)));
            Values::of_instances(values, Worse::High, disks.len() < MOST_INSTANCES)
        },
    };
    /// The time in which tasks waited for each resource, percent.
    Pressure: MetricSpec {
        word: "pressure",
        short: "psi",
        label: "pressure on",
        unit: Unit::Percent,
        in_percent: None,
        scope: Scope::Resource,
        worse: Worse::High,
        stored: Some(StoredValue::Own("pressure_percent")),
        history: History::Every,
        gauge: Some(Gauge {
            name: "fleetsweep_pressure_ratio",
            help: "Time since the last collection in which at least one task waited for the resource, 0 to 1.",
        }),
        evidence: Evidence::ProcessesByCpu,
        nature: Nature::State,
        measure: |of| {
            let pressure = of.reading.map(|reading| reading.rates.pressure.as_slice()).unwrap_or_default();
            let values = pressure.iter().map(|rate| (&rate.resource, rate.some.map(Percent::get)));
            Values::of_instances(values, Worse::High, true)
        },
    };
    /// Processes killed because memory ran out since the last collection, a count.
    Oom: MetricSpec {
        word: "oom",
        short: "oom",
        label: "out of memory",
        unit: Unit::Count {
            one: "process killed because memory ran out",
            many: "processes killed because memory ran out",
        },
        in_percent: None,
        scope: Scope::Host,
        worse: Worse::High,
        stored: Some(StoredValue::Own("oom_kills")),
        history: History::Every,
        gauge: Some(Gauge {
            name: "fleetsweep_oom_kills",
            help: "Processes killed because memory ran out since the last collection.",
        }),
        evidence: Evidence::ProcessesByMemory,
        nature: Nature::Event,
        measure: |of| Values::of_host(of.reading.and_then(|reading| reading.rates.oom_kills).map(|kills| kills as f64)),
    };
    /// Whether the machine was restarted since the last collection, 0 or 1.
    Reboot: MetricSpec {
        word: "reboot",
        short: "reboot",
        label: "reboot",
        unit: Unit::Count { one: "restart", many: "restarts" },
        in_percent: None,
        scope: Scope::Host,
        worse: Worse::High,
        stored: Some(StoredValue::Own("restarts")),
        history: History::Every,
        gauge: Some(Gauge {
            name: "fleetsweep_restarts",
            help: "Whether the client was restarted since the last collection: 1, or 0.",
        }),
        evidence: Evidence::Nothing,
        nature: Nature::Event,
        measure: |of| Values::of_host(of.reading.and_then(|reading| reading.rates.restarts).map(|count| count as f64)),
    };
    /// Failed sweeps in a row, a count.
    Unreachable: MetricSpec {
        word: "unreachable",
        short: "unreachable",
        label: "unreachable",
        unit: Unit::FailedSweeps,
        in_percent: None,
        scope: Scope::Host,
        worse: Worse::High,
        stored: None,
        history: History::Every,
        gauge: None,
        evidence: Evidence::Failure,
        nature: Nature::State,
        measure: |of| Values::of_host(of.failed_in_a_row.map(f64::from)),
    };
    /// Used inodes of each mounted file system, percent. The fullest is stored.
    Inodes: MetricSpec {
        word: "inodes",
        short: "inodes",
        label: "inodes",
        unit: Unit::Percent,
        in_percent: None,
        scope: Scope::Mount,
        worse: Worse::High,
        stored: Some(StoredValue::Own("inodes_percent")),
        history: History::Every,
        gauge: Some(Gauge {
            name: "fleetsweep_inodes_usage_ratio",
            help: "Use of the inodes of a mounted file system as df counts, 0 to 1.",
        }),
        evidence: Evidence::Nothing,
        nature: Nature::State,
        measure: |of| of_mounts(of, Worse::High, |system| system.inodes_percent().map(Percent::get)),
    };
    /// Memory that is promised to processes, percent of the most that can be.
    Commit: MetricSpec {
        word: "commit",
        short: "commit",
        label: "committed memory",
        unit: Unit::Percent,
        in_percent: None,
        scope: Scope::Host,
        worse: Worse::High,
        stored: Some(StoredValue::Own("commit_percent")),
        history: History::Every,
        gauge: Some(Gauge {
            name: "fleetsweep_commit_usage_ratio",
            help: "Commit charge of its limit where the system enforces it, 0 to 1.",
        }),
        evidence: Evidence::ProcessesByMemory,
        nature: Nature::State,
        measure: |of| Values::of_host(of.states().and_then(|states| states.commit).and_then(Commit::percent).map(Percent::get)),
    };
    /// Whether each unit of systemd or automatic service failed, 1 or 0. Their number is stored.
    Units: MetricSpec {
        word: "units",
        short: "units",
        label: "unit",
        unit: Unit::Flag { set: "failed", clear: "not failed" },
        in_percent: None,
        scope: Scope::Service,
        worse: Worse::High,
        stored: Some(StoredValue::Own("failed_units")),
        history: History::Every,
        gauge: Some(Gauge {
            name: "fleetsweep_unit_failed",
            help: "A failed unit of systemd, or an automatic service of Windows that has stopped: 1.",
        }),
        evidence: Evidence::Nothing,
        nature: Nature::State,
        measure: |of| {
            let failed = of.states().and_then(|states| Some((states.failed_units.as_ref()?, states.omitted_failed_units)));
            failed.map_or(Values::NotMeasured, |(units, omitted)| Values::Listed {
                values: units.iter().map(|unit| (Instance::new(unit), 1.0)).collect(),
                omitted,
            })
        },
    };
    /// Processes with a name, a count. More than the limit are worse.
    Processes: MetricSpec {
        word: "processes",
        short: "processes",
        label: "processes",
        unit: Unit::Count { one: "process", many: "processes" },
        in_percent: None,
        scope: Scope::Process,
        worse: Worse::High,
        stored: None,
        history: History::Every,
        gauge: Some(Gauge { name: "fleetsweep_processes", help: "Processes with a name that a limit is for." }),
        evidence: Evidence::Nothing,
        nature: Nature::State,
        measure: |of| of_processes(of, Worse::High),
    };
    /// The same. Fewer than the limit are worse.
    FewProcesses: MetricSpec {
        word: "few-processes",
        short: "few-processes",
        label: "processes",
        unit: Unit::Count { one: "process", many: "processes" },
        in_percent: None,
        scope: Scope::Process,
        worse: Worse::Low,
        stored: None,
        history: History::InAnother,
        gauge: None,
        evidence: Evidence::Nothing,
        nature: Nature::State,
        measure: |of| of_processes(of, Worse::Low),
    };
    /// The difference between the client's clock and ours in either direction, seconds.
    Clock: MetricSpec {
        word: "clock",
        short: "clock",
        label: "clock",
        unit: Unit::Seconds,
        in_percent: None,
        scope: Scope::Host,
        worse: Worse::High,
        stored: Some(StoredValue::Own("clock_offset_seconds")),
        history: History::Every,
        gauge: Some(Gauge {
            name: "fleetsweep_clock_offset_seconds",
            help: "Difference between the clocks of the client and the collector in either direction, seconds.",
        }),
        evidence: Evidence::Nothing,
        nature: Nature::State,
        measure: |of| {
            let ahead_ms = of.reading.and_then(|reading| reading.clock_ahead_ms);
            Values::of_host(ahead_ms.map(|ahead| ahead.unsigned_abs() as f64 / 1000.0))
        },
    };
    /// Security updates that are not installed, a count.
    Updates: MetricSpec {
        word: "updates",
        short: "updates",
        label: "updates",
        unit: Unit::Count { one: "security update", many: "security updates" },
        in_percent: None,
        scope: Scope::Host,
        worse: Worse::High,
        stored: Some(StoredValue::Own("security_updates")),
        history: History::Every,
        gauge: Some(Gauge {
            name: "fleetsweep_security_updates",
            help: "Security updates that are not installed, where the distribution tells without network.",
        }),
        evidence: Evidence::Nothing,
        nature: Nature::State,
        measure: |of| Values::of_host(of.states().and_then(|states| states.security_updates).map(f64::from)),
    };
    /// Whether the system has to be restarted for its updates, 1 or 0.
    RebootRequired: MetricSpec {
        word: "reboot-required",
        short: "restart-needed",
        label: "restart for updates",
        unit: Unit::Flag { set: "needed", clear: "not needed" },
        in_percent: None,
        scope: Scope::Host,
        worse: Worse::High,
        stored: Some(StoredValue::Own("reboot_required")),
        history: History::Every,
        gauge: Some(Gauge {
            name: "fleetsweep_reboot_required",
            help: "Whether the system has to be restarted for its updates, where the distribution tells: 1, or 0.",
        }),
        evidence: Evidence::Nothing,
        nature: Nature::State,
        measure: |of| {
            let needed = of.states().and_then(|states| states.restart_needed);
            Values::of_host(needed.map(|needed| f64::from(u8::from(needed))))
        },
    };
    /// The highest temperature of a sensor, degrees Celsius.
    Temperature: MetricSpec {
        word: "temperature",
        short: "temp",
        label: "temperature",
        unit: Unit::Celsius,
        in_percent: None,
        scope: Scope::Host,
        worse: Worse::High,
        stored: Some(StoredValue::Own("temperature_celsius")),
        history: History::Every,
        gauge: Some(Gauge {
            name: "fleetsweep_temperature_celsius",
            help: "The highest temperature of a sensor, degrees Celsius.",
        }),
        evidence: Evidence::ProcessesByCpu,
        nature: Nature::State,
        measure: |of| Values::of_host(of.states().and_then(|states| states.temperature_celsius)),
    };
    /// The days until each mounted file system is full. One without a date within a year has [`HORIZON_DAYS`]. The
    /// lowest is stored.
    DiskFull: MetricSpec {
        word: "disk-full",
        short: "full",
        label: "time to full",
        unit: Unit::Days,
        in_percent: None,
        scope: Scope::Mount,
        worse: Worse::Low,
        stored: Some(StoredValue::Own("disk_full_days")),
        history: History::Below(HORIZON_DAYS),
        gauge: Some(Gauge {
            name: "fleetsweep_disk_full_seconds",
            help: "Time until a mounted file system is full if it goes on growing as it does, seconds; 365 days if there is no date within.",
        }),
        evidence: Evidence::Outlooks,
        nature: Nature::State,
        measure: |of| of_mounts(of, Worse::Low, |system| system.outlook().map(Outlook::value)),
    };
}

/// The values of the mounted file systems.
fn of_mounts(of: Observed<'_>, worse: Worse, value: fn(&FileSystem) -> Option<f64>) -> Values {
    let Some(reading) = of.reading else { return Values::NotMeasured };
    let measured = reading.file_systems.iter().map(|system| (&system.mount, value(system)));
    let silent = reading.silent_mounts.iter().map(|mount| (mount, None));
    Values::of_instances(measured.chain(silent), worse, reading.omitted_file_systems == 0)
}

/// The value of each interface, except those that only connect the machine with itself.
fn each_interface(of: Observed<'_>, value: fn(&InterfaceRates) -> Option<f64>) -> Values {
    let interfaces = of.reading.map(|reading| reading.rates.interfaces.as_slice()).unwrap_or_default();
    let others = interfaces.iter().filter(|rates| !rates.is_loopback);
    Values::of_instances(
        others.map(|rates| (&rates.name, value(rates))),
        Worse::High,
        interfaces.len() < MOST_INSTANCES,
    )
}

/// The number of processes with each name that was asked for.
fn of_processes(of: Observed<'_>, worse: Worse) -> Values {
    let counts = of.states().map(|states| states.process_counts.as_slice()).unwrap_or_default();
    Values::of_instances(counts.iter().map(|(name, count)| (name, Some(f64::from(*count)))), worse, true)
}

impl Metric {
    /// Its keyword in the configuration, in JSON and in the database.
    #[must_use]
    pub fn word(self) -> &'static str {
        self.spec().word
    }

    /// The metric with this keyword or short name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|metric| metric.word() == name || metric.spec().short == name)
    }

    /// The unit of its values and limits.
    #[must_use]
    pub fn unit(self) -> Unit {
        self.spec().unit
    }

    /// Shows a value with its unit: `93.0 %`, `1.25 per core`, `3 failed sweeps in a row`.
    #[must_use]
    pub fn show(self, value: f64) -> String {
        self.unit().show(value)
    }

    /// Its values in a collection, rounded to what was measured.
    #[must_use]
    pub fn measure(self, observed: Observed<'_>) -> Values {
        (self.spec().measure)(observed).map(|value| self.unit().round(value))
    }

    /// The limit of an alert without one; `None` if it must be configured.
    #[must_use]
    pub fn default_limit(self) -> Option<f64> {
        let is_flag = matches!(self.unit(), Unit::Flag { .. });
        (is_flag || self.spec().nature == Nature::Event).then_some(0.0)
    }

    /// The worst of its values, or the length of a list; `None` if it was not measured.
    #[must_use]
    pub fn worst(self, values: &Values) -> Option<f64> {
        let worse = self.spec().worse;
        if let Values::Listed { values, omitted } = values {
            return Some(values.len() as f64 + f64::from(*omitted));
        }
        values.measured().into_iter().map(|(_, value)| value).reduce(|one, other| worse.worst(one, other))
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl From<Metric> for &'static str {
    fn from(metric: Metric) -> Self {
        metric.word()
    }
}

/// The error for an unknown metric.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an alert type")]
pub struct InvalidMetric(pub String);

impl FromStr for Metric {
    type Err = InvalidMetric;

    fn from_str(word: &str) -> Result<Self, InvalidMetric> {
        Self::ALL.into_iter().find(|metric| metric.word() == word).ok_or_else(|| InvalidMetric(word.to_owned()))
    }
}

impl TryFrom<String> for Metric {
    type Error = InvalidMetric;

    fn try_from(word: String) -> Result<Self, InvalidMetric> {
        word.parse()
    }
}

#[cfg(test)]
mod tests;
