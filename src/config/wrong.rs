//! What is wrong with the text of one attribute, and what to write instead. Not where it is in the file.

use std::ops::Range;

use super::harmless::Harmless;

/// Why a text is no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wrong {
    /// What is wrong.
    pub problem: Harmless,
    /// What to write instead.
    pub mend: Harmless,
    /// Which bytes of the text; `None` for the whole.
    pub at: Option<Range<usize>>,
}

impl Wrong {
    pub(super) fn new(problem: impl Into<Harmless>, mend: impl Into<Harmless>) -> Self {
        Self { problem: problem.into(), mend: mend.into(), at: None }
    }

    /// The same, about a part of the text.
    pub(super) fn within(self, at: Range<usize>) -> Self {
        Self { at: Some(at), ..self }
    }
}
