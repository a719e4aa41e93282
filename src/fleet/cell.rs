//! Cells of a row and their columns, as plain data. The lists of columns are in [`rows`](super::rows) and
//! [`stored`](super::stored).

use serde::{Serialize, Serializer};

/// A column of a view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Its name in the view. Other programs rely on it.
    pub name: &'static str,
    /// The kind of its values, which may also be NULL.
    pub kind: Kind,
    /// The table that the column comes from.
    pub table: &'static str,
    /// The name of the column there.
    pub field: &'static str,
}

/// The kind of the values of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Whole numbers: BIGINT.
    Integer,
    /// Numbers: DOUBLE PRECISION.
    Real,
    /// Text: VARCHAR or TEXT.
    Text,
}

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// NULL: not measured, or not happened.
    Null,
    /// A whole number.
    Integer(i64),
    /// A number.
    Real(f64),
    /// A text.
    Text(String),
}

/// One row, in the order of its columns.
pub type Row = Vec<Cell>;

/// The value as JSON. NULL is `null`.
impl Serialize for Cell {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Integer(number) => serializer.serialize_i64(*number),
            Self::Real(number) => serializer.serialize_f64(*number),
            Self::Text(text) => serializer.serialize_str(text),
        }
    }
}

/// A type whose values can be stored in a column.
pub trait Value: Sized {
    /// The kind of the column.
    const KIND: Kind;

    /// The value as a cell.
    fn into_cell(self) -> Cell;

    /// The value of a cell; `None` for NULL and for a cell of another kind.
    fn from_cell(cell: Cell) -> Option<Self>;
}

macro_rules! value {
    ($type:ty, $kind:ident) => {
        impl Value for $type {
            const KIND: Kind = Kind::$kind;

            fn into_cell(self) -> Cell {
                Cell::$kind(self)
            }

            fn from_cell(cell: Cell) -> Option<Self> {
                if let Cell::$kind(value) = cell { Some(value) } else { None }
            }
        }

        impl From<Option<$type>> for Cell {
            fn from(value: Option<$type>) -> Self {
                value.map_or(Self::Null, Self::$kind)
            }
        }
    };
}

value!(i64, Integer);
value!(f64, Real);
value!(String, Text);
