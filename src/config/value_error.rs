//! An error in the text of one attribute, with a hint what to write instead.

use std::ops::Range;

use super::safe_text::SafeText;

/// Why a text is not a valid value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ValueError {
    /// What is wrong.
    pub problem: SafeText,
    /// What to write instead.
    pub hint: SafeText,
    /// The bytes of the text that it concerns; `None` for the whole text.
    pub at: Option<Range<usize>>,
}

impl ValueError {
    pub(super) fn new(problem: impl Into<SafeText>, hint: impl Into<SafeText>) -> Self {
        Self { problem: problem.into(), hint: hint.into(), at: None }
    }

    /// The same error about a part of the text.
    pub(super) fn within(self, at: Range<usize>) -> Self {
        Self { at: Some(at), ..self }
    }
}
