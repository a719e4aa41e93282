//! How processes find and attach to the collector of a database: the server at which they attach, finding it, and
//! taking the place of a collector that has gone. Not the protocol, which is [`crate::relay`]'s.

pub mod find;
pub mod server;
pub mod takeover;
