//! A pattern for names of instances, as in `exclude`: `*` stands for any characters, also `/`, and `?` for one.

use serde::{Deserialize, Serialize};

use super::Instance;

/// A pattern for names of instances.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstancePattern(String);

impl InstancePattern {
    /// A pattern of this text. Every text is one.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it stands for this instance. Takes at most the product of both lengths.
    #[must_use]
    pub fn matches(&self, instance: &Instance) -> bool {
        let pattern: Vec<char> = self.0.chars().collect();
        let name: Vec<char> = instance.name().chars().collect();
        let (mut at, mut from) = (0, 0);
        // Where the last `*` is, and where in the name what follows it was tried.
        let mut star: Option<(usize, usize)> = None;
        while let Some(character) = name.get(from) {
            match pattern.get(at) {
                Some('*') => {
                    star = Some((at, from));
                    at += 1;
                }
                Some(expected) if *expected == '?' || expected == character => {
                    at += 1;
                    from += 1;
                }
                Some(_) | None => match star {
                    Some((of_star, tried)) => {
                        star = Some((of_star, tried + 1));
                        at = of_star + 1;
                        from = tried + 1;
                    }
                    None => return false,
                },
            }
        }
        pattern.get(at..).unwrap_or_default().iter().all(|rest| *rest == '*')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_any_text_and_a_question_mark_one_character() {
        for (pattern, name, expected) in [
            ("/backup/*", "/backup/a", true),
            ("/backup/*", "/backup/a/b", true),
            ("/backup/*", "/backup/", true),
            ("/backup/*", "/backup", false),
            ("/backup/*", "/srv/backup/a", false),
            ("/backup", "/backup", true),
            ("*", "", true),
            ("*", "/", true),
            ("", "", true),
            ("", "/", false),
            ("*/cache", "/srv/cache/cache", true),
            ("*/cache", "/srv/cache/x", false),
            ("/disk?", "/disk1", true),
            ("/disk?", "/disk", false),
            ("/disk?", "/diskä", true),
            ("/a*b*c", "/aXbYbZc", true),
            ("/a*b*c", "/aXbYbZ", false),
            ("getty@*.service", "getty@tty1.service", true),
            ("/[a]", "/[a]", true),
            ("/[a]", "/a", false),
        ] {
            assert_eq!(InstancePattern::new(pattern).matches(&Instance::new(name)), expected, "{pattern} {name}");
        }
        let hostile = InstancePattern::new(&"*a".repeat(120));
        assert!(!hostile.matches(&Instance::new(&"a".repeat(119))));
    }
}
