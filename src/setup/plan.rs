//! Everything that a new `config.xml` says, before it is text. Every value has been checked; secrets are only referred to.

use super::{fleet::Fleet, proposal::Limit};

/// The content of the file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// The hosts.
    pub fleet: Fleet,
    /// How to log in.
    pub login: LoginPlan,
    /// Who gets mails and how; `None` for nobody.
    pub mail: Option<MailPlan>,
    /// `url` of the database.
    pub database: String,
    /// `known-hosts`; `None` for the usual file.
    pub known_hosts: Option<String>,
    /// `config` of `<ssh>`; `None` for the usual files.
    pub openssh_file: Option<String>,
    /// The alerts of all hosts.
    pub limits: Vec<Limit>,
}

/// How to log in to all hosts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LoginPlan {
    /// The account of the hosts that have none of their own.
    pub username: Option<String>,
    /// The file of the private key.
    pub key: Option<String>,
    /// Where its passphrase is.
    pub passphrase: Option<String>,
    /// Where the password is.
    pub password: Option<String>,
}

/// Mails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailPlan {
    /// The server.
    pub host: String,
    /// Its port; `None` for the usual one.
    pub port: Option<u16>,
    /// `security`.
    pub security: String,
    /// The sender.
    pub from: String,
    /// The recipients.
    pub to: String,
    /// The account at the server, and where its password is.
    pub login: Option<(String, String)>,
}
