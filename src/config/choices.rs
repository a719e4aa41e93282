//! The options that a configuration offers as keywords. The keywords are parsed elsewhere.

use std::path::PathBuf;

/// How the connection to the SMTP server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmtpSecurity {
    /// `none`: plain text.
    None,
    /// `starttls`: upgraded to TLS. Nothing is sent if the upgrade fails.
    StartTls,
    /// `tls`: from the first byte.
    Tls,
}

/// How lists are attached to mails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttachmentFormat {
    /// `text`: as they are.
    Text,
    /// `gzip`: compressed.
    Gzip,
}

/// What happens to a host key that is not pinned. All values except `Off` reject a changed or revoked key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostKeyPolicy {
    /// `strict`: it is rejected.
    Strict,
    /// `accept-new`: the first key that is seen is accepted and pinned.
    AcceptNew,
    /// `off`: host keys are not checked.
    Off,
}

/// How the agent comes to a client, as a keyword.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AgentChoice {
    /// `keep` or `remove`: it is uploaded.
    Uploaded(AgentKeeping),
    /// `installed`: an administrator has installed it there.
    Installed,
}

/// Whether the uploaded agent stays on the client after a collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgentKeeping {
    /// `keep`: it stays in its private directory, so that the next sweep need not upload it.
    Keep,
    /// `remove`: it is deleted after each collection.
    Remove,
}

/// Which files of OpenSSH are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpensshFiles {
    /// `no`: none.
    None,
    /// `yes`: `~/.ssh/config`, then `/etc/ssh/ssh_config`.
    Usual,
    /// This file alone.
    File(PathBuf),
}

impl OpensshFiles {
    /// The files of host keys for all hosts that name no others.
    #[must_use]
    pub fn known_hosts(&self) -> Vec<PathBuf> {
        match self {
            Self::None => Vec::new(),
            Self::Usual | Self::File(_) => {
                ["/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"].map(PathBuf::from).to_vec()
            }
        }
    }
}
