//! Text that anyone may read: literal texts of this program, and values of a configuration that are certainly of a
//! harmless type. There is no other way to make a [`SafeText`], so a message about a configuration cannot quote a
//! secret by mistake. This is not a search for secrets: everything that is not certainly harmless is hidden.

use std::{borrow::Cow, fmt, io, time::Duration};

use super::{schema, span::show_duration};
use crate::fleet::Metric;

mod proof;

pub use proof::{account, database_file, database_place, existing_path, path};
pub(super) use proof::{
    addresses, client, environment_name, expression_error, in_any_state, label, mail, number, server, valid,
};

/// The placeholder for hidden text. Its length is fixed, so that it does not reveal the length of the text.
pub(super) const HIDDEN: &str = "***";

/// Text that anyone may read.
#[derive(Clone, PartialEq, Eq)]
pub struct SafeText(Cow<'static, str>);

impl SafeText {
    /// The placeholder for hidden text.
    #[must_use]
    pub const fn hidden() -> Self {
        Self(Cow::Borrowed(HIDDEN))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Concatenates parts. The macro [`words`] is shorter to write.
    pub(super) fn concat(parts: &[&dyn Shown]) -> Self {
        Self(Cow::Owned(parts.iter().map(|part| part.shown()).collect()))
    }

    /// Joins texts with a separator.
    pub(super) fn join(parts: &[Self], between: &'static str) -> Self {
        let parts: Vec<&str> = parts.iter().map(Self::as_str).collect();
        Self(Cow::Owned(parts.join(between)))
    }
}

impl fmt::Display for SafeText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for SafeText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// A literal text of this program.
impl From<&'static str> for SafeText {
    fn from(words: &'static str) -> Self {
        Self(Cow::Borrowed(words))
    }
}

/// A type whose values may be part of a [`SafeText`].
pub(super) trait Shown {
    fn shown(&self) -> Cow<'_, str>;
}

impl Shown for &'static str {
    fn shown(&self) -> Cow<'_, str> {
        Cow::Borrowed(self)
    }
}

impl Shown for SafeText {
    fn shown(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.0)
    }
}

impl Shown for Metric {
    fn shown(&self) -> Cow<'_, str> {
        Cow::Borrowed(self.word())
    }
}

impl Shown for Duration {
    fn shown(&self) -> Cow<'_, str> {
        Cow::Owned(show_duration(*self))
    }
}

macro_rules! shown_numbers {
    ($($number:ty),*) => {
        $(impl Shown for $number {
            fn shown(&self) -> Cow<'_, str> {
                Cow::Owned(self.to_string())
            }
        })*
    };
}

shown_numbers!(u8, u16, u32, u64, usize);

/// Makes a [`SafeText`] from literals and values that implement [`Shown`]. Unlike `format!`, it accepts no `String` and
/// no `&str` that is not `'static`.
macro_rules! words {
    ($($part:expr),+ $(,)?) => {
        $crate::config::safe_text::SafeText::concat(&[$(&$part as &dyn $crate::config::safe_text::Shown),+])
    };
}

pub(super) use words;

/// The name of an element, if it is known, close to a known one, or a common wrong name.
pub(super) fn element_name(name: &str) -> Option<SafeText> {
    near(name, schema::element_names()).or_else(|| known(name, schema::attribute_names().chain(schema::FOREIGN_NAMES)))
}

/// The same for an attribute.
pub(super) fn attribute_name(name: &str) -> Option<SafeText> {
    near(name, schema::attribute_names()).or_else(|| known(name, schema::element_names().chain(schema::FOREIGN_NAMES)))
}

/// A keyword.
fn known(written: &str, mut words: impl Iterator<Item = &'static str>) -> Option<SafeText> {
    words.find(|word| *word == written).map(SafeText::from)
}

/// An element in a message: `` `<client>` ``, or `this element` if its name may contain anything.
pub(super) fn element(name: &str) -> SafeText {
    match element_name(name) {
        Some(name) => words!["`<", name, ">`"],
        None => "this element".into(),
    }
}

/// The tag of an element in a message: `` the tag `<client` ``, or `this tag`.
pub(super) fn tag(name: &str) -> SafeText {
    element_name(name).map_or_else(|| "this tag".into(), |name| words!["the tag `<", name, "`"])
}

/// An attribute in a message: `` the attribute `ip` ``, or `this attribute` if its name may contain anything.
pub(super) fn attribute(name: &str) -> SafeText {
    attribute_name(name).map_or_else(|| "this attribute".into(), |name| words!["the attribute `", name, "`"])
}

/// The written text, if it is one of these words or so close to one that it cannot contain much else: one different
/// character in a short word, two in a longer one.
pub(super) fn near(written: &str, mut words: impl Iterator<Item = &'static str>) -> Option<SafeText> {
    let plain = written.chars().all(|c| c.is_alphanumeric() || c == '-' || c == '_');
    let length = written.chars().count();
    let folded = written.to_lowercase();
    let is_near = |word: &str| {
        let slack = if word.len() < 5 { 1 } else { 2 };
        length.abs_diff(word.len()) <= slack && strsim::osa_distance(&folded, word) <= slack
    };
    // The length of the longest word limits the cost of the distance.
    (plain && length <= 32 && words.any(is_near)).then(|| SafeText(Cow::Owned(written.to_owned())))
}

/// Decimal digits as they were written; `None` if there are too many, because they may be a secret.
pub(super) fn digits(text: &str) -> Option<SafeText> {
    let few = (1..=10).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    few.then(|| SafeText(Cow::Owned(text.to_owned())))
}

/// Numbers with dots between them in quotes, if they are not longer than an IPv4 address; otherwise `this`.
pub(super) fn dotted(text: &str) -> SafeText {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let dotted = plain && text.contains('.') && text.len() <= "255.255.255.255".len();
    if dotted { SafeText(Cow::Owned(format!("`{text}`"))) } else { "this".into() }
}

/// A number padded with zeros.
pub(super) fn padded(number: u32, width: usize) -> SafeText {
    SafeText(Cow::Owned(format!("{number:0width$}")))
}

/// A value that should have been one of these words, if it may be shown.
fn wrong_word(text: &str, words: impl Iterator<Item = &'static str>) -> Option<SafeText> {
    near(text, words).or_else(|| known(text, schema::FOREIGN_WORDS.into_iter()))
}

/// A word in quotes if it is close to one of these; otherwise `this`.
pub(super) fn word(text: &str, words: impl Iterator<Item = &'static str>) -> SafeText {
    wrong_word(text, words).map_or_else(|| "this".into(), |word| words!["`", word, "`"])
}

/// `` `a`, `b` or `c` ``.
pub(super) fn listed(words: impl IntoIterator<Item = &'static str>) -> SafeText {
    alternatives(words.into_iter().map(|word| words!["`", word, "`"]).collect())
}

/// `` `<a>`, `<b>` or `<c>` ``.
pub(super) fn tags(names: &[&'static str]) -> SafeText {
    alternatives(names.iter().map(|name| words!["`<", *name, ">`"]).collect())
}

fn alternatives(mut words: Vec<SafeText>) -> SafeText {
    match words.pop() {
        Some(last) if words.is_empty() => last,
        Some(last) => words![SafeText::join(&words, ", "), " or ", last],
        None => "".into(),
    }
}

/// The error of the operating system, in the standard library's description of its kind.
pub(super) fn io_error(error: &io::Error) -> SafeText {
    let kind = error.kind();
    if kind == io::ErrorKind::NotFound {
        "it does not exist".into()
    } else if kind == io::ErrorKind::IsADirectory {
        "it is a directory".into()
    } else if kind == io::ErrorKind::InvalidInput {
        "it is a pipe or a socket, not a file".into()
    } else {
        SafeText(Cow::Owned(kind.to_string()))
    }
}

/// Permission bits in the octal form of `chmod`.
pub(super) fn mode(bits: u32) -> SafeText {
    SafeText(Cow::Owned(format!("{:03o}", bits & 0o7777)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_shown_where_they_are_known_or_nearly_so() {
        for (name, expected) in [
            ("ip", "the attribute `ip`"),
            ("op", "the attribute `op`"),
            ("usrname", "the attribute `usrname`"),
            ("Password", "the attribute `Password`"),
            ("pasword", "the attribute `pasword`"),
            ("known-host", "the attribute `known-host`"),
            ("colour", "the attribute `colour`"),
            ("client", "the attribute `client`"),
            ("passwordgeheim", "this attribute"),
            ("geheim", "this attribute"),
            ("hunter2", "this attribute"),
            ("pass\u{1b}word", "this attribute"),
            ("", "this attribute"),
            (&"password".repeat(1_000), "this attribute"),
        ] {
            assert_eq!(attribute(name).as_str(), expected, "{name}");
        }
        for (name, expected) in [("client", "`<client>`"), ("clinet", "`<clinet>`"), ("hunter2", "this element")] {
            assert_eq!(element(name).as_str(), expected, "{name}");
        }
    }

    #[test]
    fn numbers_are_shown_and_nothing_else() {
        for (text, expected) in [
            ("222222", "`222222`"),
            ("-1", "`-1`"),
            ("20 %", "`20 %`"),
            ("1h 30m", "`1h 30m`"),
            ("1,5", "`1,5`"),
            ("soon", "`soon`"),
            ("5 parsecs", "this"),
            ("hunter2", "this"),
            ("12345678901234567", "this"),
            ("", "this"),
        ] {
            assert_eq!(number(text).as_str(), expected, "{text}");
        }
    }
}
