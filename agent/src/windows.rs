//! Gathers the report of a Windows machine. The parts are in the modules below. Each omits what it cannot read and adds
//! a warning. Code that does not need Windows is pure and tested on all platforms.

#[cfg(windows)]
mod api;
mod counters;
mod disks;
mod events;
#[cfg(windows)]
mod machine;
mod services;
#[cfg(windows)]
mod usage;

#[cfg(windows)]
pub(crate) use self::{api::terminate, machine::look};
