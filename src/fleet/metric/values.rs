//! The values of one metric in one sample, by instance.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use super::Worse;
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

    /// Whether `written` names this instance. Slashes at the end of a path do not matter, and in a path with a drive
    /// letter neither do capitals.
    #[must_use]
    pub fn is_named(&self, written: &Self) -> bool {
        let (one, other) = (without_last_slash(&self.0), without_last_slash(&written.0));
        let has_drive = matches!(one.as_bytes(), [letter, b':', ..] if letter.is_ascii_alphabetic());
        one == other || (has_drive && one.eq_ignore_ascii_case(other))
    }
}

fn without_last_slash(path: &str) -> &str {
    let short = path.trim_end_matches(['/', '\\']);
    if short.is_empty() { path } else { short }
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
    /// The same for some of the instances: the list was cut. One that is not in it was not measured.
    Part(BTreeMap<Instance, Option<f64>>),
    /// Only the instances with a value other than 0. One that is not in the list has the value 0, or was not measured if
    /// `omitted` ones are left out. What counts for the host is how many there are.
    Listed {
        /// The values.
        values: BTreeMap<Instance, f64>,
        /// How many more there are.
        omitted: u32,
    },
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

    /// The values of instances by their names, or that nothing was measured if there are none. Of several instances
    /// with one name, as after control characters were removed, the worst value counts. `whole` is false if the list
    /// was cut.
    #[must_use]
    pub fn of_instances<'a>(
        values: impl Iterator<Item = (&'a String, Option<f64>)>,
        worse: Worse,
        whole: bool,
    ) -> Self {
        let mut by_instance: BTreeMap<Instance, Option<f64>> = BTreeMap::new();
        for (name, value) in values {
            let known = by_instance.entry(Instance::new(name)).or_insert(value);
            *known = match (*known, value) {
                (Some(one), Some(other)) => Some(worse.worst(one, other)),
                (one, other) => one.or(other),
            };
        }
        match (by_instance.is_empty(), whole) {
            (true, _) => Self::NotMeasured,
            (false, true) => Self::Each(by_instance),
            (false, false) => Self::Part(by_instance),
        }
    }

    /// The same with each value changed.
    #[must_use]
    pub fn map(self, change: impl Fn(f64) -> f64) -> Self {
        let each = |values: BTreeMap<Instance, Option<f64>>| {
            values.into_iter().map(|(instance, value)| (instance, value.map(&change))).collect()
        };
        match self {
            Self::NotMeasured => Self::NotMeasured,
            Self::Host(value) => Self::Host(change(value)),
            Self::Each(values) => Self::Each(each(values)),
            Self::Part(values) => Self::Part(each(values)),
            Self::Listed { values, omitted } => {
                let values = values.into_iter().map(|(instance, value)| (instance, change(value))).collect();
                Self::Listed { values, omitted }
            }
        }
    }

    /// The measured values by instance.
    #[must_use]
    pub fn measured(&self) -> Vec<(Instance, f64)> {
        match self {
            Self::NotMeasured => Vec::new(),
            Self::Host(value) => vec![(Instance::HOST, *value)],
            Self::Listed { values, .. } => values.iter().map(|(instance, value)| (instance.clone(), *value)).collect(),
            Self::Each(values) | Self::Part(values) => {
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
            Self::Listed { values, omitted } => match values.get(instance) {
                Some(value) => Measured::Value(*value),
                None if *omitted == 0 => Measured::Value(0.0),
                None => Measured::Nothing,
            },
            Self::Part(values) => values.get(instance).copied().flatten().map_or(Measured::Nothing, Measured::Value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_named_with_and_without_its_last_slash() {
        for (name, written, expected) in [
            ("/var", "/var", true),
            ("/var", "/var/", true),
            ("/", "/", true),
            ("/", "", false),
            ("/var", "/", false),
            ("/var", "/VAR", false),
            ("C:\\", "C:", true),
            ("C:\\", "c:/", true),
            ("C:\\Mount\\", "c:\\mount", true),
            ("C:\\", "D:", false),
            ("eth0", "eth0", true),
            ("", "", true),
        ] {
            assert_eq!(Instance::new(name).is_named(&Instance::new(written)), expected, "{name} {written}");
        }
    }

    #[test]
    fn of_instances_with_one_name_the_worst_counts() {
        let names = ["/a", "/a\u{1b}", "/b", "/c"].map(str::to_owned);
        let values = |whole| {
            let values = names.iter().zip([Some(10.0), Some(90.0), None, Some(5.0)]);
            Values::of_instances(values, Worse::High, whole)
        };
        let of = |values: &Values, name| values.of(&Instance::new(name));
        let whole = values(true);
        assert_eq!(of(&whole, "/a"), Measured::Value(90.0));
        assert_eq!((of(&whole, "/b"), of(&whole, "/d")), (Measured::Nothing, Measured::Gone));
        // One that was cut is not gone.
        assert_eq!(of(&values(false), "/d"), Measured::Nothing);
        assert_eq!(Values::of_instances([].into_iter(), Worse::High, true), Values::NotMeasured);
    }
}
