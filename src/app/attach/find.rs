//! Finds the running collector of a database. [`crate::relay::client`] connects to it.

use std::path::PathBuf;

use crate::{
    app::{error::chain, process::identity::host_name},
    store::{LockOwner, Reader},
};

/// The collector of a database and its socket, or the reason why it cannot be reached from here.
pub async fn find(reader: &Reader) -> Result<(LockOwner, PathBuf), String> {
    let owner = reader.lock_owner().await.map_err(|error| chain(&error))?;
    let Some(owner) = owner else { return Err("no collector has announced itself".to_owned()) };
    if owner.host != host_name() {
        return Err(format!("it is {owner}: attach on that machine"));
    }
    if owner.is_ending {
        return Err(format!("it is {owner}, which is ending"));
    }
    match owner.socket.clone() {
        Some(socket) => Ok((owner, socket)),
        None => Err(format!("it is {owner}, which does not accept connections")),
    }
}
