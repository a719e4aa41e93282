//! The composition root: builds the parts, runs what was asked for, shuts down in order.
//!
//! It alone knows every edge. It is not where anything is decided.

use std::{
    error::Error,
    fmt::Write as _,
    io::{self, IsTerminal as _, Write as _},
    path::PathBuf,
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use crate::{
    cli::{self, Exit, FleetSource, Invocation, Task},
    config::{LoadError, secret::SecretError},
    headless::progress::Progress,
    mail::{compose::TemplateError, postman::PostmanError},
    store::StoreError,
    sweep::SweepError,
};

pub mod base;
pub mod commands;
pub mod demo;
pub mod ledger;
pub mod logging;
pub mod once;
pub mod outbox;
pub mod pipeline;
pub mod service;
pub mod signals;
pub mod source;
pub mod wheel;

use once::Once;
use source::Source;

/// Why a run could not begin, or could not give its result.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// The configuration is not valid, or not there.
    #[error(transparent)]
    Configuration(#[from] LoadError),
    /// No client of the configuration meets `--client`.
    #[error("no client meets --client: a pattern is a glob on name or address, and {0} lists them all")]
    NoClient(String),
    /// Nobody is to be mailed.
    #[error("{0}: no client has a `mail` address: write mail=\"you@example.com\" on a <client> or a <group>")]
    NoRecipient(String),
    /// A command has nothing to do with the demo.
    #[error("the demo has no configuration for this command: leave --demo out")]
    NotForDemo,
    /// The screen wants a terminal.
    #[error("there is no terminal for the dashboard: use --once for one sweep, or --headless for a service")]
    NoTerminal,
    /// The screen is not there yet.
    #[error("the dashboard is not part of this version yet: use --once for one sweep, or --headless for a service")]
    NoDashboard,
    /// A password cannot be fetched.
    #[error("the password of the SMTP account cannot be fetched")]
    Secret(#[from] SecretError),
    /// Host keys or agents cannot be used.
    #[error(transparent)]
    Sweep(#[from] SweepError),
    /// TLS for the SMTP server cannot be set up.
    #[error(transparent)]
    Postman(#[from] PostmanError),
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] StoreError),
    /// The demo fleet cannot be started.
    #[error("the demo fleet cannot be started")]
    Demo(#[source] io::Error),
    /// A template of ours is broken.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The operating system refused something.
    #[error("the operating system refused")]
    System(#[from] io::Error),
}

impl Failed {
    fn exit(&self) -> Exit {
        match self {
            Self::Configuration(_)
            | Self::NoClient(_)
            | Self::NoRecipient(_)
            | Self::NotForDemo
            | Self::NoTerminal
            | Self::NoDashboard
            | Self::Secret(_)
            | Self::Sweep(_)
            | Self::Postman(_) => Exit::Usage,
            Self::Database(_) => Exit::Database,
            Self::Demo(_) | Self::Template(_) | Self::System(_) => Exit::ClientFailed,
        }
    }
}

/// Does what the command line says.
#[must_use]
pub fn run(invocation: Invocation) -> Exit {
    let progress = Progress::new(io::stderr().is_terminal() && matches!(invocation.task, Task::Once { .. }));
    logging::start(invocation.log_level, progress.clone());
    // Every session is a descriptor, and the customary limit of 1,024 is less than a fleet.
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        tracing::debug!("the limit of open files stays as it is: {error}");
    }
    let done = tokio::runtime::Runtime::new().map_err(Failed::System).and_then(|runtime| {
        let done = runtime.block_on(perform(invocation, progress));
        // Whatever still runs (a name being looked up) must not hold up the end.
        runtime.shutdown_background();
        done
    });
    match done {
        Ok(exit) => exit,
        // Whoever reads our output has gone: nothing is wrong.
        Err(Failed::System(error)) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Success,
        Err(failed) => {
            let text = if let Failed::Configuration(LoadError::Invalid(problems)) = &failed {
                // These lines begin with their place, for editors to jump to.
                problems.to_string()
            } else {
                format!("fleetsweep: {}", chain(&failed))
            };
            // Where standard error is closed nobody can be told.
            let _ = writeln!(io::stderr(), "{text}");
            failed.exit()
        }
    }
}

async fn perform(invocation: Invocation, progress: Progress) -> Result<Exit, Failed> {
    let Invocation { task, fleet, clients, log_level } = invocation;
    let stop = CancellationToken::new();
    let from_file = |path: PathBuf| Source { path, patterns: clients.clone() };
    match (task, fleet) {
        (Task::Completions(shell), _) => {
            cli::write_completions(shell, &mut io::stdout().lock())?;
            Ok(Exit::Success)
        }
        (Task::Man, _) => {
            cli::write_manual(&mut io::stdout().lock())?;
            Ok(Exit::Success)
        }
        (Task::Dashboard, _) if !io::stdout().is_terminal() => Err(Failed::NoTerminal),
        (Task::Dashboard, _) => Err(Failed::NoDashboard),
        (Task::Once { format, fail_on_alert }, fleet) => {
            signals::stop_on_signals(stop.clone())?;
            let log_events = log_level >= tracing::level_filters::LevelFilter::INFO;
            let once = Once { format, fail_on_alert, log_events, progress };
            match fleet {
                FleetSource::File(path) => {
                    let swept = once::run(&from_file(path).load()?, &once, &stop).await?;
                    Ok(swept.exit(fail_on_alert))
                }
                FleetSource::Demo(count) => demo::once(count, &clients, &once, &stop).await,
            }
        }
        (Task::Headless, fleet) => {
            signals::stop_on_signals(stop.clone())?;
            match fleet {
                FleetSource::File(path) => service::run(&from_file(path), &stop).await?,
                FleetSource::Demo(count) => demo::headless(count, &clients, &stop).await?,
            }
            Ok(Exit::Success)
        }
        (Task::Check | Task::Trust | Task::MailTest | Task::Clean, FleetSource::Demo(_)) => Err(Failed::NotForDemo),
        (Task::Check, FleetSource::File(path)) => commands::check(&from_file(path)),
        (Task::Trust, FleetSource::File(path)) => {
            signals::stop_on_signals(stop.clone())?;
            commands::trust(&from_file(path), &stop).await
        }
        (Task::Clean, FleetSource::File(path)) => {
            signals::stop_on_signals(stop.clone())?;
            commands::clean(&from_file(path), &stop).await
        }
        (Task::MailTest, FleetSource::File(path)) => commands::mail_test(&from_file(path)).await,
    }
}

/// Whole milliseconds; a run that lasts longer than they can count has other worries.
fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// An error with everything behind it, on one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut behind = error.source();
    while let Some(error) = behind {
        // Writing to a `String` does not fail.
        let _ = write!(text, ": {error}");
        behind = error.source();
    }
    text
}

/// The name of this machine, for mails.
fn here() -> String {
    gethostname::gethostname().to_string_lossy().into_owned()
}
