//! The sample of a collection as the database keeps it: one table of columns. INSERT, SELECT, the export and the test
//! of `v1_samples` all read this table. It is not the query, and not what is kept beside it, as cores and readings are.
//!
//! A new column is a row here, a migration that adds it to `collections` and, where other programs may see it, to the
//! views, and a line in `migrations/README.md`.

use super::{
    Reading,
    cell::{Cell, Column, Value},
    reading::Usage,
};

/// What a stored sample is taken from.
#[derive(Debug, Clone, Copy)]
pub struct Collected<'a> {
    /// When the collection ended, UTC milliseconds since the Unix epoch.
    pub ended_at_ms: i64,
    /// What the client reported.
    pub reading: &'a Reading,
}

/// A column of stored samples.
#[derive(Debug, Clone, Copy)]
pub struct StoredColumn {
    /// Its name in the table `collections` and in the views, and the kind of its values.
    pub column: Column,
    /// Whether `v1_samples` and `v1_latest` have it.
    pub in_views: bool,
    /// Takes its value from a sample.
    pub get: fn(&StoredSample) -> Cell,
    /// Puts a value that was read from the database into a sample.
    pub set: fn(&mut StoredSample, Cell),
}

/// Makes the type of a row and the table of its columns from one list, so that neither can lack a column.
macro_rules! stored_sample {
    ($($(#[$doc:meta])* $name:ident: $type:ty, in_views: $in_views:literal, $take:expr;)*) => {
        /// One row. What was not measured is `None`, never 0; after a collection that failed everything is.
        #[derive(Debug, Clone, PartialEq, Default)]
        pub struct StoredSample {
            $($(#[$doc])* pub $name: Option<$type>,)*
        }

        /// The columns, in the order of the views.
        pub const COLUMNS: [StoredColumn; [$(stringify!($name)),*].len()] = [$(StoredColumn {
            column: Column {
                name: stringify!($name),
                kind: <$type as Value>::KIND,
                source: concat!("collections.", stringify!($name)),
            },
            in_views: $in_views,
            get: |sample| sample.$name.clone().map_or(Cell::Null, Value::into_cell),
            set: |sample, cell| sample.$name = Value::from_cell(cell),
        }),*];

        impl StoredSample {
            /// The row of a collection that succeeded.
            #[must_use]
            pub fn of(collected: Collected<'_>) -> Self {
                $(let $name: fn(Collected<'_>) -> Option<$type> = $take;)*
                Self { $($name: $name(collected),)* }
            }
        }
    };
}

stored_sample! {
    /// What the machine calls itself.
    host_name: String, in_views: true, |of| of.reading.host_name.clone();
    /// When the collection ended, UTC milliseconds since the Unix epoch.
    collected_at_ms: i64, in_views: true, |of| Some(of.ended_at_ms);
    /// CPU use of all cores together, percent.
    cpu_percent: f64, in_views: true, |of| of.reading.cpu.map(f64::from);
    /// How many cores there are.
    core_count: i64, in_views: false, |of| i64::try_from(of.reading.cores.len()).ok().filter(|count| *count > 0);
    /// Memory, bytes.
    memory_total_bytes: i64, in_views: true, |of| of.reading.memory.map(|memory| stored_count(memory.total.0));
    /// Memory in use, bytes.
    memory_used_bytes: i64, in_views: true, |of| of.reading.memory.map(|memory| stored_count(memory.used.0));
    /// Memory in use, percent.
    memory_percent: f64, in_views: true, |of| of.reading.memory.and_then(Usage::percent).map(f64::from);
    /// Swap, bytes.
    swap_total_bytes: i64, in_views: true, |of| of.reading.swap.map(|swap| stored_count(swap.total.0));
    /// Swap in use, bytes.
    swap_used_bytes: i64, in_views: true, |of| of.reading.swap.map(|swap| stored_count(swap.used.0));
    /// Swap in use, percent.
    swap_percent: f64, in_views: true, |of| of.reading.swap.and_then(Usage::percent).map(f64::from);
    /// Seconds since boot.
    uptime_seconds: i64, in_views: true, |of| of.reading.uptime_seconds.map(stored_count);
    /// Load average of the whole machine over a minute.
    load_1: f64, in_views: true, |of| of.reading.load.map(|[one, _, _]| one);
    /// Over five minutes.
    load_5: f64, in_views: true, |of| of.reading.load.map(|[_, five, _]| five);
    /// Over a quarter of an hour.
    load_15: f64, in_views: true, |of| of.reading.load.map(|[_, _, fifteen]| fifteen);
    /// Use of the fullest mounted file system, percent.
    disk_percent: f64, in_views: true, |of| of.reading.disk_percent().map(f64::from);
}

/// A count as the database keeps it. None of ours is beyond 2^63.
fn stored_count(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use fleetsweep_agent::report::Report;

    use super::*;
    use crate::fleet::{Bytes, Percent, cell::Kind, reading::FileSystem};

    fn reading() -> Reading {
        let usage = |total, used| Some(Usage { total: Bytes(total), used: Bytes(used) });
        let system = FileSystem {
            mount: "/".into(),
            kind: "ext4".into(),
            total: Bytes(200),
            used: Bytes(88),
            available: Bytes(112),
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
            ..Reading::from_report(&Report::default(), 0).unwrap()
        }
    }

    /// The cells of a row, in the order of the columns.
    fn cells(sample: &StoredSample) -> Vec<Cell> {
        COLUMNS.iter().map(|column| (column.get)(sample)).collect()
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
        ];
        assert_eq!(cells(&sample), expected);
        let mut back = StoredSample::default();
        for (column, cell) in COLUMNS.iter().zip(cells(&sample)) {
            (column.set)(&mut back, cell);
        }
        assert_eq!(back, sample);
    }

    #[test]
    fn what_was_not_measured_is_null() {
        let nothing = Reading::from_report(&Report::default(), 0).unwrap();
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
