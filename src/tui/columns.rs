//! The columns of the lists on the screen. One row of a table describes a column: heading, width, alignment,
//! cell, sort key and exported values; whoever shows, sorts or exports a list goes through that table. Not how a
//! cell is drawn.

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
    /// Headings, the longest first: the first that fits the width is shown.
    pub(super) headings: &'static [&'static str],
    /// On which side of the column its text stands.
    pub(super) align: Align,
    /// How wide it is, in the order of the ranks; a column without a claim is never shown.
    pub(super) width: &'static [Claim],
    /// What it shows of an item. Called for visible rows only.
    pub(super) cell: for<'a> fn(&'a T, &Context<'a>) -> Cell<'a>,
    /// How the list is sorted by it; `None` where it cannot be.
    pub(super) sort: Option<Order>,
    /// What an export says of it; nothing where it repeats another column.
    pub(super) exports: &'static [Export<T>],
}

/// On which side of a column its text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Align {
    /// The left side.
    Left,
    /// The right side, as numbers do.
    Right,
}

/// How a list of clients is sorted by a column.
pub(super) struct Order {
    /// Its name on the screen.
    pub(super) word: &'static str,
    /// The value that is compared.
    pub(super) key: ByClient,
    /// Whether the largest stands first, as long as the order is not reversed.
    pub(super) largest_first: bool,
}

/// One exported value of a column.
pub(super) struct Export<T: 'static> {
    /// Its name in JSON and CSV.
    pub(super) name: &'static str,
    /// The value; null where it was not measured.
    pub(super) value: for<'a> fn(&T, &Context<'a>) -> cell::Cell,
}

/// What cells depend on besides their item.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    /// The fleet that is shown.
    pub(super) fleet: &'a Fleet,
    /// The time from which ages count.
    pub(super) now: Timestamp,
    /// What the terminal can show.
    pub(super) look: Look,
    /// Whether the item is both selected and marked: then the sign of the mark takes another place.
    pub(super) is_marked_under_cursor: bool,
    /// Of an alert: who was mailed about it, as the database tells; empty where it does not.
    pub(super) mails: &'a [String],
    /// Of a file system: its limit, percent.
    pub(super) limit: Option<f64>,
}

/// What a column shows of one item.
pub(super) enum Cell<'a> {
    /// Text in a style; its end gives way.
    Text(Cow<'a, str>, Style),
    /// A name in a style; of names that are too long as much stays as tells them apart.
    Name(Cow<'a, str>, Style),
    /// The same in several wordings, the longest first: the first that fits is shown.
    Wordings(Vec<Cow<'a, str>>, Style),
    /// A share of 100 as a bar, where there is room for one, and a number.
    Gauge {
        /// Percent; `None` where it was not measured.
        percent: Option<f64>,
        /// Whether it is of the last collection.
        is_fresh: bool,
        /// Whether it exceeds its limit.
        is_exceeded: bool,
    },
    /// Shares of 100 as bars, the newest at the right.
    Bars {
        /// Percent, oldest first; `None` where it was not measured.
        percents: Vec<Option<f64>>,
        /// Their colour.
        style: Style,
    },
}

impl Context<'_> {
    fn style(&self, role: Role) -> Style {
        self.look.style(role)
    }

    /// Text, or the sign for a value that was not measured.
    fn number(&self, text: Option<String>, style: Style) -> Cell<'static> {
        Cell::Text(text.map_or(Cow::Borrowed(self.look.glyphs().none), Cow::Owned), style)
    }
}

/// The names of what is exported of a list, in the order of its columns. A filter by words knows the fields by them.
pub(super) fn export_names<T: 'static>(columns: &'static [Column<T>]) -> Vec<&'static str> {
    columns.iter().flat_map(|column| column.exports).map(|export| export.name).collect()
}

/// What a filter by words looks at: the exported values as text, each with its name.
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
