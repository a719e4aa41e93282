//! Why no configuration was written.

use std::{io, path::PathBuf};

use crate::{
    app::process::hidden_input::InputError,
    config::entry::Refused,
    setup::input::{EXPORT, InputError as HostsError},
    sweep::known_hosts::KnownHostsError,
};

/// Why no configuration was written.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The file is there already.
    #[error("{} exists already, and is never overwritten: name another file with --output, or change it with an editor", .0.display())]
    Exists(PathBuf),
    /// A source of hosts cannot be used.
    #[error(transparent)]
    Hosts(#[from] HostsError),
    /// A file of hosts cannot be read.
    #[error("{} cannot be read: name a file with hosts that you may read", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// An option has a wrong value.
    #[error("'{option}': {refused}")]
    Refused {
        /// The option.
        option: &'static str,
        /// What is wrong.
        refused: Refused,
    },
    /// No host is named, and nobody can be asked.
    #[error(
        "there are no hosts: name them, as in `fleetsweep init 'ops@10.0.4.[1-40]'`, or use --ssh-config, --csv or --inventory"
    )]
    NoHosts,
    /// No account is named, and nobody can be asked.
    #[error("some hosts have no account: name it with --user, or write user@host")]
    NoUsername,
    /// Nobody can be asked about the host keys.
    #[error(
        "nothing was written, because {0} not pinned: compare the fingerprints, then repeat the command with --accept-host-keys"
    )]
    NotAccepted(String),
    /// A directory, of which only Ansible knows what it means.
    #[error("{} is a directory: name what {EXPORT} writes", .0.display())]
    Directory(PathBuf),
    /// The private key cannot be used.
    #[error("{0}")]
    Key(String),
    /// The operator does not want it.
    #[error("no configuration was written{}", stay(*.keys_stay))]
    Declined {
        /// Whether host keys were pinned.
        keys_stay: bool,
    },
    /// The operator interrupted it.
    #[error("interrupted: no configuration was written{}", stay(*.keys_stay))]
    Interrupted {
        /// Whether host keys were pinned.
        keys_stay: bool,
    },
    /// A host key cannot be pinned.
    #[error("no configuration was written, because a host key cannot be pinned")]
    NotPinned(#[from] KnownHostsError),
    /// The terminal cannot be read.
    #[error(transparent)]
    Terminal(InputError),
    /// The dashboard cannot be started.
    #[error("the configuration is written, but the dashboard cannot be started: run `fleetsweep`")]
    Dashboard(#[source] io::Error),
}

impl From<InputError> for InitError {
    fn from(error: InputError) -> Self {
        match error {
            InputError::Stopped => Self::Interrupted { keys_stay: false },
            other @ (InputError::LongLine | InputError::Failed(_)) => Self::Terminal(other),
        }
    }
}

/// What remains of a run that was given up.
fn stay(keys_stay: bool) -> &'static str {
    if keys_stay { "; the host keys stay pinned" } else { "" }
}
