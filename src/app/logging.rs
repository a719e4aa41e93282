//! Sets up the log on standard error: how much of it, and how a line looks.

use std::io::IsTerminal as _;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

/// Logs to `writer`, which stands for standard error: of this program from `level` on, of its libraries errors
/// alone unless everything is asked for. `RUST_LOG` overrules both. A second call does nothing.
pub fn start<W>(level: LevelFilter, writer: W)
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(directives(level)));
    let colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .with_ansi(colour && std::io::stderr().is_terminal())
        .with_target(false);
    // The journal stamps its lines itself.
    let started =
        if std::env::var_os("JOURNAL_STREAM").is_some() { log.without_time().try_init() } else { log.try_init() };
    if let Err(error) = started {
        tracing::debug!("the log was set up already: {error}");
    }
}

/// The filter in the words of `RUST_LOG`.
fn directives(level: LevelFilter) -> String {
    let libraries = if level == LevelFilter::TRACE { "info" } else { "error" };
    format!("{libraries},fleetsweep={level}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_quiet_unless_everything_is_asked_for() {
        for (level, expected) in [
            (LevelFilter::ERROR, "error,fleetsweep=error"),
            (LevelFilter::DEBUG, "error,fleetsweep=debug"),
            (LevelFilter::TRACE, "info,fleetsweep=trace"),
        ] {
            assert_eq!(directives(level), expected);
        }
    }
}
