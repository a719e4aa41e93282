//! Why a secret cannot be read, what to do, and both as text without the secret.

use std::{io, process::ExitStatus, time::Duration};

use crate::config::{
    age_secret::AgeSecretError,
    directories::CREDENTIALS_VARIABLE,
    safe_text::{self, SafeText, words},
};

/// The longest secret. Anything longer is probably the wrong file.
pub(super) const LONGEST_BYTES: usize = 4096;

/// Why a secret cannot be read. Messages name the source and never the content.
#[derive(Debug, thiserror::Error)]
#[error("{}: {}", self.problem(), self.hint())]
pub enum SecretError {
    /// The environment variable is not set.
    NotSet(SafeText),
    /// The file cannot be read.
    File {
        /// The file.
        path: SafeText,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The path (links followed) is a pipe, a device or a socket, which cannot be read repeatedly.
    NotRegular(SafeText),
    /// The command cannot be started, or its output cannot be read.
    Command(#[source] io::Error),
    /// The command failed.
    CommandFailed(ExitStatus),
    /// The command did not finish in time.
    CommandTimedOut(Duration),
    /// systemd has passed no credentials to this process.
    NoCredentials,
    /// The credential cannot be read.
    Credential(#[source] io::Error),
    /// It cannot be decrypted.
    Age(#[source] AgeSecretError),
    /// The first line is empty.
    Empty(SafeText),
    /// It is not UTF-8.
    NotText(SafeText),
    /// It is longer than a secret can be.
    TooLong(SafeText),
}

impl SecretError {
    /// What is wrong.
    pub(in crate::config) fn problem(&self) -> SafeText {
        match self {
            Self::NotSet(name) if *name == SafeText::hidden() => "the environment variable of `env:` is not set".into(),
            Self::NotSet(name) => words!["the environment variable ", *name, " is not set"],
            Self::File { path, source } => {
                let hidden = *path == SafeText::hidden();
                let file = if hidden { "the secret file".into() } else { words!["the secret file ", *path] };
                words![file, " cannot be read: ", safe_text::io_error(source)]
            }
            Self::NotRegular(path) => words!["the secret file ", *path, " is not a regular file"],
            Self::Command(error) => words!["the command of `cmd:` cannot be run: ", safe_text::io_error(error)],
            Self::CommandFailed(status) => match status.code().and_then(|code| u32::try_from(code).ok()) {
                Some(code) => words!["the command of `cmd:` failed with exit status ", code],
                None => "the command of `cmd:` was killed by a signal".into(),
            },
            Self::CommandTimedOut(time) => words!["the command of `cmd:` did not finish within ", *time],
            Self::NoCredentials => {
                words!["systemd has passed no credentials to this process (", CREDENTIALS_VARIABLE, " is not set)"]
            }
            Self::Credential(error) => words!["the credential of `cred:` cannot be read: ", safe_text::io_error(error)],
            Self::Age(error) => error.problem(),
            Self::Empty(source) => words!["the secret from ", *source, " is empty"],
            Self::NotText(source) => words!["the secret from ", *source, " is not UTF-8 text"],
            Self::TooLong(source) => words!["the secret from ", *source, " is longer than ", LONGEST_BYTES, " bytes"],
        }
    }

    /// What to do.
    pub(in crate::config) fn hint(&self) -> &'static str {
        match self {
            Self::Age(error) => error.hint(),
            Self::NotSet(_) => "set it for the fleetsweep process, or change `env:` in the configuration",
            Self::File { .. } => "check the path and its permissions",
            Self::NotRegular(_) => "name a regular file, or use `cmd:COMMAND`",
            Self::Command(_) | Self::CommandFailed(_) => "run it in a shell to see why",
            Self::CommandTimedOut(_) => "the command must not wait for input",
            Self::NoCredentials | Self::Credential(_) => {
                "pass it to the unit with LoadCredential= or LoadCredentialEncrypted=; outside of the unit use systemd-run"
            }
            Self::Empty(_) => "its first line must contain the secret",
            Self::NotText(_) | Self::TooLong(_) => "check that this is the right source",
        }
    }
}
