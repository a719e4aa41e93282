//! Parses XML text to a tree of elements in which every name and value has its position. Malformed XML is reported, and
//! parsing continues after it if possible. The meaning of elements is decided elsewhere; the tree contains unknown
//! elements too.

use std::ops::Range;

use quick_xml::{
    Reader,
    errors::{Error, IllFormedError, SyntaxError},
    events::Event,
};

use super::{
    safe_text::{self, SafeText, words},
    schema,
    source::Findings,
};

mod tag;
mod tree;

pub(super) use tree::{Attribute, Element};

/// The deepest nesting of elements. Groups may contain groups, but real files have only a few levels.
const DEEPEST: usize = 16;
/// Parsing stops after this many syntax errors.
const MOST_ERRORS: usize = 50;

/// Parses `text`. `None` if there is no root element, which is reported too.
pub(super) fn read(text: &str, findings: &mut Findings) -> Option<Element> {
    let mut tree = Tree { text, findings, open: Vec::new(), root: None };
    let mut from = 0;
    // Each iteration continues after a tag that has no end. The position always increases.
    while let Some(next) = tree.read_from(from) {
        from = next;
    }
    tree.finish()
}

/// The tree during parsing.
struct Tree<'a> {
    text: &'a str,
    findings: &'a mut Findings,
    /// The open elements, outermost first.
    open: Vec<Element>,
    root: Option<Element>,
}

impl Tree<'_> {
    /// Parses from an offset to the end. Returns the offset to continue at if a tag had no end.
    fn read_from(&mut self, base: usize) -> Option<usize> {
        let mut reader = Reader::from_str(self.text.get(base..).unwrap_or_default());
        let settings = reader.config_mut();
        // End tags and lone `&` characters are checked here and not by the library, to give better messages.
        settings.check_end_names = false;
        settings.allow_unmatched_ends = true;
        settings.allow_dangling_amp = true;
        settings.check_comments = true;
        let place = |offset: u64| base + usize::try_from(offset).unwrap_or(usize::MAX);
        loop {
            if self.findings.errors() >= MOST_ERRORS {
                return None;
            }
            let start = place(reader.buffer_position());
            let event = reader.read_event();
            let at = start..place(reader.buffer_position());
            let read_on = match event {
                Ok(Event::Start(_)) => self.begin(at, false),
                Ok(Event::Empty(_)) => self.begin(at, true),
                Ok(Event::End(_)) => {
                    self.end(at);
                    None
                }
                Ok(Event::Text(_) | Event::CData(_) | Event::GeneralRef(_)) => {
                    self.words(at);
                    None
                }
                Ok(Event::DocType(_)) => {
                    self.findings.error(at, "a DOCTYPE is not allowed here", "remove it");
                    None
                }
                Ok(Event::Comment(_) | Event::Decl(_) | Event::PI(_)) => None,
                Ok(Event::Eof) => return None,
                Err(Error::Syntax(
                    SyntaxError::UnclosedTag
                    | SyntaxError::UnclosedSingleQuotedAttributeValue
                    | SyntaxError::UnclosedDoubleQuotedAttributeValue,
                )) => return self.begin(place(reader.error_position())..self.text.len(), false),
                Err(error) => {
                    let at = place(reader.error_position());
                    self.malformed(at, &error);
                    // Only after an ill-formed construct is there an end at which parsing can continue.
                    if !matches!(error, Error::IllFormed(_)) {
                        return None;
                    }
                    None
                }
            };
            if read_on.is_some() {
                return read_on;
            }
            if self.open.len() > DEEPEST {
                let at = self.open.last().map_or(0..0, |element| element.name.at.clone());
                self.findings.error(at, "elements are nested too deeply", "close the elements before this one");
                self.open.clear();
                return None;
            }
        }
    }

    /// Reads a start tag or an empty element. Returns the offset to continue at if it has no end.
    fn begin(&mut self, at: Range<usize>, empty: bool) -> Option<usize> {
        let (element, read_on) = tag::read(self.text, at, self.findings);
        if empty && !element.may_be_empty {
            self.attach(element);
        } else {
            self.open.push(element);
        }
        read_on
    }

    /// Reads an end tag.
    fn end(&mut self, at: Range<usize>) {
        let raw = self.text.get(at.clone()).unwrap_or_default();
        let name = raw.trim_start_matches("</").trim_end_matches('>').trim();
        if safe_text::element_name(name).is_some() {
            self.findings.show(at.clone());
        }
        if let Some(depth) = self.open.iter().rposition(|element| element.name.text == name) {
            while self.open.len() > depth + 1 {
                self.close_unclosed();
            }
            self.close();
            return;
        }
        let Some(innermost) = self.open.last() else {
            self.findings.error(at, "this end tag has no start tag", "remove it or the end tag before it");
            return;
        };
        let open = &innermost.name.text;
        let known = schema::element(open).map(|kind| kind.name);
        let slip = known.filter(|open| schema::meant(name, [*open]).is_some());
        self.findings.error(
            at,
            words!["this end tag does not close ", safe_text::element(open)],
            slip.map_or_else(|| "remove it".into(), |open| words!["write `</", open, ">`"]),
        );
        let slip = slip.is_some();
        if slip {
            self.close();
        }
    }

    /// Treats the innermost open element, which has no end tag, as an empty one. Its children become its siblings.
    fn close_unclosed(&mut self) {
        let Some(mut element) = self.open.pop() else { return };
        if !element.may_be_empty {
            let name = &element.name.text;
            let hint = match (element.children.as_slice(), schema::element(name)) {
                ([], _) => "end its tag with `/>`".into(),
                (_, Some(kind)) => {
                    words!["write `</", kind.name, ">` where it ends, or end its tag with `/>` if it is empty"]
                }
                (_, None) => "write its end tag where it ends, or end its tag with `/>` if it is empty".into(),
            };
            self.findings.error(element.name.at.clone(), words![safe_text::element(name), " is not closed"], hint);
        }
        let neighbours = if self.open.is_empty() { Vec::new() } else { std::mem::take(&mut element.children) };
        self.attach(element);
        for neighbour in neighbours {
            self.attach(neighbour);
        }
    }

    fn close(&mut self) {
        if let Some(element) = self.open.pop() {
            self.attach(element);
        }
    }

    /// Adds a finished element to the innermost open one, or makes it the root.
    fn attach(&mut self, element: Element) {
        match (self.open.last_mut(), &self.root) {
            (Some(parent), _) => parent.children.push(element),
            (None, None) => self.root = Some(element),
            (None, Some(root)) => {
                let (name, root) = (safe_text::element(&element.name.text), safe_text::element(&root.name.text));
                self.findings.error(
                    element.name.at.clone(),
                    words![name, " is after the end of ", root],
                    words!["move it inside ", root, ", of which a file has one"],
                );
            }
        }
    }

    /// Text between tags, which is never allowed.
    fn words(&mut self, at: Range<usize>) {
        let raw = self.text.get(at.clone()).unwrap_or_default();
        let words = raw.trim();
        if words.is_empty() {
            return;
        }
        let start = at.start + (raw.len() - raw.trim_start().len());
        let at = start..start + words.len();
        // The text may be the rest of a value.
        let line_end = self.text.get(at.end..).and_then(|rest| rest.find('\n')).map_or(self.text.len(), |n| at.end + n);
        self.findings.doubt_until(line_end);
        // The message does not repeat the text: it may be a misplaced secret.
        let first = words.split(|c: char| c.is_whitespace() || "=>/".contains(c)).next().unwrap_or_default();
        match schema::element(first) {
            Some(kind) => {
                let name = kind.name;
                self.findings.error(at, words!["`<` is missing before `", name, "`"], words!["write `<", name, " …`"]);
            }
            None => self.findings.error(
                at,
                "text is not allowed here",
                "remove it, write it as an attribute, or make it a comment: `<!-- … -->`",
            ),
        }
    }

    /// Reports other errors of the XML library.
    fn malformed(&mut self, start: usize, error: &Error) {
        let end = self.text.len().min(start + 1);
        let end = if self.text.is_char_boundary(end) { end } else { start };
        // The library's messages are not used, because some of them quote the file.
        let (problem, hint): (SafeText, &str) = if let Error::Syntax(SyntaxError::UnclosedComment) = error {
            ("this comment is not closed".into(), "write `-->` where it ends")
        } else if let Error::Syntax(SyntaxError::InvalidBangMarkup) = error {
            ("`<!` does not start a comment".into(), "write a comment as `<!-- … -->`")
        } else if let Error::Syntax(SyntaxError::UnclosedDoctype) = error {
            ("a DOCTYPE is not allowed here, and this one is not closed".into(), "remove it")
        } else if let Error::Syntax(SyntaxError::UnclosedCData) = error {
            ("a CDATA section is not allowed here, and this one is not closed".into(), "remove it")
        } else if let Error::Syntax(SyntaxError::UnclosedPI | SyntaxError::UnclosedXmlDecl) = error {
            ("`<?` is not closed".into(), "write `?>` where it ends, or remove it")
        } else if let Error::IllFormed(IllFormedError::DoubleHyphenInComment) = error {
            (
                "this comment contains `--`, which XML forbids; perhaps an earlier comment is not closed".into(),
                "end every comment with `-->`, and write `- -` inside it",
            )
        } else {
            ("this is not valid XML".into(), "correct it here or just before")
        };
        self.findings.error(start..end, problem, hint);
    }

    /// The root after parsing.
    fn finish(mut self) -> Option<Element> {
        while !self.open.is_empty() {
            self.close_unclosed();
        }
        if self.root.is_none() && self.findings.errors() == 0 {
            self.findings.error_of_file("the file contains no element", "write `<config>` with a `<client>` in it");
        }
        self.root
    }
}

#[cfg(test)]
mod tests;
