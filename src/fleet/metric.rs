//! The table of metrics, which are the values that rules can check. Judge, filter, sort, store, history, exports,
//! mails, configuration and dashboard all read this table.
//!
//! A new metric is a new row here. If its value is new, it also needs a field of [`Reading`]; if it is stored in its
//! own column, a migration too.

use std::{fmt, str::FromStr};

use fleetsweep_agent::report::Resource;
use serde::{Deserialize, Serialize};

use super::{
    Percent, Reading,
    counters::MOST_INSTANCES,
    rates::InterfaceRates,
    reading::{FileSystem, Usage},
};

pub use observed::{Observation, Observed, Previous};
pub use pattern::InstancePattern;
pub use unit::Unit;
pub use values::{Instance, Measured, Values};

mod observed;
mod pattern;
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
    /// Its gauge in the Prometheus export; `None` if it has none.
    pub gauge: Option<Gauge>,
    /// The evidence that mails and the details of a client show with it.
    pub evidence: Evidence,
    /// Whether it is a state that lasts or something that happens.
    pub nature: Nature,
    /// Computes its values from a collection.
    pub measure: fn(Observed<'_>) -> Values,
}

/// How the value of a metric is stored in a row of `collections`. As text it is an SQL expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoredValue {
    /// In its own column with this name. [`columns`](super::stored::columns) reads it from here.
    Own(&'static str),
    /// As the quotient of two columns that are stored anyway.
    Quotient(&'static str, &'static str),
}

impl fmt::Display for StoredValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own(column) => f.write_str(column),
            Self::Quotient(dividend, divisor) => write!(f, "{dividend} / {divisor}"),
        }
    }
}

/// What the instances of a metric are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The host as a whole: one value without an instance name.
    Host,
    /// Each mounted file system, by its mount point.
    Mount,
    /// Each network interface, by its name.
    Interface,
    /// Each disk, by its name.
    Disk,
    /// Each resource that tasks wait for: `cpu`, `memory`, `io`.
    Resource,
    /// Each service, by its name.
    Service,
}

impl Scope {
    /// The Prometheus label with the instance; `None` for the host.
    #[must_use]
    pub fn label(self) -> Option<&'static str> {
        match self {
            Self::Host => None,
            Self::Mount => Some("mount"),
            Self::Interface => Some("interface"),
            Self::Disk => Some("disk"),
            Self::Resource => Some("resource"),
            Self::Service => Some("service"),
        }
    }

    /// The attribute of `<alert>` that names an instance; `None` for the host.
    #[must_use]
    pub fn attribute(self) -> Option<&'static str> {
        match self {
            Self::Host => None,
            Self::Mount => Some("mount"),
            Self::Interface => Some("interface"),
            Self::Disk | Self::Resource | Self::Service => Some("name"),
        }
    }

    /// Whether an instance can have this name. Only the names of resources are known in advance.
    #[must_use]
    pub fn can_have(self, name: &str) -> bool {
        match self {
            Self::Resource => Resource::ALL.into_iter().any(|resource| resource.word() == name),
            Self::Host | Self::Mount | Self::Interface | Self::Disk | Self::Service => true,
        }
    }
}

/// Whether a metric is a state that lasts or something that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nature {
    /// A state. Its limit must be configured, and the end of its alert can be mailed.
    State,
    /// A count of what happened since the last collection. By default its limit is 0. Its alert ends at the next collection
    /// at which nothing happened, and that is not mailed.
    Event,
}

/// The direction in which values of a metric get worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Worse {
    /// Higher values are worse: a limit is exceeded by a greater value.
    High,
    /// Lower values are worse: a limit is exceeded by a smaller value.
    Low,
}

impl Worse {
    /// Whether a value is strictly worse than another.
    #[must_use]
    pub fn is_worse(self, value: f64, than: f64) -> bool {
        match self {
            Self::High => value > than,
            Self::Low => value < than,
        }
    }

    /// The worse of two values.
    #[must_use]
    pub fn worst(self, one: f64, other: f64) -> f64 {
        match self {
            Self::High => one.max(other),
            Self::Low => one.min(other),
        }
    }

    /// The comparison sign between an exceeding value and its limit.
    #[must_use]
    pub fn sign(self) -> char {
        match self {
            Self::High => '>',
            Self::Low => '<',
        }
    }
}

/// A gauge of the Prometheus export. Its value is in the base unit, see [`Unit::to_base`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gauge {
    /// Its name. Other programs rely on it.
    pub name: &'static str,
    /// Its help text, with the unit and the range.
    pub help: &'static str,
}

/// Data that explains a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// The processes that use most CPU.
    ProcessesByCpu,
    /// The processes that use most memory.
    ProcessesByMemory,
    /// The fullest file systems.
    FileSystems,
    /// Why the collection failed.
    Failure,
    /// None.
    Nothing,
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
        gauge: None,
        evidence: Evidence::Failure,
        nature: Nature::State,
        measure: |of| Values::of_host(of.failed_in_a_row.map(f64::from)),
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

    /// Its values in a collection.
    #[must_use]
    pub fn measure(self, observed: Observed<'_>) -> Values {
        (self.spec().measure)(observed)
    }

    /// The worst of its values; `None` if it was not measured.
    #[must_use]
    pub fn worst(self, values: &Values) -> Option<f64> {
        let worse = self.spec().worse;
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
mod tests {
    use std::collections::BTreeSet;

    use fleetsweep_agent::report::Report;

    use super::*;
    use crate::fleet::{
        Bytes,
        rates::{DiskRates, PressureRate, Rates},
    };

    #[test]
    fn words_columns_and_gauges_name_one_metric_each() {
        let (mut names, mut columns) = (BTreeSet::new(), BTreeSet::new());
        for metric in Metric::ALL {
            let spec = metric.spec();
            assert!(names.insert(spec.word), "{metric}");
            assert!(spec.short == spec.word || names.insert(spec.short), "{metric}");
            assert!(spec.stored.is_none_or(|stored| columns.insert(stored.to_string())), "{metric}");
            assert!(spec.gauge.is_none_or(|gauge| names.insert(gauge.name)), "{metric}");
            // The columns of the database have this width, and a colon separates the metric from the instance.
            assert!(spec.word.len() <= 16 && !spec.word.contains(':'), "{metric}");
            assert_eq!(spec.word.parse(), Ok(metric));
            assert_eq!(serde_json::to_value(metric).unwrap(), spec.word);
            assert_eq!(serde_json::from_value::<Metric>(spec.word.into()).unwrap(), metric);
        }
        assert_eq!("CPU".parse::<Metric>(), Err(InvalidMetric("CPU".to_owned())));
    }

    /// A reading in which everything was measured.
    fn everything() -> Reading {
        Reading {
            cpu: Percent::new(11.0).ok(),
            cores: vec![Percent::ZERO; 4],
            load: Some([6.0, 1.0, 1.0]),
            memory: Some(Usage { total: Bytes(100), used: Bytes(22) }),
            swap: Some(Usage { total: Bytes(100), used: Bytes(33) }),
            file_systems: [("/", 10), ("/var", 44), ("/home", 20)]
                .map(|(mount, used)| FileSystem {
                    mount: mount.into(),
                    kind: "ext4".into(),
                    total: Bytes(100),
                    used: Bytes(used),
                    available: Bytes(100 - used),
                    inodes: None,
                })
                .into(),
            rates: Rates {
                interfaces: vec![
                    InterfaceRates {
                        name: "lo".into(),
                        received_mbit: Some(999.0),
                        is_loopback: true,
                        ..Default::default()
                    },
                    InterfaceRates {
                        name: "eth0".into(),
                        received_mbit: Some(55.0),
                        sent_mbit: Some(54.0),
                        speed_mbit: Some(100),
                        ..Default::default()
                    },
                ],
                disks: vec![
                    DiskRates { name: "sda".into(), busy: Percent::new(66.0).ok(), ..DiskRates::default() },
                    DiskRates { name: "sdb".into(), ..DiskRates::default() },
                ],
                pressure: vec![PressureRate { resource: "io".into(), some: Percent::new(77.0).ok() }],
                oom_kills: Some(8),
                restarts: Some(1),
                ..Rates::default()
            },
            ..Reading::from_report(&Report::default(), 0).unwrap()
        }
    }

    #[test]
    fn each_metric_reads_its_own_value() {
        let nothing = Reading::from_report(&Report::default(), 0).unwrap();
        // One for each, in the order of the table.
        let expected: [f64; Metric::ALL.len()] = [11.0, 22.0, 33.0, 44.0, 1.5, 55.0, 55.0, 66.0, 77.0, 8.0, 1.0, 0.0];
        for (metric, expected) in Metric::ALL.into_iter().zip(expected) {
            let values = metric.measure(Observed::reading(&everything()));
            let instance = match metric.spec().scope {
                Scope::Host => "",
                Scope::Mount => "/var",
                Scope::Interface => "eth0",
                Scope::Disk => "sda",
                Scope::Resource => "io",
                Scope::Service => panic!("{metric} has no instance in this test"),
            };
            assert!(values.measured().contains(&(Instance::new(instance), expected)), "{metric}");
            assert_eq!(metric.worst(&values), Some(expected), "{metric}");
            let values = metric.measure(Observed::reading(&nothing));
            assert_eq!(metric.worst(&values).is_some(), metric == Metric::Unreachable, "{metric}");
        }
    }

    #[test]
    fn what_is_worse_depends_on_the_metric() {
        for (worse, value, than, expected) in [
            (Worse::High, 2.0, 1.0, true),
            (Worse::High, 1.0, 1.0, false),
            (Worse::Low, 1.0, 1.0, false),
            (Worse::Low, 0.5, 1.0, true),
        ] {
            assert_eq!(worse.is_worse(value, than), expected);
        }
        assert_eq!((Worse::High.worst(1.0, 2.0), Worse::Low.worst(1.0, 2.0)), (2.0, 1.0));
    }
}
