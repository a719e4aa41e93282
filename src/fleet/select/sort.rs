//! The orders in which clients are listed. Not which of them are.

use std::cmp::{Ordering, Reverse};

use jiff::Timestamp;

use super::filter::Filter;
use crate::fleet::{
    ClientId, Phase, Reading,
    reading::Usage,
    state::{ClientView, Fleet},
};

/// What the order goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum SortKey {
    /// What needs attention first: failed, over a limit, under way, the rest.
    #[default]
    Severity,
    /// The configuration's order.
    Configuration,
    /// The name, numbers in it by their value.
    Name,
    /// CPU use, most first.
    Cpu,
    /// Memory use, most first.
    Memory,
    /// The fullest file system, fullest first.
    Disk,
    /// Load per core, most first.
    Load,
    /// How long the last collection took, longest first.
    Took,
    /// How old the last reading is, oldest first.
    Age,
}

impl SortKey {
    /// Every key, in the order in which they are stepped through.
    pub const ALL: [Self; 9] = [
        Self::Severity,
        Self::Name,
        Self::Cpu,
        Self::Memory,
        Self::Disk,
        Self::Load,
        Self::Took,
        Self::Age,
        Self::Configuration,
    ];

    /// Its word on the screen.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Severity => "severity",
            Self::Configuration => "config",
            Self::Name => "name",
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Disk => "disk",
            Self::Load => "load",
            Self::Took => "took",
            Self::Age => "age",
        }
    }

    /// The key `steps` further on.
    #[must_use]
    pub fn step(self, forward: bool) -> Self {
        let here = Self::ALL.iter().position(|key| *key == self).unwrap_or(0);
        let by = if forward { 1 } else { Self::ALL.len() - 1 };
        Self::ALL.get((here + by) % Self::ALL.len()).copied().unwrap_or_default()
    }
}

/// An order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sort {
    /// What it goes by.
    pub key: SortKey,
    /// The other way round. What has no value stays last.
    pub reversed: bool,
}

/// The clients that meet `filter`, in the order of `sort`; equals in the configuration's order.
#[must_use]
pub fn list(fleet: &Fleet, filter: &Filter, sort: Sort, now: Timestamp) -> Vec<ClientId> {
    let mut keyed: Vec<_> = fleet
        .clients()
        .filter(|client| filter.meets(client, now))
        .map(|client| (key(client, sort.key), &client.card.id))
        .collect();
    keyed.sort_by(|(a, _), (b, _)| match (a, b) {
        (Key::Absent, Key::Absent) => Ordering::Equal,
        (Key::Absent, _) => Ordering::Greater,
        (_, Key::Absent) => Ordering::Less,
        _ if sort.reversed => b.compare(a),
        _ => a.compare(b),
    });
    if sort.key == SortKey::Configuration && sort.reversed {
        keyed.reverse();
    }
    keyed.into_iter().map(|(_, id)| id.clone()).collect()
}

/// How much a client needs attention: 0 is most. While it waits for its turn, its last outcome counts, so
/// that a new sweep does not turn the list upside down.
#[must_use]
pub fn severity(client: &ClientView) -> u8 {
    let phase = Phase::of(client);
    match phase {
        Phase::Execute => 2,
        Phase::Decrypt => 3,
        Phase::Upload => 4,
        Phase::Connect => 5,
        Phase::New | Phase::Queued | Phase::Ok | Phase::Failed => {
            if client.failure().is_some() {
                0
            } else if !client.exceeded.is_empty() {
                1
            } else {
                6
            }
        }
    }
}

enum Key<'a> {
    Rank(u8),
    Name(&'a str),
    /// Most first.
    Number(f64),
    /// Earliest first.
    Time(Timestamp),
    Absent,
}

impl Key<'_> {
    fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Key::Rank(a), Key::Rank(b)) => a.cmp(b),
            (Key::Name(a), Key::Name(b)) => natural(a, b),
            (Key::Number(a), Key::Number(b)) => Reverse(Total(*a)).cmp(&Reverse(Total(*b))),
            (Key::Time(a), Key::Time(b)) => a.cmp(b),
            // One list has keys of one kind.
            (Key::Rank(_) | Key::Name(_) | Key::Number(_) | Key::Time(_) | Key::Absent, _) => Ordering::Equal,
        }
    }
}

#[derive(PartialEq)]
struct Total(f64);

impl Eq for Total {}

impl PartialOrd for Total {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Total {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

fn key(client: &ClientView, key: SortKey) -> Key<'_> {
    let reading = client.reading.as_ref().map(|(_, reading)| &**reading);
    let number = |value: Option<f64>| value.map_or(Key::Absent, Key::Number);
    match key {
        SortKey::Severity => Key::Rank(severity(client)),
        SortKey::Configuration => Key::Rank(0),
        SortKey::Name => Key::Name(&client.card.name),
        SortKey::Cpu => number(reading.and_then(|reading| reading.cpu).map(f64::from)),
        SortKey::Memory => number(reading.and_then(|reading| reading.memory).and_then(Usage::percent).map(f64::from)),
        SortKey::Disk => number(reading.and_then(Reading::disk_percent).map(f64::from)),
        SortKey::Load => number(reading.and_then(Reading::load_per_core)),
        SortKey::Took => number(client.last.as_ref().map(|last| last.duration_ms as f64)),
        SortKey::Age => client.reading.as_ref().map_or(Key::Absent, |(at, _)| Key::Time(*at)),
    }
}

/// Compares names as people read them: `web-2` before `web-10`.
#[must_use]
pub fn natural(a: &str, b: &str) -> Ordering {
    let (mut a_rest, mut b_rest) = (a, b);
    loop {
        let (a_digits, b_digits) = (digits(a_rest), digits(b_rest));
        let order = if !a_digits.is_empty() && !b_digits.is_empty() {
            let (a_value, b_value) = (a_digits.trim_start_matches('0'), b_digits.trim_start_matches('0'));
            a_rest = a_rest.strip_prefix(a_digits).unwrap_or("");
            b_rest = b_rest.strip_prefix(b_digits).unwrap_or("");
            a_value.len().cmp(&b_value.len()).then_with(|| a_value.cmp(b_value))
        } else {
            let (mut a_chars, mut b_chars) = (a_rest.chars(), b_rest.chars());
            let order = match (a_chars.next(), b_chars.next()) {
                (None, None) => return a.cmp(b),
                (a_char, b_char) => a_char.cmp(&b_char),
            };
            (a_rest, b_rest) = (a_chars.as_str(), b_chars.as_str());
            order
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

fn digits(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.get(..end).unwrap_or("")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_sort_as_people_read_them() {
        let mut names = ["web-10", "web-2", "db", "web-02", "web-1", "web", "10.0.4.12", "10.0.4.3"];
        names.sort_by(|a, b| natural(a, b));
        assert_eq!(names, ["10.0.4.3", "10.0.4.12", "db", "web", "web-1", "web-02", "web-2", "web-10"]);
    }

    #[test]
    fn stepping_through_the_keys_comes_round() {
        for key in SortKey::ALL {
            assert_eq!(key.step(true).step(false), key);
        }
        assert_eq!((0..SortKey::ALL.len()).fold(SortKey::Cpu, |key, _| key.step(true)), SortKey::Cpu);
    }

    proptest! {
        #[test]
        fn the_natural_order_is_an_order(mut names in proptest::collection::vec("[a-b0-2-]{0,6}", 0..12)) {
            names.sort_by(|a, b| natural(a, b));
            for pair in names.windows(2) {
                prop_assert!(natural(&pair[0], &pair[1]) != Ordering::Greater);
                prop_assert_eq!(natural(&pair[0], &pair[1]), natural(&pair[1], &pair[0]).reverse());
            }
        }
    }
}
