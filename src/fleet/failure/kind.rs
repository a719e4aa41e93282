//! The closed list of kinds of failures. What is known of each is in the table of [`spec`](super::spec).

use serde::{Deserialize, Serialize};
use strum::EnumCount;

/// Every way in which a collection fails. A new kind also needs a row in the table of [`spec`](super::spec); the compiler asks
/// for it.
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
