//! `--demo`: all run modes with the demo fleet, and whether the result is as planned.

use std::{
    io::{self, Write as _},
    path::Path,
};

use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

use crate::{
    app::{config_source::ConfigSource, error::RunError, process::logging::LogTap},
    cli::Exit,
    config::directories::Environment,
    demo::{Demo, DiskPast, Expectation, ReceivedMail},
    fleet::{
        metric::Instance,
        rollup::{Quantity, Series},
        select::Pattern,
        state::ClientView,
    },
    store::Store,
    sweep::descriptor_budget::Costs,
};

use super::{
    dashboard,
    once::{self, Once, result::RunResult},
    service,
};

/// One sweep over a demo of this many clients. It succeeds if the result is as planned, including planned failures.
///
/// # Errors
/// [`RunError`] if the demo or the run could not start.
pub async fn once(
    clients: u16,
    patterns: &[Pattern],
    once: &Once,
    record: Option<&Path>,
    stop: &CancellationToken,
) -> Result<Exit, RunError> {
    let (demo, source) = start(clients, patterns, Incidents::Off).await?;
    let swept = once::run(&source.load()?, source.costs, once, record, stop).await?;
    for mail in demo.mails() {
        note(&format!("demo: mail to {}: {}\n", mail.recipients.join(", "), subject(&mail)));
    }
    let unexpected = unexpected(&demo, &swept);
    for line in &unexpected {
        note(&format!("demo: unexpected result: {line}\n"));
    }
    demo.stop().await.map_err(RunError::Demo)?;
    Ok(match (swept.exit(false), unexpected.is_empty()) {
        (Exit::Database, _) => Exit::Database,
        // Some clients are planned to fail.
        (Exit::Success | Exit::ClientFailed | Exit::Usage | Exit::LimitExceeded, true) => Exit::Success,
        (Exit::Success | Exit::ClientFailed | Exit::Usage | Exit::LimitExceeded, false) => Exit::ClientFailed,
    })
}

/// A service over a demo of this many clients.
///
/// # Errors
/// [`RunError`] if the demo or the run could not start.
pub async fn headless(
    clients: u16,
    patterns: &[Pattern],
    record: Option<&Path>,
    tap: &LogTap,
    stop: &CancellationToken,
) -> Result<(), RunError> {
    let (demo, source) = start(clients, patterns, Incidents::On).await?;
    service::run(&source, record, tap, stop).await?;
    demo.stop().await.map_err(RunError::Demo)
}

/// The same with a dashboard.
///
/// # Errors
/// [`RunError`] if the demo or the run could not start.
pub async fn dashboard(
    clients: u16,
    patterns: &[Pattern],
    record: Option<&Path>,
    tap: &LogTap,
    stop: &CancellationToken,
) -> Result<(), RunError> {
    let (demo, source) = start(clients, patterns, Incidents::On).await?;
    dashboard::run(&source, record, tap, stop).await?;
    demo.stop().await.map_err(RunError::Demo)
}

/// Whether clients have temporary faults. They have none in a demo with only one sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Incidents {
    Off,
    On,
}

async fn start(clients: u16, patterns: &[Pattern], incidents: Incidents) -> Result<(Demo, ConfigSource), RunError> {
    let mut demo = Demo::start(usize::from(clients)).await.map_err(RunError::Demo)?;
    if incidents == Incidents::On {
        demo.start_incidents();
    }
    note(demo.legend());
    note("\n");
    let path = demo.config_path().to_owned();
    let source = ConfigSource { path, patterns: patterns.to_vec(), name: "demo".to_owned(), costs: Costs::SERVED_HERE };
    remember(&demo, &source).await?;
    Ok((demo, source))
}

/// Stores the past of the clients, so that the demo shows which file systems are filling.
async fn remember(demo: &Demo, source: &ConfigSource) -> Result<(), RunError> {
    let store = Store::open_configured(&source.load()?.database, &Environment::of_process()).await?;
    let now = Timestamp::now();
    for DiskPast { client, name, used } in demo.past() {
        let value = |(days, mount, bytes): (f64, &str, u64)| {
            let ago = SignedDuration::try_from_secs_f64(days * 86_400.0).ok()?;
            let series = Series { quantity: Quantity::DiskUsed, instance: Instance::new(mount) };
            Some((now.checked_sub(ago).ok()?, series, bytes as f64))
        };
        store.add_history(&client, &name, used.into_iter().filter_map(value).collect()).await?;
    }
    store.close().await;
    Ok(())
}

/// The clients whose result is not as planned, one line each.
fn unexpected(demo: &Demo, swept: &RunResult) -> Vec<String> {
    let difference = |client: &ClientView| {
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
    swept.fleet.clients().filter_map(difference).collect()
}

/// A message on standard error. If that is closed, the message is dropped.
fn note(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

fn subject(mail: &ReceivedMail) -> String {
    let text = String::from_utf8_lossy(&mail.content);
    let line = text.lines().take_while(|line| !line.is_empty()).find_map(|line| line.strip_prefix("Subject: "));
    line.unwrap_or("(no subject)").to_owned()
}
