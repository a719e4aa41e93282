//! The properties of which a row of the table of metrics is made.

use std::fmt;

use fleetsweep_agent::report::Resource;

/// How the value of a metric is stored in a row of `collections`. As text it is an SQL expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoredValue {
    /// In its own column with this name. [`columns`](super::super::stored::columns) reads it from here.
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

/// Which values of a metric are rolled up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum History {
    /// All of them.
    Every,
    /// Those below this one, which stands for all from there on.
    Below(f64),
    /// None: another metric has the same values.
    InAnother,
}

impl History {
    /// Whether a value is rolled up.
    #[must_use]
    pub fn has(self, value: f64) -> bool {
        match self {
            Self::Every => true,
            Self::Below(end) => value < end,
            Self::InAnother => false,
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
    /// The processes with one name. A rule must give the name.
    Process,
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
            Self::Process => Some("process"),
        }
    }

    /// The attribute of `<alert>` that names an instance; `None` for the host.
    #[must_use]
    pub fn attribute(self) -> Option<&'static str> {
        match self {
            Self::Host => None,
            Self::Mount => Some("mount"),
            Self::Interface => Some("interface"),
            Self::Disk | Self::Resource | Self::Service | Self::Process => Some("name"),
        }
    }

    /// Whether an instance can have this name. Only the names of resources are known in advance.
    #[must_use]
    pub fn can_have(self, name: &str) -> bool {
        match self {
            Self::Resource => Resource::ALL.into_iter().any(|resource| resource.word() == name),
            Self::Host | Self::Mount | Self::Interface | Self::Disk | Self::Service | Self::Process => true,
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

/// A gauge of the Prometheus export. Its value is in the base unit, see `Unit::to_base` of the units of a metric.
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
    /// The file systems that are full first.
    Outlooks,
    /// Why the collection failed.
    Failure,
    /// None.
    Nothing,
}
