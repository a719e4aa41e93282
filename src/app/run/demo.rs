//! `--demo`: any run mode over the demo fleet, and whether that went as scripted.

use std::{
    io::{self, Write as _},
    path::Path,
};

use tokio_util::sync::CancellationToken;

use crate::{
    app::{config_source::ConfigSource, error::RunError, process::logging::LogTap},
    cli::Exit,
    demo::{Demo, Expectation, ReceivedMail},
    fleet::{select::Pattern, state::ClientView},
    sweep::descriptor_budget::Costs,
};

use super::{
    dashboard,
    once::{self, Once, result::RunResult},
    service,
};

/// One sweep over a demo of so many clients. Going as scripted, planned failures included, is a success.
///
/// # Errors
/// [`RunError`] where the demo or the run could not begin.
pub async fn once(
    clients: u16,
    patterns: &[Pattern],
    once: &Once,
    record: Option<&Path>,
    stop: &CancellationToken,
) -> Result<Exit, RunError> {
    let (demo, source) = start(clients, patterns, Mood::Scripted).await?;
    let swept = once::run(&source.load()?, source.costs, once, record, stop).await?;
    for mail in demo.mails() {
        note(&format!("demo: mail to {}: {}\n", mail.recipients.join(", "), subject(&mail)));
    }
    let strayed = strayed(&demo, &swept);
    for line in &strayed {
        note(&format!("demo: unexpected result: {line}\n"));
    }
    demo.stop().await.map_err(RunError::Demo)?;
    Ok(match (swept.exit(false), strayed.is_empty()) {
        (Exit::Database, _) => Exit::Database,
        // The script has failures in it.
        (Exit::Success | Exit::ClientFailed | Exit::Usage | Exit::LimitExceeded, true) => Exit::Success,
        (Exit::Success | Exit::ClientFailed | Exit::Usage | Exit::LimitExceeded, false) => Exit::ClientFailed,
    })
}

/// Sweep after sweep over a demo of so many clients.
///
/// # Errors
/// [`RunError`] where the demo or the run could not begin.
pub async fn headless(
    clients: u16,
    patterns: &[Pattern],
    record: Option<&Path>,
    tap: &LogTap,
    stop: &CancellationToken,
) -> Result<(), RunError> {
    let (demo, source) = start(clients, patterns, Mood::Lively).await?;
    service::run(&source, record, tap, stop).await?;
    demo.stop().await.map_err(RunError::Demo)
}

/// The same under the eyes of an operator.
///
/// # Errors
/// [`RunError`] where the demo or the run could not begin.
pub async fn dashboard(
    clients: u16,
    patterns: &[Pattern],
    record: Option<&Path>,
    tap: &LogTap,
    stop: &CancellationToken,
) -> Result<(), RunError> {
    let (demo, source) = start(clients, patterns, Mood::Lively).await?;
    dashboard::run(&source, record, tap, stop).await?;
    demo.stop().await.map_err(RunError::Demo)
}

/// A demo that is swept again and again has things happen in it; one that is swept once goes as scripted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    Scripted,
    Lively,
}

async fn start(clients: u16, patterns: &[Pattern], mood: Mood) -> Result<(Demo, ConfigSource), RunError> {
    let mut demo = Demo::start(usize::from(clients)).await.map_err(RunError::Demo)?;
    if mood == Mood::Lively {
        demo.enliven();
    }
    note(demo.legend());
    note("\n");
    let path = demo.config_path().to_owned();
    let source = ConfigSource { path, patterns: patterns.to_vec(), name: "demo".to_owned(), costs: Costs::SERVED_HERE };
    Ok((demo, source))
}

/// What went otherwise than planned, a line each.
fn strayed(demo: &Demo, swept: &RunResult) -> Vec<String> {
    let stray = |client: &ClientView| {
        let planned = demo.expectation(&client.card.id)?;
        let failed_at = client.last.as_ref()?.failure.as_ref().map(|failure| failure.stage);
        let as_planned = match planned {
            Expectation::Collected => failed_at.is_none() && client.exceeded.is_empty(),
            Expectation::OverLimit => failed_at.is_none() && !client.exceeded.is_empty(),
            Expectation::FailsAt(stage) => failed_at == Some(stage),
        };
        let came = || match (failed_at, client.exceeded.is_empty()) {
            (Some(stage), _) => format!("it failed at {stage}"),
            (None, true) => "it was collected, within its limits".to_owned(),
            (None, false) => "it was collected, over a limit".to_owned(),
        };
        (!as_planned).then(|| format!("{}: {}", client.card.name, came()))
    };
    swept.fleet.clients().filter_map(stray).collect()
}

/// A word beside the result. Where standard error is closed nobody listens.
fn note(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

fn subject(mail: &ReceivedMail) -> String {
    let text = String::from_utf8_lossy(&mail.content);
    let line = text.lines().take_while(|line| !line.is_empty()).find_map(|line| line.strip_prefix("Subject: "));
    line.unwrap_or("(no subject)").to_owned()
}
