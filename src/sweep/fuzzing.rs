//! The fuzz targets of data from clients; see [`crate::fuzzing`].

pub use super::{
    delivery::fuzzing::{answer, sftp},
    handshake::fuzzing::handshake,
    known_hosts::fuzzing::known_hosts,
};
