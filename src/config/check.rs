//! What `check` prints.
