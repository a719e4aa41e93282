//! Where a setting was written, so that every value can be traced. Not what the settings mean.

use std::{fmt, path::Path, sync::Arc};

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The caller gave it: `config.xml`.
    Given,
    /// A line of a file.
    Line(Line),
}

/// A line of a configuration file.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Line {
    /// The file, as it was opened.
    pub file: Arc<Path>,
    /// Counts from 1.
    pub number: usize,
}

/// A value and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traced<T> {
    /// The value.
    pub value: T,
    /// Its origin.
    pub origin: Origin,
}

impl<T> Traced<T> {
    /// A value of a line.
    pub(super) fn at(value: T, line: &Line) -> Self {
        Self { value, origin: Origin::Line(line.clone()) }
    }

    /// A value that the caller gave.
    pub(super) fn given(value: T) -> Self {
        Self { value, origin: Origin::Given }
    }

    /// Another value of the same origin.
    pub(super) fn with<U>(&self, value: U) -> Traced<U> {
        Traced { value, origin: self.origin.clone() }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.file.display(), self.number)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Given => out.write_str("config.xml"),
            Self::Line(line) => line.fmt(out),
        }
    }
}
