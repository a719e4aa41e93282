//! A valid configuration, as the rest of the program uses it. Not how it is written in a file.

use std::{num::NonZeroUsize, path::PathBuf, time::Duration};

use lettre::message::Mailbox;

use super::{
    choices::{AgentKeeping, HostKeyPolicy, SmtpSecurity},
    database::DatabaseTls,
    secret::SecretSource,
};
use crate::fleet::{
    ClientId, Rule,
    security::{allowance::Allowance, redaction::Redaction},
};

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

/// How clients prove who they are.
#[derive(Clone, PartialEq, Eq)]
pub struct Ssh {
    /// The file of pinned host keys.
    pub known_hosts: PathBuf,
    /// What happens to a host key that is not pinned.
    pub host_keys: HostKeyPolicy,
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
