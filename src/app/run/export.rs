//! `export`: writes data of the database for other programs. It reads while a collector runs, contacts no client and
//! changes nothing but the audit.

use std::io::{self, Write as _};

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::{
    app::{
        audit,
        config_source::{ConfigSource, cards},
        error::{RunError, chain},
    },
    cli::{
        Exit,
        export::{Content, Export, RowFormat, When},
    },
    config::Config,
    fleet::{
        Event, EventKind,
        audit::{AuditAction, AuditNote},
        csv::Formulas,
        rows::View,
        state::Fleet,
    },
    headless::{
        metrics,
        rows::{self, Notation},
    },
    store::{
        Reader,
        export::{Pages, RowFilter, StoredClient},
    },
};

use super::output_file::{Audience, Output};

/// Writes what was asked for.
///
/// # Errors
/// [`RunError`] if the configuration is invalid, the database does not answer or the result cannot be written.
pub async fn run(source: &ConfigSource, export: &Export, stop: &CancellationToken) -> Result<Exit, RunError> {
    let audience = match export.content {
        Content::Rows { .. } => Audience::Owner,
        Content::Metrics => Audience::Everyone,
    };
    let open = || export.output.as_deref().map(|file| Output::create(file, audience)).transpose();
    let output = match export.content {
        Content::Rows { view, format, since, until } => {
            // Rows may be older than the configuration, so patterns are matched against the clients in the database.
            let config = ConfigSource { patterns: Vec::new(), ..source.clone() }.load()?;
            let now = Timestamp::now();
            let [since, until] = [since, until].map(|when| when.map(|when: When| when.from(now)));
            if since.zip(until).is_some_and(|(since, until)| since >= until) {
                return Err(RunError::EmptySpan);
            }
            let output = open()?;
            let reader = Reader::open_configured(&config.database).await?;
            let clients = clients(source, &reader, &config.clients).await?;
            let notation = match format {
                RowFormat::Csv { raw } => Notation::Csv(if raw { Formulas::Raw } else { Formulas::Disarmed }),
                RowFormat::JsonLines => Notation::JsonLines,
            };
            let mut count = 0;
            let wanted = RowFilter { clients, since, until };
            let written = write_rows(&reader, view, wanted, notation, output, &mut count, stop).await;
            // What was written belongs in the audit even if the rest could not be.
            note(&config, export, view, count).await;
            written?
        }
        Content::Metrics => {
            let config = source.load()?;
            let mut output = open()?;
            let reader = Reader::open_configured(&config.database).await?;
            let mut fleet = Fleet::default();
            let kind = EventKind::Configured { clients: cards(&config) };
            fleet.apply(&Event { at: Timestamp::now(), sweep: None, client: None, kind });
            fleet.remember(reader.memory().await?);
            let sweeps = reader.sweeps(1).await?;
            let counts = reader.mail_counts().await?;
            let mails = metrics::StoredMails { waiting: Some(counts.waiting), refused: Some(counts.refused) };
            write(&mut output, metrics::of_fleet(&fleet, sweeps.last(), mails)?.as_bytes())?;
            output
        }
    };
    match output {
        Some(output) => output.finish()?,
        None => io::stdout().flush()?,
    }
    Ok(Exit::Success)
}

/// The selected clients of the database; `None` for all.
async fn clients(
    source: &ConfigSource,
    reader: &Reader,
    configured: &[crate::config::Client],
) -> Result<Option<Vec<StoredClient>>, RunError> {
    if source.patterns.is_empty() {
        return Ok(None);
    }
    let mut stored = reader.stored_clients().await?;
    stored.retain(|client| source.meets(&client.id, &client.name));
    // A client that was never collected has no rows, which is not an error.
    if stored.is_empty() && !configured.iter().any(|client| source.meets(&client.id, &client.name)) {
        return Err(source.no_client());
    }
    Ok(Some(stored))
}

async fn write_rows(
    reader: &Reader,
    view: View,
    wanted: RowFilter,
    notation: Notation,
    mut output: Option<Output>,
    count: &mut usize,
    stop: &CancellationToken,
) -> Result<Option<Output>, RunError> {
    write(&mut output, &rows::head(view, notation)?)?;
    let mut pages = Pages::of(reader.clone(), view, wanted).await?;
    loop {
        let page = tokio::select! {
            biased;
            () = stop.cancelled() => None,
            page = pages.next_page() => Some(page?),
        };
        match (page, &output) {
            (Some(Some(page)), _) => {
                *count += page.len();
                write(&mut output, &rows::lines(view, &page, notation)?)?;
            }
            (Some(None), _) => break,
            (None, Some(output)) => return Err(output.stopped().into()),
            (None, None) => return Err(io::Error::from(io::ErrorKind::Interrupted).into()),
        }
    }
    tracing::info!("{count} rows of {} exported", view.name());
    match pages.unreadable() {
        0 => {}
        1 => tracing::warn!("1 row of {} could not be read and is not in the export", view.name()),
        rows => tracing::warn!("{rows} rows of {} could not be read and are not in the export", view.name()),
    }
    Ok(output)
}

/// Notes the export in the audit. An account that may only read the database cannot do so.
async fn note(config: &Config, export: &Export, view: View, count: usize) {
    let to = export.output.as_ref().map_or_else(|| "standard output".to_owned(), |file| file.display().to_string());
    let detail = format!("{count} rows to {to}");
    let note = AuditNote { action: AuditAction::Export, target: view.name().to_owned(), detail };
    if let Err(error) = audit::store(config, &[note]).await {
        tracing::info!("the export is not in the audit: {}", chain(&error));
    }
}

fn write(output: &mut Option<Output>, bytes: &[u8]) -> Result<(), RunError> {
    match output {
        Some(output) => Ok(output.write(bytes)?),
        None => Ok(io::stdout().lock().write_all(bytes)?),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

    use super::*;
    use crate::{
        fleet::{
            ClientId,
            cell::{Cell, Row},
            event::ClientCard,
            stream::{About, Frame},
        },
        tui::{
            Command, Look, Message, Model,
            theme::{Background, Colours},
        },
    };

    /// The first field of the line that the dashboard writes for a client of this name.
    fn by_dashboard(name: &str) -> String {
        let about = About { name: "fleet".into(), schedule: "manual".into(), interval_ms: None };
        let look = Look { colours: Colours::Mono, background: Background::Dark, unicode: true };
        let mut model = Model::new(about, look, (80, 24), Timestamp::UNIX_EPOCH);
        let card = ClientCard {
            id: ClientId::new("10.0.0.1", 22),
            name: name.into(),
            username: "ops".into(),
            limits: Vec::new(),
        };
        let kind = EventKind::Configured { clients: vec![card] };
        let event = Event { at: Timestamp::UNIX_EPOCH, sweep: None, client: None, kind };
        model.update(Message::Frames(vec![Frame::Event(Arc::new(event))]));
        let mut press = |key| model.update(Message::Key(KeyEvent::new(KeyCode::Char(key), KeyModifiers::NONE)));
        press('e');
        let text = press('c')
            .into_iter()
            .find_map(|command| if let Command::Export { text, .. } = command { Some(text) } else { None });
        let text = text.unwrap();
        let (_, line) = text.split_once('\n').unwrap();
        line.strip_suffix(",10.0.0.1,22,new,,,,,,,,,,,\n").unwrap_or_else(|| panic!("{line}")).to_owned()
    }

    /// The first field of the line that `export` writes for a mail to this recipient.
    fn by_command(recipient: &str) -> String {
        let mut row: Row = vec![Cell::Null; View::Mails.columns().len()];
        row[0] = Cell::Text(recipient.to_owned());
        let line = rows::lines(View::Mails, &[row], Notation::Csv(Formulas::Disarmed)).unwrap();
        String::from_utf8(line).unwrap().strip_suffix(",,,,,,,,\n").unwrap().to_owned()
    }

    #[test]
    fn the_dashboard_and_the_command_write_the_same_csv() {
        for (text, expected) in [
            ("web-1", "web-1"),
            ("a,b", "\"a,b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\t=1"),
            ("\r=1", "\"'\r=1\""),
            ("\n=1", "\"'\n=1\""),
            ("a\rb", "\"a\rb\""),
            ("a\u{7}b", "a\u{7}b"),
            ("ü€", "ü€"),
        ] {
            assert_eq!((by_dashboard(text).as_str(), by_command(text).as_str()), (expected, expected), "{text:?}");
        }
    }
}
