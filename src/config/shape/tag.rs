//! One start tag: its name and attributes, each with its place, or what is wrong with its quotes,
//! equal signs and brackets; and what of it may be shown. Not the nesting of elements.

use std::ops::Range;

use quick_xml::{
    XmlVersion,
    events::attributes::{AttrError, Attribute as RawAttribute, Attributes},
};

use super::tree::{Attribute, Element, Placed};
use crate::config::{
    safe_text::{self, SafeText, words},
    schema,
    source::Findings,
};

/// What word processors and chat programs make of quotes.
const TYPOGRAPHIC: [char; 15] = ['‘', '’', '‚', '‛', '“', '”', '„', '‟', '«', '»', '‹', '›', '`', '´', '″'];

/// Reads the start tag at `at`. Where its end is missing, so that it swallowed the next tag, also
/// returns where that one begins.
pub(super) fn read(text: &str, at: Range<usize>, findings: &mut Findings) -> (Element, Option<usize>) {
    let raw = text.get(at.clone()).unwrap_or_default();
    let inner = raw.strip_prefix('<').unwrap_or(raw);
    let swallowed = next_tag(inner);
    let (inner, read_on) = match swallowed {
        Some(length) => (inner.get(..length).unwrap_or_default(), Some(at.start + 1 + length)),
        None => {
            let inner = inner.strip_suffix('>').unwrap_or(inner);
            (inner.strip_suffix('/').unwrap_or(inner), None)
        }
    };
    let has_end = swallowed.is_none() && raw.ends_with('>');
    let name_length = inner.find(|c: char| c.is_whitespace() || c == '/').unwrap_or(inner.len());
    let name = inner.get(..name_length).unwrap_or_default();
    let name_at = at.start + 1..at.start + 1 + name_length;
    if is_name(name) && safe_text::element_name(name).is_some() {
        findings.show(at.start..name_at.end);
    }
    let mut tag = Tag {
        findings,
        inner,
        base: at.start + 1,
        element: Element {
            name: Placed { text: name.to_owned(), at: name_at.clone() },
            attributes: Vec::new(),
            children: Vec::new(),
            sound: true,
            may_be_empty: !has_end,
        },
    };
    if !is_name(name) {
        tag.findings.error(
            at.start..name_at.end,
            "`<` is not followed by the name of an element",
            "write the name directly behind it, or `&lt;` for the character itself",
        );
        tag.element.sound = false;
    } else if has_end {
        tag.attributes(name_length);
    } else {
        tag.endless(name_length);
    }
    let element = tag.element;
    let own_end = at.start + 1 + inner.trim_end().len();
    if element.sound && has_end {
        findings.show(at.start + 1 + inner.len()..at.end);
    } else {
        let line_end =
            text.get(own_end..).and_then(|rest| rest.find('\n')).map_or(text.len(), |length| own_end + length);
        findings.doubt_until(line_end);
    }
    (element, read_on)
}

/// Whether an XML name.
fn is_name(text: &str) -> bool {
    text.chars().next().is_some_and(|c| c.is_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_alphanumeric() || "_-.:".contains(c))
}

/// Where, inside a tag, clearly another one begins. A `<` before anything else is taken for a character
/// of a value that should have been written `&lt;`.
fn next_tag(inner: &str) -> Option<usize> {
    inner.match_indices('<').map(|(offset, _)| offset).find(|offset| {
        let after = inner.get(offset + 1..).unwrap_or_default();
        let name = after.trim_start_matches('/').split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
        after.starts_with("!--") || schema::element(name).is_some()
    })
}

/// Whether the text ends like ` name=`: then the quote behind it opens a value, and an earlier one was
/// never closed.
fn ends_like_an_attribute(value: &str) -> bool {
    value.trim_end().strip_suffix('=').is_some_and(|before| {
        let before = before.trim_end();
        let name = before.rsplit(char::is_whitespace).next().unwrap_or_default();
        is_name(name) && name.len() < before.len()
    })
}

/// The tag while it is read.
struct Tag<'a> {
    findings: &'a mut Findings,
    /// From behind `<` to before `>` or `/>`.
    inner: &'a str,
    /// Where `inner` begins in the file.
    base: usize,
    element: Element,
}

impl Tag<'_> {
    fn broken(&mut self, at: Range<usize>, problem: impl Into<SafeText>, hint: impl Into<SafeText>) {
        self.findings.error(self.base + at.start..self.base + at.end, problem, hint);
        self.element.sound = false;
    }

    /// Marks the name of an attribute, with the signs up to `end`, as fit to be shown. Where the tag is broken
    /// before it, the name must be known to the letter.
    fn show_name(&mut self, at: Range<usize>, end: usize) {
        let name = self.inner.get(at.clone()).unwrap_or_default();
        let known = schema::attribute_names().any(|known| known == name);
        if known || self.element.sound && safe_text::attribute_name(name).is_some() {
            self.findings.show(self.base + at.start..self.base + end);
        }
    }

    /// The same for the name before `=` and whatever stands at this offset.
    fn show_name_before(&mut self, offset: usize, end: usize) {
        let before = self.inner.get(..offset).unwrap_or_default().trim_end();
        let Some(before) = before.strip_suffix('=').map(str::trim_end) else { return };
        let name = before.rsplit(char::is_whitespace).next().unwrap_or_default();
        self.show_name(before.len() - name.len()..before.len(), end);
    }

    /// The text of `inner` from an offset.
    fn from(&self, offset: usize) -> &str {
        self.inner.get(offset..).unwrap_or_default()
    }

    /// Whether the name at this offset has a space before it. What has none may be the rest of a secret.
    fn is_separated(&self, offset: usize) -> bool {
        self.inner.get(..offset).is_some_and(|before| before.ends_with(char::is_whitespace))
    }

    /// The same for a name with its value in quotes, the first of them at this offset; the value only where it is
    /// of a harmless type and ends where the attribute does.
    fn show_pair(&mut self, open: usize, value: &str) {
        self.show_name_before(open, open + 1);
        let before = self.inner.get(..open).unwrap_or_default().trim_end().trim_end_matches('=').trim_end();
        let name = before.rsplit(char::is_whitespace).next().unwrap_or_default();
        let end = open + 1 + value.len();
        let ends = self.from(end + 1).chars().next().is_none_or(char::is_whitespace);
        if !ends {
            return;
        }
        if self.shows(name, value) {
            self.findings.show_value(self.base + open + 1..self.base + end);
        }
        self.findings.show(self.base + end..self.base + end + 1);
    }

    /// Whether the value of an attribute may be shown.
    fn shows(&self, name: &str, value: &str) -> bool {
        let kind = schema::kind_of(&self.element.name.text, name);
        self.element.sound && kind.is_some_and(|kind| safe_text::in_any_state(kind, value))
    }

    /// A tag without an end: which quote or bracket is missing?
    fn endless(&mut self, name_length: usize) {
        let inner = self.inner;
        let mut offset = name_length;
        while let Some(open) = self.from(offset).find(['"', '\'']) {
            let open = offset + open;
            if !self.inner.get(..open).is_some_and(|before| before.trim_end().ends_with('=')) {
                self.broken(
                    open..open + 1,
                    "this quote opens no value",
                    "write a quote in a value as `&quot;` or `&apos;`",
                );
                return;
            }
            let value = inner.get(open + 1..).unwrap_or_default();
            let quote = if self.from(open).starts_with('"') { '"' } else { '\'' };
            let closed = value.split_once(quote).map_or(value, |(closed, _)| closed);
            if closed.len() == value.len() || ends_like_an_attribute(closed) {
                self.unclosed(open, closed);
                return;
            }
            self.show_pair(open, closed);
            offset = open + 1 + closed.len() + 1;
        }
        let problem = words![safe_text::tag(&self.element.name.text), " is not closed"];
        self.broken(0..name_length, problem, "write `>` or `/>` at its end");
    }

    /// A value whose opening quote, at this offset, has no partner. `value` may hold what comes after it.
    fn unclosed(&mut self, open: usize, value: &str) {
        let typographic = value.chars().any(|c| TYPOGRAPHIC.contains(&c));
        let problem = if typographic {
            "this value is closed by a typographic quote"
        } else {
            "the quote that opens this value is not closed"
        };
        self.show_name_before(open, open + 1);
        self.broken(open..open + 1, problem, "write the same plain quote where it ends");
    }

    /// Every attribute from an offset on.
    fn attributes(&mut self, offset: usize) {
        let mut next = Some(offset);
        while let Some(offset) = next {
            next = self.attributes_until_trouble(offset);
        }
    }

    /// The attributes from an offset on; where one is malformed and another may follow, its offset.
    fn attributes_until_trouble(&mut self, offset: usize) -> Option<usize> {
        let inner = self.inner;
        // Duplicates are found here: the iterator does not recover well behind one.
        for attribute in Attributes::new(inner, offset).with_checks(false) {
            match attribute {
                Ok(raw) => self.attribute(&raw)?,
                Err(AttrError::UnquotedValue(at)) => return self.unquoted(at),
                Err(AttrError::ExpectedEq(at)) => {
                    let key_end = inner.get(..at).unwrap_or_default().trim_end().len();
                    let key = inner.get(..key_end).and_then(|before| before.rsplit(char::is_whitespace).next());
                    let key = key.unwrap_or_default();
                    let (problem, hint) = if !is_name(key) || !self.is_separated(key_end - key.len()) {
                        ("this is no attribute".into(), "write `name=\"value\"`; a quote in a value is `&quot;`")
                    } else {
                        self.show_name(key_end - key.len()..key_end, key_end);
                        let problem = words![safe_text::attribute(key), " has no value"];
                        (problem, "write `=` and the value in quotes behind it")
                    };
                    self.broken(key_end - key.len()..key_end, problem, hint);
                    return None;
                }
                Err(AttrError::ExpectedValue(at)) => {
                    self.show_name_before(at, at);
                    self.broken(at..at, "a value is missing behind `=`", "write it in quotes");
                    return None;
                }
                Err(AttrError::ExpectedQuote(at, _)) => {
                    self.unclosed(at, "");
                    return None;
                }
                Err(AttrError::Duplicated(at, _)) => {
                    self.broken(at..at, "this attribute is written twice", "remove one");
                    return None;
                }
            }
        }
        None
    }

    /// One well-formed attribute; `None` where what follows it cannot be trusted.
    fn attribute(&mut self, raw: &RawAttribute<'_>) -> Option<()> {
        let name = raw.key.as_ref();
        let value = raw.value.as_ref();
        let name_at = offset_in(self.inner, name);
        let value_at = offset_in(self.inner, value);
        if !is_name(name) {
            self.broken(
                name_at..name_at + name.len(),
                "this is no name of an attribute",
                "write `name=\"value\"`, with a space before the name",
            );
            return None;
        }
        if !self.is_separated(name_at) {
            self.broken(
                name_at..name_at,
                "no space before this attribute",
                "write one; a quote in a value is `&quot;`",
            );
            return None;
        }
        if ends_like_an_attribute(value) {
            self.unclosed(value_at.saturating_sub(1), value);
            return None;
        }
        let at = self.base + value_at..self.base + value_at + value.len();
        self.show_name(name_at..name_at + name.len(), value_at);
        if value.contains('<') {
            self.findings.error(at.clone(), "a value holds `<`", "write `&lt;` for it");
            self.element.sound = false;
        }
        let secret = ["password", "passphrase"].contains(&name);
        if !secret && value.starts_with(TYPOGRAPHIC) && value.ends_with(TYPOGRAPHIC) {
            self.findings.error(
                at,
                words![
                    "the value of ",
                    safe_text::attribute(name),
                    " stands in typographic quotes inside the plain ones"
                ],
                "leave the plain quotes alone",
            );
            self.element.sound = false;
            return Some(());
        }
        if let Some(earlier) = self.element.attribute(name) {
            let name_at = self.base + name_at;
            let problem = words![safe_text::attribute(name), " is written twice in one element"];
            let hint = if secret || earlier.value.text == value { "remove one" } else { "keep the one you mean" };
            self.findings.error(name_at..name_at + name.len(), problem, hint);
            return Some(());
        }
        match raw.normalized_value(XmlVersion::Implicit1_0) {
            Ok(resolved) => {
                let verbatim = resolved.as_ref() == value;
                if verbatim && self.shows(name, value) {
                    self.findings.show_value(at.clone());
                }
                self.findings.show(at.end..at.end + 1);
                self.element.attributes.push(Attribute {
                    name: Placed { text: name.to_owned(), at: self.base + name_at..self.base + name_at + name.len() },
                    verbatim,
                    value: Placed { text: resolved.into_owned(), at },
                });
            }
            Err(_) => {
                // The library's error repeats a part of the value, which may be a secret.
                let ampersand = value_at + value.find('&').unwrap_or_default();
                self.broken(ampersand..ampersand + 1, "`&` begins an entity that is not known", "write `&amp;` for it");
            }
        }
        Some(())
    }

    /// A value without quotes, or with those of a word processor. Returns where to go on.
    fn unquoted(&mut self, at: usize) -> Option<usize> {
        self.show_name_before(at, at);
        let value = self.from(at);
        let opening = value.chars().next().filter(|c| TYPOGRAPHIC.contains(c));
        let Some(opening) = opening else {
            let length = value.find(char::is_whitespace).unwrap_or(value.len());
            self.broken(at..at + length, "this value is not in quotes", "write `\"` at both ends of it");
            return None;
        };
        let inside = self.from(at + opening.len_utf8());
        let closing = inside.find(|c: char| TYPOGRAPHIC.contains(&c) || c == '"' || c == '\'');
        let end = closing.map(|length| {
            let quote = inside.get(length..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
            at + opening.len_utf8() + length + quote
        });
        self.broken(
            at..end.unwrap_or(self.inner.len()),
            "this value stands in typographic quotes",
            "write the plain `\"` or `'` at both ends of it",
        );
        end
    }
}

/// Where `part`, a piece of `whole` itself and not a copy, begins in it.
fn offset_in(whole: &str, part: &str) -> usize {
    (part.as_ptr() as usize).saturating_sub(whole.as_ptr() as usize).min(whole.len())
}
