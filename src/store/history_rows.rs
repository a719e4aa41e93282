//! Rows of history: a group of series in one bucket, each series in its slot. [`super::rollups`] decides which rows are
//! written; the tables are explained in `migrations/0014_rollups.sql`.

use std::sync::LazyLock;

use sqlx::{ColumnIndex, Decode, Row, Type};

use super::{
    convert::from_count,
    pool::{Transaction, on_driver},
    upsert::upsert,
};
use crate::fleet::rollup::{Bucket, Tier};

/// The series of a group.
pub(super) const SLOTS: usize = 12;

/// The most rows of a statement. Each has 63 parameters.
const ROWS: usize = 16;

/// A table of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Table {
    /// The buckets that are filled now.
    Open,
    /// The other ones.
    Buckets,
}

impl Table {
    fn name(self) -> &'static str {
        match self {
            Self::Open => "history_open",
            Self::Buckets => "history_buckets",
        }
    }
}

/// A row.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct HistoryRow {
    pub(super) group: i32,
    pub(super) tier: Tier,
    pub(super) start_ms: i64,
    pub(super) slots: [Option<Bucket>; SLOTS],
}

impl HistoryRow {
    /// A row without values.
    pub(super) fn empty(group: i32, tier: Tier, start_ms: i64) -> Self {
        Self { group, tier, start_ms, slots: [None; SLOTS] }
    }

    /// Adds later values of a slot.
    pub(super) fn add(&mut self, slot: usize, later: Bucket) {
        if let Some(known) = self.slots.get_mut(slot) {
            *known = Some(known.map_or(later, |known| known.then(later)));
        }
    }

    /// Adds the values of an earlier time.
    pub(super) fn add_earlier(&mut self, earlier: &Self) {
        for (slot, earlier) in self.slots.iter_mut().zip(earlier.slots) {
            *slot = match (earlier, *slot) {
                (Some(earlier), Some(later)) => Some(earlier.then(later)),
                (one, other) => one.or(other),
            };
        }
    }
}

/// The columns of a slot, in the order of the tables.
const PARTS: [&str; 5] = ["sum", "minimum", "maximum", "last", "count"];

/// All columns, in the order of the tables.
static COLUMNS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let slots = PARTS.iter().flat_map(|part| (0..SLOTS).map(move |slot| format!("{part}_{slot:02}")));
    let key = ["group_id", "tier_seconds"].map(str::to_owned);
    ["start_ms".to_owned()].into_iter().chain(slots).chain(key).collect()
});

/// The statements by table, dialect and number of rows. Each has thousands of characters and is used with every collection.
static STATEMENTS: LazyLock<Vec<Vec<String>>> = LazyLock::new(|| {
    let kinds = [(Table::Open, false), (Table::Open, true), (Table::Buckets, false)];
    let of_kind = |(table, is_mysql)| (1..=ROWS).map(|rows| insert_sql(table, rows, is_mysql)).collect();
    kinds.into_iter().map(of_kind).collect()
});

/// The statement for this number of rows; empty if there is none.
fn statement(table: Table, rows: usize, is_mysql: bool) -> &'static str {
    let kind = match (table, is_mysql) {
        (Table::Open, false) => 0,
        (Table::Open, true) => 1,
        (Table::Buckets, _) => 2,
    };
    let found = STATEMENTS.get(kind).and_then(|statements| statements.get(rows.checked_sub(1)?));
    found.map_or("", String::as_str)
}

fn insert_sql(table: Table, rows: usize, is_mysql: bool) -> String {
    let columns: Vec<&str> = COLUMNS.iter().map(String::as_str).collect();
    match table {
        Table::Open => upsert(table.name(), &["group_id", "tier_seconds"], &columns, rows, is_mysql),
        Table::Buckets => {
            let row = format!("({})", vec!["?"; columns.len()].join(", "));
            format!("INSERT INTO {} ({}) VALUES {}", table.name(), columns.join(", "), vec![row; rows].join(", "))
        }
    }
}

/// Writes rows. A row of the open ones takes the place of the previous one of its group and tier.
pub(super) async fn insert(
    transaction: &mut Transaction,
    table: Table,
    rows: &[&HistoryRow],
) -> Result<(), sqlx::Error> {
    let is_mysql = matches!(transaction, Transaction::MySql(_));
    for rows in rows.chunks(ROWS) {
        let sql = statement(table, rows.len(), is_mysql);
        on_driver!(transaction, |connection, text| {
            let mut query = sqlx::query(text(sql.into()));
            for row in rows {
                query = query.bind(row.start_ms);
                for slot in row.slots {
                    query = query.bind(slot.map(|bucket| bucket.sum));
                }
                let parts: [fn(Bucket) -> f64; 3] = [|one| one.minimum, |one| one.maximum, |one| one.last];
                for part in parts {
                    for slot in row.slots {
                        #[expect(clippy::cast_possible_truncation, reason = "the columns have 24 bits")]
                        let value = slot.map(|bucket| part(bucket) as f32);
                        query = query.bind(value);
                    }
                }
                for slot in row.slots {
                    query = query.bind(slot.map(|bucket| i32::try_from(bucket.count).unwrap_or(i32::MAX)));
                }
                query = query.bind(row.group).bind(row.tier.seconds());
            }
            query.execute(connection).await.map(drop)
        })?;
    }
    Ok(())
}

/// The rows of a table that meet a condition. Its parameters are whole numbers.
pub(super) async fn select(
    transaction: &mut Transaction,
    table: Table,
    condition: &str,
    parameters: &[i64],
) -> Result<Vec<HistoryRow>, sqlx::Error> {
    let sql = format!("SELECT {} FROM {} WHERE {condition}", COLUMNS.join(", "), table.name());
    on_driver!(transaction, |connection, text| {
        let mut query = sqlx::query(text(sql.into()));
        for parameter in parameters {
            query = query.bind(*parameter);
        }
        query.fetch_all(connection).await?.iter().map(read).collect()
    })
}

fn read<'r, R>(row: &'r R) -> Result<HistoryRow, sqlx::Error>
where
    R: Row,
    usize: ColumnIndex<R>,
    i32: Type<R::Database> + Decode<'r, R::Database>,
    i64: Type<R::Database> + Decode<'r, R::Database>,
    f32: Type<R::Database> + Decode<'r, R::Database>,
    f64: Type<R::Database> + Decode<'r, R::Database>,
{
    let after = |parts: usize| 1 + parts * SLOTS;
    let seconds: i32 = row.try_get(after(PARTS.len()) + 1)?;
    let tier = Tier::ALL.into_iter().find(|tier| tier.seconds() == seconds);
    let tier = tier.ok_or_else(|| sqlx::Error::Decode(format!("a bucket of {seconds} seconds").into()))?;
    let mut found = HistoryRow::empty(row.try_get(after(PARTS.len()))?, tier, row.try_get(0)?);
    for (index, slot) in found.slots.iter_mut().enumerate() {
        let real = |part: usize| row.try_get::<Option<f32>, _>(after(part) + index).map(|value| value.map(f64::from));
        let sum: Option<f64> = row.try_get(after(0) + index)?;
        let count: Option<i32> = row.try_get(after(4) + index)?;
        let (minimum, maximum, last) = (real(1)?, real(2)?, real(3)?);
        if let (Some(count @ 1..), Some(sum), Some(minimum), Some(maximum), Some(last)) =
            (count, sum, minimum, maximum, last)
        {
            *slot = Some(Bucket { count: from_count(count.into())?, minimum, sum, maximum, last });
        }
    }
    Ok(found)
}
