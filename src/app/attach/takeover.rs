//! When an attached dashboard whose collector has gone becomes the collector itself, and the trying of it. Not the
//! collecting that follows.

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
        error::Failed,
        process::identity::{account, host_name},
    },
    bus::{EventBus, Publisher},
    config::Config,
    fleet::ClientId,
    store::{Holder, holder::Mode},
};

/// Why the operator is asked first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Surprise {
    /// A service is mostly started again by whoever started it, and would then be kept out.
    Service,
    /// It ran on another machine.
    OtherMachine,
    /// It ran as another user, with that user's keys and rights.
    OtherUser,
    /// It swept other clients than this one would.
    OtherClients,
}

impl fmt::Display for Surprise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Service => "it was a service, which may be restarted",
            Self::OtherMachine => "it ran on another machine",
            Self::OtherUser => "it ran as another user",
            Self::OtherClients => "it swept other clients than this dashboard would",
        })
    }
}

/// What would surprise an operator whose dashboard took the place of that collector; `None` where nothing would. A
/// collector that nobody saw is one that was just ending.
#[must_use]
pub fn surprise(last: Option<&Holder>, here: &str, account: &str, same_clients: bool) -> Option<Surprise> {
    let by_holder = last.and_then(|last| {
        if last.host != here {
            Some(Surprise::OtherMachine)
        } else if last.mode == Some(Mode::Headless) {
            Some(Surprise::Service)
        } else if last.account != account {
            Some(Surprise::OtherUser)
        } else {
            None
        }
    });
    by_holder.or((!same_clients).then_some(Surprise::OtherClients))
}

/// What an attached dashboard knows of the collector it looks at, for the time when that has gone.
#[derive(Debug)]
pub struct Succession {
    /// Who was the collector last.
    last: Mutex<Option<Holder>>,
    /// The clients that it swept, once it has told them.
    clients: Mutex<Option<BTreeSet<ClientId>>>,
    /// Published when the operator wants this dashboard to sweep.
    wanted: Notify,
}

impl Succession {
    /// After this collector.
    #[must_use]
    pub fn of(holder: Option<Holder>) -> Arc<Self> {
        Arc::new(Self { last: Mutex::new(holder), clients: Mutex::new(None), wanted: Notify::new() })
    }

    /// Notes who is the collector now.
    pub fn met(&self, holder: &Holder) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(holder.clone());
    }

    /// Notes whom it sweeps.
    pub fn sweeps(&self, clients: BTreeSet<ClientId>) {
        *self.clients.lock().unwrap_or_else(PoisonError::into_inner) = Some(clients);
    }

    /// The operator wants this dashboard to sweep.
    pub fn want(&self) {
        self.wanted.notify_one();
    }

    /// Waits until the operator does.
    pub async fn wanted(&self) {
        self.wanted.notified().await;
    }

    /// What would surprise the operator if this configuration were swept here.
    #[must_use]
    pub fn surprise(&self, config: &Config) -> Option<Surprise> {
        let own: BTreeSet<ClientId> = config.clients.iter().map(|client| client.id.clone()).collect();
        let same = self.clients.lock().unwrap_or_else(PoisonError::into_inner).as_ref().is_none_or(|met| *met == own);
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        surprise(last.as_ref(), &host_name(), &account(), same)
    }
}

/// What became of a try.
#[derive(Debug)]
pub enum Tried {
    /// This process is the collector now.
    Taken(Box<Successor>),
    /// The operator is to be asked.
    Asks(Surprise),
    /// Somebody else is.
    Held,
}

/// A process that took the place of a collector.
#[derive(Debug)]
pub struct Successor {
    /// Its lasting parts.
    pub engine: Engine,
    /// What it sweeps: the configuration as it is now.
    pub config: Config,
    /// Folds what it tells.
    pub bus: EventBus,
}

/// Tries to take the place of a collector that has gone; `wanted` where the operator says so.
///
/// # Errors
/// Why this process cannot be a collector: its configuration, the database.
pub async fn try_to_succeed(source: &ConfigSource, succession: &Succession, wanted: bool) -> Result<Tried, Failed> {
    let config = source.read_quietly()?.config;
    if let Some(surprise) = succession.surprise(&config).filter(|_| !wanted) {
        return Ok(Tried::Asks(surprise));
    }
    let (publisher, told) = Publisher::new();
    match lock::open_now(&config, source.costs, publisher).await? {
        Opened::Held(_) => Ok(Tried::Held),
        Opened::Ours(engine) => {
            let bus = EventBus::start(told);
            Ok(Tried::Taken(Box::new(Successor { engine: *engine, config, bus })))
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn a_dashboard_succeeds_a_dashboard_unasked_and_nobody_else() {
        let holder = |mode, host: &str, account: &str| Holder {
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
            (Some(holder(dashboard, "here", "ops")), true, None),
            (Some(holder(Some(Mode::Once), "here", "ops")), true, None),
            (Some(holder(None, "here", "ops")), true, None),
            (None, true, None),
            (None, false, Some(Surprise::OtherClients)),
            (Some(holder(dashboard, "here", "ops")), false, Some(Surprise::OtherClients)),
            (Some(holder(service, "here", "ops")), true, Some(Surprise::Service)),
            (Some(holder(dashboard, "there", "ops")), true, Some(Surprise::OtherMachine)),
            (Some(holder(dashboard, "here", "root")), true, Some(Surprise::OtherUser)),
        ] {
            assert_eq!(surprise(last.as_ref(), "here", "ops", same_clients), expected, "{last:?} {same_clients}");
        }
    }
}
