//! Why a collection failed: a closed list of kinds, and one failure as plain data. What is known of each kind is in
//! [`FailureSpec`]. Not how a failure is handled.

mod spec;

use std::fmt;

use serde::{Deserialize, Serialize};
use strum::EnumCount;

use self::spec::FAILURES;
pub use self::spec::{Blame, FailureSpec, Retry, SessionAfter};
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

/// Every way in which a collection fails. A new kind also needs a row in `FAILURES`; the compiler asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EnumCount, Serialize, Deserialize)]
#[serde(into = "&'static str", try_from = "String")]
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

    /// What happened, in a few words.
    #[must_use]
    pub fn words(self) -> &'static str {
        self.spec().words
    }

    /// Whose fault it is.
    #[must_use]
    pub fn blame(self) -> Blame {
        self.spec().blame
    }

    /// What the operator does about it.
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

/// A word that names no kind of failure.
#[derive(Debug, thiserror::Error)]
#[error("unknown kind of failure: `{0}`")]
pub struct UnknownKind(String);

impl TryFrom<String> for FailureKind {
    type Error = UnknownKind;

    fn try_from(word: String) -> Result<Self, UnknownKind> {
        Self::ALL.into_iter().find(|kind| kind.spec().word == word).ok_or(UnknownKind(word))
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
    fn words_are_those_of_the_variants_and_short_enough() {
        for (kind, spec) in FailureKind::ALL.into_iter().zip(&FAILURES) {
            let mut kebab_case = String::new();
            for character in format!("{kind:?}").chars() {
                if character.is_ascii_uppercase() && !kebab_case.is_empty() {
                    kebab_case.push('-');
                }
                kebab_case.push(character.to_ascii_lowercase());
            }
            // Recordings and databases hold these words.
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
