//! The decoders of what runs on a client, as a fuzzer calls them: see [`crate::fuzzing`].

pub use super::{sftp::fuzzing::sftp, talk::fuzzing::answer};
