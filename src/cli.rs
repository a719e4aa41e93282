//! The command line: arguments, help texts and exit codes. It is parsed to one valid [`Invocation`], which is executed
//! elsewhere.

use std::{ffi::OsString, io, path::PathBuf, process::ExitCode};

use clap::{ArgAction, Args, CommandFactory as _, Parser, Subcommand, ValueEnum, error::ErrorKind};
use clap_complete::Shell;
use tracing::level_filters::LevelFilter;

use crate::{
    age::{KeyError, Recipient},
    config,
    fleet::{login_hold::HeldLogins, select::Pattern},
};

pub mod export;
mod help;
pub mod init;
mod pages;
mod plain;

use export::{Export, ExportArguments};
pub use help::write_help;
use init::Init;

/// The default number of demo clients.
const DEMO_CLIENTS: &str = "12";

/// The version and the embedded agents.
const LONG_VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\nagents: ", env!("FLEETSWEEP_EMBEDDED"));

const EXAMPLES: &str = "\
Examples:
  fleetsweep --demo                       try it out; needs no setup
  fleetsweep init 'ops@10.0.4.[1-40]'     write a configuration: asks, tries, proposes
  fleetsweep check                        validate the configuration and show what would be swept
  fleetsweep trust                        pin the clients' host keys
  fleetsweep                              the dashboard
  fleetsweep --once --format json         one sweep, for scripts
  fleetsweep --once --client 'web-*' -v   one sweep of some clients, with more output
  fleetsweep --headless                   sweep on the interval, for a service manager
  fleetsweep export --since 7d            the samples of the last week as CSV
  fleetsweep --record today.jsonl         the dashboard, recorded to a file
  fleetsweep --replay today.jsonl         play back that recording
  fleetsweep help troubleshooting         the documentation on a topic; without one, the topics

Exit codes:
  0  every client was collected
  1  at least one client failed
  2  usage or configuration error; nothing was contacted
  3  the database failed
  4  every client was collected, but a limit is exceeded (with --fail-on-alert)

The result goes to stdout; progress and logs go to stderr (set RUST_LOG for fine control).";

/// Sweeps a fleet of machines over SSH: statistics, alerts and security events, with nothing installed on them.
///
/// Reads config.xml, and for each client in it: connects, uploads a small agent, executes it, receives its encrypted
/// report, stores it in a database, compares it with the client's limits, and mails alerts and security events. By
/// default it runs as a dashboard in the terminal.
#[derive(Debug, Parser)]
#[command(name = "fleetsweep", version, long_version = LONG_VERSION, after_help = EXAMPLES, max_term_width = 100, disable_help_subcommand = true)]
struct Arguments {
    /// Configuration file [default: config.xml]
    #[arg(short, long, value_name = "FILE", global = true, conflicts_with = "demo")]
    config: Option<PathBuf>,

    /// Only clients whose name or IP matches this glob; may be repeated
    #[arg(long = "client", value_name = "PATTERN", global = true, action = ArgAction::Append)]
    clients: Vec<Pattern>,

    /// Use N demo clients on loopback instead of a configuration [default: 12]
    #[arg(long, value_name = "N", global = true, num_args = 0..=1, default_missing_value = DEMO_CLIENTS,
          value_parser = clap::value_parser!(u16).range(1..=1000))]
    demo: Option<u16>,

    /// Record everything that happens to a new file, for --replay
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,

    /// Play back a recording on the dashboard; contacts nothing
    #[arg(long, value_name = "FILE", conflicts_with_all = ["config", "demo", "clients", "record"])]
    replay: Option<PathBuf>,

    /// Log more to stderr; repeat for even more
    #[arg(short, long, global = true, action = ArgAction::Count, conflicts_with = "quiet")]
    verbose: u8,

    /// Log only errors to stderr
    #[arg(short, long, global = true)]
    quiet: bool,

    #[command(flatten)]
    run: Run,

    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Run modes (default: the dashboard)")]
struct Run {
    /// Run one sweep and print the result
    #[arg(long, conflicts_with = "headless")]
    once: bool,

    /// Sweep on the interval, without a screen
    #[arg(long)]
    headless: bool,

    /// Output format of --once [default: table]
    #[arg(long, value_enum)]
    format: Option<Format>,

    /// With --once: write the result to this file instead of standard output; it is never left half written
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// With --once: exit with 4 if every client was collected but a limit is exceeded
    #[arg(long)]
    fail_on_alert: bool,

    /// With --once: also try logins that are held because the client refused them
    #[arg(long)]
    retry_logins: bool,
}

#[derive(Debug, Clone, Subcommand)]
enum Command {
    /// Write a first configuration: asks for what is not given, shows and pins host keys, tries logins, proposes limits
    ///
    /// On a terminal, it asks for what is missing. In a script, use --yes, and --accept-host-keys unless the keys are
    /// pinned already. Only the hosts that match --client are taken. It exits with 1 if a host could not be collected, or
    /// if its key was not accepted.
    Init(Box<Init>),
    /// Validate the configuration and show what would be swept; contacts nothing
    Check {
        /// Show the way to these clients instead: addresses, hops, keys, and where each is set
        #[arg(value_name = "CLIENT")]
        shown: Vec<Pattern>,
    },
    /// Fetch and pin the clients' host keys
    Trust {
        /// Only these clients. If one is named without wildcards and shows another key than the pinned one, the new key
        /// takes its place
        #[arg(value_name = "CLIENT")]
        named: Vec<Pattern>,
    },
    /// Send a test mail to each address of the configuration
    MailTest,
    /// Remove cached agents from the clients
    Clean,
    /// Export data from the database for other programs; contacts nothing
    Export(ExportArguments),
    /// List the agents that can be sent to clients, for allow-lists; contacts nothing
    Agents {
        /// Also write the agents and their SHA256SUMS to this directory
        #[arg(long, value_name = "DIR")]
        output: Option<PathBuf>,
    },
    /// Encrypt a secret for the configuration; contacts nothing
    ///
    /// Asks for the secret on a terminal, or reads it from standard input. Prints the value for `password` or
    /// `passphrase`. It is encrypted for the identity that the configuration names, or the usual one, which is made if
    /// there is none.
    Secret {
        /// Write the encrypted secret to this new file, and print the value that names it
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,

        /// Encrypt it for this public key instead, of the machine that will read it; may be repeated
        #[arg(long = "recipient", value_name = "AGE1", action = ArgAction::Append)]
        recipients: Vec<String>,
    },
    /// Print the documentation about a topic, or the list of topics
    Help {
        /// A topic, such as configuration, mail or troubleshooting; or a command
        topic: Option<String>,
    },
    /// Print completions for a shell
    Completions {
        /// Which shell
        shell: Shell,
    },
    /// Print the manual page
    Man,
    /// Print the schema of config.xml (XSD), by which editors complete and check it
    Schema,
}

/// The output format of `--once`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Aligned columns for people.
    Table,
    /// One document for programs.
    Json,
    /// Metrics in the text format of Prometheus.
    Prometheus,
}

/// A valid command line.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// The task.
    pub task: Task,
    /// The fleet that it applies to.
    pub fleet: FleetSource,
    /// The selected clients of the fleet; empty means all.
    pub clients: Vec<Pattern>,
    /// The file that events are recorded to.
    pub record: Option<PathBuf>,
    /// The log level on stderr, unless `RUST_LOG` sets it.
    pub log_level: LevelFilter,
}

/// The task of an invocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Task {
    /// The dashboard, with sweeps on the interval.
    Dashboard,
    /// One sweep.
    Once {
        /// The format of its result.
        format: Format,
        /// The file to write the result to; `None` for standard output.
        output: Option<PathBuf>,
        /// Whether an exceeded limit changes the exit code to 4.
        fail_on_alert: bool,
        /// Whether logins that are held are tried.
        held_logins: HeldLogins,
    },
    /// Sweeps on the interval, without a screen.
    Headless,
    /// The dashboard with a recording.
    Replay(PathBuf),
    /// Write a configuration.
    Init(Box<Init>),
    /// Validate the configuration and contact nobody.
    Check {
        /// Whether the ways to the selected clients are shown, and not the summary.
        is_way_shown: bool,
    },
    /// Pin the clients' host keys.
    Trust,
    /// Send a test mail to each address of the configuration.
    MailTest,
    /// Remove cached agents from the clients.
    Clean,
    /// Export data of the database.
    Export(Export),
    /// List the agents, and write them to a directory if one is named.
    Agents(Option<PathBuf>),
    /// Encrypt a secret.
    Secret {
        /// The file to write it to; `None` for the value itself on standard output.
        output: Option<PathBuf>,
        /// The keys that it is encrypted for; empty for the own identity.
        recipients: Vec<Recipient>,
    },
    /// Print the page of this name, or the list of pages.
    Help(Option<&'static str>),
    /// Print completions.
    Completions(Shell),
    /// Print the manual page.
    Man,
    /// Print the schema of the configuration.
    Schema,
}

/// Where the description of the fleet comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FleetSource {
    /// A configuration file.
    File(PathBuf),
    /// This many demo clients on loopback, 1 to 1000.
    Demo(u16),
}

/// The exit codes of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0: every client was collected, or the command succeeded.
    Success,
    /// 1: at least one client failed.
    ClientFailed,
    /// 2: the command line or the configuration is wrong; nothing was contacted.
    Usage,
    /// 3: the database failed.
    Database,
    /// 4: all clients were collected, but with `--fail-on-alert` at least one limit is exceeded.
    LimitExceeded,
}

impl Exit {
    /// The exit status.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::ClientFailed => 1,
            Self::Usage => 2,
            Self::Database => 3,
            Self::LimitExceeded => 4,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

impl Invocation {
    /// Parses a command line. The first argument is the program's name.
    ///
    /// # Errors
    /// The error of clap for an invalid command line, or for one that asks for help or the version. `error.exit()`
    /// prints it to the right stream and exits with 2 or 0.
    pub fn parse(arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> Result<Self, clap::Error> {
        let Arguments { config, clients, demo, record, replay, verbose, quiet, run, command } =
            Arguments::try_parse_from(arguments)?;
        let recording = [("--record", record.is_some()), ("--replay", replay.is_some())];
        if let Some(contradiction) = contradiction(&run, demo, recording, command.is_some()) {
            return Err(conflict(contradiction));
        }
        let Run { once, headless, format, output, fail_on_alert, retry_logins } = run;
        let held_logins = if retry_logins { HeldLogins::Retried } else { HeldLogins::Respected };
        let mut clients = clients;
        let task = match command {
            Some(Command::Init(_)) if config.is_some() => {
                let rule = "'--config' names a file to read, and 'init' writes a new one: name it with '--output'";
                return Err(conflict(rule.to_owned()));
            }
            Some(Command::Init(init)) => Task::Init(init),
            Some(Command::Check { shown }) => {
                let is_way_shown = !shown.is_empty();
                clients.extend(shown);
                Task::Check { is_way_shown }
            }
            Some(Command::Trust { named }) => {
                clients.extend(named);
                Task::Trust
            }
            Some(Command::MailTest) => Task::MailTest,
            Some(Command::Clean) => Task::Clean,
            Some(Command::Export(arguments)) => Task::Export(arguments.meant().map_err(conflict)?),
            Some(Command::Agents { output }) => Task::Agents(output),
            Some(Command::Secret { output, recipients }) => {
                Task::Secret { output, recipients: keys(&recipients).map_err(invalid)? }
            }
            Some(Command::Help { topic }) => Task::Help(topic.as_deref().map(page_about).transpose()?),
            Some(Command::Completions { shell }) => Task::Completions(shell),
            Some(Command::Man) => Task::Man,
            Some(Command::Schema) => Task::Schema,
            None if once => Task::Once { format: format.unwrap_or(Format::Table), output, fail_on_alert, held_logins },
            None if headless => Task::Headless,
            None => replay.map_or(Task::Dashboard, Task::Replay),
        };
        let fleet = match demo {
            Some(clients) => FleetSource::Demo(clients),
            None => FleetSource::File(config.unwrap_or_else(|| config::DEFAULT_FILE.into())),
        };
        Ok(Self { log_level: log_level(&task, verbose, quiet), task, fleet, clients, record })
    }
}

/// The keys of `--recipient`. An error does not repeat them: somebody may have written a private key.
fn keys(texts: &[String]) -> Result<Vec<Recipient>, String> {
    let key = |text: &String| {
        let text = text.trim();
        text.parse().map_err(|error| match error {
            _ if text.starts_with("AGE-SECRET-KEY-") => {
                "'--recipient' is a private key, which nobody else should see: write the public key (age1…)".to_owned()
            }
            KeyError::Unsupported => {
                "'--recipient' is a key of SSH, of a plugin or a post-quantum one, which is not supported: write a key \
                 that age-keygen or 'fleetsweep secret' has made"
                    .to_owned()
            }
            KeyError::Invalid => {
                "'--recipient' is not a public key of age: write it as age-keygen or 'fleetsweep secret' prints it \
                 (age1…)"
                    .to_owned()
            }
        })
    };
    texts.iter().map(key).collect()
}

/// The name of the page about a topic.
///
/// # Errors
/// The help of a command, if the topic is a command and no page; otherwise an error that lists the topics.
fn page_about(topic: &str) -> Result<&'static str, clap::Error> {
    let is_command = Arguments::command().get_subcommands().any(|command| command.get_name() == topic);
    if is_command
        && !help::is_page(topic)
        && let Err(text) = Arguments::try_parse_from(["fleetsweep", topic, "--help"])
    {
        return Err(text);
    }
    help::page(topic).ok_or_else(|| {
        let topics = help::names().join(", ");
        invalid(format!("there is no topic '{}': write one of {topics}", topic.escape_debug()))
    })
}

fn invalid(problem: String) -> clap::Error {
    Arguments::command().error(ErrorKind::ValueValidation, problem)
}

fn conflict(contradiction: String) -> clap::Error {
    Arguments::command().error(ErrorKind::ArgumentConflict, contradiction)
}

/// The error message if options contradict each other.
///
/// Options of run modes, including `--demo`, cannot be combined with commands. These rules are here because clap's
/// `requires` reports nothing if the required option conflicts with one that is present.
fn contradiction(
    run: &Run,
    demo: Option<u16>,
    recording: [(&'static str, bool); 2],
    is_command: bool,
) -> Option<String> {
    let Run { once, headless, format, output, fail_on_alert, retry_logins } = run;
    if is_command {
        let of_a_sweep = [
            ("--once", *once),
            ("--headless", *headless),
            ("--format", format.is_some()),
            ("--output", output.is_some()),
            ("--fail-on-alert", *fail_on_alert),
            ("--retry-logins", *retry_logins),
            ("--demo", demo.is_some()),
        ];
        let (option, _) = of_a_sweep.into_iter().chain(recording).find(|(_, present)| *present)?;
        return Some(format!("'{option}' only applies to sweeps and cannot be used with a command"));
    }
    if let [_, (replay, true)] = recording
        && let Some((other, _)) =
            [("--once", *once), ("--headless", *headless)].into_iter().find(|(_, present)| *present)
    {
        return Some(format!("'{replay}' plays back a recording and cannot be used with '{other}'"));
    }
    let of_once = [
        ("--format json", *format == Some(Format::Json)),
        ("--format prometheus", *format == Some(Format::Prometheus)),
        ("--output", output.is_some()),
        ("--fail-on-alert", *fail_on_alert),
        ("--retry-logins", *retry_logins),
    ];
    let (option, _) = of_once.into_iter().find(|(_, present)| *present && !once)?;
    Some(format!("'{option}' can only be used with '--once'"))
}

/// The log level. A service has no other output than its log, so it logs more than a command that prints a result.
fn log_level(task: &Task, verbose: u8, quiet: bool) -> LevelFilter {
    if quiet {
        return LevelFilter::ERROR;
    }
    let usual = match task {
        Task::Dashboard | Task::Replay(_) | Task::Headless => 1,
        Task::Once { .. }
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
        | Task::Schema => 0,
    };
    match verbose.saturating_add(usual) {
        0 => LevelFilter::WARN,
        1 => LevelFilter::INFO,
        2 => LevelFilter::DEBUG,
        3.. => LevelFilter::TRACE,
    }
}

/// Writes the completions for a shell.
///
/// # Errors
/// Those of the writer.
pub fn write_completions(shell: Shell, out: &mut dyn io::Write) -> io::Result<()> {
    // The generator panics if its writer fails, for example on a closed pipe, so it writes to memory.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "fleetsweep", &mut script);
    out.write_all(&script)
}

/// Writes the manual page, in roff.
///
/// # Errors
/// Those of the writer.
pub fn write_manual(out: &mut dyn io::Write) -> io::Result<()> {
    // The version here has no list of agents, so that the manual page is the same for every build.
    clap_mangen::Man::new(Arguments::command().long_version(env!("CARGO_PKG_VERSION"))).render(out)
}

#[cfg(test)]
mod tests;
