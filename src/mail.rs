//! Mail: composing what is to be told, and handing it to the SMTP server.
//!
//! Composing is pure: what the judge decided becomes text. Sending is one conversation with one server.
//! Not the outbox (its rows are the store's) and not the loop that empties it (that is wired where the
//! parts meet); [`delivery`] decides what becomes of a mail after a try.

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
