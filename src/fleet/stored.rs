//! The stored sample of a collection: one table of columns. INSERT, SELECT, the export and the test of `v1_samples` all
//! read this table. Cores and readings are stored separately.
//!
//! The columns of metrics come from the table of metrics. Any other new column needs a row here, a migration that adds
//! it to `collections` and, if other programs may read it, to the views, and a line in `migrations/README.md`.

use std::sync::LazyLock;

use super::{
    Percent, Reading,
    cell::{Cell, Column, Value},
    metric::{Metric, Observed, StoredValue, Values},
    sample::Sample,
};

/// The input of a stored sample.
#[derive(Debug, Clone, Copy)]
pub struct Collected<'a> {
    /// When the collection ended, UTC milliseconds since the Unix epoch.
    pub ended_at_ms: i64,
    /// The reading.
    pub reading: &'a Reading,
}

/// A column of stored samples.
#[derive(Debug, Clone, Copy)]
pub struct StoredColumn {
    /// Its name in the table `collections` and in the views, and the kind of its values.
    pub column: Column,
    /// Whether `v1_samples` and `v1_latest` have it.
    pub in_views: bool,
    content: Content,
}

/// The content of a column.
#[derive(Debug, Clone, Copy)]
enum Content {
    /// A field of [`StoredSample`].
    Field { get: fn(&StoredSample) -> Cell, set: fn(&mut StoredSample, Cell) },
    /// The value of a metric for the host.
    Metric(Metric),
}

impl StoredColumn {
    /// The own column of a metric; `None` if it has none.
    fn of_metric(metric: Metric) -> Option<Self> {
        let name = match metric.spec().stored? {
            StoredValue::Own(name) => name,
            StoredValue::Quotient(..) => return None,
        };
        let column = Column { name, kind: f64::KIND, table: TABLE, field: name };
        Some(Self { column, in_views: true, content: Content::Metric(metric) })
    }

    /// The metric of the value; `None` if the value has its own field.
    fn metric(&self) -> Option<Metric> {
        match self.content {
            Content::Field { .. } => None,
            Content::Metric(metric) => Some(metric),
        }
    }

    /// Reads its value from a sample.
    #[must_use]
    pub fn get(&self, sample: &StoredSample) -> Cell {
        match self.content {
            Content::Field { get, .. } => get(sample),
            Content::Metric(metric) => sample.metrics.worst(metric).into(),
        }
    }

    /// Writes a value from the database to a sample.
    pub fn set(&self, sample: &mut StoredSample, cell: Cell) {
        match self.content {
            Content::Field { set, .. } => set(sample, cell),
            Content::Metric(metric) => sample.metrics.set(metric, Values::of_host(f64::from_cell(cell))),
        }
    }
}

/// The table of stored samples.
const TABLE: &str = "collections";

/// Generates the type of a row and the table of columns from one list, so that they cannot differ. `then` names the
/// metric whose own column follows in the order of the views.
macro_rules! stored_sample {
    ($($(#[$doc:meta])* $name:ident: $type:ty, in_views: $in_views:literal, $take:expr $(, then $metric:ident)?;)*) => {
        /// A row. A value that was not measured is `None`, never 0. After a failed collection all values are `None`.
        #[derive(Debug, Clone, PartialEq, Default)]
        pub struct StoredSample {
            $($(#[$doc])* pub $name: Option<$type>,)*
            /// The values of the metrics that have their own column.
            pub metrics: Sample,
        }

        /// The columns, in the order of the views: those listed here, then those of further metrics.
        static COLUMNS: LazyLock<Vec<StoredColumn>> = LazyLock::new(|| {
            let mut columns = Vec::new();
            let mut placed: Vec<Metric> = Vec::new();
            $(
                columns.push(StoredColumn {
                    column: Column {
                        name: stringify!($name),
                        kind: <$type as Value>::KIND,
                        table: TABLE,
                        field: stringify!($name),
                    },
                    in_views: $in_views,
                    content: Content::Field {
                        get: |sample| sample.$name.clone().map_or(Cell::Null, Value::into_cell),
                        set: |sample, cell| sample.$name = Value::from_cell(cell),
                    },
                });
                $(
                    columns.extend(StoredColumn::of_metric(Metric::$metric));
                    placed.push(Metric::$metric);
                )?
            )*
            let further = Metric::ALL.into_iter().filter(|metric| !placed.contains(metric));
            columns.extend(further.filter_map(StoredColumn::of_metric));
            columns
        });

        impl StoredSample {
            /// The row of a successful collection.
            #[must_use]
            pub fn of(collected: Collected<'_>) -> Self {
                $(let $name: fn(Collected<'_>) -> Option<$type> = $take;)*
                let mut metrics = Sample::default();
                for metric in COLUMNS.iter().filter_map(|stored| stored.metric()) {
                    metrics.set(metric, metric.measure(Observed::reading(collected.reading)));
                }
                Self { $($name: $name(collected),)* metrics }
            }
        }
    };
}

/// The columns, in the order of the views.
#[must_use]
pub fn columns() -> &'static [StoredColumn] {
    &COLUMNS
}

impl StoredSample {
    /// The stored part of the sample. `failed_in_a_row` is not stored, because it follows from the previous
    /// collections.
    #[must_use]
    pub fn sample(&self, failed_in_a_row: Option<u32>) -> Sample {
        let mut sample = Sample::measure(Observed { reading: None, failed_in_a_row });
        for metric in Metric::ALL {
            if let Some(stored) = metric.spec().stored {
                let value = self.value(stored).map(|value| metric.unit().round(value));
                sample.set(metric, Values::of_host(value));
            }
        }
        sample
    }

    fn value(&self, stored: StoredValue) -> Option<f64> {
        match stored {
            StoredValue::Own(column) => self.number(column),
            StoredValue::Quotient(dividend, divisor) => Some(self.number(dividend)? / self.number(divisor)?),
        }
    }

    /// The number in the column with this name; `None` for NULL and text.
    fn number(&self, name: &str) -> Option<f64> {
        match COLUMNS.iter().find(|stored| stored.column.name == name)?.get(self) {
            Cell::Real(value) => Some(value),
            Cell::Integer(value) => Some(value as f64),
            Cell::Text(_) | Cell::Null => None,
        }
    }
}

stored_sample! {
    /// The host name of the machine.
    host_name: String, in_views: true, |of| of.reading.host_name.clone();
    /// When the collection ended, UTC milliseconds since the Unix epoch.
    collected_at_ms: i64, in_views: true, |of| Some(of.ended_at_ms), then Cpu;
    /// How many cores there are.
    core_count: i64, in_views: false, |of| i64::try_from(of.reading.cores.len()).ok().filter(|count| *count > 0);
    /// Memory, bytes.
    memory_total_bytes: i64, in_views: true, |of| of.reading.memory.map(|memory| stored_count(memory.total.0));
    /// Memory in use, bytes.
    memory_used_bytes: i64, in_views: true, |of| of.reading.memory.map(|memory| stored_count(memory.used.0)), then Memory;
    /// Swap, bytes.
    swap_total_bytes: i64, in_views: true, |of| of.reading.swap.map(|swap| stored_count(swap.total.0));
    /// Swap in use, bytes.
    swap_used_bytes: i64, in_views: true, |of| of.reading.swap.map(|swap| stored_count(swap.used.0)), then Swap;
    /// Seconds since boot.
    uptime_seconds: i64, in_views: true, |of| of.reading.uptime_seconds.map(stored_count);
    /// Load average of the whole machine over 1 minute.
    load_1: f64, in_views: true, |of| of.reading.load.map(|[one, _, _]| one);
    /// The same over 5 minutes.
    load_5: f64, in_views: true, |of| of.reading.load.map(|[_, five, _]| five);
    /// The same over 15 minutes.
    load_15: f64, in_views: true, |of| of.reading.load.map(|[_, _, fifteen]| fifteen), then Disk;
    /// The time over which CPU use is averaged, milliseconds.
    cpu_span_ms: i64, in_views: true, |of| of.reading.rates.cpu_span_ms.map(stored_count);
    /// The time that the hypervisor took, percent of all time.
    steal_percent: f64, in_views: true, |of| of.reading.rates.steal.map(Percent::get);
    /// The time without work in which a task waited for a disk, percent of all time.
    iowait_percent: f64, in_views: true, |of| of.reading.rates.io_wait.map(Percent::get);
}

/// A count in the type of the database. All counts are below 2^63.
fn stored_count(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use fleetsweep_agent::report::Report;

    use super::*;
    use crate::fleet::{
        Bytes,
        cell::Kind,
        rates::{DiskRates, Rates},
        reading::{FileSystem, Usage},
        states::{Commit, States},
        trend::Trend,
    };

    fn reading() -> Reading {
        let usage = |total, used| Some(Usage { total: Bytes(total), used: Bytes(used) });
        let system = FileSystem {
            mount: "/".into(),
            kind: "ext4".into(),
            total: Bytes(200),
            used: Bytes(88),
            available: Bytes(112),
            inodes: None,
            trend: Some(Trend { low: 14, middle: 16, high: 20, is_steady: true }),
        };
        Reading {
            host_name: Some("db-1".into()),
            cpu: Percent::new(12.5).ok(),
            cores: vec![Percent::ZERO; 4],
            memory: usage(1000, 220),
            swap: usage(500, 165),
            uptime_seconds: Some(77),
            load: Some([1.5, 2.5, 3.5]),
            file_systems: vec![system],
            rates: Rates {
                cpu_span_ms: Some(60_000),
                steal: Percent::new(1.5).ok(),
                io_wait: Percent::new(2.5).ok(),
                disks: [("sda", 3.5), ("sdb", 55.0)]
                    .map(|(name, busy)| DiskRates {
                        name: name.into(),
                        busy: Percent::new(busy).ok(),
                        ..DiskRates::default()
                    })
                    .into(),
                restarts: Some(1),
                ..Rates::default()
            },
            states: States {
                commit: Some(Commit { limit: Bytes(100), used: Bytes(50) }),
                failed_units: Some(vec!["a.service".into(), "b.service".into()]),
                security_updates: Some(3),
                restart_needed: Some(false),
                temperature_celsius: Some(61.5),
                ..States::default()
            },
            clock_ahead_ms: Some(-1500),
            ..Reading::from_report(&Report::default(), 0)
        }
    }

    /// The cells of a row, in the order of the columns.
    fn cells(sample: &StoredSample) -> Vec<Cell> {
        COLUMNS.iter().map(|column| column.get(sample)).collect()
    }

    #[test]
    fn each_column_takes_its_own_value_and_is_read_back() {
        let reading = reading();
        let sample = StoredSample::of(Collected { ended_at_ms: 1234, reading: &reading });
        let expected = [
            Cell::Text("db-1".into()),
            Cell::Integer(1234),
            Cell::Real(12.5),
            Cell::Integer(4),
            Cell::Integer(1000),
            Cell::Integer(220),
            Cell::Real(22.0),
            Cell::Integer(500),
            Cell::Integer(165),
            Cell::Real(33.0),
            Cell::Integer(77),
            Cell::Real(1.5),
            Cell::Real(2.5),
            Cell::Real(3.5),
            Cell::Real(44.0),
            Cell::Integer(60_000),
            Cell::Real(1.5),
            Cell::Real(2.5),
            Cell::Null,
            Cell::Null,
            Cell::Real(55.0),
            Cell::Null,
            Cell::Null,
            Cell::Real(1.0),
            // No limit of inodes is known.
            Cell::Null,
            Cell::Real(50.0),
            Cell::Real(2.0),
            Cell::Real(1.5),
            Cell::Real(3.0),
            Cell::Real(0.0),
            Cell::Real(61.5),
            Cell::Real(7.0),
        ];
        assert_eq!(cells(&sample), expected);
        let mut back = StoredSample::default();
        for (column, cell) in COLUMNS.iter().zip(cells(&sample)) {
            column.set(&mut back, cell);
        }
        // What is read back has the same cells. Of a metric with instances, only the worst value is stored.
        assert_eq!(cells(&back), expected);
    }

    #[test]
    fn the_sample_is_the_same_after_it_was_stored() {
        let reading = reading();
        let stored = StoredSample::of(Collected { ended_at_ms: 0, reading: &reading });
        let (stored, measured) = (stored.sample(Some(0)), Sample::measure(Observed::reading(&reading)));
        for metric in Metric::ALL {
            // Of a metric with instances, the worst value is stored.
            assert_eq!(stored.worst(metric), measured.worst(metric), "{metric}");
        }
    }

    #[test]
    fn every_stored_metric_names_columns_that_there_are() {
        for stored in Metric::ALL.into_iter().filter_map(|metric| metric.spec().stored) {
            let names = match stored {
                StoredValue::Own(name) => vec![name],
                StoredValue::Quotient(dividend, divisor) => vec![dividend, divisor],
            };
            for name in names {
                assert!(COLUMNS.iter().any(|stored| stored.column.name == name), "{name}");
            }
        }
    }

    #[test]
    fn what_was_not_measured_is_null() {
        let nothing = Reading::from_report(&Report::default(), 0);
        let sample = StoredSample::of(Collected { ended_at_ms: 0, reading: &nothing });
        assert_eq!(sample, StoredSample { collected_at_ms: Some(0), ..StoredSample::default() });
    }

    #[test]
    fn columns_have_a_name_of_their_own() {
        let names: BTreeSet<&str> = COLUMNS.iter().map(|stored| stored.column.name).collect();
        assert_eq!(names.len(), COLUMNS.len());
        assert!(COLUMNS.iter().all(|stored| (stored.column.kind == Kind::Text) == (stored.column.name == "host_name")));
    }
}
