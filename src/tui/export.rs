//! Exports the displayed rows as JSON or CSV, by the table of columns.

use std::io;

use jiff::Timestamp;

use super::{
    columns::{self, Column, Context, Export, clients},
    format::plural,
    model::Model,
    view::Place,
};
use crate::fleet::{
    cell::Cell,
    csv::{self, Formulas},
};

/// The format of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// One array of objects.
    Json,
    /// A header line, then one line per row, as `export` writes CSV.
    Csv,
}

impl Format {
    fn extension(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Csv => "csv",
        }
    }
}

/// A file name for an export made at `now`.
#[must_use]
pub(super) fn file_name(place: Place, format: Format, now: Timestamp) -> String {
    let what = match place {
        Place::Clients | Place::Details => "",
        Place::Alerts => "alerts-",
        Place::Mails | Place::Mail => "mails-",
        Place::Log | Place::LogLine => "log-",
    };
    format!("fleetsweep-{what}{}.{}", now.strftime("%Y%m%d-%H%M%S"), format.extension())
}

/// What would be exported, as text; `None` if there is nothing.
pub(super) fn subject(model: &Model) -> Option<String> {
    let counted = |count: usize, word: &str| (count > 0).then(|| format!("{count} {word}{}", plural(count)));
    match model.view.place() {
        Place::Clients => counted(model.rows.len(), "listed client"),
        Place::Details => model.selected().map(|client| client.card.name.clone()),
        Place::Alerts => counted(model.found.len(), "listed alert"),
        Place::Mails => counted(model.found.len(), "listed mail"),
        Place::Mail => model.selected_mail().map(|_| "this mail".to_owned()),
        Place::Log => counted(model.found.len(), "listed line"),
        Place::LogLine => model.selected_line().map(|_| "this line".to_owned()),
    }
}

/// The listed rows in their order, or the opened item, with the exported values of the columns.
///
/// # Errors
/// None, because the text is written to memory.
pub(super) fn shown(model: &Model, format: Format) -> io::Result<String> {
    let context = || model.context(model.look);
    match model.view.place() {
        Place::Clients => text(model.listed().map(|client| (client, context())), clients::exports(), format),
        Place::Details => {
            text(model.selected().into_iter().map(|client| (client, context())), clients::exports(), format)
        }
        Place::Alerts => {
            let rows = model.alerts_found();
            let rows = rows.iter().map(|(alert, mails)| (*alert, Context { mails, ..context() }));
            text(rows, exports(&columns::alerts::COLUMNS), format)
        }
        Place::Mails => {
            text(model.mails_found().map(|mail| (mail, context())), exports(&columns::mails::COLUMNS), format)
        }
        Place::Mail => {
            let mail = model.selected_mail().into_iter();
            text(mail.map(|mail| (mail, context())), exports(&columns::mails::COLUMNS), format)
        }
        Place::Log => text(model.log_found().map(|line| (line, context())), exports(&columns::log::COLUMNS), format),
        Place::LogLine => {
            let line = model.selected_line().into_iter();
            text(line.map(|line| (line, context())), exports(&columns::log::COLUMNS), format)
        }
    }
}

fn exports<T>(columns: &'static [Column<T>]) -> impl Iterator<Item = &'static Export<T>> + Clone {
    columns.iter().flat_map(|column| column.exports)
}

fn text<'a, T: 'static>(
    items: impl Iterator<Item = (&'a T, Context<'a>)>,
    exports: impl Iterator<Item = &'static Export<T>> + Clone,
    format: Format,
) -> io::Result<String> {
    match format {
        Format::Json => {
            let object = |(item, context): (&T, Context<'_>)| {
                let fields = exports
                    .clone()
                    .map(|export| Ok((export.name.to_owned(), serde_json::to_value((export.value)(item, &context))?)));
                fields.collect::<Result<serde_json::Map<_, _>, serde_json::Error>>()
            };
            let objects = items.map(object).collect::<Result<Vec<_>, _>>()?;
            Ok(serde_json::to_string_pretty(&objects)? + "\n")
        }
        Format::Csv => {
            let row = |(item, context): (&T, Context<'_>)| {
                exports.clone().map(|export| (export.value)(item, &context)).collect()
            };
            let rows: Vec<Vec<Cell>> = items.map(row).collect();
            let header = csv::header(exports.clone().map(|export| export.name))?;
            Ok(header + &csv::lines(&rows, Formulas::Disarmed)?)
        }
    }
}
