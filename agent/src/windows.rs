//! What a Windows machine tells of itself. How each part is read is in the modules below; each leaves out what it
//! cannot read and says why. Whatever needs no Windows is pure, and tested everywhere.

#[cfg(windows)]
mod api;
mod counters;
mod events;
#[cfg(windows)]
mod machine;
#[cfg(windows)]
mod usage;

#[cfg(windows)]
pub(crate) use self::{api::terminate, machine::look};
