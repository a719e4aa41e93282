//! Sorts clients. The filter decides which are listed, and the client table defines the sort keys.

use std::cmp::{Ordering, Reverse};

use jiff::Timestamp;

use super::filter::Filter;
use crate::fleet::{
    ClientId, Phase,
    state::{ClientView, Fleet},
};

/// The value by which a client is sorted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Key<'a> {
    /// The lowest first.
    Rank(u8),
    /// Text, with numbers in it compared by value.
    Name(&'a str),
    /// The highest first.
    Number(f64),
    /// The lowest number first.
    Least(f64),
    /// The earliest first.
    Time(Timestamp),
    /// No value: last in either direction.
    Absent,
}

/// Returns the sort value of a client. It must be of the same kind for all clients, or absent.
pub type ByClient = for<'a> fn(&'a ClientView) -> Key<'a>;

/// The clients that match `filter`, sorted by `key`. Equal ones are in the configuration's order, and without a key all
/// are.
#[must_use]
pub fn list(fleet: &Fleet, filter: &Filter, key: Option<ByClient>, reversed: bool, now: Timestamp) -> Vec<ClientId> {
    let listed = fleet.clients().filter(|client| filter.meets(client, now));
    let Some(key) = key else {
        let mut ids: Vec<_> = listed.map(|client| client.card.id.clone()).collect();
        if reversed {
            ids.reverse();
        }
        return ids;
    };
    let mut keyed: Vec<_> = listed.map(|client| (key(client), &client.card.id)).collect();
    keyed.sort_by(|(a, _), (b, _)| match (a, b) {
        (Key::Absent, Key::Absent) => Ordering::Equal,
        (Key::Absent, _) => Ordering::Greater,
        (_, Key::Absent) => Ordering::Less,
        _ if reversed => b.compare(a),
        _ => a.compare(b),
    });
    keyed.into_iter().map(|(_, id)| id.clone()).collect()
}

/// How much a client needs attention; 0 is most. While it is queued, its last outcome counts, so that a new sweep does
/// not reorder the list.
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

impl Key<'_> {
    fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Key::Rank(a), Key::Rank(b)) => a.cmp(b),
            (Key::Name(a), Key::Name(b)) => natural(a, b),
            (Key::Number(a), Key::Number(b)) => Reverse(Total(*a)).cmp(&Reverse(Total(*b))),
            (Key::Least(a), Key::Least(b)) => a.total_cmp(b),
            (Key::Time(a), Key::Time(b)) => a.cmp(b),
            // One list has keys of one kind.
            (Key::Rank(_) | Key::Name(_) | Key::Number(_) | Key::Least(_) | Key::Time(_) | Key::Absent, _) => {
                Ordering::Equal
            }
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
