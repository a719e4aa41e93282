//! The text of the file: converts offsets to lines and columns, and prepares source lines for messages. Only the parts
//! of a line that the parser marked as harmless are shown. It does not interpret the text, so it also works for files
//! that are not XML.

use std::{ops::Range, sync::Arc};

use unicode_width::UnicodeWidthChar as _;

use super::{
    diagnostic::{Diagnostic, Excerpt, Severity},
    safe_text::{HIDDEN, SafeText},
};

/// How much of a long line is shown on either side of the mark, in terminal columns.
const CONTEXT_COLUMNS: usize = 70;
/// The same in bytes. It is larger, because placeholders are shorter than the hidden text and some characters have no
/// width.
const CONTEXT_BYTES: usize = 1000;
/// The replacement for a tab.
const TAB: &str = "    ";

/// An error or warning at a byte range of the text, before it is converted to line and column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    /// Whether it prevents the program from running.
    pub severity: Severity,
    /// The bytes of the text; `None` for the file as a whole.
    pub at: Option<Range<usize>>,
    /// What is wrong.
    pub problem: SafeText,
    /// What to write instead.
    pub hint: SafeText,
}

/// The errors and warnings so far, and what may be shown.
#[derive(Debug, Default)]
pub(super) struct Findings {
    found: Vec<Finding>,
    /// The byte ranges of the text that may be shown.
    harmless: Vec<Range<usize>>,
    /// Up to this offset, a value may be part of another one whose quotes are malformed.
    doubtful_until: usize,
}

impl Findings {
    /// Adds an error.
    pub(super) fn error(&mut self, at: Range<usize>, problem: impl Into<SafeText>, hint: impl Into<SafeText>) {
        self.found.push(Finding {
            severity: Severity::Error,
            at: Some(at),
            problem: problem.into(),
            hint: hint.into(),
        });
    }

    /// Adds an error of the file as a whole.
    pub(super) fn error_of_file(&mut self, problem: impl Into<SafeText>, hint: impl Into<SafeText>) {
        self.found.push(Finding { severity: Severity::Error, at: None, problem: problem.into(), hint: hint.into() });
    }

    /// Adds a warning.
    pub(super) fn warning(&mut self, at: Range<usize>, problem: impl Into<SafeText>, hint: impl Into<SafeText>) {
        self.found.push(Finding {
            severity: Severity::Warning,
            at: Some(at),
            problem: problem.into(),
            hint: hint.into(),
        });
    }

    /// Adds a warning about the file as a whole.
    pub(super) fn warning_of_file(&mut self, problem: impl Into<SafeText>, hint: impl Into<SafeText>) {
        self.found.push(Finding { severity: Severity::Warning, at: None, problem: problem.into(), hint: hint.into() });
    }

    /// The number of errors.
    pub(super) fn errors(&self) -> usize {
        self.found.iter().filter(|finding| finding.severity == Severity::Error).count()
    }

    /// Marks a known name or a punctuation character as safe to show.
    pub(super) fn show(&mut self, at: Range<usize>) {
        match self.harmless.last_mut() {
            Some(last) if last.end == at.start => last.end = at.end,
            Some(_) | None => self.harmless.push(at),
        }
    }

    /// Marks a value of a harmless type as safe to show, unless the quotes around it are malformed.
    pub(super) fn show_value(&mut self, at: Range<usize>) {
        if at.start >= self.doubtful_until {
            self.show(at);
        }
    }

    /// Notes that up to this byte it is uncertain which text is a value.
    pub(super) fn doubt_until(&mut self, end: usize) {
        self.doubtful_until = self.doubtful_until.max(end);
    }

    /// The errors and the warnings as diagnostics, each in the order of the file.
    pub(super) fn placed(mut self, source: &Source<'_>) -> (Vec<Diagnostic>, Vec<Diagnostic>) {
        self.found.sort_by_key(|finding| finding.at.as_ref().map(|at| at.start));
        self.harmless.sort_by_key(|range| range.start);
        let all = self.found.into_iter().map(|finding| source.diagnose(finding, &self.harmless));
        all.partition(|diagnostic| diagnostic.severity == Severity::Error)
    }
}

/// The text of a file with its name.
#[derive(Debug)]
pub(super) struct Source<'a> {
    file: Arc<str>,
    text: &'a str,
    /// The offset of the start of each line.
    lines: Vec<usize>,
}

impl<'a> Source<'a> {
    /// The text of the file `file`.
    pub(super) fn new(file: &str, text: &'a str) -> Self {
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(end, _)| end + 1)).collect();
        Self { file: file.into(), text, lines }
    }

    /// The line number of a byte, from 1.
    pub(super) fn line_of(&self, offset: usize) -> usize {
        self.lines.partition_point(|&start| start <= offset)
    }

    fn diagnose(&self, Finding { severity, at, problem, hint }: Finding, harmless: &[Range<usize>]) -> Diagnostic {
        let file = Arc::clone(&self.file);
        let Some(at) = at else {
            return Diagnostic { severity, file, line: 0, column: 0, problem, hint, excerpt: None };
        };
        let line = self.line_of(at.start);
        let line_start = self.lines.get(line.saturating_sub(1)).copied().unwrap_or_default();
        let column = 1 + self.text.get(line_start..at.start).unwrap_or_default().chars().count();
        let excerpt = Some(self.excerpt(line_start, &at, harmless));
        Diagnostic { severity, file, line, column, problem, hint, excerpt }
    }

    /// The line that starts at `line_start`, with a mark under the part of `at` that is in it. Text that is not
    /// harmless is replaced by a placeholder of fixed length.
    fn excerpt(&self, line_start: usize, at: &Range<usize>, harmless: &[Range<usize>]) -> Excerpt {
        // Only the part of a very long line that is shown is processed: a file may be a single line with many errors.
        let start = line_start.max(self.text.floor_char_boundary(at.start.saturating_sub(CONTEXT_BYTES)));
        let end = self.text.ceil_char_boundary(at.start.saturating_add(2 * CONTEXT_BYTES));
        let line = self.text.get(start..end).unwrap_or_default();
        let line = line.split('\n').next().unwrap_or_default().trim_end();
        // If something is missing, the range is empty, and the mark is under the character after it.
        let at = at.start..at.end.max(at.start + 1);
        let mut shown = Shown { cells: Vec::with_capacity(line.len()), hidden: None };
        for (index, character) in line.char_indices() {
            let offset = start + index;
            let marked = at.contains(&offset);
            if is_in(harmless, offset) {
                shown.harmless(character, marked);
            } else if character.is_whitespace() {
                shown.blank(character, marked);
            } else {
                shown.hide(marked);
            }
        }
        windowed(&shown.finish())
    }
}

/// Whether one of these sorted ranges contains a byte.
fn is_in(ranges: &[Range<usize>], offset: usize) -> bool {
    let after = ranges.partition_point(|range| range.start <= offset);
    after.checked_sub(1).and_then(|index| ranges.get(index)).is_some_and(|range| range.contains(&offset))
}

/// A line while secrets are being hidden.
struct Shown {
    cells: Vec<Cell>,
    /// Hidden text and the blanks after it so far.
    hidden: Option<Hidden>,
}

/// A run of hidden text. It includes the blanks inside it, because a secret may have several words.
struct Hidden {
    marked: bool,
    blanks: Vec<Cell>,
}

impl Shown {
    fn harmless(&mut self, character: char, marked: bool) {
        self.end_run();
        self.push(character, marked);
    }

    fn blank(&mut self, character: char, marked: bool) {
        match &mut self.hidden {
            Some(run) => run.blanks.extend(cells(character, marked)),
            None => self.push(character, marked),
        }
    }

    fn hide(&mut self, marked: bool) {
        let run = self.hidden.get_or_insert(Hidden { marked: false, blanks: Vec::new() });
        let blanks = std::mem::take(&mut run.blanks);
        run.marked |= marked || blanks.iter().any(|blank| blank.marked);
    }

    fn push(&mut self, character: char, marked: bool) {
        self.cells.extend(cells(character, marked));
    }

    fn end_run(&mut self) {
        if let Some(Hidden { marked, blanks }) = self.hidden.take() {
            self.cells.extend(HIDDEN.chars().map(|character| Cell { character, marked }));
            self.cells.extend(blanks);
        }
    }

    fn finish(mut self) -> Vec<Cell> {
        self.end_run();
        self.cells
    }
}

/// The shown form of a character.
fn cells(character: char, marked: bool) -> impl Iterator<Item = Cell> {
    let (text, character) = match character {
        '\t' => (TAB, None),
        other => ("", Some(if other.is_control() { '\u{fffd}' } else { other })),
    };
    text.chars().chain(character).map(move |character| Cell { character, marked })
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

/// The cells as text with a mark, cut around the mark.
fn windowed(cells: &[Cell]) -> Excerpt {
    // Without a marked cell, the mark is after the end of the line, because something is missing there.
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

    /// Checks what is shown of `text` if only these pieces are harmless, and where the mark is.
    fn check(text: &str, harmless: &[&str], marked: &str, place: (usize, usize), shown: &str) {
        let find = |piece: &str| {
            let start = text.find(piece).unwrap();
            start..start + piece.len()
        };
        let mut findings = Findings::default();
        findings.error(find(marked), "problem", "hint");
        for piece in harmless {
            findings.show(find(piece));
        }
        let (errors, _) = findings.placed(&Source::new("f.xml", text));
        assert_eq!((errors[0].line, errors[0].column), place, "{text}");
        let Excerpt { text: line, indent, width } = errors[0].excerpt.clone().unwrap();
        assert_eq!(format!("{line}\n{:indent$}{}", "", "^".repeat(width)), shown, "{text}");
    }

    #[test]
    fn the_mark_stands_under_the_place_whatever_the_characters() {
        check("<a ip='1'/>", &["<a ip='1'/>"], "1", (1, 8), "<a ip='1'/>\n       ^");
        check("first\n\t<a ip='12'/>\r\nlast", &["<a ip='12'/>"], "12", (2, 9), "    <a ip='12'/>\n           ^^");
        check("<漢 ip='1'/>", &["<漢 ip='1'/>"], "1", (1, 8), "<漢 ip='1'/>\n        ^");
        check("a\x1b[31m !", &["a\x1b[31m !"], "!", (1, 8), "a\u{fffd}[31m !\n       ^");
        check("spans\nlines", &["spans"], "ans\nlin", (1, 3), "spans\n  ^^^");
    }

    #[test]
    fn what_is_not_harmless_is_hidden_and_the_mark_stays_right() {
        check(
            "<a pw='geheim' ip='1'/>",
            &["<a pw='", "' ip='1'/>"],
            "1",
            (1, 20),
            "<a pw='***' ip='1'/>\n                ^",
        );
        check("<a pw='ge he im'/>", &["<a pw='", "'/>"], "im", (1, 14), "<a pw='***'/>\n       ^^^");
        check("<a pw='geheim'/>", &[], "<a", (1, 1), "***\n^^^");
        check("geheim geheim <a/> geheim ", &["<a/>"], "<a", (1, 15), "*** <a/> ***\n    ^^");
        check("  geheim\tgeheim", &[], "\t", (1, 9), "  ***\n  ^^^");
        // An empty range at the end of the line.
        check("<a ip=", &["<a ip="], "", (1, 1), "<a ip=\n^");
    }

    #[test]
    fn a_long_line_is_cut_around_the_mark() {
        let text = format!("{}!{}", "a".repeat(500), "b".repeat(500));
        let shown = format!("…{}!{}…\n{}^", "a".repeat(70), "b".repeat(70), " ".repeat(71));
        check(&text, &[&text], "!", (1, 501), &shown);
        check(&text, &["!"], "!", (1, 501), "***!***\n   ^");
    }
}
