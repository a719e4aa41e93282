//! The file format of age, version 1, for small secrets: keys, encryption to X25519 recipients and decryption, as
//! described on age-encryption.org. Pure except for random numbers; files are read and written elsewhere.
//!
//! A file is a header and a payload. The header has one stanza for each recipient, in which the file key is wrapped, and a
//! MAC with that key. The payload is encrypted with a key that is derived from the file key and a nonce.
//!
//! Recipients of other types (passphrases, SSH keys, plugins, post-quantum keys) are recognised, so that an error can
//! name them, but not decrypted. A file has at most [`LARGEST_BYTES`], so the payload has a single chunk.

mod armor;
mod error;
mod file;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod header;
mod identities;
mod keys;
mod payload;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;
mod x25519;

pub use armor::{armored, from_line};
pub use error::{AgeError, RecipientKind};
pub use file::{decrypt, encrypt, examine};
pub use identities::{Identities, IdentitiesError, written};
pub use keys::{Identity, KeyError, Recipient};

/// The largest encrypted file, in bytes, as text or binary. A secret is small.
pub const LARGEST_BYTES: usize = 64 * 1024;
