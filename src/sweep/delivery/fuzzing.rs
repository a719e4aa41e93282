//! The fuzz targets of the delivery; see [`crate::fuzzing`].

pub use super::{command_output::fuzzing::answer, sftp::fuzzing::sftp};
