//! What is listed, as JSON or CSV. Not the writing of the file.

use jiff::Timestamp;
use serde_json::json;

use super::model::Model;
use crate::fleet::{Phase, Reading, reading::Usage, state::ClientView};

/// The format of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One array of objects.
    Json,
    /// A header line, then one line a client.
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

const COLUMNS: [&str; 13] = [
    "name",
    "ip",
    "port",
    "state",
    "error",
    "cpu_percent",
    "memory_percent",
    "swap_percent",
    "disk_percent",
    "load_per_core",
    "uptime_seconds",
    "duration_ms",
    "collected_at",
];

/// A file name for an export made at `now`.
#[must_use]
pub fn file_name(format: Format, now: Timestamp) -> String {
    format!("fleetsweep-{}.{}", now.strftime("%Y%m%d-%H%M%S"), format.extension())
}

/// The listed clients, in their order.
#[must_use]
pub fn text(model: &Model, format: Format) -> String {
    let rows = model.rows.iter().filter_map(|id| model.shown().client(id)).map(values);
    match format {
        Format::Json => {
            let object = |values: [serde_json::Value; 13]| {
                serde_json::Value::Object(COLUMNS.iter().map(|name| (*name).to_owned()).zip(values).collect())
            };
            let mut text = format!("{:#}", serde_json::Value::Array(rows.map(object).collect()));
            text.push('\n');
            text
        }
        Format::Csv => {
            let mut text = COLUMNS.join(",") + "\r\n";
            for row in rows {
                text.push_str(&row.map(|value| field(&value)).join(","));
                text.push_str("\r\n");
            }
            text
        }
    }
}

fn values(client: &ClientView) -> [serde_json::Value; 13] {
    let reading = client.reading.as_ref().map(|(_, reading)| &**reading);
    let last = client.last.as_ref();
    [
        json!(client.card.name),
        json!(client.card.id.address()),
        json!(client.card.id.port()),
        json!(Phase::of(client).word()),
        json!(client.failure().map(ToString::to_string)),
        json!(reading.and_then(|reading| reading.cpu)),
        json!(reading.and_then(|reading| reading.memory).and_then(Usage::percent)),
        json!(reading.and_then(|reading| reading.swap).and_then(Usage::percent)),
        json!(reading.and_then(Reading::disk_percent)),
        json!(reading.and_then(Reading::load_per_core)),
        json!(reading.and_then(|reading| reading.uptime_seconds)),
        json!(last.map(|last| last.duration_ms)),
        json!(client.reading.as_ref().map(|(at, _)| *at)),
    ]
}

/// One CSV field (RFC 4180). Text that a spreadsheet would take for a formula is led by an apostrophe.
fn field(value: &serde_json::Value) -> String {
    let text = match value {
        serde_json::Value::Null => String::new(),
        serde_json::Value::String(text) if text.starts_with(['=', '+', '-', '@']) => format!("'{text}"),
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Bool(_)
        | serde_json::Value::Number(_)
        | serde_json::Value::Array(_)
        | serde_json::Value::Object(_) => value.to_string(),
    };
    if text.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_fields_hold_any_text_and_no_formula() {
        for (value, expected) in [
            (json!("web-1"), "web-1"),
            (json!("a,b"), "\"a,b\""),
            (json!("say \"hi\""), "\"say \"\"hi\"\"\""),
            (json!("=cmd()"), "'=cmd()"),
            (json!(null), ""),
            (json!(1.5), "1.5"),
        ] {
            assert_eq!(field(&value), expected);
        }
    }
}
