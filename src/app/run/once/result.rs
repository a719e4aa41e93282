//! The result of `--once`: what a sweep came to, how that is printed, and the exit code. Not how it was obtained.

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

/// What a run came to.
#[derive(Debug)]
pub struct RunResult {
    /// The sweep.
    pub sweep: SweepId,
    /// The fleet after it.
    pub fleet: Fleet,
    /// What became of the mails; beside a running collector, of those of this sweep.
    pub mails: Mails,
    /// The mails in the outbox, whosever they are.
    pub outbox: StoredMails,
    /// How the database stood at the end.
    pub database: Database,
}

/// How the database stood at the end of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Database {
    /// Everything is stored.
    Complete,
    /// It does not take what it is given.
    Away {
        /// How many changes wait for it in the spool.
        waiting: u64,
        /// Which database, and why, in words.
        why: String,
    },
    /// What was collected is stored; what became of the mails could not be asked.
    Silent,
}

/// What the database holds after a run.
#[derive(Debug)]
pub struct Stored {
    alerts: Vec<AlertView>,
    mails: MailCounts,
}

impl Stored {
    /// Asks for it. Where the database cannot answer for now there is none, and `database` notes that.
    ///
    /// # Errors
    /// [`RunError::Database`] where it never will.
    pub async fn ask(history: &Reader, database: &mut Database) -> Result<Option<Self>, RunError> {
        let asking = async { Ok((history.open_alerts().await?, history.mail_counts().await?)) };
        match asking.await {
            Ok((alerts, mails)) => Ok(Some(Self { alerts, mails })),
            Err(error) => database.silent(error).map(|()| None),
        }
    }
}

impl Database {
    /// Notes an error of a database that is only away for a while.
    ///
    /// # Errors
    /// That error where it will not pass.
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

/// Prints the result to `output`, or to standard output; on standard error, that the database is away.
///
/// # Errors
/// [`RunError`] where it cannot be written.
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
        // Also where nothing is logged: it is why the run did not succeed. Where standard error is closed nobody
        // can be told.
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

/// The table as it is where it is not read on a terminal.
const PLAIN: Look = Look { colour: false, width: None };

/// How the table is shown on standard output.
fn look() -> Look {
    let colour = io::stdout().is_terminal();
    let columns = colour.then(|| crossterm::terminal::size().ok().map(|(columns, _)| columns)).flatten();
    Look { colour, width: columns.filter(|columns| *columns >= table::NARROWEST) }
}

/// The result as it is printed.
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

/// Who may read a file of that format.
#[must_use]
pub fn audience_of(format: Format) -> Audience {
    match format {
        Format::Table | Format::Json => Audience::Owner,
        Format::Prometheus => Audience::Everyone,
    }
}

impl RunResult {
    /// What was watched, with what the database holds afterwards.
    #[must_use]
    pub fn new(watched: SweepResult, scope: Scope, stored: Option<Stored>, database: Database) -> Self {
        let SweepResult { mut fleet, sweep, mut mails } = watched;
        let mut outbox = StoredMails { waiting: mails.waiting, refused: None };
        if let Some(Stored { alerts, mails: counts }) = stored {
            // Of a client that failed, only the database knows the alerts that stay open.
            fleet.remember(StoredHistory { clients: Vec::new(), alerts });
            outbox = StoredMails { waiting: counts.waiting, refused: Some(counts.refused) };
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
        // A running collector knows other clients as well.
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
