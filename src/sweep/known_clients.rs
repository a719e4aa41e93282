//! Data about clients from earlier visits: their platforms, and directories in which programs cannot be executed. It
//! only saves time and is not stored.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{
    delivery::{Directory, UnusableDirectories},
    platform::Platform,
};
use crate::fleet::ClientId;

/// The data about one client.
#[derive(Debug, Clone, Default)]
struct KnownClient {
    platform: Option<Platform>,
    unusable: UnusableDirectories,
}

/// The data about all clients.
#[derive(Debug, Default)]
pub(super) struct KnownClients(Mutex<HashMap<ClientId, KnownClient>>);

impl KnownClients {
    fn lock(&self) -> MutexGuard<'_, HashMap<ClientId, KnownClient>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The platform of a client, if it is known.
    pub(super) fn platform(&self, client: &ClientId) -> Option<Platform> {
        self.lock().get(client).and_then(|known| known.platform.clone())
    }

    /// Stores the platform of a client.
    pub(super) fn meet(&self, client: &ClientId, platform: Platform) {
        self.lock().entry(client.clone()).or_default().platform = Some(platform);
    }

    /// Forgets the platform of a client on which nothing could be started, because it may be another machine now.
    pub(super) fn forget(&self, client: &ClientId) {
        if let Some(known) = self.lock().get_mut(client) {
            known.platform = None;
        }
    }

    /// The directories of a client in which programs cannot be executed.
    pub(super) fn unusable(&self, client: &ClientId) -> UnusableDirectories {
        self.lock().get(client).map(|known| known.unusable).unwrap_or_default()
    }

    /// Adds a directory in which programs cannot be executed.
    pub(super) fn leave_out(&self, client: &ClientId, directory: Directory) {
        let mut clients = self.lock();
        let known = clients.entry(client.clone()).or_default();
        known.unusable = known.unusable.and(directory);
    }
}
