//! What belongs to the operating system's process: log, signals, file descriptors, memory, who and where it is. Not
//! what the process does.

pub mod descriptors;
pub mod identity;
pub mod logging;
pub mod memory;
pub mod service_manager;
pub mod signals;
