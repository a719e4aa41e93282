//! A word that is looked for in texts, or a pattern with `*` and `?` for the whole of one. Not in which texts.

use globset::{GlobBuilder, GlobMatcher};

/// Text that is looked for, without regard to case.
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
    /// Of a word; or why its pattern cannot be understood.
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

    /// Whether a text contains it, or is as its pattern says.
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
