//! Runs a dashboard over a source, from taking the terminal to restoring it, and executes the operator's commands.

use std::{
    fs,
    future::Future,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    pin::pin,
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use tokio::{
    signal::unix::SignalKind,
    task::{JoinHandle, JoinSet},
};
use tokio_util::sync::CancellationToken;

use crate::{
    app::{error::RunError, source::Source},
    fleet::{
        audit::{AuditAction, AuditNote},
        order::{Order, Reply},
        stream::About,
    },
    tui::{
        Answer, Command, Look, Message,
        data::StatusMessage,
        screen::{Feed, Screen},
        terminal,
    },
};

use super::{answers, questions::Questions};

/// How long restoring the terminal may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// The stream has ended. Its last frames are passed on unless the dashboard has ended.
pub async fn settle(pump: JoinHandle<()>) {
    if let Ok(Err(error)) = tokio::time::timeout(PATIENCE, pump).await {
        tracing::error!("updating the dashboard failed: {error}");
    }
}

/// Takes the terminal. From then on SIGHUP ends the run, because the terminal is gone.
///
/// # Errors
/// [`RunError::System`] if there is no terminal.
pub fn start_screen(stop: &CancellationToken) -> Result<Screen, RunError> {
    let mut hangups = tokio::signal::unix::signal(SignalKind::hangup())?;
    let stop = stop.clone();
    tokio::spawn(async move {
        if hangups.recv().await.is_some() {
            tracing::info!("the terminal is gone: storing what has been received, then quitting");
            stop.cancel();
        }
    });
    let look = Look::from_environment(|name| std::env::var(name).ok());
    Ok(Screen::start(About::default(), look)?)
}

/// Executes the commands of the dashboard until `working` ends, which `stop` causes; then restores the terminal.
///
/// # Errors
/// That of `working`; [`RunError::System`] if the dashboard failed.
pub async fn show(
    mut screen: Screen,
    source: Source,
    working: impl Future<Output = Result<(), RunError>>,
    stop: &CancellationToken,
) -> Result<(), RunError> {
    let feed = screen.feed();
    let source = Arc::new(source);
    let mut continued = tokio::signal::unix::signal(SignalKind::from_raw(rustix::process::Signal::CONT.as_raw()))?;
    let mut errands = JoinSet::new();
    let mut questions = ask_on_behalf_of(&feed, &source);
    let mut working = pin!(working);
    let mut open = true;
    let ended = loop {
        tokio::select! {
            ended = &mut working => break ended,
            command = screen.next_command(), if open => match command {
                Some(Command::Quit) if stop.is_cancelled() => {
                    // A second request ends the process at once, as with signals.
                    terminal::restore();
                    std::process::exit(128 + 2);
                }
                Some(Command::Quit) => {
                    say(&feed, false, "quitting: storing what has been received");
                    stop.cancel();
                }
                // The terminal is gone, or the dashboard failed.
                None => {
                    open = false;
                    stop.cancel();
                }
                Some(Command::Ask(query)) => questions.put(query),
                Some(command) => {
                    errands.spawn(run_errand(source.clone(), feed.clone(), command));
                }
            },
            _ = continued.recv() => {
                // A dashboard that accepts nothing need not be redrawn.
                let _ = feed.send(Message::Continued);
            }
            Some(done) = errands.join_next() => {
                if let Err(error) = done {
                    tracing::error!("a command of the dashboard failed: {error}");
                }
            }
        }
    };
    errands.abort_all();
    questions.end();
    let finished = tokio::task::spawn_blocking(move || screen.finish(PATIENCE)).await.map_err(io::Error::other)?;
    ended?;
    match finished {
        Err(error) if error.kind() == io::ErrorKind::TimedOut => Ok(()),
        // A missing terminal is not reported as an error.
        Err(error) if stop.is_cancelled() && is_gone(&error) => Ok(()),
        finished => Ok(finished?),
    }
}

/// Whether an error means that the terminal is gone.
fn is_gone(error: &io::Error) -> bool {
    let gone = [rustix::io::Errno::IO, rustix::io::Errno::NXIO].map(|errno| Some(errno.raw_os_error()));
    gone.contains(&error.raw_os_error()) || error.kind() == io::ErrorKind::BrokenPipe
}

/// Queries the database for the dashboard.
fn ask_on_behalf_of(feed: &Feed, source: &Arc<Source>) -> Questions {
    let (feed, source) = (feed.clone(), source.clone());
    let ask = move |query, superseded| {
        let source = source.clone();
        async move {
            match source.history() {
                Some(reader) => answers::answer(reader, query, source.clients(), Timestamp::now(), &superseded).await,
                None => Some(answers::nothing(query)),
            }
        }
    };
    Questions::start(ask, move |answer| tell(feed.clone(), answer))
}

/// Sends an answer to the dashboard, and waits for it on a thread that may block.
async fn tell(feed: Feed, answer: Answer) {
    // A dashboard that has ended needs no answer.
    let sent = tokio::task::spawn_blocking(move || feed.send_waiting(Message::Answer(answer))).await;
    if let Err(error) = sent {
        tracing::error!("an answer did not reach the dashboard: {error}");
    }
}

/// Executes one command of the dashboard.
async fn run_errand(source: Arc<Source>, feed: Feed, command: Command) {
    let answer = match command {
        Command::Order(order) => Answer::Status(said(source.order(order).await)),
        Command::Export { file_name, text } => {
            let target = file_name.clone();
            let written = tokio::task::spawn_blocking(move || export(&file_name, &text)).await;
            let status = written
                .unwrap_or_else(|error| StatusMessage { is_error: true, text: format!("not exported: {error}") });
            if !status.is_error {
                let note = AuditNote { action: AuditAction::Export, target, detail: status.text.clone() };
                // A recording has no audit, and what was written is written.
                if let Reply::Refused { text } = source.order(Order::Note(vec![note])).await {
                    tracing::debug!("the export is not in the audit: {text}");
                }
            }
            Answer::Status(status)
        }
        Command::TakeOver => {
            source.take_over();
            return;
        }
        Command::Play(play) => {
            source.play(play).await;
            return;
        }
        // The dashboard or the caller handles these.
        Command::Ask(_) | Command::Copy(_) | Command::Mouse(_) | Command::Redraw | Command::Suspend | Command::Quit => {
            return;
        }
    };
    tell(feed, answer).await;
}

fn said(reply: Reply) -> StatusMessage {
    match reply {
        Reply::Done { text, .. } => StatusMessage { is_error: false, text },
        Reply::Refused { text } => StatusMessage { is_error: true, text },
    }
}

/// Writes to the working directory. Never overwrites a file.
fn export(file_name: &str, text: &str) -> StatusMessage {
    let written = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file_name)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    let place = std::path::absolute(Path::new(file_name)).unwrap_or_else(|_| file_name.into());
    match written {
        Ok(()) => StatusMessage { is_error: false, text: format!("written to {}", place.display()) },
        Err(error) => StatusMessage { is_error: true, text: format!("not exported to {}: {error}", place.display()) },
    }
}

fn say(feed: &Feed, is_error: bool, text: &str) {
    // A dashboard that lags drops such messages.
    let _ = feed.send(Message::Answer(Answer::Status(StatusMessage { is_error, text: text.to_owned() })));
}
