//! A word to search for in texts, or a pattern with `*` and `?` for a whole text.

use globset::{GlobBuilder, GlobMatcher};

/// A text to search for, ignoring case.
#[derive(Debug, Clone)]
pub(super) struct Needle {
    text: String,
    glob: Option<GlobMatcher>,
}

impl PartialEq for Needle {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Needle {
    /// Parses a word. The error is why its pattern is invalid.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let text = text.to_lowercase();
        let glob = if text.contains(['*', '?']) {
            let glob = GlobBuilder::new(&text).case_insensitive(true).build();
            Some(glob.map_err(|error| error.kind().to_string())?.compile_matcher())
        } else {
            None
        };
        Ok(Self { text, glob })
    }

    /// Whether a text contains the word or matches the pattern.
    pub(super) fn meets(&self, text: &str) -> bool {
        match &self.glob {
            Some(glob) => glob.is_match(text),
            None => text.to_lowercase().contains(&self.text),
        }
    }

    /// The word, in lower case.
    pub(super) fn text(&self) -> &str {
        &self.text
    }
}
