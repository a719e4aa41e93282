//! Keeps the audit notes of host keys and secrets until the collector's owner stores them. Not the entries of orders,
//! which the owner writes itself.

use std::sync::{Arc, Mutex, PoisonError};

use crate::fleet::audit::{AuditAction, AuditNote};

/// The most notes that are kept. Further ones are only in the log.
const MOST_NOTES: usize = 20_000;

/// The notes that are not stored yet. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct AuditTrail(Arc<Mutex<Vec<AuditNote>>>);

impl AuditTrail {
    /// Adds a note. It contains no secret.
    pub(super) fn note(&self, action: AuditAction, target: &str, detail: String) {
        let mut notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if notes.len() < MOST_NOTES {
            notes.push(AuditNote { action, target: target.to_owned(), detail });
        } else {
            tracing::warn!(action = action.word(), target, "not in the audit, because too much waits for it: {detail}");
        }
    }

    /// Takes all notes.
    pub(super) fn take(&self) -> Vec<AuditNote> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
