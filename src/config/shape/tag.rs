//! One start tag: its name and attributes, each with its place, or what is wrong with its quotes,
//! equal signs and brackets. Not the nesting of elements.

use std::ops::Range;

use quick_xml::{
    XmlVersion,
    events::attributes::{AttrError, Attribute as RawAttribute, Attributes},
};

use super::{Attribute, Element, Placed};
use crate::config::{schema, source::Findings};

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
    (tag.element, read_on)
}

/// Whether an XML name; only such are repeated in messages, for anything else may hold a secret.
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
    fn broken(&mut self, at: Range<usize>, problem: impl Into<String>, mend: impl Into<String>) {
        self.findings.error(self.base + at.start..self.base + at.end, problem, mend);
        self.element.sound = false;
    }

    /// The text of `inner` from an offset.
    fn from(&self, offset: usize) -> &str {
        self.inner.get(offset..).unwrap_or_default()
    }

    /// Whether the name at this offset has a space before it. What has none may be the rest of a secret.
    fn is_separated(&self, offset: usize) -> bool {
        self.inner.get(..offset).is_some_and(|before| before.ends_with(char::is_whitespace))
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
            offset = open + 1 + closed.len() + 1;
        }
        let problem = format!("the tag `<{}` is not closed", self.element.name.text);
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
                    let (problem, mend) = if !is_name(key) || !self.is_separated(key_end - key.len()) {
                        ("this is no attribute".to_owned(), "write `name=\"value\"`; a quote in a value is `&quot;`")
                    } else {
                        (format!("the attribute `{key}` has no value"), "write `=` and the value in quotes behind it")
                    };
                    self.broken(key_end - key.len()..key_end, problem, mend);
                    return None;
                }
                Err(AttrError::ExpectedValue(at)) => {
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
        if value.contains('<') {
            self.findings.error(at.clone(), "a value holds `<`", "write `&lt;` for it");
            self.element.sound = false;
        }
        let secret = ["password", "passphrase"].contains(&name);
        if !secret && value.starts_with(TYPOGRAPHIC) && value.ends_with(TYPOGRAPHIC) {
            self.findings.error(
                at,
                format!("the value of `{name}` stands in typographic quotes inside the plain ones"),
                "leave the plain quotes alone",
            );
            self.element.sound = false;
            return Some(());
        }
        if let Some(earlier) = self.element.attribute(name) {
            let name_at = self.base + name_at;
            let problem = format!("`{name}` is written twice in one element");
            let mend = if secret || earlier.value.text == value { "remove one" } else { "keep the one you mean" };
            self.findings.error(name_at..name_at + name.len(), problem, mend);
            return Some(());
        }
        match raw.normalized_value(XmlVersion::Implicit1_0) {
            Ok(resolved) => self.element.attributes.push(Attribute {
                name: Placed { text: name.to_owned(), at: self.base + name_at..self.base + name_at + name.len() },
                verbatim: resolved.as_ref() == value,
                value: Placed { text: resolved.into_owned(), at },
            }),
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
