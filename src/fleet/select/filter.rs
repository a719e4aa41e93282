//! The filter language, for example `state:failed cpu>90 mem>80 alert:yes !web`.
//!
//! Terms are separated by spaces, and a client must match all of them; `!` negates one. A bare word is searched in
//! name, address, host name and error; with `*` or `?` it is a pattern for the whole of one of them. `key:a,b` accepts
//! either value. Numbers are compared with `>`, `>=`, `<`, `<=`, `=`; a value that was not measured never matches.

use std::fmt;

use jiff::Timestamp;

use crate::fleet::state::ClientView;

use term::Term;

mod needle;
mod parse;
mod term;
#[cfg(test)]
mod tests;
pub mod words;

/// A filter. The empty one matches every client.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Filter(Vec<Term>);

/// The error for a word of a filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{term}`: {problem}")]
pub struct InvalidFilter {
    /// The word.
    pub term: String,
    /// What is wrong with it, and what to write instead.
    pub problem: String,
}

impl Filter {
    /// Whether it matches every client.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a client matches every term. `now` is needed for its age.
    #[must_use]
    pub fn meets(&self, client: &ClientView, now: Timestamp) -> bool {
        self.0.iter().all(|term| term.meets(client, now))
    }
}

impl std::str::FromStr for Filter {
    type Err = InvalidFilter;

    fn from_str(text: &str) -> Result<Self, InvalidFilter> {
        parse::split(text)
            .into_iter()
            .map(|word| parse::term(&word).map_err(|problem| InvalidFilter { term: word, problem }))
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

/// Formats the filter so that it parses to the same filter.
impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, term) in self.0.iter().enumerate() {
            let space = if index == 0 { "" } else { " " };
            write!(f, "{space}{term}")?;
        }
        Ok(())
    }
}
