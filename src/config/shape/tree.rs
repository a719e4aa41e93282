//! The tree of elements of a file.

use std::ops::Range;

/// A text with its position in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct Placed {
    /// The text with entities resolved.
    pub text: String,
    /// The byte range in the file.
    pub at: Range<usize>,
}

/// An attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct Attribute {
    pub name: Placed,
    /// The value without its quotes.
    pub value: Placed,
    /// Whether the value is in the file byte for byte, so that positions in it can be converted to positions in the
    /// file.
    pub verbatim: bool,
}

/// An element with its content.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::config) struct Element {
    pub name: Placed,
    pub attributes: Vec<Attribute>,
    pub children: Vec<Element>,
    /// Whether its tag was parsed completely. If not, an attribute that seems to be missing may only be malformed.
    pub sound: bool,
    /// Whether its tag has no end, so that it is unknown whether the element is empty.
    pub(super) may_be_empty: bool,
}

impl Element {
    /// The attribute of this name.
    pub(in crate::config) fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|attribute| attribute.name.text == name)
    }
}
