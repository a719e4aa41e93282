//! The decoders of what clients say, as a fuzzer calls them: see [`crate::fuzzing`].

pub use super::{
    delivery::fuzzing::{answer, sftp},
    handshake::fuzzing::handshake,
    known_hosts::fuzzing::known_hosts,
};
