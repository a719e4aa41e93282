//! The event stream outside this process: recorded to a file, replayed from one, or sent over a Unix socket to other
//! processes. The format is JSON lines.
//!
//! The content of the stream is in [`crate::fleet::stream`].

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
