//! Selects clients: by the pattern of `--client`, by the filter language of the dashboard, in an order.

use globset::{Glob, GlobMatcher};

use super::ClientId;

pub mod filter;
pub mod sort;

pub use filter::Filter;

/// A `--client` pattern: a glob on a client's name or address.
#[derive(Debug, Clone)]
pub struct Pattern(GlobMatcher);

/// The error for an invalid glob.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no pattern ({reason}): write a name or an address, with `*`, `?` or `[a-z]` for parts of it")]
pub struct InvalidPattern {
    text: String,
    reason: String,
}

impl std::str::FromStr for Pattern {
    type Err = InvalidPattern;

    fn from_str(text: &str) -> Result<Self, InvalidPattern> {
        match Glob::new(text) {
            Ok(glob) => Ok(Self(glob.compile_matcher())),
            Err(error) => Err(InvalidPattern { text: text.to_owned(), reason: error.kind().to_string() }),
        }
    }
}

impl Pattern {
    /// Whether it matches a client's name, its address, or its address with the port.
    #[must_use]
    pub fn meets(&self, id: &ClientId, name: &str) -> bool {
        self.0.is_match(name) || self.0.is_match(id.address()) || self.0.is_match(id.to_string())
    }

    /// Whether it has no wildcard, so that it names one client.
    #[must_use]
    pub fn is_name(&self) -> bool {
        !self.0.glob().glob().contains(['*', '?', '[', '{', '\\'])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_meets_names_and_addresses() {
        for (pattern, meets) in [
            ("web-*", true),
            ("web-0?", true),
            ("10.0.4.*", true),
            ("10.0.4.7:22", true),
            ("*", true),
            ("web", false),
            ("10.0.5.*", false),
        ] {
            let pattern: Pattern = pattern.parse().unwrap();
            assert_eq!(pattern.meets(&ClientId::new("10.0.4.7", 22), "web-01"), meets, "{pattern:?}");
        }
        assert!("[".parse::<Pattern>().unwrap_err().to_string().contains("`[` is no pattern"));
    }
}
