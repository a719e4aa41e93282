//! One visit to a client as data: its parameters and its result.

use std::time::Duration;

use super::super::{agents::Agent, platform::Platform};
use crate::{
    config::{AgentKeeping, AgentPath},
    fleet::Failure,
};

/// How many directories are tried.
pub(super) const DIRECTORIES: usize = 6;

/// The parameters of a visit: upload the agent if it is missing, and execute it.
pub(in crate::sweep) struct Visit<'a> {
    /// The account there; names the private directory.
    pub(in crate::sweep) username: &'a str,
    /// Whether the agent stays; on Windows it never does.
    pub(in crate::sweep) keeping: AgentKeeping,
    /// The directory for the agent in place of the usual ones.
    pub(in crate::sweep) path: Option<&'a AgentPath>,
    /// The platform that the agent is for.
    pub(in crate::sweep) platform: &'a Platform,
    /// The agent for it.
    pub(in crate::sweep) agent: &'a Agent,
    /// Directories that could not be used before.
    pub(in crate::sweep) unusable: UnusableDirectories,
    /// The time limits of the script's first reply.
    pub(in crate::sweep) patience: Patience,
    /// The agent's one argument.
    pub(in crate::sweep) request: &'a str,
}

/// The time limits of the first reply of a script.
#[derive(Debug, Clone, Copy)]
pub(in crate::sweep) struct Patience {
    /// How long it may take.
    pub(super) reply: Duration,
    /// How long anything may take after its input was closed.
    pub(super) end: Duration,
}

impl Patience {
    /// The parts of the time that the stage has. A little remains.
    pub(in crate::sweep) fn within(stage: Duration) -> Self {
        Self { reply: stage * 3 / 5, end: stage * 3 / 20 }
    }
}

/// One of the directories that are tried, by its number in [`script`](super::script)'s order, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sweep) struct Directory(pub(in crate::sweep) u8);

/// Directories of a client that are skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::sweep) struct UnusableDirectories(u8);

impl UnusableDirectories {
    /// As many as there are.
    pub(in crate::sweep) const MOST: usize = DIRECTORIES;

    /// The same and one more.
    #[must_use]
    pub(in crate::sweep) fn and(self, directory: Directory) -> Self {
        Self(self.0 | 1 << directory.0)
    }

    pub(super) fn contains(self, directory: Directory) -> bool {
        self.0 & 1 << directory.0 != 0
    }
}

/// The result of executing the agent.
pub(in crate::sweep) enum Finished {
    /// The agent ran to its end: everything that was printed since it was started.
    Answered(Vec<u8>),
    /// The agent is there and cannot be executed: not in this directory.
    Unusable(Directory, Failure),
    /// The agent was there and has gone before it could be executed: somebody else removed it, such as `clean`, or
    /// another collector that uses the same account and brings another version.
    Vanished(Failure),
}
