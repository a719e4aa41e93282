//! The entries of the audit: what operators and the program did that must be traceable afterwards. Pure. The database
//! stores them, and the view `v1_audit` shows them.

use serde::{Deserialize, Serialize};

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuditAction {
    /// Clients were collected by hand.
    Collect,
    /// The schedule was paused.
    Pause,
    /// The schedule was resumed.
    Resume,
    /// A collection was cancelled.
    Cancel,
    /// An alert was acknowledged.
    Acknowledge,
    /// An acknowledgement was withdrawn.
    Unacknowledge,
    /// A host key was pinned for a host that had none.
    Pin,
    /// A host key was pinned in place of others.
    RePin,
    /// Rows were written to a file or to standard output.
    Export,
    /// The command of a secret was run.
    Secret,
}

impl AuditAction {
    /// Its word in the database.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Collect => "collect",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Cancel => "cancel",
            Self::Acknowledge => "acknowledge",
            Self::Unacknowledge => "unacknowledge",
            Self::Pin => "pin",
            Self::RePin => "re-pin",
            Self::Export => "export",
            Self::Secret => "secret",
        }
    }
}

/// An entry without its time and actor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditNote {
    /// What was done.
    pub action: AuditAction,
    /// What it was done to.
    pub target: String,
    /// The details; empty if there are none.
    pub detail: String,
}
