//! Formats rows of cells as CSV. Every export uses this writer.
//!
//! The format is RFC 4180, except that a line ends with a line feed only, as in other text files on Unix. NULL is an
//! empty field.

use std::{borrow::Cow, io};

use csv::WriterBuilder;

use super::cell::Cell;

/// How to write a text that a spreadsheet would take for a formula.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Formulas {
    /// With an apostrophe before it, which makes it plain text.
    Disarmed,
    /// Unchanged, for other programs.
    Raw,
}

/// A spreadsheet takes a text that starts with one of these for a formula (OWASP, "CSV Injection"). Texts come from
/// clients, which are not trusted.
const FORMULA: [char; 7] = ['=', '+', '-', '@', '\t', '\r', '\n'];

/// The header line.
///
/// # Errors
/// None in practice: the text is written to memory.
pub fn header(names: impl IntoIterator<Item = &'static str>) -> io::Result<String> {
    write([names.into_iter().map(Cow::Borrowed)])
}

/// One line for each row.
///
/// # Errors
/// None if all rows have the same length.
pub fn lines<'a, R: IntoIterator<Item = &'a Cell>>(
    rows: impl IntoIterator<Item = R>,
    formulas: Formulas,
) -> io::Result<String> {
    write(rows.into_iter().map(|row| row.into_iter().map(move |cell| field(cell, formulas))))
}

fn write<'a, R: Iterator<Item = Cow<'a, str>>>(records: impl IntoIterator<Item = R>) -> io::Result<String> {
    let mut writer = WriterBuilder::new().from_writer(Vec::new());
    for record in records {
        writer.write_record(record.map(Cow::into_owned).map(String::into_bytes)).map_err(io::Error::other)?;
    }
    let bytes = writer.into_inner().map_err(|error| io::Error::other(error.to_string()))?;
    String::from_utf8(bytes).map_err(io::Error::other)
}

fn field(cell: &Cell, formulas: Formulas) -> Cow<'_, str> {
    match cell {
        Cell::Null => Cow::Borrowed(""),
        Cell::Integer(number) => Cow::Owned(number.to_string()),
        // As SQLite and JSON show it: 12.0.
        Cell::Real(number) => Cow::Owned(format!("{number:?}")),
        Cell::Text(text) if formulas == Formulas::Disarmed && text.starts_with(FORMULA) => {
            Cow::Owned(format!("'{text}"))
        }
        Cell::Text(text) => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            let found = (&*field(&cell, Formulas::Disarmed), &*field(&cell, Formulas::Raw));
            assert_eq!(found, (disarmed, raw), "{cell:?}");
        }
    }

    #[test]
    fn a_field_holds_any_text() {
        for (text, expected) in [
            ("web-1", "web-1\n"),
            ("", "\"\"\n"),
            ("a,b", "\"a,b\"\n"),
            ("say \"hi\"", "\"say \"\"hi\"\"\"\n"),
            ("two\nlines", "\"two\nlines\"\n"),
            ("a\rb", "\"a\rb\"\n"),
            ("=cmd(),\"x\"", "\"'=cmd(),\"\"x\"\"\"\n"),
        ] {
            assert_eq!(lines([&[Cell::Text(text.into())]], Formulas::Disarmed).unwrap(), expected, "{text:?}");
        }
    }
}
