//! Finds the running collector of a database. Not the connection to it, which is [`crate::relay::client`]'s.

use std::path::PathBuf;

use crate::{
    app::{error::chain, process::identity::host_name},
    store::{LockOwner, Reader},
};

/// Who collects into a database, and where that can be reached from here; in words why it cannot.
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
