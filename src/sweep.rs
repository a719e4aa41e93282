//! Everything that touches a client.

pub mod known_hosts;
