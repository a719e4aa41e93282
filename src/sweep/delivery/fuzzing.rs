//! The decoders of what runs on a client, as a fuzzer calls them: see [`crate::fuzzing`].

pub use super::{command_output::fuzzing::answer, sftp::fuzzing::sftp};
