//! Finds the running collector of a database. Not the connection to it, which is [`crate::relay::client`]'s.

use std::path::PathBuf;

use crate::{
    app::{error::chain, process::identity::host_name},
    store::{Holder, Reader},
};

/// Who collects into a database, and where that can be reached from here; in words why it cannot.
pub async fn find(reader: &Reader) -> Result<(Holder, PathBuf), String> {
    let holder = reader.holder().await.map_err(|error| chain(&error))?;
    let Some(holder) = holder else { return Err("no collector has announced itself".to_owned()) };
    if holder.host != host_name() {
        return Err(format!("it is {holder}: attach on that machine"));
    }
    if holder.is_ending {
        return Err(format!("it is {holder}, which is ending"));
    }
    match holder.socket.clone() {
        Some(socket) => Ok((holder, socket)),
        None => Err(format!("it is {holder}, which does not accept connections")),
    }
}
