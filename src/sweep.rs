//! Everything that touches a client.

pub mod agents;
pub mod known_hosts;
