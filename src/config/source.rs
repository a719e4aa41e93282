//! The text of the file: where in it a finding lies, and lines of it that are fit to be shown. Not its
//! meaning: it works on files that are no XML at all.

use std::{cell::OnceCell, ops::Range, sync::Arc};

use unicode_width::UnicodeWidthChar as _;

use super::{
    diagnostic::{Diagnostic, Excerpt, Severity},
    mask::{self, MASK},
};

/// How much of a long line is shown on either side of the mark, in terminal columns.
const CONTEXT_COLUMNS: usize = 70;
/// The same in bytes, with room for secrets, whose masks are shorter, and for characters without width.
const CONTEXT_BYTES: usize = 1000;
/// What a tab becomes.
const TAB: &str = "    ";

/// Something found at a place in the text, before the place is known as line and column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    /// Whether it stops the program.
    pub severity: Severity,
    /// Bytes of the text; `None` for the file as a whole.
    pub at: Option<Range<usize>>,
    /// What is wrong.
    pub problem: String,
    /// What to write instead.
    pub mend: String,
}

/// Everything found so far.
#[derive(Debug, Default)]
pub(super) struct Findings(Vec<Finding>);

impl Findings {
    /// Adds an error.
    pub(super) fn error(&mut self, at: Range<usize>, problem: impl Into<String>, mend: impl Into<String>) {
        self.0.push(Finding { severity: Severity::Error, at: Some(at), problem: problem.into(), mend: mend.into() });
    }

    /// Adds an error of the file as a whole.
    pub(super) fn error_of_file(&mut self, problem: impl Into<String>, mend: impl Into<String>) {
        self.0.push(Finding { severity: Severity::Error, at: None, problem: problem.into(), mend: mend.into() });
    }

    /// Adds a warning.
    pub(super) fn warning(&mut self, at: Range<usize>, problem: impl Into<String>, mend: impl Into<String>) {
        self.0.push(Finding { severity: Severity::Warning, at: Some(at), problem: problem.into(), mend: mend.into() });
    }

    /// How many errors there are.
    pub(super) fn errors(&self) -> usize {
        self.0.iter().filter(|finding| finding.severity == Severity::Error).count()
    }

    /// All as diagnostics in the order of the file: the errors and the warnings.
    pub(super) fn placed(mut self, source: &Source<'_>) -> (Vec<Diagnostic>, Vec<Diagnostic>) {
        self.0.sort_by_key(|finding| finding.at.as_ref().map(|at| at.start));
        let all = self.0.into_iter().map(|finding| source.diagnose(finding));
        all.partition(|diagnostic| diagnostic.severity == Severity::Error)
    }
}

/// The text of a file with its name.
#[derive(Debug)]
pub(super) struct Source<'a> {
    file: Arc<str>,
    text: &'a str,
    /// Where each line begins.
    lines: Vec<usize>,
    /// Secrets in it; sorted, apart from each other. Looked for when a line is first shown.
    secrets: OnceCell<Vec<Range<usize>>>,
}

impl<'a> Source<'a> {
    /// The text of the file `file`.
    pub(super) fn new(file: &str, text: &'a str) -> Self {
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(end, _)| end + 1)).collect();
        Self { file: file.into(), text, lines, secrets: OnceCell::new() }
    }

    /// The line in which a byte lies; counts from 1.
    pub(super) fn line_of(&self, offset: usize) -> usize {
        self.lines.partition_point(|&start| start <= offset)
    }

    fn diagnose(&self, Finding { severity, at, problem, mend }: Finding) -> Diagnostic {
        let file = Arc::clone(&self.file);
        let Some(at) = at else {
            return Diagnostic { severity, file, line: 0, column: 0, problem, mend, excerpt: None };
        };
        let line = self.line_of(at.start);
        let line_start = self.lines.get(line.saturating_sub(1)).copied().unwrap_or_default();
        let column = 1 + self.text.get(line_start..at.start).unwrap_or_default().chars().count();
        let excerpt = Some(self.excerpt(line_start, &at));
        Diagnostic { severity, file, line, column, problem, mend, excerpt }
    }

    /// The line that begins at `line_start`, with a mark under the part of `at` that lies in it.
    fn excerpt(&self, line_start: usize, at: &Range<usize>) -> Excerpt {
        // Of a very long line only the part that can be shown: a file may be one line, with many errors.
        let start = line_start.max(self.text.floor_char_boundary(at.start.saturating_sub(CONTEXT_BYTES)));
        let end = self.text.ceil_char_boundary(at.start.saturating_add(2 * CONTEXT_BYTES));
        let line = self.text.get(start..end).unwrap_or_default();
        let line = line.split('\n').next().unwrap_or_default().trim_end();
        let mut cells: Vec<Cell> = Vec::with_capacity(line.len());
        let mut masked: Option<&Range<usize>> = None;
        for (index, character) in line.char_indices() {
            let offset = start + index;
            let marked = at.contains(&offset);
            let secret = self.secret_at(offset);
            if secret.is_some() && secret == masked {
                // The mask stands for the whole secret already: it is marked if any part of it is.
                if marked {
                    cells.iter_mut().rev().take(MASK.len()).for_each(|cell| cell.marked = true);
                }
                continue;
            }
            masked = secret;
            let shown = match (secret, character) {
                (Some(_), _) => MASK.chars(),
                (None, '\t') => TAB.chars(),
                (None, other) => {
                    let character = if other.is_control() { '\u{fffd}' } else { other };
                    cells.push(Cell { character, marked });
                    continue;
                }
            };
            cells.extend(shown.map(|character| Cell { character, marked }));
        }
        windowed(&cells)
    }

    fn secret_at(&self, offset: usize) -> Option<&Range<usize>> {
        let secrets = self.secrets.get_or_init(|| mask::secrets(self.text));
        let after = secrets.partition_point(|secret| secret.start <= offset);
        let secret = secrets.get(after.checked_sub(1)?)?;
        secret.contains(&offset).then_some(secret)
    }
}

/// One shown character.
struct Cell {
    character: char,
    marked: bool,
}

impl Cell {
    fn width(&self) -> usize {
        self.character.width().unwrap_or(0)
    }
}

/// The cells as text with a mark, without what is far from the mark.
fn windowed(cells: &[Cell]) -> Excerpt {
    // Without a marked cell the mark stands behind the line's end: something is missing there.
    let first = cells.iter().position(|cell| cell.marked).unwrap_or(cells.len());
    let marked = cells.iter().skip(first).take_while(|cell| cell.marked).count();
    let whole = cells.len() <= 2 * CONTEXT_COLUMNS;
    let from = if whole { 0 } else { first.saturating_sub(CONTEXT_COLUMNS) };
    let until = if whole { cells.len() } else { first + marked.clamp(1, CONTEXT_COLUMNS) + CONTEXT_COLUMNS };

    let mut text = String::new();
    if from > 0 {
        text.push('…');
    }
    let mut indent = usize::from(from > 0);
    let mut width = 0;
    for (index, cell) in cells.iter().enumerate().take(until).skip(from) {
        text.push(cell.character);
        if index < first {
            indent += cell.width();
        } else if index < first + marked {
            width += cell.width();
        }
    }
    if until < cells.len() {
        text.push('…');
    }
    Excerpt { text, indent, width: width.max(1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, marked: &str, place: (usize, usize), shown: &str) {
        let start = text.find(marked).unwrap();
        let mut findings = Findings::default();
        findings.error(start..start + marked.len(), "problem", "mend");
        let (errors, _) = findings.placed(&Source::new("f.xml", text));
        assert_eq!((errors[0].line, errors[0].column), place, "{text}");
        let Excerpt { text: line, indent, width } = errors[0].excerpt.clone().unwrap();
        assert_eq!(format!("{line}\n{:indent$}{}", "", "^".repeat(width)), shown);
    }

    #[test]
    fn the_mark_stands_under_the_place_whatever_the_characters() {
        check("<a ip='1'/>", "1", (1, 8), "<a ip='1'/>\n       ^");
        check("first\n\t<a ip='12'/>\r\nlast", "12", (2, 9), "    <a ip='12'/>\n           ^^");
        check("<ä name='ö' ip='1'/>", "1", (1, 17), "<ä name='ö' ip='1'/>\n                ^");
        check("<漢 name='字' ip='1'/>", "1", (1, 17), "<漢 name='字' ip='1'/>\n                  ^");
        check("a\x1b[31m !", "!", (1, 8), "a\u{fffd}[31m !\n       ^");
        check("spans\nlines", "ans\nlin", (1, 3), "spans\n  ^^^");
    }

    #[test]
    fn a_secret_is_masked_and_the_mark_stays_right() {
        check("<a password='geheim' ip='1'/>", "1", (1, 26), "<a password='***' ip='1'/>\n                      ^");
        check("<a password='geheim'/>", "heim", (1, 16), "<a password='***'/>\n             ^^^");
    }

    #[test]
    fn a_long_line_is_cut_around_the_mark() {
        let text = format!("{}!{}", "a".repeat(500), "b".repeat(500));
        let shown = format!("…{}!{}…\n{}^", "a".repeat(70), "b".repeat(70), " ".repeat(71));
        check(&text, "!", (1, 501), &shown);
    }
}
