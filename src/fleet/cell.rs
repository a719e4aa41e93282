//! Values of a row and the columns that they stand in, as plain data. Which columns there are is in
//! [`rows`](super::rows) and [`stored`](super::stored).

use serde::{Serialize, Serializer};

/// A column of a view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Its name in the view, which is part of the contract with other programs.
    pub name: &'static str,
    /// What its values are, where they are not NULL.
    pub kind: Kind,
    /// The table whose column it shows.
    pub table: &'static str,
    /// The name of the column there.
    pub field: &'static str,
}

/// What the values of a column are.
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
    /// Not measured, or has not happened.
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

/// As JSON has it: NULL is `null`.
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

/// A type whose values stand in a column.
pub trait Value: Sized {
    /// The kind of such a column.
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
