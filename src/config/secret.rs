//! Where a secret comes from, and fetching it from there. A secret itself is never shown.

use std::path::PathBuf;

use secrecy::SecretString;

/// A secret as the configuration names it.
#[derive(Debug, Clone)]
pub enum SecretSource {
    /// The secret itself.
    Literal(SecretString),
    /// `env:NAME`: an environment variable.
    Environment(String),
    /// `file:PATH`: the first line of a file.
    File(PathBuf),
    /// `cmd:COMMAND`: the first line that a shell command prints.
    Command(String),
}
