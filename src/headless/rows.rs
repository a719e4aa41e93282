//! Rows of the database as CSV or JSON lines. Not where they come from or go to.

use std::{borrow::Cow, io};

use csv::WriterBuilder;
use serde::{Serialize, Serializer, ser::SerializeMap as _};

use crate::fleet::rows::{Cell, Row, View};

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notation {
    /// After RFC 4180, lines ended as everywhere on this system. NULL is an empty field.
    Csv {
        /// Whether a text that a spreadsheet would take for a formula is led by an apostrophe.
        disarmed: bool,
    },
    /// One JSON object a line. NULL is `null`.
    JsonLines,
}

/// With these a spreadsheet begins a formula, after OWASP ("CSV Injection"). Texts come from clients, and a client
/// is hostile.
const FORMULA: [char; 7] = ['=', '+', '-', '@', '\t', '\r', '\n'];

/// What stands before the rows.
///
/// # Errors
/// None that a [`View`] can bring about.
pub fn head(view: View, notation: Notation) -> io::Result<Vec<u8>> {
    match notation {
        Notation::Csv { .. } => csv([view.columns().iter().map(|column| Cow::Borrowed(column.name))]),
        Notation::JsonLines => Ok(Vec::new()),
    }
}

/// Some rows, a line end after each.
///
/// # Errors
/// None that the rows of a [`View`] can bring about.
pub fn lines(view: View, rows: &[Row], notation: Notation) -> io::Result<Vec<u8>> {
    match notation {
        Notation::Csv { disarmed } => csv(rows.iter().map(|row| row.iter().map(move |cell| field(cell, disarmed)))),
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

fn csv<'a, R: Iterator<Item = Cow<'a, str>>>(records: impl IntoIterator<Item = R>) -> io::Result<Vec<u8>> {
    let mut writer = WriterBuilder::new().from_writer(Vec::new());
    for record in records {
        writer.write_record(record.map(Cow::into_owned).map(String::into_bytes)).map_err(io::Error::other)?;
    }
    writer.into_inner().map_err(|error| io::Error::other(error.to_string()))
}

fn field(cell: &Cell, disarmed: bool) -> Cow<'_, str> {
    match cell {
        Cell::Null => Cow::Borrowed(""),
        Cell::Integer(number) => Cow::Owned(number.to_string()),
        // As SQLite and JSON show it: 12.0.
        Cell::Real(number) => Cow::Owned(format!("{number:?}")),
        Cell::Text(text) if disarmed && text.starts_with(FORMULA) => Cow::Owned(format!("'{text}")),
        Cell::Text(text) => Cow::Borrowed(text),
    }
}

/// A row with the names of its columns, in their order.
struct Object<'a>(View, &'a Row);

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(Some(self.1.len()))?;
        for (column, cell) in self.0.columns().iter().zip(self.1) {
            match cell {
                Cell::Null => object.serialize_entry(column.name, &())?,
                Cell::Integer(number) => object.serialize_entry(column.name, number)?,
                Cell::Real(number) => object.serialize_entry(column.name, number)?,
                Cell::Text(text) => object.serialize_entry(column.name, text)?,
            }
        }
        object.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DISARMED: Notation = Notation::Csv { disarmed: true };
    const RAW: Notation = Notation::Csv { disarmed: false };

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
    fn a_text_that_begins_like_a_formula_is_led_by_an_apostrophe_unless_asked_otherwise() {
        for (cell, disarmed, raw) in [
            (Cell::Text("=1+1".into()), "'=1+1", "=1+1"),
            (Cell::Text("+1".into()), "'+1", "+1"),
            (Cell::Text("-1".into()), "'-1", "-1"),
            (Cell::Text("@SUM(A1)".into()), "'@SUM(A1)", "@SUM(A1)"),
            (Cell::Text("\t=1".into()), "'\t=1", "\t=1"),
            (Cell::Text("\r=1".into()), "'\r=1", "\r=1"),
            (Cell::Text("a=1".into()), "a=1", "a=1"),
            // A number is one.
            (Cell::Integer(-5), "-5", "-5"),
            (Cell::Real(-0.5), "-0.5", "-0.5"),
            (Cell::Real(12.0), "12.0", "12.0"),
            (Cell::Null, "", ""),
        ] {
            assert_eq!((&*field(&cell, true), &*field(&cell, false)), (disarmed, raw), "{cell:?}");
        }
    }

    #[test]
    fn no_rows_are_a_header_alone() {
        assert_eq!(text(head(View::Cores, DISARMED)), "client_ip,client_port,collected_at_ms,core,cpu_percent\n");
        assert_eq!(text(lines(View::Cores, &[], DISARMED)), "");
        assert_eq!(text(head(View::Cores, Notation::JsonLines)), "");
    }
}
