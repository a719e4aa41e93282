//! Redaction of security events: one configured expression, whose matches are replaced. Nothing else is removed.

use std::fmt;

use regex::{Captures, Regex};

/// The replacement for redacted text.
pub const REDACTED: &str = "[redacted]";

/// An expression whose matches are replaced by [`REDACTED`]. If it has groups, only the groups are replaced.
#[derive(Clone)]
pub struct Redaction(Regex);

/// Without the expression, which may contain the secret.
impl fmt::Debug for Redaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redaction").finish_non_exhaustive()
    }
}

impl Redaction {
    /// Compiles an expression.
    ///
    /// # Errors
    /// The error of the regular expression library.
    pub fn new(expression: &str) -> Result<Self, regex::Error> {
        Regex::new(expression).map(Self)
    }

    /// The expression as it was written.
    #[must_use]
    pub fn expression(&self) -> &str {
        self.0.as_str()
    }

    /// Replaces all matches. Empty matches are ignored.
    pub fn apply(&self, text: &mut String) {
        let mut replaced = String::new();
        let mut kept_to = 0;
        for captures in self.0.captures_iter(text) {
            for (start, end) in hidden(&captures) {
                // A group may be within another one that is replaced.
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

/// The parts of a match to replace: its groups that matched, or the whole match if the expression has no groups.
fn hidden(captures: &Captures<'_>) -> Vec<(usize, usize)> {
    let first = usize::from(captures.len() > 1);
    let parts = captures.iter().skip(first).flatten();
    let mut parts: Vec<_> = parts.map(|part| (part.start(), part.end())).filter(|(start, end)| start < end).collect();
    // Of two that start at the same position, the longer one counts.
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
