//! Under which name the host key of a server is looked up, and in which files besides the one that is configured. Not
//! what they say.

use std::path::PathBuf;

use crate::{config::Client, fleet::ClientId};

/// The default port, which is not part of a name in the files.
const SSH_PORT: u16 = 22;

/// The name of a server in files of host keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KnownAs {
    /// Its address or alias, and its port. An alias has no port.
    pub(super) id: ClientId,
    /// Further files that are read and never written.
    pub(super) files: Vec<PathBuf>,
}

impl KnownAs {
    /// The name of a client.
    pub(super) fn of(client: &Client) -> Self {
        let Some(settings) = &client.openssh else { return Self { id: client.endpoint(), files: Vec::new() } };
        let alias = settings.host_key_alias.as_ref().map(|alias| ClientId::new(alias.value.as_str(), SSH_PORT));
        let files = [&settings.user_known_hosts, &settings.global_known_hosts];
        Self {
            id: alias.unwrap_or_else(|| client.endpoint()),
            files: files.into_iter().flatten().flat_map(|files| files.value.clone()).collect(),
        }
    }
}
