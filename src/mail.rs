//! Mail: composes mails and sends them to the SMTP server.
//!
//! Composing is pure. Sending is one SMTP session with one server. [`delivery`] decides what happens to a mail after an
//! attempt. The outbox is in `store`, and the outbox worker in `app`.

pub mod backoff;
pub mod compose;
pub mod delivery;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod message;
pub mod outcome;
pub mod resize;
pub mod smtp;
mod words;
