//! What the configuration wants kept out of security events: one expression, whose matches are replaced.
//! Not a judgement of what a secret is: nothing else is ever taken out.

use std::fmt;

use regex::{Captures, Regex};

/// What stands in the place of what was taken out.
pub const REDACTED: &str = "[redacted]";

/// An expression whose matches, or where it has groups the groups of whose matches, are replaced by
/// [`REDACTED`].
#[derive(Clone)]
pub struct Redaction(Regex);

/// Without the expression: it may name what is to be kept secret.
impl fmt::Debug for Redaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redaction").finish_non_exhaustive()
    }
}

impl Redaction {
    /// Reads an expression.
    ///
    /// # Errors
    /// What is wrong with it, as the expression's reader says it.
    pub fn new(expression: &str) -> Result<Self, regex::Error> {
        Regex::new(expression).map(Self)
    }

    /// The expression as it was written.
    #[must_use]
    pub fn expression(&self) -> &str {
        self.0.as_str()
    }

    /// Replaces what it matches. Where it matches the empty text there is nothing to hide.
    pub fn apply(&self, text: &mut String) {
        let mut replaced = String::new();
        let mut kept_to = 0;
        for captures in self.0.captures_iter(text) {
            for (start, end) in hidden(&captures) {
                // A group may lie within one that is replaced already.
                if start >= kept_to {
                    replaced.push_str(text.get(kept_to..start).unwrap_or_default());
                    replaced.push_str(REDACTED);
                    kept_to = end;
                }
            }
        }
        if kept_to > 0 {
            replaced.push_str(text.get(kept_to..).unwrap_or_default());
            *text = replaced;
        }
    }
}

/// What of a match is hidden: its groups that took part, or all of it where the expression has none.
fn hidden(captures: &Captures<'_>) -> Vec<(usize, usize)> {
    let first = usize::from(captures.len() > 1);
    let parts = captures.iter().skip(first).flatten();
    let mut parts: Vec<_> = parts.map(|part| (part.start(), part.end())).filter(|(start, end)| start < end).collect();
    // Of two that begin together the longer one counts.
    parts.sort_by_key(|(start, end)| (*start, std::cmp::Reverse(*end)));
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_or_their_groups_are_replaced_and_nothing_else() {
        for (expression, text, expected) in [
            ("secret", "no match", "no match"),
            ("secret", "a secret, a secret", "a [redacted], a [redacted]"),
            ("token=(\\S+)", "token=abc x token=def", "token=[redacted] x token=[redacted]"),
            ("(?:user|pass)=\\S+", "user=me pass=it", "[redacted] [redacted]"),
            ("(a(b))c", "xabcx", "x[redacted]cx"),
            ("((a)b)", "ab", "[redacted]"),
            ("k=(\\d+)|v=(\\w+)", "k=1 v=two", "k=[redacted] v=[redacted]"),
            ("(a)?b", "b ab", "b [redacted]b"),
            ("x*", "axxb", "a[redacted]b"),
            ("(?i)ключ (\\S+)", "Ключ äöü!", "Ключ [redacted]"),
            ("^.*$", "", ""),
            ("(?s).*", "all", "[redacted]"),
        ] {
            let mut redacted = text.to_owned();
            Redaction::new(expression).unwrap().apply(&mut redacted);
            assert_eq!(redacted, expected, "{expression}");
        }
    }
}
