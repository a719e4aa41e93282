//! The properties of each kind of failure, in one table that all other code reads.

use strum::EnumCount as _;

use super::kind::FailureKind;

/// The properties of one kind of failure.
#[derive(Debug, Clone, Copy)]
pub struct FailureSpec {
    /// The kind.
    pub kind: FailureKind,
    /// Its keyword in JSON and in the database.
    pub word: &'static str,
    /// A short description. Errors that old versions stored as text begin with it.
    pub words: &'static str,
    /// The same in at most 14 characters, for lists.
    pub short: &'static str,
    /// What the operator should do.
    pub next_step: &'static str,
    /// Whose fault it is.
    pub blame: Blame,
    /// Whether another attempt in the same sweep may succeed.
    pub retry: Retry,
    /// Whether clients fail like this when the collector's own network is down. A refused connection counts, because a
    /// rejecting firewall or another machine that answers for every address can cause it.
    pub looks_like_outage: bool,
    /// Whether the SSH session can still be used.
    pub session: SessionAfter,
}

/// Whose fault a failure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Blame {
    /// The client: it answered wrongly.
    Client,
    /// The client or the network to it. These cannot be distinguished before the client has shown its host key.
    Network,
    /// This program, its configuration, its machine, or a bastion on the way to the client. Such a failure says nothing about a client: it does not count
    /// as `unreachable`, does not end that alert, and is not mailed to the owner of a client.
    Collector,
}

/// Whether another attempt follows a failure in the same sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Retry {
    /// None. A second login with a refused credential could lock the account, and a second deadline would only double
    /// the length of the sweep.
    Never,
    /// Up to `retries` of them.
    Counted,
    /// Further ones for as long as one attempt may take, regardless of `retries`.
    NotCounted,
}

/// Whether an SSH session can be used after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SessionAfter {
    /// The peer still answers: the session is closed properly.
    Usable,
    /// The peer is silent or gone: the connection is cut.
    Unusable,
}

/// One row for each kind, in the order of [`FailureKind`].
const FAILURES: [FailureSpec; FailureKind::COUNT] = [
    FailureSpec {
        kind: FailureKind::NameUnknown,
        word: "name-unknown",
        words: "host name not found",
        short: "name unknown",
        next_step: "check the `ip` of this client in the configuration, or the name server",
        blame: Blame::Network,
        retry: Retry::Never,
        looks_like_outage: true,
        session: SessionAfter::Usable,
    },
    FailureSpec {
        kind: FailureKind::Refused,
        word: "refused",
        words: "connection refused",
        short: "refused",
        next_step: "check that sshd runs there and that `port` is right",
        blame: Blame::Client,
        retry: Retry::Counted,
        looks_like_outage: true,
        session: SessionAfter::Usable,
    },
    FailureSpec {
        kind: FailureKind::NetworkUnreachable,
        word: "network-unreachable",
        words: "network unreachable",
        short: "no route",
        next_step: "check the route and the firewall between here and the client",
        blame: Blame::Network,
        retry: Retry::Counted,
        looks_like_outage: true,
        session: SessionAfter::Usable,
    },
    FailureSpec {
        kind: FailureKind::ConnectionLost,
        word: "connection-lost",
        words: "connection lost",
        short: "lost",
        next_step: "look at the client's sshd log; raise MaxStartups there if it drops many logins at once",
        blame: Blame::Network,
        retry: Retry::Counted,
        looks_like_outage: true,
        session: SessionAfter::Unusable,
    },
    FailureSpec {
        kind: FailureKind::TimedOut,
        word: "timed-out",
        words: "timed out",
        short: "timed out",
        next_step: "check the client's load and network; raise `timeout` on `<collector>` if it is merely slow",
        blame: Blame::Network,
        retry: Retry::Never,
        looks_like_outage: true,
        session: SessionAfter::Unusable,
    },
    FailureSpec {
        kind: FailureKind::NotSsh,
        word: "not-ssh",
        words: "not an SSH server we can talk to",
        short: "not SSH",
        next_step: "check `port`: something other than an SSH server answers there",
        blame: Blame::Client,
        retry: Retry::Never,
        looks_like_outage: false,
        session: SessionAfter::Usable,
    },
    FailureSpec {
        kind: FailureKind::HostKeyChanged,
        word: "host-key-changed",
        words: "HOST KEY CHANGED",
        short: "KEY CHANGED",
        next_step: "find out why before you trust it; if the client was reinstalled, `fleetsweep trust` with its name pins the new key",
        blame: Blame::Client,
        retry: Retry::Never,
        looks_like_outage: false,
        session: SessionAfter::Usable,
    },
    FailureSpec {
        kind: FailureKind::HostKeyUnknown,
        word: "host-key-unknown",
        words: "host key not known",
        short: "host key new",
        next_step: "run `fleetsweep trust`, compare the fingerprints, or set host-keys=\"accept-new\"",
        blame: Blame::Client,
        retry: Retry::Never,
        looks_like_outage: false,
        session: SessionAfter::Usable,
    },
    FailureSpec {
        kind: FailureKind::HostKeyRevoked,
        word: "host-key-revoked",
        words: "host key revoked",
        short: "key revoked",
        next_step: "the key was revoked on purpose: give the client a new host key",
        blame: Blame::Client,
        retry: Retry::Never,
        looks_like_outage: false,
        session: SessionAfter::Usable,
    },
    FailureSpec {
        kind: FailureKind::KnownHostsUnusable,
        word: "known-hosts-unusable",
        words: "known_hosts unusable",
        short: "known_hosts",
        next_step: "check the path and the rights of `known-hosts` on `<ssh>`",
        blame: Blame::Collector,
        retry: Retry::Never,
        looks_like_outage: false,
        session: SessionAfter::Usable,
    },
    FailureSpec {
        kind: FailureKind::AuthenticationRefused,
        word: "authentication-refused",
        words: "authentication refused",
        short: "auth refused",
        next_step: "check `username` and `password` or `key`; on the client look at its authentication log",
        blame: Blame::Client,
        retry: Retry::Never,
        looks_like_outage: false,
        session: SessionAfter::Usable,
    },
    FailureSpec {
        kind: FailureKind::LoginHeld,
        word: "login-held",
        words: "login not tried",
        short: "login held",
        next_step: "correct the account or the credential: a changed one is tried at once, an unchanged one by `c` in the dashboard or `--once --retry-logins`",
        blame: Blame::Client,
        retry: Retry::Never,
        looks_like_outage: false,
        session: SessionAfter::Usable,
    },
    FailureSpec {
        kind: FailureKind::CredentialUnusable,
        word: "credential-unusable",
        words: "credential unusable",
        short: "credential",
        next_step: "check that the key file exists and its `passphrase` is right, or that an ssh-agent runs",
        blame: Blame::Collector,
        retry: Retry::Never,
        looks_like_outage: false,
        session: SessionAfter::Usable,
    },
    FailureSpec {
        kind: FailureKind::CollectorShort,
        word: "collector-short",
        words: "the collector is short of resources",
        short: "we are short",
        next_step: "raise the limit that the error names where fleetsweep runs (`ulimit -n`, LimitNOFILE= or TasksMax= in its unit), or lower `concurrency` on `<collector>`",
        blame: Blame::Collector,
        retry: Retry::NotCounted,
        looks_like_outage: false,
        session: SessionAfter::Usable,
    },
    FailureSpec {
        kind: FailureKind::CollectorOffline,
        word: "collector-offline",
        words: "the collector has no network",
        short: "we are offline",
        next_step: "check the network interfaces and the firewall of the machine fleetsweep runs on",
        blame: Blame::Collector,
        retry: Retry::Counted,
        looks_like_outage: true,
        session: SessionAfter::Usable,
    },
    FailureSpec {
        kind: FailureKind::NameServiceFailed,
        word: "name-service-failed",
        words: "the collector's name service does not answer",
        short: "no DNS",
        next_step: "check the name servers in /etc/resolv.conf of the machine fleetsweep runs on, or give the client's address as `ip`",
        blame: Blame::Collector,
        retry: Retry::Counted,
        looks_like_outage: true,
        session: SessionAfter::Usable,
    },
    FailureSpec {
        kind: FailureKind::NotReached,
        word: "not-reached",
        words: "not reached",
        short: "not reached",
        next_step: "make the bastion that the error names work; the clients behind it were not asked",
        blame: Blame::Collector,
        retry: Retry::Never,
        looks_like_outage: false,
        session: SessionAfter::Usable,
    },
    FailureSpec {
        kind: FailureKind::CommandRefused,
        word: "command-refused",
        words: "command refused",
        short: "cmd refused",
        next_step: "the account may not run commands: check its shell and sshd's ForceCommand",
        blame: Blame::Client,
        retry: Retry::Never,
        looks_like_outage: false,
        session: SessionAfter::Usable,
    },
    FailureSpec {
        kind: FailureKind::CommandNotRun,
        word: "command-not-run",
        words: "command not run",
        short: "cmd not run",
        next_step: "let the account's startup files (.bashrc, .zshenv, .profile) do nothing if the shell is not interactive: no `exec`, `read`, `exit` or menu; check sshd's ForceCommand",
        blame: Blame::Client,
        retry: Retry::Never,
        looks_like_outage: false,
        session: SessionAfter::Usable,
    },
    FailureSpec {
        kind: FailureKind::PlatformUnknown,
        word: "platform-unknown",
        words: "no agent for this platform",
        short: "platform",
        next_step: "build the agent for this platform and put it into the folder that FLEETSWEEP_AGENTS names",
        blame: Blame::Client,
        retry: Retry::Never,
        looks_like_outage: false,
        session: SessionAfter::Usable,
    },
    FailureSpec {
        kind: FailureKind::NoDirectory,
        word: "no-directory",
        words: "no directory to run from",
        short: "no directory",
        next_step: "give the account a directory that is not mounted noexec, for instance its home, or name one with `agent-path`",
        blame: Blame::Client,
        retry: Retry::Never,
        looks_like_outage: false,
        session: SessionAfter::Usable,
    },
    FailureSpec {
        kind: FailureKind::DiskFull,
        word: "disk-full",
        words: "disk full",
        short: "disk full",
        next_step: "free some space on the client: the agent needs 2 MiB",
        blame: Blame::Client,
        retry: Retry::Never,
        looks_like_outage: false,
        session: SessionAfter::Usable,
    },
    FailureSpec {
        kind: FailureKind::UploadFailed,
        word: "upload-failed",
        words: "upload failed",
        short: "upload",
        next_step: "try again; look at the client's sshd log if it stays",
        blame: Blame::Client,
        retry: Retry::Counted,
        looks_like_outage: false,
        session: SessionAfter::Usable,
    },
    FailureSpec {
        kind: FailureKind::AgentFailed,
        word: "agent-failed",
        words: "agent failed",
        short: "agent failed",
        next_step: "run `fleetsweep clean` for this client and collect again",
        blame: Blame::Client,
        retry: Retry::Counted,
        looks_like_outage: false,
        session: SessionAfter::Usable,
    },
    FailureSpec {
        kind: FailureKind::AgentBlocked,
        word: "agent-blocked",
        words: "agent blocked",
        short: "agent blocked",
        next_step: "a policy or virus scanner of the client refuses the agent: allow its SHA-256, which `fleetsweep agents` lists, or the directory that `agent-path` names",
        blame: Blame::Client,
        retry: Retry::Never,
        looks_like_outage: false,
        session: SessionAfter::Usable,
    },
    FailureSpec {
        kind: FailureKind::AgentNotInstalled,
        word: "agent-not-installed",
        words: "the installed agent does not run",
        short: "not installed",
        next_step: "install the package fleetsweep-agent on the client, or name the directory of the agent with `agent-path`; the account's shell must execute commands",
        blame: Blame::Client,
        retry: Retry::Never,
        looks_like_outage: false,
        session: SessionAfter::Usable,
    },
    FailureSpec {
        kind: FailureKind::AgentVersion,
        word: "agent-version",
        words: "the agent is of another version",
        short: "agent version",
        next_step: "install the agent of this version of fleetsweep on the client: `fleetsweep agents --output DIR` writes it",
        blame: Blame::Client,
        retry: Retry::Never,
        looks_like_outage: false,
        session: SessionAfter::Usable,
    },
    FailureSpec {
        kind: FailureKind::NoAnswer,
        word: "no-answer",
        words: "no answer from the agent",
        short: "no answer",
        next_step: "check that the account's shell runs commands and prints nothing that swallows them",
        blame: Blame::Client,
        retry: Retry::Counted,
        looks_like_outage: false,
        session: SessionAfter::Usable,
    },
    FailureSpec {
        kind: FailureKind::AnswerTooLarge,
        word: "answer-too-large",
        words: "answer too large",
        short: "answer size",
        next_step: "the client sends more than a report can be: treat it as hostile",
        blame: Blame::Client,
        retry: Retry::Never,
        looks_like_outage: false,
        session: SessionAfter::Usable,
    },
    FailureSpec {
        kind: FailureKind::Misbehaved,
        word: "misbehaved",
        words: "misbehaving SSH server",
        short: "misbehaving",
        next_step: "the client's SSH server does what no honest one does: treat the client as hostile",
        blame: Blame::Client,
        retry: Retry::Never,
        looks_like_outage: false,
        session: SessionAfter::Usable,
    },
    FailureSpec {
        kind: FailureKind::EnvelopeRefused,
        word: "envelope-refused",
        words: "envelope refused",
        short: "envelope",
        next_step: "the answer was altered on its way: treat the client as hostile",
        blame: Blame::Client,
        retry: Retry::Never,
        looks_like_outage: false,
        session: SessionAfter::Usable,
    },
    FailureSpec {
        kind: FailureKind::ReportInvalid,
        word: "report-invalid",
        words: "report invalid",
        short: "bad report",
        next_step: "run `fleetsweep clean` for this client; treat it as hostile if it stays",
        blame: Blame::Client,
        retry: Retry::Never,
        looks_like_outage: false,
        session: SessionAfter::Usable,
    },
    FailureSpec {
        kind: FailureKind::StoreFailed,
        word: "store-failed",
        words: "not stored",
        short: "not stored",
        next_step: "look at the database's error above; nothing of this collection was stored",
        blame: Blame::Collector,
        retry: Retry::Never,
        looks_like_outage: false,
        session: SessionAfter::Usable,
    },
    FailureSpec {
        kind: FailureKind::Cancelled,
        word: "cancelled",
        words: "cancelled",
        short: "cancelled",
        next_step: "collect again",
        blame: Blame::Collector,
        retry: Retry::Never,
        looks_like_outage: false,
        session: SessionAfter::Unusable,
    },
    FailureSpec {
        kind: FailureKind::Defect,
        word: "defect",
        words: "internal error",
        short: "internal",
        next_step: "report this as a defect of fleetsweep, with its log",
        blame: Blame::Collector,
        retry: Retry::Never,
        looks_like_outage: false,
        session: SessionAfter::Usable,
    },
];

impl FailureKind {
    /// Every kind, in the order of the table.
    pub const ALL: [Self; Self::COUNT] = {
        let mut all = [Self::Defect; Self::COUNT];
        let mut index = 0;
        #[expect(clippy::indexing_slicing, reason = "evaluated by the compiler, which checks the bounds")]
        while index < all.len() {
            all[index] = FAILURES[index].kind;
            assert!(all[index] as usize == index, "the rows of FAILURES are in the order of FailureKind");
            index += 1;
        }
        all
    };

    /// Its row in the table of failures.
    #[must_use]
    #[expect(clippy::indexing_slicing, reason = "the table has a row for every kind, at its place: see `ALL`")]
    pub fn spec(self) -> &'static FailureSpec {
        &FAILURES[self as usize]
    }

    /// A short description.
    #[must_use]
    pub fn words(self) -> &'static str {
        self.spec().words
    }

    /// Whose fault it is.
    #[must_use]
    pub fn blame(self) -> Blame {
        self.spec().blame
    }

    /// What the operator should do.
    #[must_use]
    pub fn next_step(self) -> &'static str {
        self.spec().next_step
    }
}

impl From<FailureKind> for &'static str {
    fn from(kind: FailureKind) -> Self {
        kind.spec().word
    }
}

/// The error for an unknown kind of failure.
#[derive(Debug, thiserror::Error)]
#[error("unknown kind of failure: `{0}`")]
pub struct UnknownKind(String);

impl TryFrom<String> for FailureKind {
    type Error = UnknownKind;

    fn try_from(word: String) -> Result<Self, UnknownKind> {
        Self::ALL.into_iter().find(|kind| kind.spec().word == word).ok_or(UnknownKind(word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_the_variants_and_short_enough() {
        for (kind, spec) in FailureKind::ALL.into_iter().zip(&FAILURES) {
            let mut kebab_case = String::new();
            for character in format!("{kind:?}").chars() {
                if character.is_ascii_uppercase() && !kebab_case.is_empty() {
                    kebab_case.push('-');
                }
                kebab_case.push(character.to_ascii_lowercase());
            }
            // Recordings and databases contain these keywords.
            assert_eq!(spec.word, kebab_case);
            let json = serde_json::to_string(&kind).unwrap();
            assert_eq!(json, format!("\"{kebab_case}\""));
            assert_eq!(serde_json::from_str::<FailureKind>(&json).unwrap(), kind);
            assert!(spec.short.len() <= 14, "{}", spec.short);
        }
        assert!(serde_json::from_str::<FailureKind>("\"nothing\"").is_err());
    }

    #[test]
    fn who_is_to_blame_is_said_for_every_failure() {
        let of = |blame| FailureKind::ALL.into_iter().filter(|kind| kind.blame() == blame).count();
        assert_eq!([Blame::Client, Blame::Network, Blame::Collector].map(of), [22, 4, 9]);
        // Owners of clients are mailed about these and can act on them.
        for kind in [FailureKind::Refused, FailureKind::HostKeyChanged, FailureKind::DiskFull] {
            assert_eq!(kind.blame(), Blame::Client);
        }
        for kind in [FailureKind::CredentialUnusable, FailureKind::KnownHostsUnusable, FailureKind::CollectorShort] {
            assert_eq!(kind.blame(), Blame::Collector);
        }
    }
}
