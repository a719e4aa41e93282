//! Sets up the log: on standard error, or in a file while a dashboard is shown; its level and the format of its lines.
//! Every line is also sent to the event bus, for the log view.

use std::{
    fmt::{self, Write as _},
    fs, io,
    io::IsTerminal as _,
    os::unix::fs::DirBuilderExt as _,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use jiff::Timestamp;
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
    span::{Attributes, Id},
};
use tracing_appender::{
    non_blocking::{NonBlocking, WorkerGuard},
    rolling,
};
use tracing_subscriber::{
    EnvFilter, Layer,
    fmt::MakeWriter,
    layer::{Context, SubscriberExt as _},
    registry::{LookupSpan, Scope},
    util::SubscriberInitExt as _,
};

use crate::{
    bus::BusHandle,
    fleet::stream::{LogLevel, LogLine},
};

/// How many daily log files of dashboards are kept.
const FILES_KEPT: usize = 7;

/// How many lines are kept until the event bus exists.
const EARLY_KEPT: usize = 100;

/// Sends log lines to the event bus. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct LogTap(Arc<Mutex<Tap>>);

#[derive(Debug, Default)]
struct Tap {
    bus: Option<BusHandle>,
    /// The lines that were logged before the event bus existed; the first [`EARLY_KEPT`] of them.
    early: Vec<LogLine>,
}

impl LogTap {
    /// Sends lines to this event bus from now on, starting with the earlier ones.
    pub fn open_into(&self, bus: BusHandle) {
        let mut tap = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for line in tap.early.drain(..) {
            bus.log(line);
        }
        tap.bus = Some(bus);
    }

    fn pass(&self, line: LogLine) {
        let mut tap = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &tap.bus {
            Some(bus) => bus.log(line),
            None if tap.early.len() < EARLY_KEPT => tap.early.push(line),
            None => {}
        }
    }
}

/// The open log file. Waiting lines are written when it is dropped.
#[derive(Debug)]
#[must_use]
pub struct LogFile {
    _writer: WorkerGuard,
    /// The directory of the log files.
    pub folder: PathBuf,
}

/// Logs to `writer`, which represents standard error: this program from `level` on, its libraries only errors, unless
/// the level is TRACE. `RUST_LOG` overrides both. A second call does nothing.
pub fn start<W>(level: LevelFilter, writer: W) -> LogTap
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .with_ansi(colour && io::stderr().is_terminal())
        .with_target(false)
        .compact();
    // The systemd journal adds its own timestamps.
    if std::env::var_os("JOURNAL_STREAM").is_some() { begin(level, lines.without_time()) } else { begin(level, lines) }
}

/// The same while a dashboard is shown: to one file per day in the state directory of the user. If that is not
/// possible, only to the event bus.
pub fn start_behind_screen(level: LevelFilter) -> (LogTap, Option<LogFile>) {
    match daily_file() {
        Ok((writer, file)) => {
            let lines =
                tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(false).with_target(false).compact();
            let tap = begin(level, lines);
            tracing::info!("this log is written to {}", file.folder.display());
            (tap, Some(file))
        }
        Err(error) => {
            let tap = begin(level, tracing_subscriber::fmt::layer().with_writer(io::sink));
            tracing::warn!("this log is not written to a file: {error}");
            (tap, None)
        }
    }
}

fn daily_file() -> io::Result<(NonBlocking, LogFile)> {
    let folder = folder(|name| std::env::var_os(name).map(PathBuf::from))?;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
    let file = rolling::Builder::new()
        .rotation(rolling::Rotation::DAILY)
        .filename_prefix("dashboard")
        .filename_suffix("log")
        .max_log_files(FILES_KEPT)
        .build(&folder)
        .map_err(io::Error::other)?;
    // Lines wait in memory for a slow disk, up to the library's limit. Then new ones are dropped, so that the dashboard
    // is not blocked.
    let (writer, guard) = tracing_appender::non_blocking(file);
    Ok((writer, LogFile { _writer: guard, folder }))
}

/// `$XDG_STATE_HOME/fleetsweep`, or its default.
fn folder(variable: impl Fn(&str) -> Option<PathBuf>) -> io::Result<PathBuf> {
    let absolute = |name| variable(name).filter(|path| path.is_absolute());
    let state = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")));
    let missing = || io::Error::other("neither XDG_STATE_HOME nor HOME is set: set one of them, the log goes there");
    Ok(state.ok_or_else(missing)?.join("fleetsweep"))
}

fn begin<L>(level: LevelFilter, lines: L) -> LogTap
where
    L: Layer<tracing_subscriber::layer::Layered<EnvFilter, tracing_subscriber::Registry>> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(directives(level)));
    let tap = LogTap::default();
    let started = tracing_subscriber::registry().with(filter).with(lines).with(TapLayer(tap.clone())).try_init();
    if let Err(error) = started {
        tracing::debug!("the log was set up already: {error}");
    }
    tap
}

/// The filter in the syntax of `RUST_LOG`. The SSH library is silenced: it logs errors for messages of a client without
/// its name, so any client could fill the log. The failure of the collection is logged anyway.
fn directives(level: LevelFilter) -> String {
    let libraries = if level == LevelFilter::TRACE { "info" } else { "error,russh=off" };
    format!("{libraries},fleetsweep={level}")
}

struct TapLayer(LogTap);

/// The formatted fields of a span and the client that they name, stored with the span.
struct SpanFields {
    fields: String,
    client: Option<String>,
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for TapLayer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut words = Words { is_client: attributes.metadata().name() == "client", ..Words::default() };
        attributes.record(&mut words);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(SpanFields { fields: words.fields, client: words.client });
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let level = match *event.metadata().level() {
            Level::ERROR => LogLevel::Error,
            Level::WARN => LogLevel::Warn,
            Level::INFO => LogLevel::Info,
            Level::DEBUG | Level::TRACE => LogLevel::Debug,
        };
        let mut words = Words::default();
        event.record(&mut words);
        for span in context.event_scope(event).into_iter().flat_map(Scope::from_root) {
            if let Some(SpanFields { fields, client }) = span.extensions().get() {
                words.fields.push_str(fields);
                words.client = client.clone().or(words.client);
            }
        }
        let Words { message, fields, client, .. } = words;
        self.0.pass(LogLine { at: Timestamp::now(), level, client, text: message + &fields });
    }
}

/// Formats a line: the message, then ` name=value` for each field of the event and of its spans, outermost first. The
/// client name is kept separately.
#[derive(Default)]
struct Words {
    message: String,
    fields: String,
    /// Whether it is the span of a client, whose name is not formatted as a field.
    is_client: bool,
    client: Option<String>,
}

impl Visit for Words {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => value.clone_into(&mut self.message),
            "name" if self.is_client => self.client = Some(value.to_owned()).filter(|name| !name.is_empty()),
            // Writing to a `String` does not fail.
            name => drop(write!(self.fields, " {name}={value}")),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a `String` does not fail.
        match field.name() {
            "message" => drop(write!(self.message, "{value:?}")),
            name => drop(write!(self.fields, " {name}={value:?}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_quiet_unless_everything_is_asked_for() {
        for (level, expected) in [
            (LevelFilter::ERROR, "error,russh=off,fleetsweep=error"),
            (LevelFilter::DEBUG, "error,russh=off,fleetsweep=debug"),
            (LevelFilter::TRACE, "info,fleetsweep=trace"),
        ] {
            assert_eq!(directives(level), expected);
        }
    }

    #[test]
    fn the_log_behind_a_screen_goes_where_the_user_keeps_state() {
        let check = |set: &[(&str, &str)], expected: Option<&str>| {
            let found = folder(|name| set.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into()));
            assert_eq!(found.ok(), expected.map(PathBuf::from), "{set:?}");
        };
        check(&[("XDG_STATE_HOME", "/s"), ("HOME", "/h")], Some("/s/fleetsweep"));
        check(&[("XDG_STATE_HOME", "relative"), ("HOME", "/h")], Some("/h/.local/state/fleetsweep"));
        check(&[], None);
    }

    #[test]
    fn lines_reach_the_tap_with_their_fields_also_those_from_before_there_was_a_stream() {
        let tap = LogTap::default();
        let subscriber = tracing_subscriber::registry().with(TapLayer(tap.clone()));
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(clients = 3, name = "a b", "swept {}", 1);
            let sweep = tracing::error_span!("sweep", sweep = 7).entered();
            let client = tracing::error_span!("client", client = "10.0.0.1:22", name = "db");
            client.in_scope(|| tracing::info!(attempt = 2, "lost"));
            drop(sweep);
        });
        let early = std::mem::take(&mut tap.0.lock().unwrap().early);
        let lines: Vec<_> = early.iter().map(|line| (line.level, line.client.as_deref(), line.text.as_str())).collect();
        assert_eq!(
            lines,
            [
                (LogLevel::Warn, None, "swept 1 clients=3 name=a b"),
                (LogLevel::Info, Some("db"), "lost attempt=2 sweep=7 client=10.0.0.1:22")
            ]
        );
    }
}
