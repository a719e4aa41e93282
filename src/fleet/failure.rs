//! Why a collection failed: a closed list, each with its stage, whose fault it is, whether another try is worth
//! it, and what the operator can do. Not the handling of any of it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Stage;

/// One failed attempt or collection, as plain data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The stage that did not succeed.
    pub stage: Stage,
    /// Which failure it is.
    pub kind: FailureKind,
    /// The particulars, outermost first: what the operating system, SSH or the agent said.
    /// Cleaned of control characters; never a secret.
    pub causes: Vec<String>,
}

/// Every way in which a collection fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// The host name has no address.
    NameUnknown,
    /// Nothing listens there.
    Refused,
    /// No route, network down, or another error of the network.
    NetworkUnreachable,
    /// The connection ended in mid-stage.
    ConnectionLost,
    /// The stage's deadline passed.
    TimedOut,
    /// What answered does not speak SSH 2, or no common algorithm was found.
    NotSsh,
    /// The host key is not the pinned one.
    HostKeyChanged,
    /// The host key is not pinned and `host-keys` is `strict`.
    HostKeyUnknown,
    /// The host key is marked `@revoked`.
    HostKeyRevoked,
    /// The `known_hosts` file cannot be read or written.
    KnownHostsUnusable,
    /// Every credential was refused.
    AuthenticationRefused,
    /// A credential of ours cannot be used: key file missing or locked, no ssh-agent.
    CredentialUnusable,
    /// The collector ran out of something: descriptors, memory, local ports, threads, processes.
    CollectorShort,
    /// The collector has no network, or may not use it: no interface is up, a local firewall refuses.
    CollectorOffline,
    /// The name service that the collector asks gives no answer.
    NameServiceFailed,
    /// The server grants no channel or no command.
    CommandRefused,
    /// The client's platform has no agent in this build.
    PlatformUnknown,
    /// No directory on the client takes and executes the agent.
    NoDirectory,
    /// The client's disk is full.
    DiskFull,
    /// The upload did not arrive whole.
    UploadFailed,
    /// The agent ended with a failure or was killed.
    AgentFailed,
    /// The command ended without the agent's answer.
    NoAnswer,
    /// The answer is larger than allowed.
    AnswerTooLarge,
    /// The client did what no honest SSH server does.
    Misbehaved,
    /// The envelope was altered, truncated, replayed or made for someone else.
    EnvelopeRefused,
    /// The report inside is not valid.
    ReportInvalid,
    /// The database did not take it.
    StoreFailed,
    /// Cancelled by the operator or by the program's end.
    Cancelled,
    /// A defect of this program.
    Defect,
}

/// Whose fault a failure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Blame {
    /// The client answered, and not as it should.
    Client,
    /// Between here and the client, or the client is gone: nobody can tell which.
    Network,
    /// This program, its configuration, or the machine it runs on.
    Collector,
}

impl FailureKind {
    /// Every kind.
    pub const ALL: [Self; 29] = [
        Self::NameUnknown,
        Self::Refused,
        Self::NetworkUnreachable,
        Self::ConnectionLost,
        Self::TimedOut,
        Self::NotSsh,
        Self::HostKeyChanged,
        Self::HostKeyUnknown,
        Self::HostKeyRevoked,
        Self::KnownHostsUnusable,
        Self::AuthenticationRefused,
        Self::CredentialUnusable,
        Self::CollectorShort,
        Self::CollectorOffline,
        Self::NameServiceFailed,
        Self::CommandRefused,
        Self::PlatformUnknown,
        Self::NoDirectory,
        Self::DiskFull,
        Self::UploadFailed,
        Self::AgentFailed,
        Self::NoAnswer,
        Self::AnswerTooLarge,
        Self::Misbehaved,
        Self::EnvelopeRefused,
        Self::ReportInvalid,
        Self::StoreFailed,
        Self::Cancelled,
        Self::Defect,
    ];

    /// What happened, in a few words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::NameUnknown => "host name not found",
            Self::Refused => "connection refused",
            Self::NetworkUnreachable => "network unreachable",
            Self::ConnectionLost => "connection lost",
            Self::TimedOut => "timed out",
            Self::NotSsh => "not an SSH server we can talk to",
            Self::HostKeyChanged => "HOST KEY CHANGED",
            Self::HostKeyUnknown => "host key not known",
            Self::HostKeyRevoked => "host key revoked",
            Self::KnownHostsUnusable => "known_hosts unusable",
            Self::AuthenticationRefused => "authentication refused",
            Self::CredentialUnusable => "credential unusable",
            Self::CollectorShort => "the collector is short of resources",
            Self::CollectorOffline => "the collector has no network",
            Self::NameServiceFailed => "the collector's name service does not answer",
            Self::CommandRefused => "command refused",
            Self::PlatformUnknown => "no agent for this platform",
            Self::NoDirectory => "no directory to run from",
            Self::DiskFull => "disk full",
            Self::UploadFailed => "upload failed",
            Self::AgentFailed => "agent failed",
            Self::NoAnswer => "no answer from the agent",
            Self::AnswerTooLarge => "answer too large",
            Self::Misbehaved => "misbehaving SSH server",
            Self::EnvelopeRefused => "envelope refused",
            Self::ReportInvalid => "report invalid",
            Self::StoreFailed => "not stored",
            Self::Cancelled => "cancelled",
            Self::Defect => "internal error",
        }
    }

    /// Whose fault it is. The collector's own failures say nothing about a client: they neither count as
    /// `unreachable` nor end its alert, and nobody is mailed about a client because of them.
    #[must_use]
    pub fn blame(self) -> Blame {
        match self {
            // How a client can be reached is the network's affair until it has shown its host key.
            Self::NameUnknown | Self::NetworkUnreachable | Self::ConnectionLost | Self::TimedOut => Blame::Network,
            Self::Refused
            | Self::NotSsh
            | Self::HostKeyChanged
            | Self::HostKeyUnknown
            | Self::HostKeyRevoked
            | Self::AuthenticationRefused
            | Self::CommandRefused
            | Self::PlatformUnknown
            | Self::NoDirectory
            | Self::DiskFull
            | Self::UploadFailed
            | Self::AgentFailed
            | Self::NoAnswer
            | Self::AnswerTooLarge
            | Self::Misbehaved
            | Self::EnvelopeRefused
            | Self::ReportInvalid => Blame::Client,
            Self::KnownHostsUnusable
            | Self::CredentialUnusable
            | Self::CollectorShort
            | Self::CollectorOffline
            | Self::NameServiceFailed
            | Self::StoreFailed
            | Self::Cancelled
            | Self::Defect => Blame::Collector,
        }
    }

    /// Whether another attempt in the same sweep may end better.
    ///
    /// A refused credential is never tried twice: it would lock accounts. A deadline that passed has had
    /// all the time it is allowed: a second one would only double the sweep.
    #[must_use]
    pub fn is_worth_retrying(self) -> bool {
        match self {
            Self::Refused
            | Self::NetworkUnreachable
            | Self::ConnectionLost
            | Self::UploadFailed
            | Self::NoAnswer
            | Self::AgentFailed
            | Self::CollectorShort
            | Self::CollectorOffline
            | Self::NameServiceFailed => true,
            Self::NameUnknown
            | Self::TimedOut
            | Self::NotSsh
            | Self::HostKeyChanged
            | Self::HostKeyUnknown
            | Self::HostKeyRevoked
            | Self::KnownHostsUnusable
            | Self::AuthenticationRefused
            | Self::CredentialUnusable
            | Self::CommandRefused
            | Self::PlatformUnknown
            | Self::NoDirectory
            | Self::DiskFull
            | Self::AnswerTooLarge
            | Self::Misbehaved
            | Self::EnvelopeRefused
            | Self::ReportInvalid
            | Self::StoreFailed
            | Self::Cancelled
            | Self::Defect => false,
        }
    }

    /// What the operator does about it.
    #[must_use]
    pub fn next_step(self) -> &'static str {
        match self {
            Self::NameUnknown => "check the `ip` of this client in the configuration, or the name server",
            Self::Refused => "check that sshd runs there and that `port` is right",
            Self::NetworkUnreachable => "check the route and the firewall between here and the client",
            Self::ConnectionLost => {
                "look at the client's sshd log; raise MaxStartups there if it drops many logins at once"
            }
            Self::TimedOut => {
                "check the client's load and network; raise `timeout` on `<collector>` if it is merely slow"
            }
            Self::NotSsh => "check `port`: something other than an SSH server answers there",
            Self::HostKeyChanged => {
                "find out why before you trust it; if the client was reinstalled, remove the line with `ssh-keygen -R` and run `fleetsweep trust`"
            }
            Self::HostKeyUnknown => "run `fleetsweep trust`, compare the fingerprints, or set host-keys=\"accept-new\"",
            Self::HostKeyRevoked => "the key was revoked on purpose: give the client a new host key",
            Self::KnownHostsUnusable => "check the path and the rights of `known-hosts` on `<ssh>`",
            Self::AuthenticationRefused => {
                "check `username` and `password` or `key`; on the client look at its authentication log"
            }
            Self::CredentialUnusable => {
                "check that the key file exists and its `passphrase` is right, or that an ssh-agent runs"
            }
            Self::CollectorShort => {
                "raise the limit that the error names where fleetsweep runs (`ulimit -n`, LimitNOFILE= or TasksMax= in its unit), or lower `concurrency` on `<collector>`"
            }
            Self::CollectorOffline => "check the network interfaces and the firewall of the machine fleetsweep runs on",
            Self::NameServiceFailed => {
                "check the name servers in /etc/resolv.conf of the machine fleetsweep runs on, or give the client's address as `ip`"
            }
            Self::CommandRefused => "the account may not run commands: check its shell and sshd's ForceCommand",
            Self::PlatformUnknown => {
                "build the agent for this platform and put it into the folder that FLEETSWEEP_AGENTS names"
            }
            Self::NoDirectory => "give the account a directory that is not mounted noexec, for instance its home",
            Self::DiskFull => "free some space on the client: the agent needs 2 MiB",
            Self::UploadFailed => "try again; look at the client's sshd log if it stays",
            Self::AgentFailed => "run `fleetsweep clean` for this client and collect again",
            Self::NoAnswer => "check that the account's shell runs commands and prints nothing that swallows them",
            Self::AnswerTooLarge => "the client sends more than a report can be: treat it as hostile",
            Self::Misbehaved => "the client's SSH server does what no honest one does: treat the client as hostile",
            Self::EnvelopeRefused => "the answer was altered on its way: treat the client as hostile",
            Self::ReportInvalid => "run `fleetsweep clean` for this client; treat it as hostile if it stays",
            Self::StoreFailed => "look at the database's error above; nothing of this collection was stored",
            Self::Cancelled => "collect again",
            Self::Defect => "report this as a defect of fleetsweep, with its log",
        }
    }
}

impl Failure {
    /// A failure without particulars.
    #[must_use]
    pub fn new(stage: Stage, kind: FailureKind) -> Self {
        Self { stage, kind, causes: Vec::new() }
    }

    /// The same with one more particular.
    #[must_use]
    pub fn because(mut self, cause: impl fmt::Display) -> Self {
        self.causes.push(super::reading::clean(&cause.to_string(), 300));
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.words())?;
        for cause in &self.causes {
            write!(f, ": {cause}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_to_blame_is_said_for_every_failure() {
        let of = |blame| FailureKind::ALL.into_iter().filter(|kind| kind.blame() == blame).count();
        assert_eq!([Blame::Client, Blame::Network, Blame::Collector].map(of), [17, 4, 8]);
        // An owner is mailed about these, and can do something about them.
        for kind in [FailureKind::Refused, FailureKind::HostKeyChanged, FailureKind::DiskFull] {
            assert_eq!(kind.blame(), Blame::Client);
        }
        for kind in [FailureKind::CredentialUnusable, FailureKind::KnownHostsUnusable, FailureKind::CollectorShort] {
            assert_eq!(kind.blame(), Blame::Collector);
        }
    }
}
