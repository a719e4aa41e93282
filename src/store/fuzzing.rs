//! The fuzz targets of what the store reads from disk; see [`crate::fuzzing`].

pub use super::spool::fuzzing::spool;
