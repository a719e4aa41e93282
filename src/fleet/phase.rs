//! The phase of a client's collection, or its outcome. It is coarser than [`Stage`]: stages that an operator need not
//! distinguish are one phase.

use super::{
    Stage,
    state::{ClientView, Fleet},
};

/// A client's phase. The order is that of a sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Nothing is known about it yet.
    New,
    /// Due, and waiting for a free slot.
    Queued,
    /// Connecting or authenticating.
    Connect,
    /// The agent is being sent.
    Upload,
    /// The agent runs.
    Execute,
    /// Its answer is being decrypted, checked and stored.
    Decrypt,
    /// The last collection succeeded.
    Ok,
    /// The last collection failed.
    Failed,
}

impl Phase {
    /// Every phase, in order.
    pub const ALL: [Self; 8] =
        [Self::New, Self::Queued, Self::Connect, Self::Upload, Self::Execute, Self::Decrypt, Self::Ok, Self::Failed];

    /// The phase of the running collection of a client, otherwise the outcome of the last one.
    #[must_use]
    pub fn of(client: &ClientView) -> Self {
        match (&client.running, &client.last) {
            (Some(running), _) => Self::of_stage(running.stage()),
            (None, None) => Self::New,
            (None, Some(last)) if last.failure.is_some() => Self::Failed,
            (None, Some(_)) => Self::Ok,
        }
    }

    /// The phase to which a stage belongs.
    #[must_use]
    pub fn of_stage(stage: Stage) -> Self {
        match stage {
            Stage::Queued => Self::Queued,
            Stage::Connect | Stage::Authenticate => Self::Connect,
            Stage::Upload => Self::Upload,
            Stage::Execute => Self::Execute,
            Stage::Decrypt | Stage::Store | Stage::Done => Self::Decrypt,
        }
    }

    /// Its keyword on the dashboard and in filters.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Queued => "queued",
            Self::Connect => "connect",
            Self::Upload => "upload",
            Self::Execute => "execute",
            Self::Decrypt => "decrypt",
            Self::Ok => "ok",
            Self::Failed => "failed",
        }
    }

    /// Whether a collection is running and has left the queue.
    #[must_use]
    pub fn is_active(self) -> bool {
        match self {
            Self::Connect | Self::Upload | Self::Execute | Self::Decrypt => true,
            Self::New | Self::Queued | Self::Ok | Self::Failed => false,
        }
    }
}

/// How many clients are in which phase.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    counts: [usize; Phase::ALL.len()],
}

impl Tally {
    /// Counts the whole fleet.
    #[must_use]
    pub fn of(fleet: &Fleet) -> Self {
        let mut tally = Self::default();
        for client in fleet.clients() {
            if let Some(count) = tally.counts.get_mut(Phase::of(client) as usize) {
                *count += 1;
            }
        }
        tally
    }

    /// How many are in `phase`.
    #[must_use]
    pub fn count(&self, phase: Phase) -> usize {
        self.counts.get(phase as usize).copied().unwrap_or(0)
    }

    /// How many there are in all.
    #[must_use]
    pub fn total(&self) -> usize {
        self.counts.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_follow_the_stages_and_never_run_backwards() {
        assert!(Phase::ALL.is_sorted());
        assert!(Stage::ALL.map(Phase::of_stage).is_sorted());
        for (index, phase) in Phase::ALL.into_iter().enumerate() {
            assert_eq!(phase as usize, index);
        }
    }
}
