//! The configuration: from the text of an XML file to a [`Config`] in which nothing is invalid.
//!
//! Reading collects every error of the file at once, each with its place and its mend
//! ([`Diagnostic`](diagnostic::Diagnostic)). It contacts nothing. It is not the place where secrets are
//! used, and it knows nothing of sweeps.

use std::{num::NonZeroUsize, path::PathBuf, time::Duration};

use lettre::message::Mailbox;

use crate::fleet::{ClientId, Rule};

pub mod diagnostic;
pub mod secret;

use secret::SecretSource;

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
    /// same identity or the same name.
    pub clients: Vec<Client>,
}

/// How sweeps go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collector {
    /// From the start of one sweep to the start of the next.
    pub interval: Duration,
    /// Collections under way at once.
    pub concurrency: NonZeroUsize,
    /// The deadline of one attempt at one client.
    pub timeout: Duration,
    /// Further attempts after a failed one.
    pub retries: u32,
}

/// Where readings are kept.
#[derive(Debug, Clone)]
pub struct Database {
    /// `sqlite:…`, `postgres://…` or `mysql://…`; may hold a password, so never shown whole.
    pub url: secrecy::SecretString,
    /// Older rows are deleted.
    pub retention: Duration,
}

/// The way out for mails.
#[derive(Debug, Clone)]
pub struct Smtp {
    /// The server.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is protected.
    pub security: SmtpSecurity,
    /// The sender.
    pub from: Mailbox,
    /// The account, where the server wants one.
    pub login: Option<SmtpLogin>,
}

/// An account at the SMTP server.
#[derive(Debug, Clone)]
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
#[derive(Debug, Clone, PartialEq, Eq)]
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
#[derive(Debug, Clone)]
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
#[derive(Debug, Clone)]
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
