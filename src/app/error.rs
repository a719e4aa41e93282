//! The errors of a run, their exit codes, and how an error is formatted with its causes.

use std::{error::Error, io};

use crate::{
    cli::Exit,
    config::{LoadError, identity_file::IdentityFileError, secret::SecretError},
    mail::{compose::TemplateError, smtp::SetupError},
    relay::{record::RecordError, replay::ReplayError},
    store::StoreError,
    sweep::SweepError,
};

use super::{
    endpoint::error::EndpointError,
    process::{descriptors::TooFewDescriptors, hidden_input::InputError},
    run::{init::error::InitError, output_file::OutputError},
};

/// Why a secret cannot be encrypted. Messages do not contain it.
#[derive(Debug, thiserror::Error)]
pub enum EncryptionError {
    /// It cannot be read from the terminal or standard input.
    #[error(transparent)]
    Input(#[from] InputError),
    /// There is an identity that cannot be used.
    #[error(transparent)]
    Identity(#[from] IdentityFileError),
    /// It cannot be used as a secret.
    #[error(transparent)]
    Unusable(#[from] SecretError),
    /// It has more than one line. Only the first would be used.
    #[error("the secret has more than one line, and only the first would be used: write it on one line")]
    SeveralLines,
    /// It was typed differently the second time.
    #[error("the secret was not the same twice: nothing was written")]
    Different,
    /// A recipient cannot be encrypted for.
    #[error("the secret cannot be encrypted for these keys: name at most 100, each as age-keygen prints it")]
    Recipients,
}

/// Why a run could not start or could not output its result.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The configuration is invalid or missing.
    #[error(transparent)]
    Configuration(#[from] LoadError),
    /// No client of the configuration matches `--client`.
    #[error("no client matches --client: patterns are globs on name or address; {0} lists every client")]
    NoClient(String),
    /// No address to mail to is configured.
    #[error("{0}: no `mail` address is configured: write mail=\"you@example.com\" on a <client> or a <group>")]
    NoRecipient(String),
    /// The command needs a configuration and does not work with `--demo`.
    #[error("this command needs a configuration: remove --demo")]
    NotForDemo,
    /// The dashboard needs a terminal.
    #[error("the dashboard needs a terminal: use --once for one sweep, or --headless for a service")]
    NoTerminal,
    /// The terminal cannot position the cursor.
    #[error(
        "the dashboard cannot be shown on a terminal of the kind `dumb`: use --once for one sweep, --headless for a service, or set TERM"
    )]
    DumbTerminal,
    /// A password cannot be fetched.
    #[error("the password of the SMTP account cannot be read")]
    Secret(#[from] SecretError),
    /// Host keys or agents cannot be used.
    #[error(transparent)]
    Sweep(#[from] SweepError),
    /// TLS for the SMTP server cannot be set up.
    #[error(transparent)]
    Smtp(#[from] SetupError),
    /// The metrics endpoint cannot listen.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// This process may open too few files.
    #[error(transparent)]
    TooFewFiles(#[from] TooFewDescriptors),
    /// This process may start too few threads.
    #[error(
        "the operating system cannot start another thread: raise the limit with `ulimit -u`, or with TasksMax= in the service unit"
    )]
    NoThreads(#[source] io::Error),
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] StoreError),
    /// Another process collects into the database and refused the order.
    #[error("the running collector of this database: {0}")]
    Collector(String),
    /// The recording cannot be started.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A recording cannot be played.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// The time span of an export is empty.
    #[error("--since must be before --until")]
    EmptySpan,
    /// The result cannot be written to its file.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// No configuration can be written.
    #[error(transparent)]
    Init(#[from] InitError),
    /// A secret cannot be encrypted.
    #[error(transparent)]
    Encryption(#[from] EncryptionError),
    /// The demo fleet cannot be started.
    #[error("the demo fleet cannot be started")]
    Demo(#[source] io::Error),
    /// A built-in mail template is broken.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The operating system reported an error.
    #[error("the operating system reported an error")]
    System(#[from] io::Error),
}

impl RunError {
    /// The exit code for this error.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Configuration(_)
            | Self::NoClient(_)
            | Self::NoRecipient(_)
            | Self::NotForDemo
            | Self::NoTerminal
            | Self::DumbTerminal
            | Self::Secret(_)
            | Self::Sweep(_)
            | Self::Record(_)
            | Self::Replay(_)
            | Self::Smtp(_)
            | Self::Endpoint(_)
            | Self::TooFewFiles(_)
            | Self::NoThreads(_)
            | Self::EmptySpan
            | Self::Encryption(_)
            | Self::Init(
                InitError::Exists(_)
                | InitError::Hosts(_)
                | InitError::Unreadable { .. }
                | InitError::Refused { .. }
                | InitError::NoHosts
                | InitError::NoUsername
                | InitError::Directory(_)
                | InitError::Key(_)
                | InitError::Interrupted { .. }
                | InitError::Terminal(_),
            )
            | Self::Output(OutputError::NotBegun { .. } | OutputError::Exists { .. }) => Exit::Usage,
            Self::Database(_) => Exit::Database,
            Self::Collector(_)
            | Self::Init(
                InitError::NotAccepted(_)
                | InitError::Declined { .. }
                | InitError::NotPinned(_)
                | InitError::Dashboard(_),
            )
            | Self::Demo(_)
            | Self::Template(_)
            | Self::System(_)
            | Self::Output(OutputError::NotFinished { .. } | OutputError::Stopped { .. }) => Exit::ClientFailed,
        }
    }
}

/// An error with its causes, on one line.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut behind = error.source();
    while let Some(error) = behind {
        let cause = error.to_string();
        // Some libraries repeat their source in their own message.
        if !text.ends_with(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
        behind = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{words}")]
    struct Chained {
        words: &'static str,
        source: Option<Box<Self>>,
    }

    #[test]
    fn a_chain_says_nothing_twice() {
        let check = |words: &[&'static str], expected: &str| {
            let whole = words.iter().rev().fold(None, |source, words| Some(Box::new(Chained { words, source })));
            assert_eq!(chain(&*whole.unwrap()), expected);
        };
        check(&["the database failed", "no login", "access denied"], "the database failed: no login: access denied");
        check(
            &["no login", "the server says: access denied", "access denied"],
            "no login: the server says: access denied",
        );
        check(&["alone"], "alone");
    }
}
