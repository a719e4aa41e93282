//! What the store reads back from the disk, as a fuzzer reads it: see [`crate::fuzzing`].

pub use super::spool::fuzzing::spool;
