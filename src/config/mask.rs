//! Finds secrets in the text of a configuration that need not be well formed, so that no line shown to
//! the user holds one. It errs on the side of hiding. Not used to read anything.

use std::ops::Range;

use super::schema;

/// What a secret becomes; of one length, so as not to tell the secret's.
pub(super) const MASK: &str = "***";

/// The quotes that people write around values, opening and closing.
const QUOTES: [(char, char); 8] =
    [('"', '"'), ('\'', '\''), ('“', '”'), ('‘', '’'), ('”', '”'), ('’', '’'), ('„', '“'), ('«', '»')];

/// Where secrets lie, as bytes: values of everything whose name holds `pass`, `secret` or `pwd`, of
/// attributes that are not known, and the passwords of URLs. Sorted, apart from each other.
pub(super) fn secrets(text: &str) -> Vec<Range<usize>> {
    let mut found = named(text);
    found.extend(in_urls(text));
    found.sort_by_key(|range| range.start);
    let mut apart: Vec<Range<usize>> = Vec::with_capacity(found.len());
    for range in found.into_iter().filter(|range| !range.is_empty()) {
        match apart.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            Some(_) | None => apart.push(range),
        }
    }
    apart
}

/// A text without the secrets in it.
pub(super) fn masked(text: &str) -> String {
    let mut shown = text.to_owned();
    for range in secrets(text).into_iter().rev() {
        shown.replace_range(range, MASK);
    }
    shown
}

/// The text from a byte to the end.
fn from(text: &str, start: usize) -> &str {
    text.get(start..).unwrap_or_default()
}

/// The values of what is named like a secret, and of attributes that are not known: they may be a slip
/// of the pen for one.
fn named(text: &str) -> Vec<Range<usize>> {
    let is_part_of_name = |c: char| c.is_alphanumeric() || "-_.:".contains(c);
    let mut found = Vec::new();
    let mut end = 0;
    while let Some(start) = from(text, end).find(is_part_of_name).map(|length| end + length) {
        let rest = from(text, start);
        let word = rest.split(|c| !is_part_of_name(c)).next().unwrap_or_default();
        end = start + word.len();
        let folded = word.to_lowercase();
        let like_a_secret = ["pass", "secret", "pwd"].iter().any(|part| folded.contains(part));
        let behind = from(text, end);
        let unknown = behind.trim_start().starts_with('=') && !is_known(word);
        if like_a_secret && !is_known(word) && behind.starts_with(['"', '\'']) {
            // `passwordgeheim'`: the name and the value grew together.
            found.push(start..end);
        }
        let Some(value) = value_after(text, end) else { continue };
        let inside = text.get(value.range.clone()).unwrap_or_default();
        // Where a secret comes from is no secret.
        let names_a_source = inside.starts_with("env:") || inside.starts_with("file:");
        let told = like_a_secret || unknown;
        if told && !names_a_source {
            found.push(value.range.clone());
        }
        // The words of a value are no names, unless it looks as if a quote were missing.
        if let Some(behind) = value.closed_at
            && (told || !inside.contains(['=', '<']))
        {
            end = behind;
        }
    }
    found
}

/// Whether an attribute of this name exists.
fn is_known(name: &str) -> bool {
    const OF_XML: [&str; 3] = ["version", "encoding", "standalone"];
    schema::ELEMENTS.iter().any(|kind| kind.knows(name)) || OF_XML.contains(&name)
}

/// What follows a name.
struct Value {
    range: Range<usize>,
    /// The byte behind its closing quote, where it is well formed.
    closed_at: Option<usize>,
}

/// The value that follows a name which ends at `name_end`, well formed or not.
fn value_after(text: &str, name_end: usize) -> Option<Value> {
    let after_name = from(text, name_end).trim_start();
    let at = |rest: &str| text.len() - rest.len();
    let open = |range| Some(Value { range, closed_at: None });
    if let Some(content) = after_name.strip_prefix('>') {
        return open(at(content)..at(content) + content.find('<').unwrap_or(content.len()));
    }
    let (equals, value) = match after_name.strip_prefix('=') {
        Some(value) => (true, value.trim_start()),
        None => (false, after_name),
    };
    let opening = value.chars().next()?;
    let closing = QUOTES.iter().find(|(quote, _)| *quote == opening).map(|(_, closing)| *closing);
    let Some(closing) = closing else {
        // Not quoted at all: who knows where it ends.
        return if equals { open(at(value)..line_end(text, at(value))) } else { None };
    };
    let inside = value.get(opening.len_utf8()..).unwrap_or_default();
    let start = at(inside);
    let Some(length) = inside.find(closing) else { return open(start..text.len()) };
    let end = start + length;
    let behind = end + closing.len_utf8();
    if from(text, behind).chars().next().is_none_or(|c| c.is_whitespace() || "/>?".contains(c)) {
        Some(Value { range: start..end, closed_at: Some(behind) })
    } else {
        // A quote in mid-value: the value goes on behind it.
        open(start..line_end(text, end))
    }
}

/// The end of the line in which the byte `start` lies.
fn line_end(text: &str, start: usize) -> usize {
    start + from(text, start).find('\n').unwrap_or_else(|| from(text, start).len())
}

/// The passwords of URLs: between the first `:` and the last `@`.
fn in_urls(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for (start, separator) in text.match_indices("://") {
        let start = start + separator.len();
        let rest = from(text, start);
        let url = rest.split(['"', '\'', '<', '>', '\n', '’', '”']).next().unwrap_or_default();
        if let (Some(colon), Some(at)) = (url.find(':'), url.rfind('@'))
            && colon < at
        {
            found.push(start + colon + 1..start + at);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(masked(text), expected);
    }

    #[test]
    fn secrets_are_found_in_what_is_well_formed_and_in_what_is_not() {
        for (text, expected) in [
            ("<c password='a' port='1'/>", "<c password='***' port='1'/>"),
            ("<c PassPhrase = \"a b\"/>", "<c PassPhrase = \"***\"/>"),
            ("<c passwort='a'/>", "<c passwort='***'/>"),
            ("<c pasword='a' key='b' port='1'/>", "<c pasword='***' key='b' port='1'/>"),
            ("<c PW='a' word='b' psswd='c'/>", "<c PW='***' word='***' psswd='***'/>"),
            ("<c password='a\nb' ip='1'/>", "<c password='***' ip='1'/>"),
            ("<c password=‘a’ ip='1'/>", "<c password=‘***’ ip='1'/>"),
            ("<c password=“a\" ip='1'/>", "<c password=“***"),
            ("<c password='a\" ip='1'/>", "<c password='***"),
            ("<c password='a'b c' ip='1'/>\nz", "<c password='***\nz"),
            ("<c password=a b/>\nz", "<c password=***\nz"),
            ("<c password 'a' ip='1'/>", "<c password '***' ip='1'/>"),
            ("<c password='a", "<c password='***"),
            ("<c passwordgeheim' port='1'/>", "<c ***'***"),
            ("<password>a</password>", "<password>***</password>"),
            ("<c password='env:NAME' ip='1'/>", "<c password='env:NAME' ip='1'/>"),
            ("<c password='cmd:echo a'/>", "<c password='***'/>"),
            ("<d url='postgres://u:p@ss/w@h/d'/>", "<d url='postgres://u:***@h/d'/>"),
            ("<d url='postgres://u:p w@h/d'/>", "<d url='postgres://u:***@h/d'/>"),
            ("<d url='mysql://h:3306/d'/>", "<d url='mysql://h:3306/d'/>"),
            ("a password is a word", "a password is a word"),
            // A value that is itself the word is no name: what stands behind it is shown.
            (
                "<client ip='1' username='password' password='password' mail=\"a@b\">\n<c port='x'/>",
                "<client ip='1' username='password' password='***' mail=\"a@b\">\n<c port='x'/>",
            ),
            ("<c password='env:OPS_PASSWORD' ip='1'/>", "<c password='env:OPS_PASSWORD' ip='1'/>"),
            ("<c ip='1 password='geheim'/>", "<c ip='1 password='***'/>"),
        ] {
            check(text, expected);
        }
    }

    proptest! {
        #[test]
        fn any_text_can_be_masked(text in "[pas=\"' \\n<>:/@“”äx]{0,60}|.{0,60}") {
            let mut end = 0;
            for range in secrets(&text) {
                prop_assert!(range.start >= end && text.get(range.clone()).is_some());
                end = range.end;
            }
        }
    }
}
