//! What the database says of its own progress, and what follows for a change that waits: whether it is stored
//! already. Pure: this rule is why nothing is stored twice.

use uuid::Uuid;

/// What stands in the database, read under the lock of the transaction that goes on from it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::store) struct Progress {
    /// The last transaction that was committed.
    pub(in crate::store) last_write: Option<Uuid>,
    /// The spool from which was stored last.
    pub(in crate::store) spool: Option<Uuid>,
    /// Up to which byte of it.
    pub(in crate::store) position: u64,
}

/// Where a change that waits comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) struct Origin {
    /// The spool.
    pub(in crate::store) spool: Uuid,
    /// Where its line ends.
    pub(in crate::store) end: u64,
    /// The transaction that was to store it before it was spooled, and whose answer was lost.
    pub(in crate::store) tried: Option<Uuid>,
}

impl Progress {
    /// Whether the change is in the database.
    pub(in crate::store) fn has(&self, origin: Origin) -> bool {
        (self.spool == Some(origin.spool) && origin.end <= self.position) || self.answered_late(origin)
    }

    /// What is to stand there once everything up to `last` is stored, by a transaction of this name.
    pub(in crate::store) fn after(&self, write: Uuid, origins: &[Origin]) -> Self {
        // The name of a transaction that turned out to be committed stays as long as its changes are met:
        // those that follow in a later batch are to be recognised too.
        let late = origins.iter().any(|origin| self.answered_late(*origin));
        let last_write = if late { self.last_write } else { Some(write) };
        let Some(last) = origins.last() else { return Self { last_write, ..self.clone() } };
        let reached = if self.spool == Some(last.spool) { self.position } else { 0 };
        Self { last_write, spool: Some(last.spool), position: reached.max(last.end) }
    }

    fn answered_late(&self, origin: Origin) -> bool {
        origin.tried.is_some() && origin.tried == self.last_write
    }
}
