//! The arguments of `init`. What is asked for where one is missing, and what is done with them, is elsewhere.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// The headings of the options.
const HOSTS: &str = "Where the hosts are";
const LOGIN: &str = "How to log in (default: the ssh-agent and the usual keys)";
const MAILS: &str = "Mails (default: none)";
const WRITTEN: &str = "What is written";
const SCRIPTS: &str = "Scripts";

/// What `init` writes a configuration from.
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct Init {
    /// The hosts.
    #[arg(
        value_name = "HOST",
        help = "Hosts, as [user@]host[:port]; 10.0.4.[1-40] and web-[01,03].example.com are ranges",
        long_help = None
    )]
    pub hosts: Vec<String>,

    /// Hosts of an ssh_config: its `Host` lines without wildcards. What it says about them is not copied, but read there
    #[arg(long, value_name = "FILE", help_heading = HOSTS)]
    pub ssh_config: Option<PathBuf>,

    /// Hosts of a CSV file whose first line names the columns: host, and name, port, username
    #[arg(long, value_name = "FILE", help_heading = HOSTS)]
    pub csv: Option<PathBuf>,

    /// Hosts of an inventory of Ansible, INI or YAML
    #[arg(long, value_name = "FILE", help_heading = HOSTS)]
    pub inventory: Option<PathBuf>,

    /// The account on hosts that are named without one
    #[arg(long, value_name = "NAME", help_heading = LOGIN)]
    pub user: Option<String>,

    /// A private key file
    #[arg(long, value_name = "FILE", help_heading = LOGIN)]
    pub key: Option<String>,

    /// Where the passphrase of the key is: env:NAME, file:PATH, cred:NAME, age:FILE or cmd:COMMAND
    #[arg(
        long,
        value_name = "WHERE",
        requires = "key",
        help_heading = LOGIN
    )]
    pub passphrase: Option<String>,

    /// Where the password of the account is, as for --passphrase; never the password itself
    #[arg(long, value_name = "WHERE", help_heading = LOGIN)]
    pub password: Option<String>,

    /// Who is mailed: addresses, separated by commas
    #[arg(long, value_name = "ADDRESSES", help_heading = MAILS)]
    pub mail: Option<String>,

    /// The mail server [default: 127.0.0.1]
    #[arg(long, value_name = "HOST[:PORT]", requires = "mail", help_heading = MAILS)]
    pub smtp: Option<String>,

    /// Whether the connection is encrypted [default: starttls, and none on this machine]
    #[arg(long, value_enum, requires = "mail", help_heading = MAILS)]
    pub smtp_security: Option<Security>,

    /// The account at the mail server
    #[arg(
        long,
        value_name = "NAME",
        requires = "smtp_password",
        requires = "mail",
        help_heading = MAILS
    )]
    pub smtp_user: Option<String>,

    /// Where its password is, as for --passphrase
    #[arg(long, value_name = "WHERE", requires = "smtp_user", help_heading = MAILS)]
    pub smtp_password: Option<String>,

    /// The sender.
    #[arg(
        long,
        value_name = "ADDRESS",
        requires = "mail",
        help_heading = MAILS,
        help = "The sender [default: fleetsweep@localhost]",
        long_help = None
    )]
    pub from: Option<String>,

    /// The database: a file for SQLite, or the URL of a server without a password [default: fleetsweep.db]
    #[arg(long, value_name = "FILE", help_heading = WRITTEN)]
    pub database: Option<String>,

    /// The file of pinned host keys [default: ~/.ssh/known_hosts]
    #[arg(long, value_name = "FILE", help_heading = WRITTEN)]
    pub known_hosts: Option<String>,

    /// The new configuration; an existing file is never overwritten [default: config.xml]
    #[arg(long, value_name = "FILE", help_heading = WRITTEN)]
    pub output: Option<PathBuf>,

    /// Ask nothing: what is not given has its default
    #[arg(short, long, help_heading = SCRIPTS)]
    pub yes: bool,

    /// Pin the host keys that the hosts show without asking; whoever answers now is trusted
    #[arg(long, help_heading = SCRIPTS)]
    pub accept_host_keys: bool,

    /// Do not open the dashboard at the end
    #[arg(long, help_heading = SCRIPTS)]
    pub no_dashboard: bool,
}

/// `security` of the mail server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Security {
    /// Not encrypted.
    None,
    /// Encrypted before anything is sent.
    Starttls,
    /// Encrypted from the first byte.
    Tls,
}

impl Security {
    /// Its keyword in the configuration.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Starttls => "starttls",
            Self::Tls => "tls",
        }
    }
}
