//! The composition root: builds the parts, runs what was asked for, shuts down in order.
//!
//! It alone knows every edge. It is not where anything is decided.

use std::{
    error::Error,
    io::{self, IsTerminal as _, Write as _},
    num::NonZeroUsize,
    path::PathBuf,
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use crate::{
    cli::{self, Exit, FleetSource, Invocation, Task},
    config::{LoadError, secret::SecretError},
    headless::progress::Progress,
    mail::{compose::TemplateError, smtp::SetupError},
    relay::{record::RecordError, replay::ReplayError},
    store::StoreError,
    sweep::SweepError,
};

pub mod answers;
pub mod attached;
pub mod base;
pub mod bell;
pub mod beside;
pub mod commands;
pub mod counter;
pub mod courier;
pub mod dashboard;
pub mod demo;
pub mod descriptors;
pub mod export;
pub mod inlet;
pub mod ledger;
pub mod logging;
pub mod manager;
pub mod memory;
pub mod once;
pub mod orders;
pub mod outage;
pub mod outbox;
pub mod output;
pub mod pipeline;
pub mod readers;
pub mod service;
pub mod signals;
pub mod source;
pub mod sweep_evidence;
pub mod takeover;
pub mod tidying;
pub mod troubles;
pub mod wheel;
pub mod work;

use descriptors::TooFew;
use logging::LogTap;
use once::Once;
use output::OutputError;
use source::Source;

/// How long a thread for blocking work is kept that has none.
const BLOCKING_KEPT: Duration = Duration::from_secs(600);

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
    /// A password cannot be fetched.
    #[error("the password of the SMTP account cannot be fetched")]
    Secret(#[from] SecretError),
    /// Host keys or agents cannot be used.
    #[error(transparent)]
    Sweep(#[from] SweepError),
    /// TLS for the SMTP server cannot be set up.
    #[error(transparent)]
    Smtp(#[from] SetupError),
    /// This process may open too few files.
    #[error(transparent)]
    TooFewFiles(#[from] TooFew),
    /// This process may start too few threads.
    #[error(
        "the operating system gives no thread for the start: raise the limit with `ulimit -u`, or with TasksMax= in the unit of the service"
    )]
    NoThreads(#[source] io::Error),
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] StoreError),
    /// Another process collects into the database, and did not do what it was asked.
    #[error("the running collector of this database: {0}")]
    Collector(String),
    /// Nothing can be recorded.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A recording cannot be played.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// Nothing can lie in the span that was asked for.
    #[error("--since is not before --until: nothing can lie between them")]
    EmptySpan,
    /// The result cannot be put into its file.
    #[error(transparent)]
    Output(#[from] OutputError),
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
            | Self::Secret(_)
            | Self::Sweep(_)
            | Self::Record(_)
            | Self::Replay(_)
            | Self::Smtp(_)
            | Self::TooFewFiles(_)
            | Self::NoThreads(_)
            | Self::EmptySpan
            | Self::Output(OutputError::NotBegun { .. }) => Exit::Usage,
            Self::Database(_) => Exit::Database,
            Self::Collector(_)
            | Self::Demo(_)
            | Self::Template(_)
            | Self::System(_)
            | Self::Output(OutputError::NotFinished { .. } | OutputError::Stopped { .. }) => Exit::ClientFailed,
        }
    }
}

/// Does what the command line says.
#[must_use]
pub fn run(invocation: Invocation) -> Exit {
    let progress = Progress::new(io::stderr().is_terminal() && matches!(invocation.task, Task::Once { .. }));
    let (tap, _log_file) = match invocation.task {
        Task::Dashboard | Task::Replay(_) => logging::start_behind_screen(invocation.log_level),
        Task::Once { .. }
        | Task::Headless
        | Task::Check
        | Task::Trust
        | Task::MailTest
        | Task::Clean
        | Task::Export(_)
        | Task::Completions(_)
        | Task::Man => (logging::start(invocation.log_level, progress.clone()), None),
    };
    // Every session is a descriptor, and the customary limit of 1,024 is less than a fleet.
    descriptors::raise_limit();
    let done = runtime(&invocation.task).and_then(|runtime| {
        let done = runtime.block_on(perform(invocation, progress, &tap));
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

/// The threads on which everything runs. What is missing for them is said here: the library would panic.
fn runtime(task: &Task) -> Result<tokio::runtime::Runtime, Failed> {
    match task {
        Task::Once { .. } | Task::Headless | Task::Dashboard => descriptors::check_limit()?,
        Task::Check
        | Task::Trust
        | Task::MailTest
        | Task::Clean
        | Task::Export(_)
        | Task::Replay(_)
        | Task::Completions(_)
        | Task::Man => {}
    }
    let workers = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let started: Vec<_> = (0..=workers).map(|_| std::thread::Builder::new().spawn(|| ())).collect();
    for thread in started {
        // A thread that does nothing does not panic.
        drop(thread.map_err(Failed::NoThreads)?.join());
    }
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        // Where no thread is to be had, one that is there already does the work.
        .thread_keep_alive(BLOCKING_KEPT)
        .build()
        .map_err(Failed::System)
}

async fn perform(invocation: Invocation, progress: Progress, tap: &LogTap) -> Result<Exit, Failed> {
    let Invocation { task, fleet, clients, record, log_level } = invocation;
    let stop = CancellationToken::new();
    let from_file = |path: PathBuf| Source::of(path, clients.clone());
    let record = record.as_deref();
    match (task, fleet) {
        (Task::Completions(shell), _) => {
            cli::write_completions(shell, &mut io::stdout().lock())?;
            Ok(Exit::Success)
        }
        (Task::Man, _) => {
            cli::write_manual(&mut io::stdout().lock())?;
            Ok(Exit::Success)
        }
        (Task::Dashboard | Task::Replay(_), _) if !io::stdout().is_terminal() || !io::stdin().is_terminal() => {
            Err(Failed::NoTerminal)
        }
        (Task::Dashboard, fleet) => {
            signals::stop_on_signals(stop.clone())?;
            match fleet {
                FleetSource::File(path) => dashboard::run(&from_file(path), record, tap, &stop).await?,
                FleetSource::Demo(count) => demo::dashboard(count, &clients, record, tap, &stop).await?,
            }
            Ok(Exit::Success)
        }
        (Task::Replay(file), _) => {
            signals::stop_on_signals(stop.clone())?;
            dashboard::replay(&file, &stop).await?;
            Ok(Exit::Success)
        }
        (Task::Once { format, output, fail_on_alert }, fleet) => {
            signals::stop_on_signals(stop.clone())?;
            let log_events = log_level >= tracing::level_filters::LevelFilter::INFO;
            let once = Once { format, output, fail_on_alert, log_events, progress };

            match fleet {
                FleetSource::File(path) => {
                    let source = from_file(path);
                    let swept = once::run(&source.load()?, source.costs, &once, record, &stop).await?;
                    Ok(swept.exit(fail_on_alert))
                }
                FleetSource::Demo(count) => demo::once(count, &clients, &once, record, &stop).await,
            }
        }
        (Task::Headless, fleet) => {
            signals::stop_on_signals(stop.clone())?;
            match fleet {
                FleetSource::File(path) => service::run(&from_file(path), record, tap, &stop).await?,
                FleetSource::Demo(count) => demo::headless(count, &clients, record, tap, &stop).await?,
            }
            Ok(Exit::Success)
        }
        (Task::Check | Task::Trust | Task::MailTest | Task::Clean | Task::Export(_), FleetSource::Demo(_)) => {
            Err(Failed::NotForDemo)
        }
        (Task::Check, FleetSource::File(path)) => commands::check(&from_file(path)),
        (Task::Trust, FleetSource::File(path)) => {
            signals::stop_on_signals(stop.clone())?;
            commands::trust(&from_file(path), &stop).await
        }
        (Task::Clean, FleetSource::File(path)) => {
            signals::stop_on_signals(stop.clone())?;
            commands::clean(&from_file(path), &stop).await
        }
        (Task::Export(export), FleetSource::File(path)) => {
            // A file that is not finished is taken away again; without one, a signal may simply end the process.
            if export.output.is_some() {
                signals::stop_on_signals(stop.clone())?;
            }
            export::run(&from_file(path), &export, &stop).await
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
        let cause = error.to_string();
        // Some libraries say in their own words what their source says again.
        if !text.ends_with(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
        behind = error.source();
    }
    text
}

/// The name of this machine, for mails.
fn here() -> String {
    gethostname::gethostname().to_string_lossy().into_owned()
}

/// The account of this process.
fn account() -> String {
    whoami::username().unwrap_or_else(|_| "unknown".to_owned())
}

/// Whom the audit names: the account behind `sudo`, else that of this process.
pub fn actor() -> String {
    let named = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    named("SUDO_USER").or_else(|| whoami::username().ok()).unwrap_or_else(|| "unknown".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{words}")]
    struct Said {
        words: &'static str,
        source: Option<Box<Self>>,
    }

    #[test]
    fn a_chain_says_nothing_twice() {
        let check = |words: &[&'static str], expected: &str| {
            let whole = words.iter().rev().fold(None, |source, words| Some(Box::new(Said { words, source })));
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
