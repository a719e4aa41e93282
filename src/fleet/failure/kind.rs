//! The kinds of failures. Their properties are in the table of [`spec`](super::spec).

use serde::{Deserialize, Serialize};
use strum::EnumCount;

/// The kinds of failures of a collection. A new kind also needs a row in the table of [`spec`](super::spec), which the
/// compiler enforces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, EnumCount, Serialize, Deserialize)]
#[serde(into = "&'static str", try_from = "String")]
pub enum FailureKind {
    /// The host name has no address.
    NameUnknown,
    /// Nothing listens there.
    Refused,
    /// No route, network down, or another error of the network.
    NetworkUnreachable,
    /// The connection was lost during a stage.
    ConnectionLost,
    /// The stage's deadline passed.
    TimedOut,
    /// The server does not speak SSH 2, or there is no common algorithm.
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
    /// No credential was sent, because the client refused them before and they have not changed.
    LoginHeld,
    /// A credential cannot be used: the key file is missing or locked, or there is no ssh-agent.
    CredentialUnusable,
    /// The collector ran out of something: descriptors, memory, local ports, threads, processes.
    CollectorShort,
    /// The collector has no network, or may not use it: no interface is up, or a local firewall rejects the connection.
    CollectorOffline,
    /// The collector's name service does not answer.
    NameServiceFailed,
    /// A bastion on the way to the client cannot be used.
    NotReached,
    /// The server grants no channel or no command.
    CommandRefused,
    /// The login shell ran something in place of the command.
    CommandNotRun,
    /// The client's platform has no agent in this build.
    PlatformUnknown,
    /// The agent cannot be stored and executed in any directory of the client.
    NoDirectory,
    /// The client's disk is full.
    DiskFull,
    /// The upload is incomplete.
    UploadFailed,
    /// The agent ended with a failure or was killed.
    AgentFailed,
    /// A policy or a virus scanner of the client does not let the agent be executed.
    AgentBlocked,
    /// The agent that the configuration says is installed on the client cannot be executed.
    AgentNotInstalled,
    /// The agent on the client is of another version than the request.
    AgentVersion,
    /// The command ended without the agent's answer.
    NoAnswer,
    /// The answer is larger than allowed.
    AnswerTooLarge,
    /// The client did something that no honest SSH server does.
    Misbehaved,
    /// The envelope was altered, truncated, replayed or made for someone else.
    EnvelopeRefused,
    /// The report inside is not valid.
    ReportInvalid,
    /// The database did not store it.
    StoreFailed,
    /// Cancelled by the operator or by the program's end.
    Cancelled,
    /// A bug in this program.
    Defect,
}
