//! What settings depend on besides the files: the account, this machine, variables, the answers of commands. The edge
//! provides it, so that resolving is a function.

use std::path::PathBuf;

/// The host as it was asked for, and what is already decided about it.
#[derive(Debug, Clone, Default)]
pub struct HostQuery {
    /// The name or address: what stands after `ssh`.
    pub host: String,
    /// The account, if it is given: it wins over the files.
    pub user: Option<String>,
    /// The port, if it is given.
    pub port: Option<u16>,
}

/// What a command of `Match exec` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It exited with 0.
    Yes,
    /// It exited with something else, could not be started, or took too long.
    No,
    /// Commands are not run now.
    NotAsked,
}

/// The account and the machine.
pub struct Environment<'a> {
    /// The home directory: `~` and `%d`.
    pub home: Option<PathBuf>,
    /// The local account: `%u`.
    pub user: String,
    /// Its number: `%i`.
    pub uid: u32,
    /// The name of this machine: `%l`, and `%L` up to the first dot.
    pub machine: String,
    /// The environment variable of a name.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
    /// Asks a command of `Match exec`, whose tokens are expanded.
    pub exec: &'a dyn Fn(&str) -> Answer,
}
