//! The way to a client through the bastions of its `via`. Each bastion has its sessions in [`super::bastion_pool`].
//!
//! A bastion that cannot be used is no failure of the clients behind it: they fail with [`FailureKind::NotReached`], which
//! is not counted as their failure.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

use super::{
    access::Access,
    bastion_pool::{self, BastionKeys, BastionPool, RouteOrder},
    transport::Transport,
};
use crate::{
    config::{Bastion, Client},
    fleet::{Failure, FailureKind, Stage},
};

/// All bastions.
pub(super) struct Bastions {
    access: Arc<Access>,
    keys: BastionKeys,
    /// The time of an attempt at a client.
    timeout: Duration,
    pools: Mutex<HashMap<Vec<String>, Arc<BastionPool>>>,
}

/// The way to a client.
pub(super) struct Route {
    /// The last bastion before it; `None` for a direct connection.
    through: Option<(Arc<BastionPool>, RouteOrder)>,
    /// Held until the client is logged in.
    _permit: Option<OwnedSemaphorePermit>,
}

impl Route {
    /// Opens the connection to a client, within about `allowed` if it is a direct one.
    pub(super) fn open(
        &self,
        client: &Client,
        allowed: Duration,
    ) -> impl Future<Output = Result<Transport, Failure>> + Send + use<> {
        bastion_pool::open(self.through.clone(), client.endpoint(), client.proxy_command().map(str::to_owned), allowed)
    }

    /// The bastions on the way, each with the host key of its session.
    pub(super) async fn host_keys(&self) -> Vec<String> {
        match &self.through {
            Some((pool, _)) => pool.host_keys().await,
            None => Vec::new(),
        }
    }
}

impl Bastions {
    /// No session yet. `timeout` is that of an attempt at a client.
    pub(super) fn new(access: &Arc<Access>, keys: BastionKeys, timeout: Duration) -> Self {
        Self { access: Arc::clone(access), keys, timeout, pools: Mutex::default() }
    }

    /// The way to a client. If it is behind a bastion, waits for a session with that and until the client may log in, so
    /// that this takes none of the client's time.
    ///
    /// # Errors
    /// [`FailureKind::NotReached`], [`FailureKind::Cancelled`], or a lack of resources of this machine.
    pub(super) async fn route(
        &self,
        client: &Client,
        order: RouteOrder,
        cancel: &CancellationToken,
    ) -> Result<Route, Failure> {
        let Some(pool) = self.pool(&client.via) else { return Ok(Route { through: None, _permit: None }) };
        match cancel.run_until_cancelled(pool.ready(order)).await {
            Some(permit) => Ok(Route { _permit: permit?, through: Some((pool, order)) }),
            None => Err(Failure::new(Stage::Connect, FailureKind::Cancelled)),
        }
    }

    /// The failure of an attempt at a client that began then. If the client lost its connection because the session with a
    /// bastion ended, it is that of the bastion.
    pub(super) async fn blamed(&self, client: &Client, failure: Failure, began: Instant) -> Failure {
        if failure.kind != FailureKind::ConnectionLost {
            return failure;
        }
        match self.pool(&client.via) {
            Some(pool) => pool.lost_since(began).await.unwrap_or(failure),
            None => failure,
        }
    }

    /// The sessions with the bastion at the end of a chain.
    fn pool(&self, chain: &[Arc<Bastion>]) -> Option<Arc<BastionPool>> {
        let (last, before) = chain.split_last()?;
        let before = self.pool(before);
        let key = chain.iter().map(|bastion| key(bastion)).collect();
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        let pool = pools.entry(key).or_insert_with(|| {
            let (last, access) = (Arc::clone(last), Arc::clone(&self.access));
            Arc::new(BastionPool::new(last, before, access, self.keys, self.timeout))
        });
        Some(Arc::clone(pool))
    }

    /// Closes all sessions. Those of the clients should be closed before.
    pub(super) async fn close(&self) {
        let mut pools: Vec<_> = {
            let pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
            pools.iter().map(|(chain, pool)| (chain.len(), Arc::clone(pool))).collect()
        };
        // The far ends first: a session with a bastion is a connection in the session with the one before it.
        pools.sort_by_key(|(length, _)| std::cmp::Reverse(*length));
        for (_, pool) in pools {
            pool.close().await;
        }
    }
}

/// The data that distinguishes bastions. The same account with another key is a different one.
fn key(bastion: &Bastion) -> String {
    let key = bastion.login.key.as_ref().map(|key| key.path.display().to_string());
    format!("{} {}@{} {}", bastion.name, bastion.username, bastion.id, key.unwrap_or_default())
}
