//! What `fleetsweep help` prints: the list of topics, or one page as plain text.

use std::{fmt::Write as _, io};

use super::{
    pages::{self, PAGES},
    plain::plain,
};

/// The widest line of a page.
const WIDEST: u16 = 100;
/// The width if standard output is no terminal.
const USUAL: u16 = 80;
/// The narrowest line.
const NARROWEST: u16 = 40;

/// The name of the page about a topic; `None` if there is none.
pub(super) fn page(topic: &str) -> Option<&'static str> {
    pages::find(topic).map(|page| page.name)
}

/// Whether a page has exactly this name.
pub(super) fn is_page(topic: &str) -> bool {
    PAGES.iter().any(|page| page.name == topic)
}

/// The names of all pages.
pub(super) fn names() -> Vec<&'static str> {
    PAGES.iter().map(|page| page.name).collect()
}

/// Writes a page, or the list of pages. `columns` is the width of the terminal.
///
/// # Errors
/// Those of the writer.
pub fn write_help(name: Option<&str>, columns: Option<u16>, out: &mut dyn io::Write) -> io::Result<()> {
    let width = usize::from(columns.unwrap_or(USUAL).clamp(NARROWEST, WIDEST));
    let text = match name.and_then(pages::find) {
        Some(page) => plain(page.text, width),
        None => list(),
    };
    out.write_all(text.as_bytes())
}

fn list() -> String {
    let mut text = String::from("Topics, for `fleetsweep help TOPIC`:\n\n");
    let widest = PAGES.iter().map(|page| page.name.len()).max().unwrap_or_default();
    for page in &PAGES {
        // Writing to a string does not fail.
        let _ = writeln!(text, "  {:widest$}  {}", page.name, page.title());
    }
    text.push_str("\nThe options and commands: `fleetsweep --help`. One command: `fleetsweep COMMAND --help`.\n");
    text
}
