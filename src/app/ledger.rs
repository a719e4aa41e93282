//! The ledger: what is known of each client's rules between two collections, and who is being
//! collected right now. It mirrors the database, which is where it comes from and what it follows.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::fleet::{ClientId, judge::ClientState};

/// One for the whole process; outlives every configuration.
#[derive(Debug, Default)]
pub struct Ledger {
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    states: HashMap<ClientId, ClientState>,
    bookmarks: HashMap<ClientId, String>,
    busy: HashSet<ClientId>,
}

impl Ledger {
    /// A ledger of what the database holds.
    #[must_use]
    pub fn new(states: HashMap<ClientId, ClientState>, bookmarks: HashMap<ClientId, String>) -> Arc<Self> {
        Arc::new(Self { entries: Mutex::new(Entries { states, bookmarks, busy: HashSet::new() }) })
    }

    /// The client for one collection; `None` while another one of the same client goes on.
    #[must_use]
    pub fn claim(self: &Arc<Self>, client: &ClientId) -> Option<Claim> {
        self.lock().busy.insert(client.clone()).then(|| Claim { ledger: self.clone(), client: client.clone() })
    }

    /// What is known of a client's rules.
    #[must_use]
    pub fn state(&self, client: &ClientId) -> ClientState {
        self.lock().states.get(client).cloned().unwrap_or_default()
    }

    /// Where a client's event log was read up to.
    #[must_use]
    pub fn bookmark(&self, client: &ClientId) -> Option<String> {
        self.lock().bookmarks.get(client).cloned()
    }

    /// Follows the database after a transaction that it committed.
    pub fn follow(&self, client: &ClientId, state: ClientState, bookmark: Option<String>) {
        let mut entries = self.lock();
        entries.states.insert(client.clone(), state);
        if let Some(bookmark) = bookmark {
            entries.bookmarks.insert(client.clone(), bookmark);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        // No code that holds the lock can panic half-way through a change.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to collect one client; given back when dropped.
#[derive(Debug)]
pub struct Claim {
    ledger: Arc<Ledger>,
    client: ClientId,
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.ledger.lock().busy.remove(&self.client);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_claimed_once_at_a_time() {
        let ledger = Ledger::new(HashMap::new(), HashMap::new());
        let (a, b) = (ClientId::new("a", 22), ClientId::new("b", 22));
        let claim = ledger.claim(&a);
        assert!(claim.is_some() && ledger.claim(&a).is_none() && ledger.claim(&b).is_some());
        drop(claim);
        assert!(ledger.claim(&a).is_some());
    }
}
