//! The tree of elements that a file is read to. Not the reading.

use std::ops::Range;

/// A piece of text with its place in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct Placed {
    /// The text, entities resolved.
    pub text: String,
    /// Bytes of the file.
    pub at: Range<usize>,
}

/// An attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct Attribute {
    pub name: Placed,
    /// Without its quotes.
    pub value: Placed,
    /// Whether the value stands in the file byte for byte, so that places in it are places in the file.
    pub verbatim: bool,
}

/// An element with what it holds.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::config) struct Element {
    pub name: Placed,
    pub attributes: Vec<Attribute>,
    pub children: Vec<Element>,
    /// Whether its tag was read whole. If not, what it seems to lack may only be unreadable.
    pub sound: bool,
    /// Whether its tag has no end, so that it is not clear if it closes itself.
    pub(super) may_be_empty: bool,
}

impl Element {
    /// The attribute of this name.
    pub(in crate::config) fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|attribute| attribute.name.text == name)
    }
}
