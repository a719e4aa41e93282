//! The short commands: `check`, `trust`, `clean` and `mail-test`.

use std::{
    collections::BTreeSet,
    io::{self, Write as _},
};

use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    app::{
        audit,
        config_source::ConfigSource,
        error::{RunError, chain},
        mail::smtp_clients::{audit_note, smtp_client},
        process::{descriptors::Descriptors, identity::host_name},
    },
    bus::Publisher,
    cli::Exit,
    config::{Client, Config, check, inspect},
    fleet::{Failure, audit::AuditNote},
    mail::{compose::Composer, outcome::Answer},
    sweep::{self, CleanResult, Collector, PinnedBefore, PinnedOthers, SessionKeeping, SweepError, TrustResult},
};

/// `check`: validates the configuration, checks the files that it refers to and prints what would be swept, or the ways to
/// the clients. It contacts nobody.
///
/// # Errors
/// [`RunError`] if the configuration is invalid, or something that it refers to cannot be used.
pub fn check(source: &ConfigSource, is_way_shown: bool) -> Result<Exit, RunError> {
    let agents = sweep::collector::agents().map_err(SweepError::Agents);
    if let Some(folder) = sweep::agents_folder() {
        for warning in inspect::agents(&folder) {
            tracing::warn!("{warning}");
        }
    }
    let loaded = source.check();
    match (loaded, agents) {
        (Ok(loaded), Ok(_)) => {
            say(&if is_way_shown { check::ways(&loaded) } else { check::summary(&loaded) })?;
            Ok(Exit::Success)
        }
        (Ok(_), Err(error)) => Err(error.into()),
        (Err(failed), Ok(_)) => Err(failed),
        (Err(failed), Err(error)) => {
            tracing::error!("{}", chain(&error));
            Err(failed)
        }
    }
}

/// `trust`: fetches and pins the host keys of every client. A client that is named gets a new pin in place of another
/// one.
///
/// # Errors
/// [`RunError`] if it could not start.
pub async fn trust(source: &ConfigSource, stop: &CancellationToken) -> Result<Exit, RunError> {
    let config = source.load()?;
    visit(source, &config, async |collector: &Collector, client: &Client| {
        let is_named = source.names(client, &config.clients);
        let others = if is_named { PinnedOthers::Replaced } else { PinnedOthers::Stay };
        let TrustResult { before, algorithm, fingerprint, bastions } = collector.trust(client, others, stop).await?;
        let (pinned, replaced) = match before {
            PinnedBefore::ThisKey => ("pinned already ", Vec::new()),
            PinnedBefore::Nothing => ("pinned now     ", Vec::new()),
            PinnedBefore::Others(keys) => ("pinned anew    ", keys),
        };
        let replaced: String = replaced.iter().map(|key| format!("; in place of {key}")).collect();
        let over: String = bastions.iter().map(|bastion| format!("; over {bastion}")).collect();
        Ok(format!("{pinned} {algorithm} {fingerprint}{replaced}{over}"))
    })
    .await
}

/// `clean`: removes the kept agents from every client.
///
/// # Errors
/// [`RunError`] if it could not start.
pub async fn clean(source: &ConfigSource, stop: &CancellationToken) -> Result<Exit, RunError> {
    let config = source.load()?;
    visit(source, &config, async |collector: &Collector, client: &Client| match collector.clean(client, stop).await {
        Ok(CleanResult::Removed(removed)) if removed.is_empty() => Ok("nothing was there".to_owned()),
        Ok(CleanResult::Removed(removed)) => Ok(format!("removed {}", removed.join(", "))),
        Ok(CleanResult::Installed) => Ok("the installed agent stays".to_owned()),
        Err(failure) => Err(failure),
    })
    .await
}

/// `mail-test`: sends one test mail to every address of the configuration, without the outbox, and prints the server's
/// answers.
///
/// # Errors
/// [`RunError`] if it could not start.
pub async fn mail_test(source: &ConfigSource) -> Result<Exit, RunError> {
    let config = source.load()?;
    let mailboxes = config.clients.iter().flat_map(|client| &client.mail).chain(&config.collector.mail);
    let addresses = mailboxes.map(|mailbox| mailbox.email.to_string());
    let recipients: BTreeSet<String> = addresses.collect();
    if recipients.is_empty() {
        return Err(RunError::NoRecipient(source.path.display().to_string()));
    }
    let composer = Composer::new()?;
    let mut smtp = smtp_client(&config.smtp).await?;
    store_notes(&config, audit_note(&config.smtp).as_slice()).await;
    let mut exit = Exit::Success;
    for recipient in recipients {
        let mail = composer.test_mail(&recipient, &host_name(), Timestamp::now(), Uuid::now_v7())?;
        match smtp.send(&mail).await {
            Ok(Answer(answer)) => say(&format!("{recipient}  sent: {answer}\n"))?,
            Err(error) => {
                exit = Exit::ClientFailed;
                say(&format!("{recipient}  FAILED: {error}\n"))?;
            }
        }
    }
    smtp.quit().await;
    Ok(exit)
}

/// Visits every client, as many at once as the configuration allows, and prints a line for each.
async fn visit(
    source: &ConfigSource,
    config: &Config,
    act: impl AsyncFn(&Collector, &Client) -> Result<String, Failure>,
) -> Result<Exit, RunError> {
    // There is no subscriber: these commands print their results themselves.
    let (publisher, _events) = Publisher::new();
    let collector = Collector::new(config, SessionKeeping::CloseAfterUse, publisher)?;
    let (wanted, clients) = (config.collector.concurrency.get(), config.clients.len());
    let descriptors = Descriptors::of_process(source.costs, false)?;
    let plan = descriptors.plan(wanted, clients);
    if let Some(shortfall) = descriptors.shortfall(plan, wanted, clients, false) {
        tracing::warn!("{shortfall}");
    }
    let visited = print_answers(config, plan.concurrency, async |client| act(&collector, client).await).await;
    collector.close().await;
    // What was done belongs in the audit even if its result could not be printed.
    store_notes(config, &collector.take_audit_notes()).await;
    Ok(visited?)
}

/// Visits the clients and prints a line for each.
async fn print_answers(
    config: &Config,
    concurrency: usize,
    act: impl AsyncFn(&Client) -> Result<String, Failure>,
) -> io::Result<Exit> {
    let mut exit = Exit::Success;
    let width = config.clients.iter().map(|client| client.name.len()).max().unwrap_or(0);
    let mut answers =
        stream::iter(&config.clients).map(async |client| (client, act(client).await)).buffered(concurrency);
    while let Some((client, answer)) = answers.next().await {
        match answer {
            Ok(done) => say(&format!("{:width$}  {}  {done}\n", client.name, client.id))?,
            Err(failure) => {
                exit = Exit::ClientFailed;
                let (stage, next_step) = (failure.stage, failure.kind.next_step());
                say(&format!("{:width$}  {}  FAILED at {stage}: {failure}\n", client.name, client.id))?;
                say(&format!("{:width$}  {next_step}\n", ""))?;
            }
        }
    }
    Ok(exit)
}

/// Stores audit notes. What they are about has been done, so a failure does not change the exit code.
async fn store_notes(config: &Config, notes: &[AuditNote]) {
    if let Err(error) = audit::store(config, notes).await {
        tracing::warn!("not in the audit: {}", chain(&error));
    }
}

fn say(text: &str) -> io::Result<()> {
    io::stdout().lock().write_all(text.as_bytes())
}
