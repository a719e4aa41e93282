//! The process: log, signals, file descriptors, memory, host and account.

pub mod descriptors;
pub mod hidden_input;
pub mod identity;
pub mod logging;
pub mod memory;
pub mod question;
pub mod service_manager;
pub mod signals;
