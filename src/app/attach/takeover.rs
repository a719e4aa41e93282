//! Decides when an attached dashboard becomes the collector after the old one has gone, and tries to do so.

use std::{
    collections::BTreeSet,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::Notify;

use crate::{
    app::{
        collector::{
            engine::Engine,
            lock::{self, Opened},
        },
        config_source::ConfigSource,
        error::RunError,
        process::identity::{account, host_name},
    },
    bus::{EventBus, Publisher},
    config::Config,
    fleet::ClientId,
    store::{LockOwner, Store, StoreError, lock_owner::Mode},
};

/// Why the operator is asked first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfirmReason {
    /// It was a service, which is probably being restarted and would be locked out.
    Service,
    /// It ran on another machine.
    OtherMachine,
    /// It ran as another user, with that user's keys and rights.
    OtherUser,
    /// It swept other clients than this one would.
    OtherClients,
}

impl fmt::Display for ConfirmReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Service => "it was a service, which may be restarted",
            Self::OtherMachine => "it ran on another machine",
            Self::OtherUser => "it ran as another user",
            Self::OtherClients => "it swept other clients than this dashboard would",
        })
    }
}

/// Why an operator is asked before a dashboard takes the place of that collector; `None` if there is no reason. If the
/// collector is unknown, it was just ending.
#[must_use]
pub fn confirm_reason(
    last: Option<&LockOwner>,
    here: &str,
    account: &str,
    same_clients: bool,
) -> Option<ConfirmReason> {
    let by_owner = last.and_then(|last| {
        if last.host != here {
            Some(ConfirmReason::OtherMachine)
        } else if last.mode == Some(Mode::Headless) {
            Some(ConfirmReason::Service)
        } else if last.account != account {
            Some(ConfirmReason::OtherUser)
        } else {
            None
        }
    });
    by_owner.or((!same_clients).then_some(ConfirmReason::OtherClients))
}

/// What an attached dashboard knows about its collector, for a takeover after it has gone.
#[derive(Debug)]
pub struct TakeoverContext {
    /// The last collector.
    last: Mutex<Option<LockOwner>>,
    /// The clients that it swept; `None` before it has sent them.
    clients: Mutex<Option<BTreeSet<ClientId>>>,
    /// Notified when the operator wants this dashboard to sweep.
    wanted: Notify,
}

impl TakeoverContext {
    /// After this collector.
    #[must_use]
    pub fn of(owner: Option<LockOwner>) -> Arc<Self> {
        Arc::new(Self { last: Mutex::new(owner), clients: Mutex::new(None), wanted: Notify::new() })
    }

    /// Stores the current collector.
    pub fn met(&self, owner: &LockOwner) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(owner.clone());
    }

    /// Stores the clients that it sweeps.
    pub fn sweeps(&self, clients: BTreeSet<ClientId>) {
        *self.clients.lock().unwrap_or_else(PoisonError::into_inner) = Some(clients);
    }

    /// The operator wants this dashboard to sweep.
    pub fn want(&self) {
        self.wanted.notify_one();
    }

    /// Waits until the operator wants this dashboard to sweep.
    pub async fn wanted(&self) {
        self.wanted.notified().await;
    }

    /// Why the operator is asked before this configuration is swept here; `None` if there is no reason.
    #[must_use]
    pub fn confirm_reason(&self, config: &Config) -> Option<ConfirmReason> {
        let own: BTreeSet<ClientId> = config.clients.iter().map(|client| client.id.clone()).collect();
        let same = self.clients.lock().unwrap_or_else(PoisonError::into_inner).as_ref().is_none_or(|met| *met == own);
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        confirm_reason(last.as_ref(), &host_name(), &account(), same)
    }
}

/// The result of an attempt to take over.
#[derive(Debug)]
pub enum TakeoverOutcome {
    /// This process is now the collector.
    Taken(Box<NewCollector>),
    /// The operator must confirm.
    NeedsConfirmation(ConfirmReason),
    /// Somebody else is; the error names who, as far as that is known.
    Held(Box<StoreError>),
}

/// A collector after a takeover.
#[derive(Debug)]
pub struct NewCollector {
    /// Its engine.
    pub engine: Engine,
    /// The current configuration.
    pub config: Config,
    /// Its event bus.
    pub bus: EventBus,
}

/// Tries to take the place of a collector that has gone. `wanted` means that the operator has asked for it.
///
/// # Errors
/// [`RunError`] if the configuration is invalid or the database cannot be opened.
pub async fn try_takeover(
    source: &ConfigSource,
    takeover: &TakeoverContext,
    wanted: bool,
) -> Result<TakeoverOutcome, RunError> {
    let config = source.read_quietly()?.config;
    if let Some(confirm_reason) = takeover.confirm_reason(&config).filter(|_| !wanted) {
        // The operator is only asked if the lock is free. A collector that cannot be reached from here is not gone.
        return Ok(match Store::held(&config.database).await? {
            Some(held) => TakeoverOutcome::Held(held.into()),
            None => TakeoverOutcome::NeedsConfirmation(confirm_reason),
        });
    }
    let (publisher, told) = Publisher::new();
    match lock::open_now(&config, source.costs, publisher).await? {
        Opened::Held(held) => Ok(TakeoverOutcome::Held(held)),
        Opened::Ours(engine) => {
            let bus = EventBus::start(told);
            Ok(TakeoverOutcome::Taken(Box::new(NewCollector { engine: *engine, config, bus })))
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn a_dashboard_succeeds_a_dashboard_unasked_and_nobody_else() {
        let owner = |mode, host: &str, account: &str| LockOwner {
            host: host.to_owned(),
            pid: 1,
            account: account.to_owned(),
            socket: None,
            started_at: Timestamp::UNIX_EPOCH,
            version: "0".to_owned(),
            mode,
            mark: None,
            is_ending: false,
        };
        let (dashboard, service) = (Some(Mode::Dashboard), Some(Mode::Headless));
        for (last, same_clients, expected) in [
            (Some(owner(dashboard, "here", "ops")), true, None),
            (Some(owner(Some(Mode::Once), "here", "ops")), true, None),
            (Some(owner(None, "here", "ops")), true, None),
            (None, true, None),
            (None, false, Some(ConfirmReason::OtherClients)),
            (Some(owner(dashboard, "here", "ops")), false, Some(ConfirmReason::OtherClients)),
            (Some(owner(service, "here", "ops")), true, Some(ConfirmReason::Service)),
            (Some(owner(dashboard, "there", "ops")), true, Some(ConfirmReason::OtherMachine)),
            (Some(owner(dashboard, "here", "root")), true, Some(ConfirmReason::OtherUser)),
        ] {
            assert_eq!(confirm_reason(last.as_ref(), "here", "ops", same_clients), expected, "{last:?} {same_clients}");
        }
    }
}
