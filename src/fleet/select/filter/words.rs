//! Filters any list by its fields, for example `refused client:db-* !ops`. The syntax is that of the filter language
//! for clients, without the terms that only apply to clients.
//!
//! Words are separated by spaces, and an item must match all of them; `!` negates one. A bare word is searched in every
//! field, `field:a,b` in one of them; with `*` or `?` it is a pattern for a whole field.

use super::{
    needle::Needle,
    parse::{names, negation, split, unquoted},
};

/// A filter by words. The empty one matches everything.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Words(Vec<Word>);

#[derive(Debug, Clone, PartialEq)]
struct Word {
    negated: bool,
    /// The field to search; `None` for all.
    field: Option<&'static str>,
    needles: Vec<Needle>,
}

impl Words {
    /// Parses a filter for a list with these fields.
    ///
    /// # Errors
    /// The invalid word, and what to write instead.
    pub fn parse(text: &str, fields: &[&'static str]) -> Result<Self, (String, String)> {
        split(text)
            .into_iter()
            .map(|word| one(&word, fields).map_err(|problem| (word, problem)))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Whether it matches everything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether an item with these named fields matches every word.
    #[must_use]
    pub fn meets(&self, fields: &[(&'static str, String)]) -> bool {
        self.0.iter().all(|word| {
            let looked_at = fields.iter().filter(|(name, _)| word.field.is_none_or(|field| field == *name));
            let mut texts = looked_at.map(|(_, text)| text);
            texts.any(|text| word.needles.iter().any(|needle| needle.meets(text))) != word.negated
        })
    }
}

fn one(word: &str, fields: &[&'static str]) -> Result<Word, String> {
    let (negated, body) = negation(word)?;
    let anywhere = || Ok(Word { negated, field: None, needles: vec![Needle::parse(&unquoted(body))?] });
    // A leading quotation mark makes anything a bare word.
    let Some((key, value)) = body.split_once(':').filter(|_| !body.starts_with('"')) else { return anywhere() };
    let key = key.to_lowercase();
    if let Some(field) = fields.iter().find(|field| **field == key) {
        let values = value.split(',').map(unquoted).filter(|value| !value.is_empty());
        let needles = values.map(|value| Needle::parse(&value)).collect::<Result<Vec<_>, _>>()?;
        if needles.is_empty() {
            return Err(format!("write a value after `{key}:`"));
        }
        return Ok(Word { negated, field: Some(field), needles });
    }
    // This may be a time, an address or a Windows path.
    let is_no_name = key.len() < 2 || key.chars().all(|c| c.is_ascii_hexdigit() || "./[".contains(c));
    if is_no_name || fields.is_empty() {
        return anywhere();
    }
    Err(format!("`{key}:` is not known; write {}, or quote the word", names(fields.iter().copied())))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELDS: [&str; 3] = ["client", "status", "subject"];

    #[test]
    fn an_item_meets_a_filter_by_all_its_words() {
        let item = [("client", "db-01"), ("status", "refused"), ("subject", "cpu 97 % exceeds C:")];
        let item: Vec<_> = item.into_iter().map(|(name, text)| (name, text.to_owned())).collect();
        for (text, expected) in [
            ("", true),
            ("db", true),
            ("DB-01 refused", true),
            ("db sent", false),
            ("!sent", true),
            ("!refused", false),
            ("client:db-*", true),
            ("client:db-?", false),
            ("client:web,db", true),
            ("status:db", false),
            ("subject:\"exceeds c:\"", true),
            ("!client:db", false),
            ("C:", true),
            ("\"97 %\"", true),
        ] {
            let words = Words::parse(text, &FIELDS).unwrap();
            assert_eq!(words.meets(&item), expected, "{text}");
            assert_eq!(words.is_empty(), text.is_empty());
        }
    }

    #[test]
    fn what_cannot_be_understood_is_named_with_what_to_write() {
        for (text, problem) in [
            ("colour:red", "`colour:` is not known; write client, status, subject, or quote the word"),
            ("client:", "write a value after `client:`"),
            ("a !", "write a word after `!`"),
            ("\"db", "the quotation mark is not closed"),
        ] {
            assert_eq!(Words::parse(text, &FIELDS).unwrap_err().1, problem, "{text}");
        }
        for text in ["07:12:55", "10.4.0.2:22", "fe80::1", "[::1]:22"] {
            assert!(Words::parse(text, &FIELDS).is_ok(), "{text}");
        }
    }
}
