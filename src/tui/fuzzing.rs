//! The fuzz target of input from the terminal; see [`crate::fuzzing`].

pub use super::background::fuzzing::background;
