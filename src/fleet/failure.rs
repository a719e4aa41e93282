//! Why a collection failed, as plain data. The properties of each kind of failure are in [`FailureSpec`].

mod kind;
mod spec;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use self::{
    kind::FailureKind,
    spec::{Blame, FailureSpec, Retry, SessionAfter, UnknownKind},
};
use super::Stage;

/// One failed attempt or collection, as plain data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The stage that did not succeed.
    pub stage: Stage,
    /// The kind of failure.
    pub kind: FailureKind,
    /// The causes, outermost first: messages of the operating system, SSH or the agent. Without control characters;
    /// never a secret.
    pub causes: Vec<String>,
}

impl Failure {
    /// A failure without causes.
    #[must_use]
    pub fn new(stage: Stage, kind: FailureKind) -> Self {
        Self { stage, kind, causes: Vec::new() }
    }

    /// The same with one more cause.
    #[must_use]
    pub fn because(mut self, cause: impl fmt::Display) -> Self {
        self.causes.push(super::reading::clean(&cause.to_string(), 300));
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.words())?;
        for cause in &self.causes {
            write!(f, ": {cause}")?;
        }
        Ok(())
    }
}
