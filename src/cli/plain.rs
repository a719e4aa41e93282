//! Prints Markdown as plain text: the part of Markdown that the pages in `docs/` use. Tables become lists, because their
//! cells are longer than a line of a terminal.

use unicode_width::UnicodeWidthStr as _;

/// A page as plain text. Lines are at most `width` columns wide, except in examples and for words that are longer.
pub(super) fn plain(markdown: &str, width: usize) -> String {
    let mut printer = Printer { width, ..Printer::default() };
    let mut is_example = false;
    for line in markdown.lines() {
        if line.starts_with("```") {
            printer.end_paragraph();
            is_example = !is_example;
        } else if is_example {
            printer.line(&format!("    {line}"));
        } else {
            printer.read(line);
        }
    }
    printer.end_paragraph();
    let mut text = printer.text.trim_end().to_owned();
    text.push('\n');
    text
}

#[derive(Default)]
struct Printer {
    text: String,
    width: usize,
    /// The text that is not printed yet, with the first columns of its first line and of the others.
    paragraph: Option<(String, &'static str, &'static str)>,
    /// The heading of the table that is being read.
    columns: Option<Vec<String>>,
}

impl Printer {
    fn read(&mut self, line: &str) {
        if line.starts_with('|') {
            self.row(&cells(line));
            return;
        }
        self.columns = None;
        let words = line.trim();
        if words.is_empty() {
            self.end_paragraph();
            self.blank();
        } else if words.starts_with("![") {
            // A picture.
            self.end_paragraph();
        } else if let Some(heading) = line.strip_prefix('#') {
            self.end_paragraph();
            let heading = inline(heading.trim_start_matches('#').trim());
            self.blank();
            self.line(&heading);
            self.line(&"=".repeat(heading.width()));
        } else if let Some(item) = line.strip_prefix("* ") {
            self.begin(item, "* ", "  ");
        } else if let Some((number, item)) = numbered(line) {
            self.begin(&format!("{number}. {item}"), "", "   ");
        } else {
            match &mut self.paragraph {
                Some((text, ..)) => {
                    text.push(' ');
                    text.push_str(words);
                }
                None => self.begin(words, "", ""),
            }
        }
    }

    /// A row of a table: its first cell, and below it the others, each after the heading of its column.
    fn row(&mut self, cells: &[String]) {
        self.end_paragraph();
        let is_picture = cells.iter().any(|cell| cell.starts_with("!["));
        let is_rule = cells.iter().all(|cell| !cell.is_empty() && cell.chars().all(|char| char == '-'));
        if is_picture || is_rule {
            return;
        }
        let Some(columns) = self.columns.clone() else {
            self.columns = Some(cells.to_vec());
            return;
        };
        let Some((first, others)) = cells.split_first() else { return };
        if first.is_empty() {
            self.begin("-", "", "");
        } else {
            self.begin(first, "", "  ");
        }
        for (cell, column) in others.iter().zip(columns.iter().skip(1)).filter(|(cell, _)| !cell.is_empty()) {
            let text = if column.is_empty() || others.len() == 1 { cell.clone() } else { format!("{column}: {cell}") };
            self.begin(&text, "    ", "      ");
        }
        self.end_paragraph();
        self.blank();
    }

    fn begin(&mut self, text: &str, first: &'static str, others: &'static str) {
        self.end_paragraph();
        self.paragraph = Some((text.to_owned(), first, others));
    }

    fn end_paragraph(&mut self) {
        let Some((text, first, others)) = self.paragraph.take() else { return };
        let mut line = first.to_owned();
        let mut is_begun = false;
        for word in inline(&text).split_whitespace() {
            if is_begun && line.width() + 1 + word.width() > self.width {
                self.line(&line);
                line = others.to_owned();
                is_begun = false;
            }
            if is_begun {
                line.push(' ');
            }
            line.push_str(word);
            is_begun = true;
        }
        self.line(&line);
    }

    fn line(&mut self, line: &str) {
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }

    fn blank(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with("\n\n") {
            self.text.push('\n');
        }
    }
}

/// The number and the text of an item of a numbered list.
fn numbered(line: &str) -> Option<(u32, &str)> {
    let (number, item) = line.split_once(". ")?;
    Some((number.parse().ok()?, item))
}

/// The cells of a row. `\|` is a bar inside a cell.
fn cells(row: &str) -> Vec<String> {
    let row = row.replace("\\|", "\0");
    let inside = row.trim().trim_start_matches('|');
    let inside = inside.strip_suffix('|').unwrap_or(inside);
    inside.split('|').map(|cell| cell.trim().replace('\0', "|")).collect()
}

/// Text without the marks of Markdown: links are their text, emphasis is dropped, code stays between backticks.
fn inline(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    // Every second part is code.
    for (number, part) in text.split('`').enumerate() {
        if number % 2 == 1 {
            plain.push('`');
            plain.push_str(part);
            plain.push('`');
        } else {
            plain.push_str(
                &part
                    .replace("**", "")
                    .replace("\\<", "<")
                    .replace("&lt;", "<")
                    .replace("&gt;", ">")
                    .replace("&amp;", "&"),
            );
        }
    }
    without_links(&plain)
}

/// `[text](target)` becomes `text`, with the target if it is an address in the web.
fn without_links(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("](") {
        let (Some((lead, label)), Some((target, tail))) = (before.rsplit_once('['), after.split_once(')')) else {
            plain.push_str(before);
            plain.push_str("](");
            rest = after;
            continue;
        };
        plain.push_str(lead);
        plain.push_str(label);
        if target.contains("://") {
            plain.push_str(&format!(" ({target})"));
        }
        rest = tail;
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markdown_becomes_plain_text() {
        let check = |markdown, expected| assert_eq!(plain(markdown, 30), expected, "{markdown}");
        check(
            "# A *title*\n\nText `a_b` **bold**\nand more of it.\n",
            "A *title*\n=========\n\nText `a_b` bold and more of\nit.\n",
        );
        check("* one\n* two is longer than\n  one line\n", "* one\n* two is longer than one line\n");
        check("1. one\n2. two is longer than a line is wide\n", "1. one\n2. two is longer than a line\n   is wide\n");
        check("```sh\nrun  `it` | less\n```\nafter\n", "    run  `it` | less\nafter\n");
        check(
            "| a | value | |\n| --- | --- | --- |\n| `x` | 1 \\| 2 | why |\n| y | | |\n",
            "`x`\n    value: 1 | 2\n    why\n\ny\n",
        );
        check("see [the page](x.md#y) and [age](https://a.org).\n", "see the page and age\n(https://a.org).\n");
        check("![picture](a.svg)\n\na&lt;b \\<c> `&lt;`\n", "a<b <c> `&lt;`\n");
        check("an [open bracket](x", "an [open bracket](x\n");
        check("", "\n");
    }
}
