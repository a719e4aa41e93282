//! The columns of the lists on the screen. A table row describes a column: heading, width, alignment, cell, sort key
//! and exported values. Display, sorting and export of a list use this table.

use std::borrow::Cow;

use jiff::Timestamp;
use ratatui::style::Style;

use super::theme::{Look, Role};
use crate::fleet::{
    cell,
    select::sort::{ByClient, Key},
    state::Fleet,
};

pub(super) mod alerts;
pub mod clients;
pub(super) mod log;
pub(super) mod machine;
pub(super) mod mails;
pub(super) mod width;

use width::Claim;

/// A column of a list of `T`.
pub(super) struct Column<T: 'static> {
    /// Headings, the longest first. The first one that fits is shown.
    pub(super) headings: &'static [&'static str],
    /// The alignment of its text.
    pub(super) align: Align,
    /// Its width claims, ordered by rank. A column without a claim is never shown.
    pub(super) width: &'static [Claim],
    /// The cell for an item. Only called for visible rows.
    pub(super) cell: for<'a> fn(&'a T, &Context<'a>) -> Cell<'a>,
    /// The sort order; `None` if the list cannot be sorted by it.
    pub(super) sort: Option<Order>,
    /// The exported values. Empty if another column exports them.
    pub(super) exports: &'static [Export<T>],
}

/// The alignment of text in a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Align {
    /// Left-aligned.
    Left,
    /// Right-aligned, for numbers.
    Right,
}

/// The sort order of a column of clients.
pub(super) struct Order {
    /// Its name on the screen.
    pub(super) word: &'static str,
    /// The compared value.
    pub(super) key: ByClient,
    /// Whether the largest value comes first in the normal direction.
    pub(super) largest_first: bool,
}

/// One exported value of a column.
pub(super) struct Export<T: 'static> {
    /// Its name in JSON and CSV.
    pub(super) name: &'static str,
    /// The value; null if it was not measured.
    pub(super) value: for<'a> fn(&T, &Context<'a>) -> cell::Cell,
}

/// The data besides the item that a cell depends on.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    /// The displayed fleet.
    pub(super) fleet: &'a Fleet,
    /// The time for ages.
    pub(super) now: Timestamp,
    /// The capabilities of the terminal.
    pub(super) look: Look,
    /// Whether the item is both selected and marked. The mark is then shown elsewhere.
    pub(super) is_marked_under_cursor: bool,
    /// For an alert: the mails about it in the database.
    pub(super) mails: &'a [String],
    /// For a file system: its limit, percent.
    pub(super) limit: Option<f64>,
}

/// The content of a cell.
pub(super) enum Cell<'a> {
    /// Text with a style. If it is too long, its end is cut off.
    Text(Cow<'a, str>, Style),
    /// A name with a style. If names are too long, they are cut so that they remain distinguishable.
    Name(Cow<'a, str>, Style),
    /// Several wordings of the same text, the longest first. The first one that fits is shown.
    Wordings(Vec<Cow<'a, str>>, Style),
    /// A percentage as a number, and as a bar if there is space.
    Gauge {
        /// Percent; `None` if it was not measured.
        percent: Option<f64>,
        /// Whether it was measured by the last collection.
        is_fresh: bool,
        /// Whether it exceeds its limit.
        is_exceeded: bool,
    },
    /// Percentages as bars, the newest on the right.
    Bars {
        /// Percent, oldest first; `None` if it was not measured.
        percents: Vec<Option<f64>>,
        /// Their colour.
        style: Style,
    },
}

impl Context<'_> {
    fn style(&self, role: Role) -> Style {
        self.look.style(role)
    }

    /// A text, or the sign for a value that was not measured.
    fn number(&self, text: Option<String>, style: Style) -> Cell<'static> {
        Cell::Text(text.map_or(Cow::Borrowed(self.look.glyphs().none), Cow::Owned), style)
    }
}

/// The names of the exported values of a list, in the order of its columns. They are also the fields of a filter.
pub(super) fn export_names<T: 'static>(columns: &'static [Column<T>]) -> Vec<&'static str> {
    columns.iter().flat_map(|column| column.exports).map(|export| export.name).collect()
}

/// The exported values as text with their names, for a filter by words.
pub(super) fn fields<T: 'static>(
    columns: &'static [Column<T>],
    item: &T,
    context: &Context<'_>,
) -> Vec<(&'static str, String)> {
    let text = |cell| match cell {
        cell::Cell::Null => None,
        cell::Cell::Integer(number) => Some(number.to_string()),
        cell::Cell::Real(number) => Some(number.to_string()),
        cell::Cell::Text(text) => Some(text),
    };
    let exports = columns.iter().flat_map(|column| column.exports);
    exports.filter_map(|export| Some((export.name, text((export.value)(item, context))?))).collect()
}

/// Exported text.
fn text(text: &str) -> cell::Cell {
    cell::Cell::Text(text.to_owned())
}

/// The sort key for a number that may be missing.
fn number(value: Option<f64>) -> Key<'static> {
    value.map_or(Key::Absent, Key::Number)
}
