//! What a terminal says, as a fuzzer hears it: see [`crate::fuzzing`].

pub use super::background::fuzzing::background;
