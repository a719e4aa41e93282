//! Formats rows of the database as CSV or JSON lines.

use std::io;

use serde::{Serialize, Serializer, ser::SerializeMap as _};

use crate::fleet::{
    cell::Row,
    csv::{self, Formulas},
    rows::View,
};

/// The output format of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notation {
    /// See [`csv`].
    Csv(Formulas),
    /// One JSON object per line. NULL is `null`.
    JsonLines,
}

/// The text before the rows: the header line of CSV, nothing for JSON lines.
///
/// # Errors
/// Only if a value cannot be formatted, which no [`View`] can cause.
pub fn head(view: View, notation: Notation) -> io::Result<Vec<u8>> {
    match notation {
        Notation::Csv(_) => Ok(csv::header(view.columns().iter().map(|column| column.name))?.into_bytes()),
        Notation::JsonLines => Ok(Vec::new()),
    }
}

/// Formats rows, each followed by a line end.
///
/// # Errors
/// Only if a value cannot be formatted, which no row of a [`View`] can cause.
pub fn lines(view: View, rows: &[Row], notation: Notation) -> io::Result<Vec<u8>> {
    match notation {
        Notation::Csv(formulas) => Ok(csv::lines(rows, formulas)?.into_bytes()),
        Notation::JsonLines => {
            let mut text = Vec::new();
            for row in rows {
                serde_json::to_writer(&mut text, &Object(view, row))?;
                text.push(b'\n');
            }
            Ok(text)
        }
    }
}

/// A row with the names of its columns, in their order.
struct Object<'a>(View, &'a Row);

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(Some(self.1.len()))?;
        for (column, cell) in self.0.columns().iter().zip(self.1) {
            object.serialize_entry(column.name, cell)?;
        }
        object.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::cell::Cell;

    const DISARMED: Notation = Notation::Csv(Formulas::Disarmed);
    const RAW: Notation = Notation::Csv(Formulas::Raw);

    fn text(bytes: io::Result<Vec<u8>>) -> String {
        String::from_utf8(bytes.unwrap()).unwrap()
    }

    fn mail(subject: &str) -> Row {
        let text = |text: &str| Cell::Text(text.to_owned());
        vec![
            text("ops@example.com"),
            text("alert"),
            text(subject),
            text("two\nlines, \"quoted\""),
            text("waiting"),
            Cell::Integer(-1),
            Cell::Null,
            Cell::Integer(0),
            Cell::Null,
        ]
    }

    #[test]
    fn rows_have_one_form_in_each_notation() {
        let rows = [mail("=cmd|' /C calc'!A0"), mail("plain")];
        let mut shown = String::new();
        for notation in [DISARMED, RAW, Notation::JsonLines] {
            shown += &format!("{notation:?}\n");
            shown += &text(head(View::Mails, notation));
            shown += &text(lines(View::Mails, &rows, notation));
        }
        insta::assert_snapshot!(shown);
    }

    #[test]
    fn no_rows_are_a_header_alone() {
        assert_eq!(text(head(View::Cores, DISARMED)), "client_ip,client_port,collected_at_ms,core,cpu_percent\n");
        assert_eq!(text(lines(View::Cores, &[], DISARMED)), "");
        assert_eq!(text(head(View::Cores, Notation::JsonLines)), "");
    }
}
