//! Decides from the progress in the database whether a waiting change is stored already. Pure. This rule ensures that
//! nothing is stored twice.

use uuid::Uuid;

/// The progress in the database, read within the transaction that continues from it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::store) struct Progress {
    /// The last transaction that was committed.
    pub(in crate::store) last_write: Option<Uuid>,
    /// The spool that was stored from last.
    pub(in crate::store) spool: Option<Uuid>,
    /// The offset in it up to which everything is stored.
    pub(in crate::store) position: u64,
}

/// The origin of a waiting change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) struct Origin {
    /// The spool.
    pub(in crate::store) spool: Uuid,
    /// The offset of the end of its line.
    pub(in crate::store) end: u64,
    /// The transaction that tried to store it before it was spooled and whose result is unknown.
    pub(in crate::store) tried: Option<Uuid>,
}

impl Progress {
    /// Whether the change is in the database.
    pub(in crate::store) fn has(&self, origin: Origin) -> bool {
        (self.spool == Some(origin.spool) && origin.end <= self.position) || self.answered_late(origin)
    }

    /// The progress after a transaction of this name has stored everything up to `last`.
    pub(in crate::store) fn after(&self, write: Uuid, origins: &[Origin]) -> Self {
        // The name of a transaction that turned out to be committed is kept as long as its changes follow, so that
        // those in a later batch are recognised too.
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
