//! Writes and reads rows with the columns of a table of columns, by name and never by position. The columns are defined
//! in [`fleet::stored`](crate::fleet::stored) and [`fleet::rows`](crate::fleet::rows).

use sqlx::{ColumnIndex, Decode, FromRow, Row, Type};

use super::pool::{Transaction, on_driver};
use crate::fleet::{
    cell::{Cell, Column, Kind},
    stored::{self, StoredSample},
};

/// A value for a column of a new row.
#[derive(Debug)]
pub(super) struct Field {
    column: &'static str,
    value: Value,
}

/// NULL has a type, too: PostgreSQL does not accept an integer NULL for a text column.
#[derive(Debug)]
enum Value {
    Integer(Option<i64>),
    Real(Option<f64>),
    Text(Option<String>),
}

impl Field {
    /// A whole number, or NULL.
    pub(super) fn integer(column: &'static str, value: impl Into<Option<i64>>) -> Self {
        Self { column, value: Value::Integer(value.into()) }
    }

    /// A text, or NULL.
    pub(super) fn text(column: &'static str, value: impl Into<Option<String>>) -> Self {
        Self { column, value: Value::Text(value.into()) }
    }

    /// The value for a column. A cell of another type becomes NULL.
    pub(super) fn of(column: &Column, cell: Cell) -> Self {
        use crate::fleet::cell::Value as _;
        let value = match column.kind {
            Kind::Integer => Value::Integer(i64::from_cell(cell)),
            Kind::Real => Value::Real(f64::from_cell(cell)),
            Kind::Text => Value::Text(String::from_cell(cell)),
        };
        Self { column: column.name, value }
    }
}

/// The fields of a stored sample.
pub(super) fn of_sample(sample: &StoredSample) -> impl Iterator<Item = Field> {
    stored::columns().iter().map(|stored| Field::of(&stored.column, stored.get(sample)))
}

/// The columns of a stored sample, for a SELECT from `collections` only.
pub(super) fn sample_columns() -> String {
    stored::columns().iter().map(|stored| stored.column.name).collect::<Vec<_>>().join(", ")
}

/// Inserts one row.
pub(super) async fn insert(
    transaction: &mut Transaction,
    table: &'static str,
    fields: &[Field],
) -> Result<(), sqlx::Error> {
    let names: Vec<&str> = fields.iter().map(|field| field.column).collect();
    let sql = format!("INSERT INTO {table} ({}) VALUES ({})", names.join(", "), vec!["?"; fields.len()].join(", "));
    on_driver!(transaction, |connection, text| {
        let mut query = sqlx::query(text(sql.into()));
        for field in fields {
            query = match &field.value {
                Value::Integer(number) => query.bind(*number),
                Value::Real(number) => query.bind(*number),
                Value::Text(text) => query.bind(text.as_deref()),
            };
        }
        query.execute(connection).await.map(drop)
    })
}

/// Reads the value of a column by its name.
pub(super) fn read<'r, R>(row: &'r R, column: &Column) -> Result<Cell, sqlx::Error>
where
    R: Row,
    &'static str: ColumnIndex<R>,
    i64: Type<R::Database> + Decode<'r, R::Database>,
    f64: Type<R::Database> + Decode<'r, R::Database>,
    String: Type<R::Database> + Decode<'r, R::Database>,
{
    Ok(match column.kind {
        Kind::Integer => row.try_get::<Option<i64>, _>(column.name)?.into(),
        Kind::Real => row.try_get::<Option<f64>, _>(column.name)?.into(),
        Kind::Text => row.try_get::<Option<String>, _>(column.name)?.into(),
    })
}

impl<'r, R> FromRow<'r, R> for StoredSample
where
    R: Row,
    &'static str: ColumnIndex<R>,
    i64: Type<R::Database> + Decode<'r, R::Database>,
    f64: Type<R::Database> + Decode<'r, R::Database>,
    String: Type<R::Database> + Decode<'r, R::Database>,
{
    fn from_row(row: &'r R) -> Result<Self, sqlx::Error> {
        let mut sample = Self::default();
        for stored in stored::columns() {
            stored.set(&mut sample, read(row, &stored.column)?);
        }
        Ok(sample)
    }
}
