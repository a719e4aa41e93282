//! What is wrong with the text of one attribute, and what to write instead. Not where it is in the file.

use std::ops::Range;

use super::safe_text::SafeText;

/// Why a text is no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ValueError {
    /// What is wrong.
    pub problem: SafeText,
    /// What to write instead.
    pub hint: SafeText,
    /// Which bytes of the text; `None` for the whole.
    pub at: Option<Range<usize>>,
}

impl ValueError {
    pub(super) fn new(problem: impl Into<SafeText>, hint: impl Into<SafeText>) -> Self {
        Self { problem: problem.into(), hint: hint.into(), at: None }
    }

    /// The same, about a part of the text.
    pub(super) fn within(self, at: Range<usize>) -> Self {
        Self { at: Some(at), ..self }
    }
}
