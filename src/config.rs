//! The configuration: from the text of an XML file to a [`Config`] in which nothing is invalid.
//!
//! Reading collects every error of the file at once, each with its place and its mend
//! ([`Diagnostic`]). It contacts nothing. It is not the place where secrets are
//! used, and it knows nothing of sweeps.

use std::{num::NonZeroUsize, ops::Range, path::PathBuf, time::Duration};

use lettre::message::Mailbox;

use crate::fleet::{
    ClientId, Rule,
    security::{allowance::Allowance, redaction::Redaction},
};

pub mod ca;
pub mod check;
pub mod database;
pub mod diagnostic;
pub mod directories;
pub mod harmless;
pub mod inspect;
pub mod rights;
pub mod secret;

mod address;
mod clients;
mod debug;
mod fields;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod load;
mod range;
mod schema;
mod settings;
mod shape;
mod source;
mod span;
mod values;

use database::DatabaseTls;
use diagnostic::{Diagnostic, Problems};
use harmless::Harmless;
pub use load::{LoadError, Surroundings};
use secret::SecretSource;
use source::{Findings, Source};
pub use span::show_duration;

/// The file that is read where no other is named.
pub const DEFAULT_FILE: &str = "config.xml";

/// A whole, valid configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// `<collector>`.
    pub collector: Collector,
    /// `<database>`.
    pub database: Database,
    /// `<smtp>`.
    pub smtp: Smtp,
    /// `<ssh>`.
    pub ssh: Ssh,
    /// Every client, groups and ranges expanded, in the order of the file. At least one; no two with the
    /// same identity. A name that was written is no one else's; a client without one is named after its
    /// `ip`, so clients behind several ports of one address share it.
    pub clients: Vec<Client>,
    /// The file that this was read from, as it was named.
    pub file: PathBuf,
    /// Whether `clients` are all the clients of the file.
    pub whole: bool,
}

/// How sweeps go.
#[derive(Clone, PartialEq, Eq)]
pub struct Collector {
    /// From the start of one sweep to the start of the next.
    pub interval: Duration,
    /// Collections under way at once.
    pub concurrency: NonZeroUsize,
    /// The deadline of one attempt at one client.
    pub timeout: Duration,
    /// Further attempts after a failed one.
    pub retries: u32,
    /// `mail`: who is told of troubles of the collector itself; may be nobody.
    pub mail: Vec<Mailbox>,
    /// What each client may have stored of its security events in a day.
    pub events: Allowance,
}

/// Where readings are kept.
#[derive(Debug, Clone)]
pub struct Database {
    /// `sqlite:…`, `postgres://…` or `mysql://…`; may hold a password, so never shown whole.
    pub url: secrecy::SecretString,
    /// Whether the connection to a server is to be encrypted; `None` where only the place of the server decides.
    pub tls: Option<DatabaseTls>,
    /// Older rows are deleted.
    pub retention: Duration,
}

/// The way out for mails.
#[derive(Clone)]
pub struct Smtp {
    /// The server.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is protected.
    pub security: SmtpSecurity,
    /// The sender.
    pub from: Mailbox,
    /// The name under which this machine introduces itself; its full name or address where none is given.
    pub helo: Option<String>,
    /// The certificates that are trusted, in place of the system's.
    pub ca: Option<PathBuf>,
    /// The account, where the server wants one.
    pub login: Option<SmtpLogin>,
    /// `give-up`: how long a mail waits for a server that does not take it.
    pub give_up: Duration,
}

/// An account at the SMTP server.
#[derive(Clone)]
pub struct SmtpLogin {
    /// Its name.
    pub username: String,
    /// Its password.
    pub password: SecretSource,
}

/// How the connection to the SMTP server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmtpSecurity {
    /// `none`: plain text.
    None,
    /// `starttls`: upgraded, or nothing is sent.
    StartTls,
    /// `tls`: from the first byte.
    Tls,
}

/// How clients prove who they are.
#[derive(Clone, PartialEq, Eq)]
pub struct Ssh {
    /// The file of pinned host keys.
    pub known_hosts: PathBuf,
    /// What happens to a host key that is not pinned.
    pub host_keys: HostKeyPolicy,
}

/// What happens to a host key that is not pinned. A changed or revoked one is refused by all but `Off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostKeyPolicy {
    /// Refused.
    Strict,
    /// Pinned at first sight.
    AcceptNew,
    /// Nothing is checked.
    Off,
}

/// One client.
#[derive(Clone)]
pub struct Client {
    /// Its identity: `ip` and `port`.
    pub id: ClientId,
    /// `name`, or the `ip`.
    pub name: String,
    /// The account there.
    pub username: String,
    /// How the account is entered.
    pub login: Login,
    /// Who is mailed about it; may be nobody.
    pub mail: Vec<Mailbox>,
    /// Its limits, at most one for each metric, in the order of [`Metric::ALL`](crate::fleet::Metric::ALL).
    pub rules: Vec<Rule>,
    /// What becomes of the uploaded agent.
    pub agent: AgentKeeping,
    /// `events`: whether security events are collected; `None` leaves it to the platform.
    pub events: Option<bool>,
    /// `redact`: what is taken out of security events before they are stored or mailed.
    pub redact: Option<Redaction>,
}

/// How an account is entered. What is given is tried in the order key, ssh-agent, password.
#[derive(Debug, Clone, Default)]
pub struct Login {
    /// `key`: a private key file, with its `passphrase`.
    pub key: Option<KeyFile>,
    /// Whether the ssh-agent of `SSH_AUTH_SOCK` is asked: where neither key nor password is given.
    pub ssh_agent: bool,
    /// `password`: also the answer to a keyboard-interactive question.
    pub password: Option<SecretSource>,
}

/// A private key file.
#[derive(Clone)]
pub struct KeyFile {
    /// Where it is, `~` expanded.
    pub path: PathBuf,
    /// Unlocks it.
    pub passphrase: Option<SecretSource>,
}

/// What becomes of the uploaded agent after a collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgentKeeping {
    /// It stays in its private directory for the next sweep.
    Keep,
    /// Nothing is left behind.
    Remove,
}

/// A configuration as it was read from a file.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The valid configuration.
    pub config: Config,
    /// What should be mended, and does not stop anything. In the order of the file.
    pub warnings: Vec<Diagnostic>,
    /// The values that concern the whole fleet, written or built in.
    pub settings: Vec<Setting>,
    /// The `<client>` elements that made `config.clients`, in the same order.
    pub entered: Vec<Entered>,
    /// Where its secrets come from.
    pub secrets: inspect::Sources,
}

impl Loaded {
    /// Leaves out the clients that `keep` does not want.
    pub fn retain_clients(&mut self, keep: impl Fn(&Client) -> bool) {
        let mut next = 0;
        for entered in &mut self.entered {
            let kept = self.config.clients.get(entered.clients.clone()).unwrap_or_default();
            let count = kept.iter().filter(|client| keep(client)).count();
            entered.clients = next..next + count;
            next += count;
        }
        self.entered.retain(|entered| !entered.clients.is_empty());
        let before = self.config.clients.len();
        self.config.clients.retain(keep);
        self.config.whole &= self.config.clients.len() == before;
    }
}

/// One value that concerns the whole fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The element it belongs to.
    pub element: &'static str,
    /// Its attribute.
    pub attribute: &'static str,
    /// As it is written, or would be, as far as that may be shown.
    pub value: Harmless,
    /// Whether the file says so; otherwise it is the built-in default.
    pub written: bool,
}

/// One `<client>` element.
#[derive(Clone, PartialEq, Eq)]
pub struct Entered {
    /// Its `ip` as written, ranges and all.
    pub ip: String,
    /// Its `name` as written.
    pub name: Option<String>,
    /// Which clients of the configuration it made.
    pub clients: Range<usize>,
}

impl Config {
    /// Reads a configuration from text. `file_name` is how diagnostics call it.
    ///
    /// Pure but for the home directory: touches no file and no network.
    ///
    /// # Errors
    /// [`Problems`]: every error of the text at once.
    pub fn parse(text: &str, file_name: &str) -> Result<Loaded, Problems> {
        Self::parse_in(text, file_name, &Surroundings::of_this_process())
    }

    /// Reads a configuration from text, given what else matters.
    ///
    /// # Errors
    /// [`Problems`]: every error of the text at once.
    pub fn parse_in(text: &str, file_name: &str, surroundings: &Surroundings) -> Result<Loaded, Problems> {
        Self::parse_and(text, file_name, surroundings, |_, _| {})
    }

    /// The same, and has the tree inspected where there is one.
    fn parse_and(
        text: &str,
        file_name: &str,
        surroundings: &Surroundings,
        inspect: impl FnOnce(&shape::Element, &mut Findings),
    ) -> Result<Loaded, Problems> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let home = surroundings.home.as_deref();
        let source = Source::new(file_name, text);
        let mut findings = Findings::default();
        if let Some(at) = text.find('\0') {
            let mend = "save it as UTF-8; it looks like UTF-16, or like no text at all";
            findings.error(at..at + 1, "there is a NUL character in this file", mend);
            return Err(Problems(findings.placed(&source).0));
        }
        let Some(root) = shape::read(text, &mut findings) else {
            return Err(Problems(findings.placed(&source).0));
        };
        fields::check(&root, None, &mut findings);
        let settings = settings::read(&root, home, &source, &mut findings);
        let clients = clients::read(&root, &settings, home, &source, &mut findings);
        surroundings.warn_of_literal_secrets(&root, file_name, &mut findings);
        inspect(&root, &mut findings);
        let (errors, warnings) = findings.placed(&source);
        match (settings.collector, settings.database, settings.smtp, settings.ssh) {
            (Some(collector), Some(database), Some(smtp), Some(ssh)) if errors.is_empty() => Ok(Loaded {
                config: Self {
                    collector,
                    database,
                    smtp,
                    ssh,
                    clients: clients.clients,
                    file: PathBuf::from(file_name),
                    whole: true,
                },
                warnings,
                settings: settings.shown,
                entered: clients.entered,
                secrets: inspect::Sources::of(&root, &|offset| source.line_of(offset)),
            }),
            _ => Err(Problems(errors)),
        }
    }
}

#[cfg(test)]
mod tests;
