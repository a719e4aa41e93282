//! How processes attach to the collector of a database: the attach server, finding it, and the takeover after the
//! collector has gone. The protocol is in [`crate::relay`].

pub mod find;
pub mod server;
pub mod takeover;
