//! The values of one metric in one sample, by instance.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use crate::fleet::reading::clean;

/// The longest name of an instance, in characters; the width of its column in the database.
const INSTANCE_CHARS: usize = 256;

/// An instance within a client: a mount, an interface, a service. Empty for the host as a whole.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Instance(String);

impl Instance {
    /// The host as a whole.
    pub const HOST: Self = Self(String::new());

    /// An instance of this name, free of control characters and cut to 256 characters.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(clean(name, INSTANCE_CHARS))
    }

    /// Whether it is the host as a whole.
    #[must_use]
    pub fn is_host(&self) -> bool {
        self.0.is_empty()
    }

    /// Its name; empty for the host.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl From<String> for Instance {
    fn from(name: String) -> Self {
        Self::new(&name)
    }
}

impl From<Instance> for String {
    fn from(instance: Instance) -> Self {
        instance.0
    }
}

/// The values of a metric in one sample.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Values {
    /// It was not measured, which says nothing about any instance.
    NotMeasured,
    /// The value of the host.
    Host(f64),
    /// One value per existing instance. An instance that is not in the list no longer exists. `None` is an existing
    /// instance that was not measured.
    Each(BTreeMap<Instance, Option<f64>>),
}

/// What a sample contains for one instance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Measured {
    /// Its value.
    Value(f64),
    /// The instance was not measured, so nothing is decided.
    Nothing,
    /// The instance does not exist.
    Gone,
}

impl Measured {
    /// The value, if there is one.
    #[must_use]
    pub fn value(self) -> Option<f64> {
        match self {
            Self::Value(value) => Some(value),
            Self::Nothing | Self::Gone => None,
        }
    }
}

impl Values {
    /// The value of the host, if it was measured.
    #[must_use]
    pub fn of_host(value: Option<f64>) -> Self {
        value.map_or(Self::NotMeasured, Self::Host)
    }

    /// The measured values by instance.
    #[must_use]
    pub fn measured(&self) -> Vec<(Instance, f64)> {
        match self {
            Self::NotMeasured => Vec::new(),
            Self::Host(value) => vec![(Instance::HOST, *value)],
            Self::Each(values) => {
                values.iter().filter_map(|(instance, value)| Some((instance.clone(), (*value)?))).collect()
            }
        }
    }

    /// The values of one instance.
    #[must_use]
    pub fn of(&self, instance: &Instance) -> Measured {
        match self {
            Self::NotMeasured => Measured::Nothing,
            Self::Host(value) if instance.is_host() => Measured::Value(*value),
            Self::Host(_) => Measured::Gone,
            Self::Each(values) => match values.get(instance) {
                Some(Some(value)) => Measured::Value(*value),
                Some(None) => Measured::Nothing,
                None => Measured::Gone,
            },
        }
    }
}
