//! The client states: the state of each client's rules between two collections, and which clients are being collected.
//! They mirror the database.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::fleet::{
    ClientId,
    alert::{AlertKey, OpenAlert},
    counters::Counters,
    judge::ClientState,
    login_hold::{HoldChange, LoginHold},
    security::{allowance::Spent, gathering::Gathering},
    trend::Trends,
};

/// Exists once per process and survives reloads of the configuration.
#[derive(Debug, Default)]
pub struct ClientStates {
    entries: Mutex<Entries>,
    /// Notified when a client guard is dropped.
    given_back: Notify,
}

#[derive(Debug, Default)]
struct Entries {
    states: HashMap<ClientId, ClientState>,
    bookmarks: HashMap<ClientId, String>,
    /// How much of the daily allowance of events is used.
    spent: HashMap<ClientId, Spent>,
    /// What is gathered for a later mail about events.
    gatherings: HashMap<ClientId, Gathering>,
    /// The logins that are held.
    login_holds: HashMap<ClientId, LoginHold>,
    /// The counters of each client at its last collection.
    counters: HashMap<ClientId, Arc<Counters>>,
    /// The trends of each client's file systems.
    trends: HashMap<ClientId, Arc<Trends>>,
    /// The clients that are being collected, and the token that cancels each collection.
    busy: HashMap<ClientId, CancellationToken>,
}

impl ClientStates {
    /// Creates them from the states in the database.
    #[must_use]
    pub fn new(states: HashMap<ClientId, ClientState>, bookmarks: HashMap<ClientId, String>) -> Arc<Self> {
        let entries = Mutex::new(Entries { states, bookmarks, ..Entries::default() });
        Arc::new(Self { entries, given_back: Notify::new() })
    }

    /// Adds the daily allowances from the database.
    pub fn take_in_spent(&self, spent: HashMap<ClientId, Spent>) {
        self.lock().spent = spent;
    }

    /// Adds what is gathered for later mails from the database.
    pub fn take_in_gatherings(&self, gatherings: HashMap<ClientId, Gathering>) {
        self.lock().gatherings = gatherings;
    }

    /// What is gathered of a client for a later mail.
    #[must_use]
    pub fn gathering(&self, client: &ClientId) -> Option<Gathering> {
        self.lock().gatherings.get(client).copied()
    }

    /// Updates what is gathered of a client after a transaction was committed.
    pub fn note_gathering(&self, client: &ClientId, gathering: Option<Gathering>) {
        let gatherings = &mut self.lock().gatherings;
        match gathering {
            Some(gathering) => drop(gatherings.insert(client.clone(), gathering)),
            None => drop(gatherings.remove(client)),
        }
    }

    /// Adds the logins that are held from the database.
    pub fn take_in_login_holds(&self, holds: HashMap<ClientId, LoginHold>) {
        self.lock().login_holds = holds;
    }

    /// Adds the counters from the database.
    pub fn take_in_counters(&self, counters: HashMap<ClientId, Counters>) {
        self.lock().counters = counters.into_iter().map(|(client, counters)| (client, Arc::new(counters))).collect();
    }

    /// The counters of a client at its last collection.
    #[must_use]
    pub fn counters(&self, client: &ClientId) -> Option<Arc<Counters>> {
        self.lock().counters.get(client).cloned()
    }

    /// Updates the counters of a client after they were stored.
    pub fn follow_counters(&self, client: &ClientId, counters: Counters) {
        self.lock().counters.insert(client.clone(), Arc::new(counters));
    }

    /// Adds the trends from the database.
    pub fn take_in_trends(&self, trends: HashMap<ClientId, Trends>) {
        self.lock().trends = trends.into_iter().map(|(client, trends)| (client, Arc::new(trends))).collect();
    }

    /// The trends of a client's file systems that were estimated last.
    #[must_use]
    pub fn trends(&self, client: &ClientId) -> Option<Arc<Trends>> {
        self.lock().trends.get(client).cloned()
    }

    /// Replaces the trends of a client's file systems.
    pub fn follow_trends(&self, client: &ClientId, trends: Arc<Trends>) {
        self.lock().trends.insert(client.clone(), trends);
    }

    /// The hold of a client's login, if there is one.
    #[must_use]
    pub fn login_hold(&self, client: &ClientId) -> Option<LoginHold> {
        self.lock().login_holds.get(client).cloned()
    }

    /// Notes what a collection changed about the hold of a client's login.
    pub fn note_login(&self, client: &ClientId, change: &HoldChange) {
        let holds = &mut self.lock().login_holds;
        match change {
            HoldChange::Unchanged => {}
            HoldChange::Held(hold) => drop(holds.insert(client.clone(), hold.clone())),
            HoldChange::Released => drop(holds.remove(client)),
        }
    }

    /// What a client has used of its daily allowance of events.
    #[must_use]
    pub fn spent(&self, client: &ClientId) -> Spent {
        self.lock().spent.get(client).copied().unwrap_or_default()
    }

    /// Acquires the client for one collection; `None` if it is being collected already.
    #[must_use]
    pub fn try_acquire(self: &Arc<Self>, client: &ClientId) -> Option<ClientGuard> {
        let mut entries = self.lock();
        if entries.busy.contains_key(client) {
            return None;
        }
        let cancel = CancellationToken::new();
        entries.busy.insert(client.clone(), cancel.clone());
        Some(ClientGuard { client_states: self.clone(), client: client.clone(), cancel })
    }

    /// The same, but waits for the end of another collection of the client.
    pub async fn acquire(self: &Arc<Self>, client: &ClientId) -> ClientGuard {
        loop {
            let given_back = self.given_back.notified();
            tokio::pin!(given_back);
            // From here on, no notification is missed.
            given_back.as_mut().enable();
            if let Some(guard) = self.try_acquire(client) {
                return guard;
            }
            given_back.await;
        }
    }

    /// Cancels the running collection of a client; false if there is none.
    pub fn cancel(&self, client: &ClientId) -> bool {
        let entries = self.lock();
        let cancel = entries.busy.get(client);
        cancel.inspect(|cancel| cancel.cancel()).is_some()
    }

    /// The state of a client's rules.
    #[must_use]
    pub fn state(&self, client: &ClientId) -> ClientState {
        self.lock().states.get(client).cloned().unwrap_or_default()
    }

    /// Whether the client's last collection succeeded; false if there was none.
    #[must_use]
    pub fn answered_last(&self, client: &ClientId) -> bool {
        self.lock().states.get(client).is_some_and(|state| state.failed_in_a_row == 0)
    }

    /// A client's open alert.
    #[must_use]
    pub fn alert(&self, client: &ClientId, about: &AlertKey) -> Option<OpenAlert> {
        self.lock().states.get(client)?.rules.get(about)?.alert.clone()
    }

    /// Updates an open alert after the database has stored who acknowledged it and when, or with `None` that the
    /// acknowledgement was withdrawn.
    pub fn acknowledge(&self, client: &ClientId, about: &AlertKey, alert: &OpenAlert, by: Option<(Timestamp, &str)>) {
        let mut entries = self.lock();
        let state = entries.states.get_mut(client).and_then(|state| state.rules.get_mut(about));
        if let Some(open) = state.and_then(|rule| rule.alert.as_mut()).filter(|open| open.id == alert.id) {
            open.acknowledged_at = by.map(|(at, _)| at);
            open.acknowledged_by = by.map(|(_, actor)| actor.to_owned());
        }
    }

    /// Where a client's event log was read up to.
    #[must_use]
    pub fn bookmark(&self, client: &ClientId) -> Option<String> {
        self.lock().bookmarks.get(client).cloned()
    }

    /// Updates a client after a transaction was committed. Acknowledgements that operators made or withdrew in the
    /// meantime are kept.
    pub fn follow(&self, client: &ClientId, mut state: ClientState, bookmark: Option<String>, spent: Option<Spent>) {
        let mut entries = self.lock();
        if let Some(before) = entries.states.get(client) {
            for (about, rule) in &mut state.rules {
                let known = before.rules.get(about).and_then(|rule| rule.alert.as_ref());
                if let (Some(alert), Some(known)) = (&mut rule.alert, known)
                    && alert.id == known.id
                {
                    alert.acknowledged_at = known.acknowledged_at;
                    alert.acknowledged_by.clone_from(&known.acknowledged_by);
                }
            }
        }
        entries.states.insert(client.clone(), state);
        if let Some(bookmark) = bookmark {
            entries.bookmarks.insert(client.clone(), bookmark);
        }
        if let Some(spent) = spent {
            entries.spent.insert(client.clone(), spent);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        // No code can panic in the middle of a change while it holds the lock.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to collect one client. Released when dropped.
#[derive(Debug)]
pub struct ClientGuard {
    client_states: Arc<ClientStates>,
    client: ClientId,
    cancel: CancellationToken,
}

impl ClientGuard {
    /// Cancelled when an operator ends this collection.
    #[must_use]
    pub fn cancelled(&self) -> &CancellationToken {
        &self.cancel
    }
}

impl Drop for ClientGuard {
    fn drop(&mut self) {
        self.client_states.lock().busy.remove(&self.client);
        self.client_states.given_back.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::fleet::{Metric, judge::RuleState};

    fn ids() -> (ClientId, ClientId) {
        (ClientId::new("a", 22), ClientId::new("b", 22))
    }

    #[test]
    fn a_client_is_claimed_once_at_a_time() {
        let client_states = ClientStates::new(HashMap::new(), HashMap::new());
        let (a, b) = ids();
        let guard = client_states.try_acquire(&a);
        assert!(guard.is_some() && client_states.try_acquire(&a).is_none() && client_states.try_acquire(&b).is_some());
        drop(guard);
        assert!(client_states.try_acquire(&a).is_some());
    }

    #[tokio::test]
    async fn who_claims_in_turn_gets_the_client_after_the_other_has_ended() {
        let client_states = ClientStates::new(HashMap::new(), HashMap::new());
        let (a, _) = ids();
        let guard = client_states.try_acquire(&a).unwrap();
        assert!(client_states.cancel(&a) && guard.cancelled().is_cancelled());
        let waiting = tokio::spawn({
            let (client_states, a) = (client_states.clone(), a.clone());
            async move { client_states.acquire(&a).await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(guard);
        let guard = waiting.await.unwrap();
        assert!(!guard.cancelled().is_cancelled());
        drop(guard);
        assert!(!client_states.cancel(&a));
    }

    #[test]
    fn what_was_acknowledged_during_a_collection_stays_acknowledged() {
        let (a, _) = ids();
        let alert = |id| OpenAlert {
            id: Uuid::from_u128(id),
            raised_at: Timestamp::UNIX_EPOCH,
            limit: 1.0,
            value: 2.0,
            peak: 2.0,
            last_mail_at: None,
            acknowledged_at: None,
            acknowledged_by: None,
        };
        let state = |id| ClientState {
            rules: [(Metric::Cpu.into(), RuleState { over_in_a_row: 1, alert: Some(alert(id)) })].into(),
            ..ClientState::default()
        };
        let client_states = ClientStates::new([(a.clone(), state(1))].into(), HashMap::new());
        client_states.acknowledge(&a, &Metric::Cpu.into(), &alert(1), Some((Timestamp::MAX, "ops")));
        client_states.follow(&a, state(1), None, None);
        let acknowledged = client_states.alert(&a, &Metric::Cpu.into()).unwrap();
        assert_eq!(acknowledged.acknowledged_at, Some(Timestamp::MAX));
        assert_eq!(acknowledged.acknowledged_by.as_deref(), Some("ops"));
        // A collection that began before the acknowledgement was withdrawn does not bring it back.
        client_states.acknowledge(&a, &Metric::Cpu.into(), &alert(1), None);
        let mut judged_before = state(1);
        judged_before.rules.insert(Metric::Cpu.into(), RuleState { over_in_a_row: 1, alert: Some(acknowledged) });
        client_states.follow(&a, judged_before, None, None);
        assert_eq!(client_states.alert(&a, &Metric::Cpu.into()).unwrap(), alert(1));
        client_states.acknowledge(&a, &Metric::Cpu.into(), &alert(1), Some((Timestamp::MAX, "ops")));
        // An acknowledgement applies to one alert only.
        client_states.follow(&a, state(2), None, None);
        assert_eq!(client_states.alert(&a, &Metric::Cpu.into()).unwrap().acknowledged_at, None);
    }
}
