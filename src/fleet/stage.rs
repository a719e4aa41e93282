//! The stages of a collection, in order.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The stage of a collection. Within one attempt, stages never go backwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Due, and waiting for a free slot.
    Queued,
    /// TCP, SSH banner, key exchange and the check of the host key.
    Connect,
    /// The account is proved, by key, ssh-agent, password or answers.
    Authenticate,
    /// Finding a directory in which programs can be executed, and uploading the agent if it is missing.
    Upload,
    /// The agent runs and answers.
    Execute,
    /// The envelope is opened and the report is checked. If the security log has more events than fit into a report,
    /// the agent runs again up to 7 times. That counts as this stage too, because stages never go backwards.
    Decrypt,
    /// Sample, alerts and mails are stored in one transaction.
    Store,
    /// Everything is done.
    Done,
}

impl Stage {
    /// Every stage, in order.
    pub const ALL: [Self; 8] = [
        Self::Queued,
        Self::Connect,
        Self::Authenticate,
        Self::Upload,
        Self::Execute,
        Self::Decrypt,
        Self::Store,
        Self::Done,
    ];

    /// Its keyword on the dashboard, in JSON and in the database.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Connect => "connect",
            Self::Authenticate => "authenticate",
            Self::Upload => "upload",
            Self::Execute => "execute",
            Self::Decrypt => "decrypt",
            Self::Store => "store",
            Self::Done => "done",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_stages_stand_in_order_and_serialise_as_their_word() {
        assert!(Stage::ALL.is_sorted());
        for stage in Stage::ALL {
            assert_eq!(serde_json::to_value(stage).unwrap(), serde_json::json!(stage.word()));
        }
    }
}
