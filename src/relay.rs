//! The stream beyond this process: recorded to a file, played from one, told over a Unix socket to dashboards
//! and runs beside the collector. One format: JSON lines.
//!
//! Not what is in the stream ([`crate::fleet::stream`]), and not who may collect: that is the database's lock.

pub mod client;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod line;
pub mod place;
pub mod record;
pub mod replay;
#[cfg(test)]
mod script;
pub mod server;
#[cfg(test)]
mod tests;
