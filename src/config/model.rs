//! A valid configuration, as the rest of the program uses it.

use std::{net::SocketAddr, num::NonZeroUsize, path::PathBuf, sync::Arc, time::Duration};

use lettre::message::Mailbox;

use super::{
    agent_delivery::AgentDelivery,
    choices::{AttachmentFormat, HostKeyPolicy, OpensshFiles, SmtpSecurity},
    database::DatabaseTls,
    key_text,
    secret::SecretSource,
};
use crate::{
    fleet::{
        Bytes, ClientId, Rule,
        rule::Repeat,
        security::{FurtherLog, allowance::Allowance, noise::Noise, redaction::Redaction},
    },
    ssh_config::{HostSettings, Proxy},
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
    /// `<metrics>`; `None` if there is none.
    pub metrics: Option<Metrics>,
    /// Every client, with groups and ranges expanded, in the order of the file. There is at least one, and identities
    /// are unique. Written names are unique too. A client without a name is named after its `ip`, so clients at several
    /// ports of one address share a name.
    pub clients: Vec<Client>,
    /// The path of the file, as the user named it.
    pub file: PathBuf,
    /// Whether `clients` contains all clients of the file; false after a selection.
    pub whole: bool,
}

/// The settings of sweeps.
#[derive(Clone, PartialEq, Eq)]
pub struct Collector {
    /// From the start of one sweep to the start of the next.
    pub interval: Duration,
    /// The maximum number of collections at the same time.
    pub concurrency: NonZeroUsize,
    /// The deadline of one attempt at one client.
    pub timeout: Duration,
    /// How many further attempts follow a failed one in a sweep.
    pub retries: u32,
    /// `mail`: who receives mails about problems of the collector itself; may be empty.
    pub mail: Vec<Mailbox>,
    /// How much of its security events each client may have stored per day.
    pub events: Allowance,
}

/// The database for readings, alerts and mails.
#[derive(Debug, Clone)]
pub struct Database {
    /// `sqlite:…`, `postgres://…` or `mysql://…`. It may contain a password, so it is never shown in full.
    pub url: secrecy::SecretString,
    /// Whether the connection to a server must be encrypted; `None` if that depends on whether the server is on this
    /// machine.
    pub tls: Option<DatabaseTls>,
    /// Rows older than this are deleted.
    pub retention: Duration,
    /// Roll-ups older than this are deleted.
    pub history: Duration,
    /// `max-size`: the most space that the data in a SQLite file may take.
    pub max_size: Option<Bytes>,
}

/// The server through which mails are sent.
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
    /// The name in `EHLO`; `None` for this machine's full name or address.
    pub helo: Option<String>,
    /// The file of trusted certificates; `None` for the system's.
    pub ca: Option<PathBuf>,
    /// The account; `None` if the server needs no login.
    pub login: Option<SmtpLogin>,
    /// `give-up`: how long a mail is retried before it counts as refused.
    pub give_up: Duration,
    /// `mail-size`: the largest mail, with its headers and as it is encoded. Larger ones are split.
    pub mail_size: Bytes,
    /// How lists are attached.
    pub attachments: AttachmentFormat,
}

/// An account at the SMTP server.
#[derive(Clone)]
pub struct SmtpLogin {
    /// Its name.
    pub username: String,
    /// Its password.
    pub password: SecretSource,
}

/// The endpoint for Prometheus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metrics {
    /// Where it listens.
    pub listen: SocketAddr,
}

/// How the host keys of clients are verified.
#[derive(Clone, PartialEq, Eq)]
pub struct Ssh {
    /// The file of pinned host keys.
    pub known_hosts: PathBuf,
    /// What happens to a host key that is not pinned.
    pub host_keys: HostKeyPolicy,
    /// `config`: which files of OpenSSH say what this file does not.
    pub config: OpensshFiles,
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
    /// The credentials of the account.
    pub login: Login,
    /// Who receives mails about it; may be empty.
    pub mail: Vec<Mailbox>,
    /// Its rules, in the order of [`Metric::ALL`](crate::fleet::Metric::ALL): at most one for each metric, and one more for
    /// each instance that has its own.
    pub rules: Vec<Rule>,
    /// `agent` and `agent-path`: where its agent comes from, and where it is.
    pub agent: AgentDelivery,
    /// `events`: whether security events are collected; `None` for only on Windows.
    pub events: Option<bool>,
    /// `events-mail`: how often security events are mailed.
    pub events_mail: Repeat,
    /// `<events>`: the logs that are read beside the security log.
    pub logs: Vec<FurtherLog>,
    /// `ignore`: which security events are stored but not mailed.
    pub ignore: Option<Noise>,
    /// `redact`: what is removed from security events before they are stored or mailed.
    pub redact: Option<Redaction>,
    /// `legacy`: whether it is also offered the algorithms that only old servers need.
    pub legacy: bool,
    /// `via`: the servers through which it is reached, in the order of the connection; empty for a direct connection.
    pub via: Arc<[Arc<Bastion>]>,
    /// What the configuration of OpenSSH says about it; `None` if it says nothing.
    pub openssh: Option<Arc<HostSettings>>,
}

impl Client {
    /// The address and port to connect to. The identity stays what the file says.
    #[must_use]
    pub fn endpoint(&self) -> ClientId {
        let Some(settings) = &self.openssh else { return self.id.clone() };
        let named = settings.host_name_from.as_ref().map(|_| settings.host_name.as_str());
        let port = settings.port.as_ref().map_or(self.id.port(), |port| port.value);
        ClientId::new(named.unwrap_or(self.id.address()), port)
    }

    /// The command that is the connection, for a shell.
    #[must_use]
    pub fn proxy_command(&self) -> Option<&str> {
        match &self.openssh.as_ref()?.proxy.as_ref()?.value {
            Proxy::Command(command) => command.as_deref(),
            Proxy::None | Proxy::Jump(_) => None,
        }
    }
}

/// A server through which clients are reached.
#[derive(Clone)]
pub struct Bastion {
    /// `name`, or `user@host:port` if it has no element of its own.
    pub name: String,
    /// Its host and port.
    pub id: ClientId,
    /// The account there.
    pub username: String,
    /// The credentials of the account.
    pub login: Login,
    /// `legacy`: whether it is also offered the algorithms that only old servers need.
    pub legacy: bool,
    /// `max-logins`: how many clients behind it may be connecting and logging in at the same time.
    pub max_logins: NonZeroUsize,
    /// What the configuration of OpenSSH says about it; `None` if it says nothing.
    pub openssh: Option<Arc<HostSettings>>,
}

impl Bastion {
    /// How failures and mails name it: `bastion NAME`.
    #[must_use]
    pub fn label(&self) -> String {
        format!("bastion {}", self.name)
    }
}

/// The credentials of an account. They are tried in the order key, ssh-agent, default keys, password.
#[derive(Clone, Default)]
pub struct Login {
    /// `key`: a private key file, with its `passphrase`, or the public key of one key of the ssh-agent.
    pub key: Option<KeyFile>,
    /// Key files that OpenSSH's configuration names, each tried in order. A key that the ssh-agent has is used there.
    pub identities: Vec<KeyFile>,
    /// The key files that `ssh` tries without being told, after the ssh-agent. Only if nothing else is named.
    pub defaults: Vec<KeyFile>,
    /// Files of certificates that OpenSSH's configuration names. The certificate beside a key file needs no name.
    pub certificates: Vec<PathBuf>,
    /// The socket of the ssh-agent, if it is not the one of `SSH_AUTH_SOCK`.
    pub agent_socket: Option<PathBuf>,
    /// The key files whose keys are the only ones used of the ssh-agent; `None` for all keys.
    pub agent_keys: Option<Vec<PathBuf>>,
    /// Whether the ssh-agent is used. This is so if neither key nor password is given.
    pub ssh_agent: bool,
    /// `password`; also answers keyboard-interactive prompts.
    pub password: Option<SecretSource>,
}

impl Login {
    /// Credentials that were given; the ssh-agent if there are none.
    #[must_use]
    pub fn of(key: Option<KeyFile>, password: Option<SecretSource>) -> Self {
        Self { ssh_agent: key.is_none() && password.is_none(), key, password, ..Self::default() }
    }

    /// With the default key files, if no credential is named.
    #[must_use]
    pub fn or_defaults(self, files: &[PathBuf]) -> Self {
        let is_named = self.key.is_some() || self.password.is_some() || !self.identities.is_empty();
        let key = |path: &PathBuf| KeyFile { path: path.clone(), passphrase: None };
        Self { defaults: if is_named { Vec::new() } else { files.iter().map(key).collect() }, ..self }
    }
}

/// A private key file.
#[derive(Clone)]
pub struct KeyFile {
    /// Its path, with `~` expanded.
    pub path: PathBuf,
    /// The passphrase that decrypts it; `None` if it is not encrypted.
    pub passphrase: Option<SecretSource>,
}

impl KeyFile {
    /// Whether it is named as a public key: it selects a key of the ssh-agent.
    #[must_use]
    pub fn is_public(&self) -> bool {
        key_text::is_public(&self.path)
    }
}
