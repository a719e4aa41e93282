//! The listed clients as JSON or CSV. Not the writing of the file.

use std::io;

use jiff::Timestamp;

use super::columns::clients;
use crate::fleet::{
    cell::Cell,
    csv::{self, Formulas},
    state::ClientView,
};

/// The format of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One array of objects.
    Json,
    /// A header line, then one line per client, as `export` writes CSV.
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
pub fn file_name(format: Format, now: Timestamp) -> String {
    format!("fleetsweep-{}.{}", now.strftime("%Y%m%d-%H%M%S"), format.extension())
}

/// The clients in their order, with the exported values of the client table's columns.
///
/// # Errors
/// None: the text is written to memory.
pub fn text<'a>(clients: impl Iterator<Item = &'a ClientView>, format: Format) -> io::Result<String> {
    match format {
        Format::Json => {
            let object = |client: &ClientView| {
                let fields = clients::exports()
                    .map(|export| Ok((export.name.to_owned(), serde_json::to_value((export.value)(client))?)));
                fields.collect::<Result<serde_json::Map<_, _>, serde_json::Error>>()
            };
            let objects = clients.map(object).collect::<Result<Vec<_>, _>>()?;
            Ok(serde_json::to_string_pretty(&objects)? + "\n")
        }
        Format::Csv => {
            let row = |client| clients::exports().map(|export| (export.value)(client)).collect();
            let rows: Vec<Vec<Cell>> = clients.map(row).collect();
            let header = csv::header(clients::exports().map(|export| export.name))?;
            Ok(header + &csv::lines(&rows, Formulas::Disarmed)?)
        }
    }
}
