//! Parses one start tag: its name and attributes with their positions, errors in quotes, equal signs and brackets, and
//! which parts may be shown. The nesting of elements is handled elsewhere.

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

/// The quotation marks of word processors and chat programs.
const TYPOGRAPHIC: [char; 15] = ['‘', '’', '‚', '‛', '“', '”', '„', '‟', '«', '»', '‹', '›', '`', '´', '″'];

/// Parses the start tag at `at`. If its end is missing, so that it includes the next tag, also returns the start of
/// that one.
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
            "`<` is not followed by an element name",
            "write the name directly after it, or `&lt;` for the character itself",
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

/// Whether a text is an XML name.
fn is_name(text: &str) -> bool {
    text.chars().next().is_some_and(|c| c.is_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_alphanumeric() || "_-.:".contains(c))
}

/// The position within a tag where another one clearly begins. Any other `<` is taken for a character of a value that
/// should have been written as `&lt;`.
fn next_tag(inner: &str) -> Option<usize> {
    inner.match_indices('<').map(|(offset, _)| offset).find(|offset| {
        let after = inner.get(offset + 1..).unwrap_or_default();
        let name = after.trim_start_matches('/').split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
        after.starts_with("!--") || schema::element(name).is_some()
    })
}

/// Whether the text ends like ` name=`. If so, the quote after it opens a value, and an earlier value was not closed.
fn ends_like_an_attribute(value: &str) -> bool {
    value.trim_end().strip_suffix('=').is_some_and(|before| {
        let before = before.trim_end();
        let name = before.rsplit(char::is_whitespace).next().unwrap_or_default();
        is_name(name) && name.len() < before.len()
    })
}

/// A tag during parsing.
struct Tag<'a> {
    findings: &'a mut Findings,
    /// The text between `<` and `>` or `/>`.
    inner: &'a str,
    /// The offset of `inner` in the file.
    base: usize,
    element: Element,
}

impl Tag<'_> {
    fn broken(&mut self, at: Range<usize>, problem: impl Into<SafeText>, hint: impl Into<SafeText>) {
        self.findings.error(self.base + at.start..self.base + at.end, problem, hint);
        self.element.sound = false;
    }

    /// Marks the name of an attribute, with the characters up to `end`, as safe to show. If the tag is malformed before
    /// it, only a known name is marked.
    fn show_name(&mut self, at: Range<usize>, end: usize) {
        let name = self.inner.get(at.clone()).unwrap_or_default();
        let known = schema::attribute_names().any(|known| known == name);
        if known || self.element.sound && safe_text::attribute_name(name).is_some() {
            self.findings.show(self.base + at.start..self.base + end);
        }
    }

    /// The same for the name before `=` and the character at this offset.
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

    /// Whether a space precedes the name at this offset. Without one it may be the rest of a secret.
    fn is_separated(&self, offset: usize) -> bool {
        self.inner.get(..offset).is_some_and(|before| before.ends_with(char::is_whitespace))
    }

    /// The same for a name and its quoted value, whose opening quote is at this offset. The value is marked only if it
    /// is of a harmless type and ends with the attribute.
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

    /// Reports which quote or bracket is missing in a tag without an end.
    fn endless(&mut self, name_length: usize) {
        let inner = self.inner;
        let mut offset = name_length;
        while let Some(open) = self.from(offset).find(['"', '\'']) {
            let open = offset + open;
            if !self.inner.get(..open).is_some_and(|before| before.trim_end().ends_with('=')) {
                self.broken(
                    open..open + 1,
                    "this quote does not start a value",
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
        self.broken(0..name_length, problem, "end it with `>` or `/>`");
    }

    /// Reports a value whose opening quote, at this offset, is not closed. `value` may contain the text after it.
    fn unclosed(&mut self, open: usize, value: &str) {
        let typographic = value.chars().any(|c| TYPOGRAPHIC.contains(&c));
        let problem = if typographic {
            "this value ends with a typographic quote"
        } else {
            "the quote that opens this value is not closed"
        };
        self.show_name_before(open, open + 1);
        self.broken(open..open + 1, problem, "write the same plain quote at its end");
    }

    /// Parses all attributes from an offset on.
    fn attributes(&mut self, offset: usize) {
        let mut next = Some(offset);
        while let Some(offset) = next {
            next = self.attributes_until_trouble(offset);
        }
    }

    /// Parses attributes from an offset on. If one is malformed, returns the offset at which another may follow.
    fn attributes_until_trouble(&mut self, offset: usize) -> Option<usize> {
        let inner = self.inner;
        // Duplicates are detected here, because the iterator does not recover well after one.
        for attribute in Attributes::new(inner, offset).with_checks(false) {
            match attribute {
                Ok(raw) => self.attribute(&raw)?,
                Err(AttrError::UnquotedValue(at)) => return self.unquoted(at),
                Err(AttrError::ExpectedEq(at)) => {
                    let key_end = inner.get(..at).unwrap_or_default().trim_end().len();
                    let key = inner.get(..key_end).and_then(|before| before.rsplit(char::is_whitespace).next());
                    let key = key.unwrap_or_default();
                    let (problem, hint) = if !is_name(key) || !self.is_separated(key_end - key.len()) {
                        (
                            "this is not an attribute".into(),
                            "write `name=\"value\"`; write a quote in a value as `&quot;`",
                        )
                    } else {
                        self.show_name(key_end - key.len()..key_end, key_end);
                        let problem = words![safe_text::attribute(key), " has no value"];
                        (problem, "write `=` and the value in quotes after it")
                    };
                    self.broken(key_end - key.len()..key_end, problem, hint);
                    return None;
                }
                Err(AttrError::ExpectedValue(at)) => {
                    self.show_name_before(at, at);
                    self.broken(at..at, "the value after `=` is missing", "write it in quotes");
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

    /// Handles one well-formed attribute. `None` if the text after it cannot be trusted.
    fn attribute(&mut self, raw: &RawAttribute<'_>) -> Option<()> {
        let name = raw.key.as_ref();
        let value = raw.value.as_ref();
        let name_at = offset_in(self.inner, name);
        let value_at = offset_in(self.inner, value);
        if !is_name(name) {
            self.broken(
                name_at..name_at + name.len(),
                "this is not an attribute name",
                "write `name=\"value\"`, with a space before the name",
            );
            return None;
        }
        if !self.is_separated(name_at) {
            self.broken(
                name_at..name_at,
                "there is no space before this attribute",
                "insert one; write a quote in a value as `&quot;`",
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
            self.findings.error(at.clone(), "a value contains `<`", "write it as `&lt;`");
            self.element.sound = false;
        }
        let secret = ["password", "passphrase"].contains(&name);
        if !secret && value.starts_with(TYPOGRAPHIC) && value.ends_with(TYPOGRAPHIC) {
            self.findings.error(
                at,
                words!["the value of ", safe_text::attribute(name), " has typographic quotes inside the plain ones"],
                "remove the typographic quotes",
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
                // The library's error quotes a part of the value, which may be a secret.
                let ampersand = value_at + value.find('&').unwrap_or_default();
                self.broken(ampersand..ampersand + 1, "`&` starts an unknown entity", "write it as `&amp;`");
            }
        }
        Some(())
    }

    /// Reports a value without quotes, or with typographic ones. Returns the offset to continue at.
    fn unquoted(&mut self, at: usize) -> Option<usize> {
        self.show_name_before(at, at);
        let value = self.from(at);
        let opening = value.chars().next().filter(|c| TYPOGRAPHIC.contains(c));
        let Some(opening) = opening else {
            let length = value.find(char::is_whitespace).unwrap_or(value.len());
            self.broken(at..at + length, "this value is not in quotes", "write `\"` before and after it");
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
            "this value is in typographic quotes",
            "write a plain `\"` or `'` before and after it",
        );
        end
    }
}

/// The offset of `part` in `whole`. `part` must be a slice of `whole`, not a copy.
fn offset_in(whole: &str, part: &str) -> usize {
    (part.as_ptr() as usize).saturating_sub(whole.as_ptr() as usize).min(whole.len())
}
