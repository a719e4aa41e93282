//! What a configuration says about one host, each value with its origin. Not how it is found.

use std::path::PathBuf;

use super::{hop::Hop, origin::Traced, remark::Remark};

/// The settings of one host. What no file sets is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostSettings {
    /// The name or address to connect to: `HostName`, or the name that was asked for, in lower case.
    pub host_name: String,
    /// Where `HostName` is set.
    pub host_name_from: Option<Traced<()>>,
    /// `Port`.
    pub port: Option<Traced<u16>>,
    /// `User`.
    pub user: Option<Traced<String>>,
    /// `IdentityFile`, in order; empty for `none`, and `None` if no line says anything.
    pub identity_files: Option<Vec<Traced<FileName>>>,
    /// `CertificateFile`, in order.
    pub certificate_files: Vec<Traced<FileName>>,
    /// `IdentitiesOnly`.
    pub identities_only: Option<Traced<bool>>,
    /// `IdentityAgent`.
    pub identity_agent: Option<Traced<IdentityAgent>>,
    /// `ProxyJump` or `ProxyCommand`, whichever comes first.
    pub proxy: Option<Traced<Proxy>>,
    /// `UserKnownHostsFile`; empty for `none`.
    pub user_known_hosts: Option<Traced<Vec<PathBuf>>>,
    /// `GlobalKnownHostsFile`; empty for `none`.
    pub global_known_hosts: Option<Traced<Vec<PathBuf>>>,
    /// `HostKeyAlias`, in lower case.
    pub host_key_alias: Option<Traced<String>>,
    /// What there is to say about lines that apply to this host.
    pub remarks: Vec<Remark>,
}

/// The name of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileName {
    /// As it was written.
    pub written: String,
    /// With everything expanded.
    pub path: PathBuf,
}

/// `IdentityAgent`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdentityAgent {
    /// No agent is used.
    None,
    /// The socket that this environment variable names.
    Variable(String),
    /// This socket.
    Socket(PathBuf),
}

/// What leads to the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proxy {
    /// Nothing: the file says `none`.
    None,
    /// Jump hosts, in the order in which they are reached.
    Jump(Vec<Hop>),
    /// A command whose input and output are the connection, for a shell. `None` if it must not be run.
    Command(Option<String>),
}
