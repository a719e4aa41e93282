//! The stages a collection passes, in their order. Not what happens in them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where a collection is. Within one attempt the stages never run backwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Due, and waiting for a free slot.
    Queued,
    /// TCP, SSH banner, key exchange and the check of the host key.
    Connect,
    /// Proving to the client who we are.
    Authenticate,
    /// Finding a directory that executes, and sending the agent where the client lacks it.
    Upload,
    /// The agent runs and answers.
    Execute,
    /// The envelope is opened, the report checked. Where the security log holds more than one report carries, the agent
    /// runs again for the rest, up to 7 times: that counts here too, since stages never run backwards.
    Decrypt,
    /// Sample, alerts and mails become one transaction.
    Store,
    /// All of it happened.
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

    /// Its one word, as on the screen, in JSON and in the database.
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
