//! The sweep: see the rooms below.

pub mod agents;
