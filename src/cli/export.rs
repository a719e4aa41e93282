//! The arguments of `export`, parsed to one valid [`Export`].

use std::{path::PathBuf, str::FromStr, time::Duration};

use clap::{Args, ValueEnum};
use jiff::{SignedDuration, Timestamp};

use crate::fleet::rows::View;

#[derive(Debug, Clone, Args)]
pub(super) struct ExportArguments {
    /// Which rows to export [default: samples]
    #[arg(value_enum)]
    what: Option<What>,

    /// Output format; prometheus exports the latest state of the configured clients
    #[arg(long, value_enum, default_value = "csv")]
    format: ExportFormat,

    /// Only rows from this time on: RFC 3339, or a span back from now such as 24h or 7d
    #[arg(long, value_name = "WHEN")]
    since: Option<When>,

    /// Only rows before this time
    #[arg(long, value_name = "WHEN")]
    until: Option<When>,

    /// Write to this file instead of standard output; it is never left half written
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// In CSV, do not escape values that a spreadsheet would take for a formula
    #[arg(long)]
    raw: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// What was measured, one row for each successful collection.
    Samples,
    /// Each core of a sample.
    Cores,
    /// Limits that are or were exceeded.
    Alerts,
    /// Security events.
    Events,
    /// The outbox, and what left it.
    Mails,
    /// Every metric in buckets of 5 minutes, an hour and a day; times are those of their start.
    History,
    /// The file systems of each client in its newest sample.
    FileSystems,
    /// The network interfaces of each client in its newest sample.
    Interfaces,
    /// Every client that was ever collected.
    Clients,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ExportFormat {
    /// A header line, then one line per row.
    Csv,
    /// One JSON object per row.
    Jsonl,
    /// Metrics in the text format of Prometheus.
    Prometheus,
}

/// What is exported and where to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Export {
    /// What is exported.
    pub content: Content,
    /// The file to write to; `None` for standard output.
    pub output: Option<PathBuf>,
}

/// What is exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Rows of the database.
    Rows {
        /// The view.
        view: View,
        /// The output format.
        format: RowFormat,
        /// The earliest time, inclusive.
        since: Option<When>,
        /// The latest time, exclusive.
        until: Option<When>,
    },
    /// The latest state, as metrics.
    Metrics,
}

/// The output format of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowFormat {
    /// As CSV.
    Csv {
        /// Whether texts that a spreadsheet would take for a formula are left unescaped.
        raw: bool,
    },
    /// As JSON lines.
    JsonLines,
}

/// A point in time, absolute or relative to now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// An absolute time.
    At(Timestamp),
    /// This long before now.
    Ago(Duration),
}

/// The error for a text that is not a [`When`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a time: write 2026-01-31T12:00:00Z, or a span back from now such as 90min, 24h or 7d")]
pub struct InvalidTime(String);

impl FromStr for When {
    type Err = InvalidTime;

    fn from_str(text: &str) -> Result<Self, InvalidTime> {
        if let Ok(at) = text.parse() {
            return Ok(Self::At(at));
        }
        humantime::parse_duration(text).map(Self::Ago).map_err(|_| InvalidTime(text.to_owned()))
    }
}

impl When {
    /// The absolute time. A time before the earliest one is replaced by the earliest one.
    #[must_use]
    pub fn from(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::Ago(ago) => {
                let back = SignedDuration::try_from(ago).and_then(|ago| now.checked_sub(ago));
                back.unwrap_or(Timestamp::MIN)
            }
        }
    }
}

impl ExportArguments {
    /// Validates the combination of arguments.
    pub(super) fn meant(self) -> Result<Export, String> {
        let Self { what, format, since, until, output, raw } = self;
        if raw && format != ExportFormat::Csv {
            return Err("'--raw' can only be used with '--format csv'".to_owned());
        }
        let of_rows =
            [("WHAT", what.is_some()), ("--since", since.is_some()), ("--until", until.is_some())].into_iter();
        let content = match format {
            ExportFormat::Prometheus => {
                if let Some((argument, _)) = of_rows.into_iter().find(|(_, present)| *present) {
                    return Err(format!("'{argument}' chooses rows and cannot be used with '--format prometheus'"));
                }
                Content::Metrics
            }
            ExportFormat::Csv | ExportFormat::Jsonl => {
                let view = match what.unwrap_or(What::Samples) {
                    What::Samples => View::Samples,
                    What::Cores => View::Cores,
                    What::Alerts => View::Alerts,
                    What::Events => View::Events,
                    What::Mails => View::Mails,
                    What::History => View::History,
                    What::FileSystems => View::FileSystems,
                    What::Interfaces => View::Interfaces,
                    What::Clients => View::Clients,
                };
                let format = if format == ExportFormat::Csv { RowFormat::Csv { raw } } else { RowFormat::JsonLines };
                Content::Rows { view, format, since, until }
            }
        };
        Ok(Export { content, output })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_rfc_3339_or_a_span_back_from_now() {
        let now: Timestamp = "2026-01-31T12:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("2026-01-30T11:00:00Z", "2026-01-30T11:00:00Z"),
            ("2026-01-30T12:00:00.5+01:00", "2026-01-30T11:00:00.5Z"),
            ("24h", "2026-01-30T12:00:00Z"),
            ("7d", "2026-01-24T12:00:00Z"),
            ("1h 30min", "2026-01-31T10:30:00Z"),
            ("500000y", "-009999-01-02T01:59:59Z"),
        ] {
            assert_eq!(text.parse::<When>().unwrap().from(now), expected.parse().unwrap(), "{text}");
        }
        for text in ["", "yesterday", "24", "-24h", "2026-01-31", "2026-13-01T00:00:00Z"] {
            assert!(text.parse::<When>().unwrap_err().to_string().contains("is not a time"), "{text}");
        }
    }
}
