//! The composition root: starts the parts that a run mode needs and shuts them down in order. Only this module knows
//! every edge.
//!
//! | part | what it is |
//! | --- | --- |
//! | [`mod@run`] | the run modes and commands: each reads a [`source`], prints or shows |
//! | [`source`] | a running collector as a run mode sees it: this process, another one, or a recording |
//! | [`collector`] | the collector of this process: engine, scheduler, pipeline, retention, lock |
//! | [`mod@endpoint`] | the metrics endpoint of this process, and its pages |
//! | [`attach`] | how processes find and attach to the collector of a database, and take its place |
//! | [`mail`] | the outbox worker and its SMTP clients |
//! | [`troubles`] | what is wrong with the collector itself, and the mails about that |
//! | [`process`] | what belongs to the process: log, signals, descriptors, memory, identity |

use std::{
    io::{self, IsTerminal as _, Write as _},
    num::NonZeroUsize,
    path::PathBuf,
    pin::Pin,
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use crate::{
    cli::{self, Exit, FleetSource, Invocation, Task},
    config::{self, LoadError},
    headless::progress::Progress,
};

pub mod attach;
pub mod audit;
pub mod collector;
pub mod config_source;
pub mod endpoint;
pub mod error;
pub mod mail;
pub mod process;
pub mod run;
pub mod source;
pub mod troubles;
pub mod units;

use config_source::ConfigSource;
use error::{RunError, chain};
use process::{
    descriptors,
    logging::{self, LogTap},
    signals,
};
use run::{
    agents, commands, dashboard, demo, export, init,
    once::{self, Once, watch::Show},
    secret, service,
};

/// How long an idle thread for blocking work is kept.
const BLOCKING_KEPT: Duration = Duration::from_secs(600);

/// The stack of a thread. Without optimisation, a sweep needs more than the default of 2 MiB. Only what is used takes memory.
const STACK_BYTES: usize = 4 << 20;

/// Executes the command line.
#[must_use]
pub fn run(invocation: Invocation) -> Exit {
    let progress = Progress::new(io::stderr().is_terminal() && matches!(invocation.task, Task::Once { .. }));
    let (tap, _log_file) = match invocation.task {
        Task::Dashboard | Task::Replay(_) => logging::start_behind_screen(invocation.log_level),
        Task::Once { .. }
        | Task::Headless
        | Task::Init(_)
        | Task::Check { .. }
        | Task::Trust
        | Task::MailTest
        | Task::Clean
        | Task::Export(_)
        | Task::Agents(_)
        | Task::Secret { .. }
        | Task::Help(_)
        | Task::Completions(_)
        | Task::Man
        | Task::Schema => (logging::start(invocation.log_level, progress.clone()), None),
    };
    // Every session needs a descriptor, and the usual limit of 1,024 is too low for a large fleet.
    descriptors::raise_limit();
    let done = runtime(&invocation.task).and_then(|runtime| {
        let done = runtime.block_on(perform(invocation, progress, &tap));
        // Blocking work that still runs, such as a name lookup, must not delay the end.
        runtime.shutdown_background();
        done
    });
    match done {
        Ok(exit) => exit,
        // The reader of our output has closed it, which is not an error.
        Err(RunError::System(error)) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Success,
        Err(failed) => {
            let text = if let RunError::Configuration(LoadError::Invalid(problems)) = &failed {
                // These lines start with their position, so that editors can jump to it.
                problems.to_string()
            } else {
                format!("fleetsweep: {}", chain(&failed))
            };
            // If standard error is closed, the error cannot be reported.
            let _ = writeln!(io::stderr(), "{text}");
            failed.exit()
        }
    }
}

/// Creates the runtime. It first checks that threads can be created, because the library would panic if not.
fn runtime(task: &Task) -> Result<tokio::runtime::Runtime, RunError> {
    match task {
        Task::Once { .. } | Task::Headless | Task::Dashboard => descriptors::check_limit()?,
        Task::Init(_)
        | Task::Check { .. }
        | Task::Trust
        | Task::MailTest
        | Task::Clean
        | Task::Export(_)
        | Task::Agents(_)
        | Task::Secret { .. }
        | Task::Replay(_)
        | Task::Help(_)
        | Task::Completions(_)
        | Task::Man
        | Task::Schema => {}
    }
    let workers = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let started: Vec<_> = (0..=workers).map(|_| std::thread::Builder::new().spawn(|| ())).collect();
    for thread in started {
        // A thread that does nothing does not panic.
        drop(thread.map_err(RunError::NoThreads)?.join());
    }
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(STACK_BYTES)
        // If no thread can be created, an existing one does the work.
        .thread_keep_alive(BLOCKING_KEPT)
        .build()
        .map_err(RunError::System)
}

/// Creates a future on the heap, in a stack frame that is left at once. Without optimisation, a function has space for each
/// future that it creates, as long as any of them runs: with all commands in one function, 2 of the 8 MiB of the main thread.
fn on_heap<F: Future>(create: impl FnOnce() -> F) -> Pin<Box<F>> {
    Box::pin(create())
}

async fn perform(invocation: Invocation, progress: Progress, tap: &LogTap) -> Result<Exit, RunError> {
    let Invocation { task, fleet, clients, record, log_level } = invocation;
    let stop = CancellationToken::new();
    let from_file = |path: PathBuf| ConfigSource::of(path, clients.clone());
    let record = record.as_deref();
    match (task, fleet) {
        (Task::Agents(directory), _) => agents::run(directory.as_deref()),
        (Task::Secret { output, recipients }, FleetSource::File(path)) => {
            signals::stop_on_signals(stop.clone())?;
            on_heap(|| secret::run(&path, output.as_deref(), recipients, &stop)).await
        }
        (Task::Help(page), _) => {
            let columns = io::stdout().is_terminal().then(|| crossterm::terminal::size().ok()).flatten();
            cli::write_help(page, columns.map(|(columns, _)| columns), &mut io::stdout().lock())?;
            Ok(Exit::Success)
        }
        (Task::Completions(shell), _) => {
            cli::write_completions(shell, &mut io::stdout().lock())?;
            Ok(Exit::Success)
        }
        (Task::Schema, _) => {
            io::stdout().lock().write_all(config::Schema::TEXT.as_bytes())?;
            Ok(Exit::Success)
        }
        (Task::Man, _) => {
            cli::write_manual(&mut io::stdout().lock())?;
            Ok(Exit::Success)
        }
        (Task::Dashboard | Task::Replay(_), _) if !io::stdout().is_terminal() || !io::stdin().is_terminal() => {
            Err(RunError::NoTerminal)
        }
        (Task::Dashboard | Task::Replay(_), _) if std::env::var_os("TERM").is_some_and(|term| term == "dumb") => {
            Err(RunError::DumbTerminal)
        }
        (Task::Dashboard, fleet) => {
            signals::stop_on_signals(stop.clone())?;
            match fleet {
                FleetSource::File(path) => {
                    let source = from_file(path);
                    on_heap(|| dashboard::run(&source, record, tap, &stop)).await?;
                }
                FleetSource::Demo(count) => {
                    on_heap(|| demo::dashboard(count, &clients, record, tap, &stop)).await?;
                }
            }
            Ok(Exit::Success)
        }
        (Task::Replay(file), _) => {
            signals::stop_on_signals(stop.clone())?;
            on_heap(|| dashboard::replay(&file, &stop)).await?;
            Ok(Exit::Success)
        }
        (Task::Once { format, output, fail_on_alert, held_logins }, fleet) => {
            signals::stop_on_signals(stop.clone())?;
            let log_events = log_level >= tracing::level_filters::LevelFilter::INFO;
            let once = Once { format, output, fail_on_alert, held_logins, show: Show { progress, log_events } };

            match fleet {
                FleetSource::File(path) => {
                    let source = from_file(path);
                    let config = source.load()?;
                    let swept = on_heap(|| once::run(&config, source.costs, &once, record, &stop)).await?;
                    Ok(swept.exit(fail_on_alert))
                }
                FleetSource::Demo(count) => on_heap(|| demo::once(count, &clients, &once, record, &stop)).await,
            }
        }
        (Task::Headless, fleet) => {
            signals::stop_on_signals(stop.clone())?;
            match fleet {
                FleetSource::File(path) => {
                    let source = from_file(path);
                    on_heap(|| service::run(&source, record, tap, &stop)).await?;
                }
                FleetSource::Demo(count) => {
                    on_heap(|| demo::headless(count, &clients, record, tap, &stop)).await?;
                }
            }
            Ok(Exit::Success)
        }
        (
            Task::Init(_)
            | Task::Check { .. }
            | Task::Trust
            | Task::MailTest
            | Task::Clean
            | Task::Export(_)
            | Task::Secret { .. },
            FleetSource::Demo(_),
        ) => Err(RunError::NotForDemo),
        (Task::Init(arguments), FleetSource::File(_)) => {
            signals::stop_on_signals(stop.clone())?;
            on_heap(|| init::run(&arguments, &clients, &stop)).await
        }
        (Task::Check { is_way_shown }, FleetSource::File(path)) => commands::check(&from_file(path), is_way_shown),
        (Task::Trust, FleetSource::File(path)) => {
            signals::stop_on_signals(stop.clone())?;
            let source = from_file(path);
            on_heap(|| commands::trust(&source, &stop)).await
        }
        (Task::Clean, FleetSource::File(path)) => {
            signals::stop_on_signals(stop.clone())?;
            let source = from_file(path);
            on_heap(|| commands::clean(&source, &stop)).await
        }
        (Task::Export(export), FleetSource::File(path)) => {
            // A signal must remove an unfinished output file; without one, it may simply end the process.
            if export.output.is_some() {
                signals::stop_on_signals(stop.clone())?;
            }
            let source = from_file(path);
            on_heap(|| export::run(&source, &export, &stop)).await
        }
        (Task::MailTest, FleetSource::File(path)) => {
            let source = from_file(path);
            on_heap(|| commands::mail_test(&source)).await
        }
    }
}
