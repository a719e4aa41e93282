//! Connects to a client: TCP, identification, key exchange and the check of the host key. No credential is sent before
//! this has succeeded.

use std::{
    borrow::Cow,
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use russh::{AlgorithmKind, client};
use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{
    algorithms::{self, AlgorithmSet, HostKeys},
    host_key::HostKeyPurpose,
    known_as::KnownAs,
    known_hosts::KnownHosts,
    proxy_command::ProxyCommand,
    session::Session,
    session_handler::{EndReason, SessionHandler},
    session_state::{Ending, SessionState},
    shortage,
    stream::{CuttableStream, PeerIdentification},
    threads,
    transport::Transport,
};
use crate::{
    config::Client,
    fleet::{ClientId, Failure, FailureKind, Stage, failure::Blame},
};

/// The interval of keepalives of a silent session. After three without an answer, the session has ended.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// How many messages of a channel wait for its reader. When so many wait, the session stops reading from the server until
/// one is taken, so that a server that sends too much is slowed down and uses no memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ChannelBuffer {
    /// A channel at a time carries the output of a command.
    Commands,
    /// Each channel carries the session of another client, which may write for a while before it reads. Meanwhile the
    /// sessions beside it must not wait.
    Connections,
}

impl ChannelBuffer {
    /// The most messages, each of at most 32 KiB.
    fn messages(self) -> usize {
        match self {
            Self::Commands => 32,
            Self::Connections => 256,
        }
    }
}

/// Connects to a client over the transport that `opening` opens and checks its host key. The session runs on the threads
/// for sessions.
///
/// # Errors
/// Any failure of the stage `connect`. The caller sets the deadline.
pub(super) async fn connect(
    client: &Client,
    known_as: KnownAs,
    opening: impl Future<Output = Result<Transport, Failure>> + Send + 'static,
    hosts: &Arc<KnownHosts>,
    purpose: HostKeyPurpose,
    buffer: ChannelBuffer,
    identification: &PeerIdentification,
) -> Result<Session, Failure> {
    let handler =
        SessionHandler::new(Arc::clone(hosts), client.id.clone(), known_as, purpose, AlgorithmSet::of(client));
    threads::run(open(handler, opening, buffer, identification.clone()))
        .await
        .unwrap_or_else(|error| Err(Failure::new(Stage::Connect, FailureKind::Defect).because(error)))
}

async fn open(
    handler: SessionHandler,
    opening: impl Future<Output = Result<Transport, Failure>>,
    buffer: ChannelBuffer,
    identification: PeerIdentification,
) -> Result<Session, Failure> {
    let transport = opening.await?;
    let cut = CancellationToken::new();
    // From here on, dropping this future cuts the stream, which ends the session's task.
    let guard = cut.clone().drop_guard();
    let offered = handler.offered;
    let settings = settings(offered, buffer, handler.host_keys()?)
        .map_err(|error| Failure::new(Stage::Connect, FailureKind::Defect).because(error))?;
    let state = handler.state.clone();
    let stream = CuttableStream::new(transport, cut, identification.clone(), state.allowance.clone(), offered);
    match client::connect_stream(Arc::new(settings), stream, handler).await {
        Ok(handle) => Ok(Session::new(handle, state, identification.names_windows(), guard)),
        Err(ended) => Err(failure(ended, &identification, &state, offered)),
    }
}

fn settings(offered: AlgorithmSet, buffer: ChannelBuffer, host_keys: HostKeys) -> Result<client::Config, russh::Error> {
    Ok(client::Config {
        client_id: russh::SshId::Standard(Cow::Borrowed(concat!("SSH-2.0-fleetsweep_", env!("CARGO_PKG_VERSION")))),
        preferred: algorithms::offered(offered, host_keys),
        gex: algorithms::groups()?,
        keepalive_interval: Some(KEEPALIVE),
        channel_buffer_size: buffer.messages(),
        nodelay: true,
        ..client::Config::default()
    })
}

/// Starts the command that is the connection.
///
/// # Errors
/// If it cannot be started.
pub(super) fn by_command(command: &str) -> Result<Transport, Failure> {
    ProxyCommand::start(command).map(|command| Transport::Command(Box::new(command))).map_err(|error| {
        let kind = shortage::of_network(&error).unwrap_or(FailureKind::NetworkUnreachable);
        Failure::new(Stage::Connect, kind).because(format!("ProxyCommand could not be started: {error}"))
    })
}

/// Tries the addresses of a client one after the other, each with a part of the time.
///
/// # Errors
/// Any failure of the stage `connect` before SSH begins.
pub(super) async fn tcp(client: &ClientId, allowed: Duration) -> Result<TcpStream, Failure> {
    let deadline = Instant::now() + allowed;
    let addresses = lookup(client, allowed * 3 / 4).await?;
    let left = deadline.saturating_duration_since(Instant::now());
    let share = left / u32::try_from(addresses.len().max(1)).unwrap_or(u32::MAX);
    let mut last: Option<Failure> = None;
    for address in &addresses {
        let failed = match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(tcp)) => {
                if let Err(error) = tcp.set_nodelay(true) {
                    tracing::debug!(%error, "small packets may be delayed");
                }
                return Ok(tcp);
            }
            Ok(Err(error)) => Failure::new(Stage::Connect, network(&error)).because(error),
            Err(_) => {
                Failure::new(Stage::Connect, FailureKind::TimedOut).because("no answer to the connection request")
            }
        };
        // That one of its addresses is unreachable says less than the failure at another one.
        if last.is_none() || failed.kind.blame() != Blame::Collector {
            last = Some(failed);
        }
    }
    let last = last
        .unwrap_or_else(|| Failure::new(Stage::Connect, FailureKind::NameUnknown).because("the name has no address"));
    Err(if addresses.len() > 1 { last.because(format!("tried {} addresses", addresses.len())) } else { last })
}

/// The addresses of a client. The name service has a separate time limit, because its silence is not a failure of the
/// client.
async fn lookup(client: &ClientId, allowed: Duration) -> Result<Vec<SocketAddr>, Failure> {
    match timeout(allowed, lookup_host((client.address(), client.port()))).await {
        Ok(Ok(addresses)) => Ok(addresses.collect()),
        Ok(Err(error)) => Err(shortage::of_lookup(&error)),
        Err(_) => Err(Failure::new(Stage::Connect, FailureKind::NameServiceFailed).because(format!(
            "no answer about {} within {} ms",
            client.address(),
            allowed.as_millis()
        ))),
    }
}

fn network(error: &io::Error) -> FailureKind {
    use io::ErrorKind;
    if let Some(ours) = shortage::of_network(error) {
        return ours;
    }
    let kind = error.kind();
    if kind == ErrorKind::ConnectionRefused {
        FailureKind::Refused
    } else if kind == ErrorKind::TimedOut {
        FailureKind::TimedOut
    } else if matches!(
        kind,
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe | ErrorKind::UnexpectedEof
    ) {
        FailureKind::ConnectionLost
    } else {
        FailureKind::NetworkUnreachable
    }
}

/// The failure for the reason that ended a session before its host key was accepted.
fn failure(
    ended: EndReason,
    identification: &PeerIdentification,
    state: &SessionState,
    offered: AlgorithmSet,
) -> Failure {
    let error = match ended {
        EndReason::Refused(failure) => return failure,
        EndReason::KeySeen => return Failure::new(Stage::Connect, FailureKind::Cancelled),
        // If the first line is not from an SSH server, this is another service and not an attack.
        EndReason::Abuse(abuse) => {
            return not_ssh(identification)
                .unwrap_or_else(|| Failure::new(Stage::Connect, abuse.kind()).because(abuse));
        }
        EndReason::Ssh(error) => error,
    };
    if let Some(failure) = not_ssh(identification) {
        return failure;
    }
    let ended_by_peer = matches!(error, russh::Error::Disconnect | russh::Error::HUP);
    let kind = if let russh::Error::IO(error) = &error {
        network(error)
    } else if ended_by_peer {
        FailureKind::ConnectionLost
    } else {
        FailureKind::NotSsh
    };
    let failure = Failure::new(Stage::Connect, kind);
    match (state.ending.get(), identification.begun_line()) {
        (Some(Ending::Message(words) | Ending::Farewell(words) | Ending::Unsound(words)), _) => failure.because(words),
        (Some(Ending::Abuse(abuse)), _) => failure.because(abuse),
        (Some(Ending::NoFurtherMethod), _) => Failure::new(Stage::Connect, FailureKind::AuthenticationRefused),
        (Some(Ending::LoginRefused(words)), _) => {
            Failure::new(Stage::Connect, FailureKind::AuthenticationRefused).because(words)
        }
        (None, Some(line)) if ended_by_peer => {
            failure.because(format!("the server closed the connection within its first line: {line}"))
        }
        (None, _) if ended_by_peer => {
            failure.because("the server closed the connection before the key exchange was done")
        }
        (None, _) => failure.because(words(error, offered)),
    }
}

/// The library's error. If there is no common algorithm, with those that the client offers.
fn words(error: russh::Error, offered: AlgorithmSet) -> String {
    let russh::Error::NoCommonAlgo { kind, ours: _, theirs } = error else { return error.to_string() };
    let word = match kind {
        AlgorithmKind::Kex => "key exchange",
        AlgorithmKind::Key => "host key algorithm",
        AlgorithmKind::Cipher => "cipher",
        AlgorithmKind::Compression => "compression",
        AlgorithmKind::Mac => "MAC",
    };
    let mut words = format!("it offers no {word} that we accept, only {}", theirs.join(","));
    let legacy = match offered {
        AlgorithmSet::Sound => algorithms::only_legacy(kind, &theirs),
        AlgorithmSet::Legacy => Vec::new(),
    };
    if !legacy.is_empty() {
        words.push_str(&format!("; legacy=\"yes\" on the client accepts {}", legacy.join(",")));
    }
    words
}

/// The failure if the first line is not that of an SSH server.
pub(super) fn not_ssh(identification: &PeerIdentification) -> Option<Failure> {
    let line = identification.foreign_line()?;
    // OpenSSH sends this as plain text when it drops a connection because of MaxStartups.
    let kind = if line.contains("MaxStartups") || line.starts_with("Not allowed at this time") {
        FailureKind::ConnectionLost
    } else {
        FailureKind::NotSsh
    };
    Some(Failure::new(Stage::Connect, kind).because(format!("it said: {line}")))
}
