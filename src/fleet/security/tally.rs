//! Counts distinct values of a group of events: accounts, addresses, workstations.

use std::collections::HashMap;

/// How many values are kept.
const TOP: usize = 5;

/// Counts values while a group is built.
#[derive(Debug, Default)]
pub(super) struct Counter<'a>(HashMap<&'a str, u64>);

/// The distinct values of a group.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tally {
    /// The number of distinct values.
    pub distinct: usize,
    /// The most frequent ones, most frequent first, with their counts.
    pub top: Vec<(String, u64)>,
}

impl<'a> Counter<'a> {
    pub(super) fn add(&mut self, value: Option<&'a str>, count: u64) {
        if let Some(value) = value {
            *self.0.entry(value).or_default() += count;
        }
    }

    pub(super) fn finish(self) -> Tally {
        let distinct = self.0.len();
        let mut values: Vec<(&str, u64)> = self.0.into_iter().collect();
        let order = |one: &(&str, u64), other: &(&str, u64)| other.1.cmp(&one.1).then_with(|| one.0.cmp(other.0));
        if distinct > TOP {
            values.select_nth_unstable_by(TOP, order);
            values.truncate(TOP);
        }
        values.sort_unstable_by(order);
        Tally { distinct, top: values.into_iter().map(|(value, count)| (value.to_owned(), count)).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_frequent_values_are_kept_and_all_are_counted() {
        let mut counter = Counter::default();
        for (value, count) in [("b", 1), ("a", 1), ("c", 7), ("b", 2), ("d", 1), ("e", 1), ("f", 1), ("g", 1)] {
            counter.add(Some(value), count);
        }
        counter.add(None, 9);
        let tally = counter.finish();
        assert_eq!(tally.distinct, 7);
        let expected = [("c", 7), ("b", 3), ("a", 1), ("d", 1), ("e", 1)];
        assert_eq!(tally.top, expected.map(|(value, count)| (value.to_owned(), count)));
        assert_eq!(Counter::default().finish(), Tally::default());
    }
}
