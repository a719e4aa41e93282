//! Roll-ups: what remains of measured values for years, as buckets of five minutes, an hour and a day. Every metric and
//! every instance of a [`Sample`] is rolled up, as far as its values say something. The rows are in `store`.

use super::{
    Reading,
    metric::{Instance, Metric, Values},
    sample::Sample,
};

/// The length of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// Five minutes.
    FiveMinutes,
    /// An hour.
    Hour,
    /// A day, UTC.
    Day,
}

impl Tier {
    /// Every tier, shortest first.
    pub const ALL: [Self; 3] = [Self::FiveMinutes, Self::Hour, Self::Day];

    /// Its length, seconds.
    #[must_use]
    pub fn seconds(self) -> i32 {
        match self {
            Self::FiveMinutes => 300,
            Self::Hour => 3_600,
            Self::Day => 86_400,
        }
    }

    /// Its length, milliseconds.
    #[must_use]
    pub fn milliseconds(self) -> i64 {
        i64::from(self.seconds()) * 1_000
    }

    /// The start of the bucket with this time. Both are UTC milliseconds since the Unix epoch.
    #[must_use]
    pub fn start_of(self, at_ms: i64) -> i64 {
        at_ms.saturating_sub(at_ms.rem_euclid(self.milliseconds()))
    }
}

/// What is rolled up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Quantity {
    /// The values of a metric.
    Metric(Metric),
    /// The used bytes of each file system, by mount.
    DiskUsed,
}

impl Quantity {
    /// Its keyword in the database; at most 16 bytes.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Metric(metric) => metric.word(),
            Self::DiskUsed => "disk-used",
        }
    }

    /// The quantity with this keyword.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        match word.parse() {
            Ok(metric) => Some(Self::Metric(metric)),
            Err(_) => (word == Self::DiskUsed.word()).then_some(Self::DiskUsed),
        }
    }
}

/// One quantity of one instance of a client.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Series {
    /// The quantity.
    pub quantity: Quantity,
    /// The instance; empty for the host.
    pub instance: Instance,
}

/// Everything in a collection that is rolled up: first the values of the host, then those of its instances.
#[must_use]
pub fn values(sample: &Sample, reading: Option<&Reading>) -> Vec<(Series, f64)> {
    let mut values: Vec<(Series, f64)> = Vec::new();
    for metric in Metric::ALL {
        let quantity = Quantity::Metric(metric);
        let (of_metric, history) = (sample.values(metric), metric.spec().history);
        if let Values::Listed { .. } = of_metric {
            // Their number alone: names of units can be new ones each time.
            let series = Series { quantity, instance: Instance::HOST };
            values.extend(metric.worst(of_metric).map(|count| (series, count)));
            continue;
        }
        let measured = of_metric.measured().into_iter().filter(|(_, value)| history.has(*value));
        values.extend(measured.map(|(instance, value)| (Series { quantity, instance }, value)));
    }
    for system in reading.iter().flat_map(|reading| &reading.file_systems) {
        let series = Series { quantity: Quantity::DiskUsed, instance: Instance::new(&system.mount) };
        values.push((series, system.used.0 as f64));
    }
    values.retain(|(_, value)| value.is_finite());
    values.sort_by_key(|(series, _)| !series.instance.is_host());
    values
}

/// How many parts of a unit are told apart.
const PARTS: f64 = 1_000.0;

/// A number of thousandths, as buckets have them, in the unit of the metric.
#[must_use]
pub fn in_unit(thousandths: f64) -> f64 {
    thousandths / PARTS
}

/// The greatest value, which every database can store in four bytes.
const GREATEST: f64 = 1e30;

/// The values of a series in one bucket. They are whole numbers of thousandths of the unit, with seven digits, which fit
/// into four bytes. A sum of whole numbers up to 2^53 is exact, so the order in which values are added does not matter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket {
    /// How many there are; at least one.
    pub count: u32,
    /// The lowest.
    pub minimum: f64,
    /// Their sum.
    pub sum: f64,
    /// The highest.
    pub maximum: f64,
    /// The one that was added last.
    pub last: f64,
}

impl Bucket {
    /// The bucket of a single value.
    #[must_use]
    pub fn of(value: f64) -> Self {
        let value = (value * PARTS).round().clamp(-GREATEST, GREATEST);
        // Rounded before it is added, so that the mean is never outside the lowest and the highest value.
        #[expect(clippy::cast_possible_truncation, reason = "the columns of the database have 24 bits")]
        let value = f64::from(value as f32);
        Self { count: 1, minimum: value, sum: value, maximum: value, last: value }
    }

    /// Adds later values.
    #[must_use]
    pub fn then(self, later: Self) -> Self {
        Self {
            count: self.count.saturating_add(later.count),
            minimum: self.minimum.min(later.minimum),
            sum: self.sum + later.sum,
            maximum: self.maximum.max(later.maximum),
            last: later.last,
        }
    }

    /// The mean, in the unit of the metric, rounded to thousandths like the values.
    #[must_use]
    pub fn mean(&self) -> f64 {
        in_unit((self.sum / f64::from(self.count.max(1))).round())
    }

    /// The value that was added last, in the unit of the metric.
    #[must_use]
    pub fn latest(&self) -> f64 {
        in_unit(self.last)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::fleet::metric::Values;

    #[test]
    fn a_bucket_begins_at_a_multiple_of_its_length() {
        const DAY: i64 = 86_400_000;
        for (tier, at_ms, expected) in [
            (Tier::FiveMinutes, 299_999, 0),
            (Tier::FiveMinutes, 300_000, 300_000),
            (Tier::Hour, 2 * DAY + 3_600_000 + 1, 2 * DAY + 3_600_000),
            (Tier::Day, 2 * DAY + 3_600_000, 2 * DAY),
            (Tier::Day, -1, -DAY),
            (Tier::Day, i64::MIN, i64::MIN),
        ] {
            assert_eq!(tier.start_of(at_ms), expected, "{tier:?} {at_ms}");
        }
    }

    #[test]
    fn every_quantity_has_a_word_of_its_own() {
        for quantity in Metric::ALL.map(Quantity::Metric).into_iter().chain([Quantity::DiskUsed]) {
            assert!(quantity.word().len() <= 16);
            assert_eq!(Quantity::named(quantity.word()), Some(quantity));
        }
        assert_eq!(Quantity::named("tea"), None);
    }

    #[test]
    fn the_host_comes_first_and_what_is_no_number_is_left_out() {
        let mut sample = Sample::default();
        let mounts: BTreeMap<_, _> =
            [("/a", Some(2.0)), ("/b", None), ("/c", Some(f64::NAN))].map(|(name, v)| (Instance::new(name), v)).into();
        sample.set(Metric::Cpu, Values::Each(mounts));
        sample.set(Metric::Load, Values::Host(1.0));
        let found: Vec<_> = values(&sample, None)
            .into_iter()
            .map(|(series, value)| (series.quantity.word(), series.instance.to_string(), value))
            .collect();
        assert_eq!(found, [("load", String::new(), 1.0), ("cpu", "/a".to_owned(), 2.0)]);
    }

    #[test]
    fn a_value_that_says_nothing_or_is_stored_already_is_left_out() {
        let mut sample = Sample::default();
        let each = |values: &[(&str, f64)]| {
            Values::Each(values.iter().map(|(name, value)| (Instance::new(name), Some(*value))).collect())
        };
        sample.set(Metric::DiskFull, each(&[("/a", 4.5), ("/b", 365.0)]));
        sample.set(Metric::Processes, each(&[("nginx", 2.0)]));
        sample.set(Metric::FewProcesses, each(&[("nginx", 2.0)]));
        let found: Vec<_> = values(&sample, None)
            .into_iter()
            .map(|(series, value)| (series.quantity.word(), series.instance.to_string(), value))
            .collect();
        assert_eq!(found, [("processes", "nginx".to_owned(), 2.0), ("disk-full", "/a".to_owned(), 4.5)]);
    }

    #[test]
    fn a_bucket_keeps_what_its_values_were() {
        let bucket = [2.5, 10.0, 4.0004].map(Bucket::of).into_iter().reduce(Bucket::then).unwrap();
        let expected = Bucket { count: 3, minimum: 2_500.0, sum: 16_500.0, maximum: 10_000.0, last: 4_000.0 };
        assert_eq!((bucket, bucket.mean(), bucket.latest()), (expected, 5.5, 4.0));
        let third = [1.0, 1.0, 2.0].map(Bucket::of).into_iter().reduce(Bucket::then).unwrap();
        assert_eq!(third.mean().to_string(), "1.333");
        assert!(Bucket::of(f64::MAX).sum.is_finite());
    }

    /// The mean of a file system's bytes was below their minimum, which alone was rounded.
    #[test]
    fn the_mean_of_large_values_is_between_the_lowest_and_the_highest() {
        let bucket = Bucket::of(56_547_303_424.0);
        assert_eq!((bucket.minimum, bucket.maximum), (bucket.sum, bucket.sum));
        assert!((bucket.mean() / 56_547_303_424.0 - 1.0).abs() < 1e-7);
    }

    proptest! {
        /// Buckets of buckets are the buckets of their values: hours made of five minutes, or in another order.
        #[test]
        fn buckets_add_up_exactly(values in prop::collection::vec(-1e6..1e6_f64, 1..50), cut in 0_usize..50) {
            let all = |values: &[f64]| values.iter().copied().map(Bucket::of).reduce(Bucket::then);
            let (early, late) = values.split_at(cut.min(values.len()));
            let parts = all(early).into_iter().chain(all(late)).reduce(Bucket::then);
            prop_assert_eq!(parts, all(&values));
            let reversed: Vec<f64> = values.iter().rev().copied().collect();
            let (forward, backward) = (all(&values).unwrap(), all(&reversed).unwrap());
            prop_assert_eq!(Bucket { last: 0.0, ..forward }, Bucket { last: 0.0, ..backward });
            // Seven digits of values up to a million.
            prop_assert!((forward.mean() - values.iter().sum::<f64>() / values.len() as f64).abs() < 0.1);
            prop_assert!(forward.minimum <= forward.mean() * PARTS + 1e-3 && forward.mean() * PARTS <= forward.maximum + 1e-3);
        }
    }
}
