//! What is listed, as JSON or CSV. Not the writing of the file.

use std::io;

use jiff::Timestamp;

use super::model::Model;
use crate::fleet::{
    Percent, Phase, Reading,
    cell::Cell,
    csv::{self, Formulas},
    reading::Usage,
    state::ClientView,
};

/// The format of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One array of objects.
    Json,
    /// A header line, then one line a client, as `export` writes CSV.
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

/// A column of an export.
struct Column {
    name: &'static str,
    cell: fn(&ClientView) -> Cell,
}

const COLUMNS: [Column; 13] = [
    Column { name: "name", cell: |client| Cell::Text(client.card.name.clone()) },
    Column { name: "ip", cell: |client| Cell::Text(client.card.id.address().to_owned()) },
    Column { name: "port", cell: |client| Cell::Integer(client.card.id.port().into()) },
    Column { name: "state", cell: |client| Cell::Text(Phase::of(client).word().to_owned()) },
    Column { name: "error", cell: |client| client.failure().map(ToString::to_string).into() },
    Column { name: "cpu_percent", cell: |client| percent(reading(client).and_then(|reading| reading.cpu)) },
    Column {
        name: "memory_percent",
        cell: |client| percent(reading(client).and_then(|reading| reading.memory).and_then(Usage::percent)),
    },
    Column {
        name: "swap_percent",
        cell: |client| percent(reading(client).and_then(|reading| reading.swap).and_then(Usage::percent)),
    },
    Column { name: "disk_percent", cell: |client| percent(reading(client).and_then(Reading::disk_percent)) },
    Column { name: "load_per_core", cell: |client| reading(client).and_then(Reading::load_per_core).into() },
    Column { name: "uptime_seconds", cell: |client| count(reading(client).and_then(|reading| reading.uptime_seconds)) },
    Column { name: "duration_ms", cell: |client| count(client.last.as_ref().map(|last| last.duration_ms)) },
    Column { name: "collected_at", cell: |client| client.reading.as_ref().map(|(at, _)| at.to_string()).into() },
];

fn reading(client: &ClientView) -> Option<&Reading> {
    client.reading.as_ref().map(|(_, reading)| &**reading)
}

fn percent(percent: Option<Percent>) -> Cell {
    percent.map(f64::from).into()
}

fn count(count: Option<u64>) -> Cell {
    count.map(|count| i64::try_from(count).unwrap_or(i64::MAX)).into()
}

/// A file name for an export made at `now`.
#[must_use]
pub fn file_name(format: Format, now: Timestamp) -> String {
    format!("fleetsweep-{}.{}", now.strftime("%Y%m%d-%H%M%S"), format.extension())
}

/// The listed clients, in their order.
///
/// # Errors
/// None: the text is written to memory.
pub fn text(model: &Model, format: Format) -> io::Result<String> {
    let clients = model.rows.iter().filter_map(|id| model.shown().client(id));
    match format {
        Format::Json => {
            let object = |client: &ClientView| {
                let value =
                    |column: &Column| Ok((column.name.to_owned(), serde_json::to_value((column.cell)(client))?));
                COLUMNS.iter().map(value).collect::<Result<serde_json::Map<_, _>, serde_json::Error>>()
            };
            let objects = clients.map(object).collect::<Result<Vec<_>, _>>()?;
            Ok(serde_json::to_string_pretty(&objects)? + "\n")
        }
        Format::Csv => {
            let rows: Vec<Vec<Cell>> =
                clients.map(|client| COLUMNS.iter().map(|column| (column.cell)(client)).collect()).collect();
            Ok(csv::header(COLUMNS.iter().map(|column| column.name))? + &csv::lines(&rows, Formulas::Disarmed)?)
        }
    }
}
