//! The result of `--once`: its data, its output and the exit code.

use std::io::{self, IsTerminal as _, Write as _};

use crate::{
    app::{
        error::{RunError, chain},
        run::output_file::{Audience, Output},
    },
    cli::{Exit, Format},
    fleet::{FailureKind, SweepId, alerts::AlertView, history::StoredHistory, state::Fleet},
    headless::{
        json::{Document, Mails},
        metrics::{self, StoredMails},
        table::{self, Look},
    },
    store::{MailCounts, Reader, StoreError},
};

use super::watch::{Scope, SweepResult};

/// The result of a run.
#[derive(Debug)]
pub struct RunResult {
    /// The sweep.
    pub sweep: SweepId,
    /// The fleet after it.
    pub fleet: Fleet,
    /// The mails by result; with a running collector, only those of this sweep.
    pub mails: Mails,
    /// The mails in the outbox, of all sweeps.
    pub outbox: StoredMails,
    /// The state of the database at the end.
    pub database: Database,
}

/// The state of the database at the end of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Database {
    /// Everything is stored.
    Complete,
    /// It is away.
    Away {
        /// How many changes wait in the spool.
        waiting: u64,
        /// The error, which names the database.
        why: String,
    },
    /// The collected data is stored, but the mails could not be queried.
    Silent,
}

/// Data of the database after a run.
#[derive(Debug)]
pub struct Stored {
    alerts: Vec<AlertView>,
    mails: MailCounts,
}

impl Stored {
    /// Queries it. `None` if the database is away, which is stored in `database`.
    ///
    /// # Errors
    /// [`RunError::Database`] if the error is permanent.
    pub async fn ask(history: &Reader, database: &mut Database) -> Result<Option<Self>, RunError> {
        let asking = async { Ok((history.open_alerts().await?, history.mail_counts().await?)) };
        match asking.await {
            Ok((alerts, mails)) => Ok(Some(Self { alerts, mails })),
            Err(error) => database.silent(error).map(|()| None),
        }
    }
}

impl Database {
    /// Stores an error of a database that is temporarily away.
    ///
    /// # Errors
    /// The error, if it is permanent.
    pub fn silent(&mut self, error: StoreError) -> Result<(), RunError> {
        if !error.kind.will_pass() {
            return Err(error.into());
        }
        if *self == Self::Complete {
            tracing::error!("the outbox cannot be read: {}", chain(&error));
            *self = Self::Silent;
        }
        Ok(())
    }
}

/// Prints the result to `output` or standard output. If the database is away, says so on standard error.
///
/// # Errors
/// [`RunError`] if it cannot be written.
pub fn print(swept: &RunResult, format: Format, output: Option<Output>) -> Result<(), RunError> {
    match output {
        Some(mut output) => {
            output.write(&render(swept, format, PLAIN)?)?;
            output.finish()?;
        }
        None => {
            let mut stdout = anstream::AutoStream::auto(io::stdout().lock());
            stdout.write_all(&render(swept, format, look())?)?;
            stdout.flush()?;
        }
    }
    if let Database::Away { waiting, why } = &swept.database {
        // Printed even with `--quiet`, because it is why the run did not succeed. If standard error is closed, it is
        // dropped.
        let _ = match waiting {
            0 => writeln!(io::stderr(), "fleetsweep: {why}"),
            waiting => writeln!(
                io::stderr(),
                "fleetsweep: the database is away: {waiting} changes wait in the spool; nothing is lost, the next run stores them: {why}"
            ),
        };
    }
    Ok(())
}

/// The table without wrapping and colours if the output is not a terminal.
const PLAIN: Look = Look { colour: false, width: None };

/// The style of the table on standard output.
fn look() -> Look {
    let colour = io::stdout().is_terminal();
    let columns = colour.then(|| crossterm::terminal::size().ok().map(|(columns, _)| columns)).flatten();
    Look { colour, width: columns.filter(|columns| *columns >= table::NARROWEST) }
}

/// The formatted result.
fn render(swept: &RunResult, format: Format, look: Look) -> io::Result<Vec<u8>> {
    Ok(match format {
        Format::Table => table::render(&swept.fleet, swept.sweep, swept.mails, look).into_bytes(),
        Format::Json => {
            let mut text = Vec::new();
            if let Some(document) = Document::of(&swept.fleet, swept.sweep, swept.mails) {
                serde_json::to_writer(&mut text, &document)?;
                text.push(b'\n');
            }
            text
        }
        Format::Prometheus => metrics::of_sweep(&swept.fleet, swept.sweep, swept.outbox)?.into_bytes(),
    })
}

/// Who may read a result file of that format.
#[must_use]
pub fn audience_of(format: Format) -> Audience {
    match format {
        Format::Table | Format::Json => Audience::Owner,
        Format::Prometheus => Audience::Everyone,
    }
}

impl RunResult {
    /// Combines the sweep with the data of the database after it.
    #[must_use]
    pub fn new(watched: SweepResult, scope: Scope, stored: Option<Stored>, database: Database) -> Self {
        let SweepResult { mut fleet, sweep, mut mails } = watched;
        let mut outbox = StoredMails { waiting: Some(mails.waiting), refused: None };
        if let Some(Stored { alerts, mails: counts }) = stored {
            // For a client that failed, only the database has the alerts that stay open.
            fleet.remember(StoredHistory { clients: Vec::new(), alerts });
            outbox = StoredMails { waiting: Some(counts.waiting), refused: Some(counts.refused) };
            if scope == Scope::Collector {
                mails.waiting = counts.waiting;
            }
        }
        Self { sweep, fleet, mails, outbox, database }
    }

    /// The exit code of a run.
    #[must_use]
    pub fn exit(&self, fail_on_alert: bool) -> Exit {
        if self.database != Database::Complete {
            return Exit::Database;
        }
        let mut exit = Exit::Success;
        // A running collector may have other clients too.
        let swept = self.fleet.sweep(self.sweep).map(|sweep| sweep.clients.as_slice()).unwrap_or_default();
        for client in swept.iter().filter_map(|id| self.fleet.client(id)) {
            match client.last.as_ref().and_then(|last| last.failure.as_ref()) {
                Some(failure) if failure.kind == FailureKind::StoreFailed => return Exit::Database,
                Some(_) => exit = Exit::ClientFailed,
                None if exit == Exit::Success && fail_on_alert && !client.exceeded.is_empty() => {
                    exit = Exit::LimitExceeded;
                }
                None => {}
            }
        }
        exit
    }
}
