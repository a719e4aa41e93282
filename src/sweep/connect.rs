//! From a client's address to an SSH session whose host key was checked: TCP, identification, key
//! exchange. No credential is sent here, and none is before this has succeeded.

use std::{
    borrow::Cow,
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use russh::{
    Preferred, cipher,
    client::{self, DisconnectReason, Handler},
    keys::{Algorithm, HashAlg, PublicKey, PublicKeyOrCertificate},
};
use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{
    known_hosts::{HostKeyVerdict, KnownHosts, KnownHostsError},
    session::{LastWords, Session},
    shortage,
    stream::{CuttableStream, Opening},
};
use crate::{
    config::{HostKeyPolicy, harmless},
    fleet::{ClientId, Failure, FailureKind, Stage, failure::Blame},
};

/// AES-GCM first: with hardware for it, it takes two thirds of the processor time of ChaCha20.
const CIPHERS: &[cipher::Name] =
    &[cipher::AES_128_GCM, cipher::AES_256_GCM, cipher::CHACHA20_POLY1305, cipher::AES_256_CTR];
/// A kept session that is silent for so long is asked whether it lives; after three questions without an
/// answer it has ended.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// Messages of a channel that wait for its reader. When they are that many, the session stops reading
/// from the client until one is taken: a client that floods is slowed down and takes no memory.
const CHANNEL_MESSAGES: usize = 32;

/// How the host key of a client is met.
#[derive(Clone)]
pub(super) enum Meeting {
    /// To go in, if the policy lets us.
    Enter(HostKeyPolicy),
    /// To pin its key, and then go.
    Trust(Arc<std::sync::OnceLock<Met>>),
}

/// What became of a key that was to be trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Met {
    /// `SHA256:…`
    pub(super) fingerprint: String,
    /// Such as `ssh-ed25519`.
    pub(super) algorithm: String,
    /// Whether it was pinned before.
    pub(super) was_pinned: bool,
}

/// The side of the session that judges the host key and hears the last words.
pub(super) struct Gatekeeper {
    hosts: Arc<KnownHosts>,
    client: ClientId,
    meeting: Meeting,
    last_words: LastWords,
}

/// Why the gatekeeper or the library ended a session.
#[derive(Debug)]
pub(super) enum Ended {
    /// The host key was refused.
    Refused(Failure),
    /// The key was all we came for.
    KeyTaken,
    /// The library's reason.
    Ssh(russh::Error),
}

impl From<russh::Error> for Ended {
    fn from(error: russh::Error) -> Self {
        Self::Ssh(error)
    }
}

/// What a verdict leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decision {
    Go,
    PinAndGo,
    Refuse(FailureKind),
}

fn decide(policy: HostKeyPolicy, verdict: &HostKeyVerdict) -> Decision {
    match (policy, verdict) {
        (HostKeyPolicy::Off, _) | (HostKeyPolicy::Strict | HostKeyPolicy::AcceptNew, HostKeyVerdict::Pinned) => {
            Decision::Go
        }
        (HostKeyPolicy::AcceptNew, HostKeyVerdict::Unknown { .. }) => Decision::PinAndGo,
        (HostKeyPolicy::Strict, HostKeyVerdict::Unknown { .. }) => Decision::Refuse(FailureKind::HostKeyUnknown),
        (HostKeyPolicy::Strict | HostKeyPolicy::AcceptNew, HostKeyVerdict::Changed { .. }) => {
            Decision::Refuse(FailureKind::HostKeyChanged)
        }
        (HostKeyPolicy::Strict | HostKeyPolicy::AcceptNew, HostKeyVerdict::Revoked { .. }) => {
            Decision::Refuse(FailureKind::HostKeyRevoked)
        }
    }
}

impl Gatekeeper {
    async fn judge(&self, key: &PublicKey) -> Result<(), Ended> {
        let policy = match &self.meeting {
            Meeting::Enter(HostKeyPolicy::Off) => return Ok(()),
            Meeting::Enter(policy) => *policy,
            Meeting::Trust(_) => HostKeyPolicy::AcceptNew,
        };
        let (address, port) = (self.client.address(), self.client.port());
        let mut verdict = self.hosts.judge(address, port, key);
        if !matches!(verdict, HostKeyVerdict::Pinned) {
            // The operator may have mended the file since it was read.
            match self.hosts.refresh() {
                Ok(true) => verdict = self.hosts.judge(address, port, key),
                Ok(false) => {}
                Err(error) => return Err(Ended::Refused(unusable(&error))),
            }
        }
        let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
        match decide(policy, &verdict) {
            Decision::Go => {}
            Decision::PinAndGo => {
                let (hosts, client, key) = (Arc::clone(&self.hosts), self.client.clone(), key.clone());
                // It writes a file: not on a thread that serves other sessions.
                let pinned = tokio::task::spawn_blocking(move || hosts.pin(client.address(), client.port(), &key));
                match pinned.await {
                    Ok(Ok(())) => tracing::info!(client = %self.client, %fingerprint, "host key pinned at first sight"),
                    // Another process pinned another key of it meanwhile.
                    Ok(Err(error @ KnownHostsError::Contradicted { .. })) => {
                        return Err(Ended::Refused(
                            Failure::new(Stage::Connect, FailureKind::HostKeyChanged).because(error),
                        ));
                    }
                    Ok(Err(error)) => return Err(Ended::Refused(unusable(&error))),
                    Err(error) => return Err(Ended::Refused(unusable(&error))),
                }
            }
            Decision::Refuse(kind) => {
                let failure = Failure::new(Stage::Connect, kind)
                    .because(format!("the client shows {} {fingerprint}", key.algorithm()));
                return Err(Ended::Refused(explain(failure, &verdict, &self.hosts)));
            }
        }
        match &self.meeting {
            Meeting::Enter(_) => Ok(()),
            Meeting::Trust(met) => {
                met.get_or_init(|| Met {
                    fingerprint,
                    algorithm: key.algorithm().to_string(),
                    was_pinned: verdict == HostKeyVerdict::Pinned,
                });
                Err(Ended::KeyTaken)
            }
        }
    }
}

/// An error with all its causes, as the particulars of a failure of the stage `connect`.
fn unusable(error: &(dyn std::error::Error + 'static)) -> Failure {
    let kind = if shortage::is_behind(error) { FailureKind::CollectorShort } else { FailureKind::KnownHostsUnusable };
    let mut failure = Failure::new(Stage::Connect, kind).because(error);
    let mut source = error.source();
    while let Some(cause) = source {
        failure = failure.because(cause);
        source = cause.source();
    }
    failure
}

fn explain(failure: Failure, verdict: &HostKeyVerdict, hosts: &KnownHosts) -> Failure {
    let file = harmless::path(hosts.path());
    match verdict {
        HostKeyVerdict::Pinned | HostKeyVerdict::Unknown { authority_line: None } => failure,
        HostKeyVerdict::Unknown { authority_line: Some(line) } => failure.because(format!(
            "line {line} of {file} names a certificate authority for it, and certificates are not accepted"
        )),
        HostKeyVerdict::Changed { pinned } => pinned.iter().fold(failure, |failure, key| {
            failure.because(format!("line {} of {file} pins {} {}", key.line, key.algorithm, key.fingerprint))
        }),
        HostKeyVerdict::Revoked { line } => failure.because(format!("line {line} of {file} revokes it")),
    }
}

impl Handler for Gatekeeper {
    type Error = Ended;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, Ended> {
        match shown {
            PublicKeyOrCertificate::PublicKey { key, .. } => self.judge(key).await.map(|()| true),
            // None is asked for, so an honest server shows none.
            PublicKeyOrCertificate::Certificate(_) => Ok(false),
        }
    }

    async fn disconnected(&mut self, reason: DisconnectReason<Ended>) -> Result<(), Ended> {
        let words = match reason {
            DisconnectReason::ReceivedDisconnect(said) => Some(said.message),
            DisconnectReason::Error(Ended::Ssh(russh::Error::KeepaliveTimeout)) => {
                Some("it no longer answered".to_owned())
            }
            // The connection ended; there is no more to say of it.
            DisconnectReason::Error(Ended::Ssh(russh::Error::Disconnect | russh::Error::HUP)) => None,
            DisconnectReason::Error(Ended::Ssh(error)) => Some(error.to_string()),
            DisconnectReason::Error(Ended::Refused(_) | Ended::KeyTaken) => None,
        };
        if let Some(words) = words {
            self.last_words.note(words);
        }
        Ok(())
    }
}

/// Connects to a client, up to and including the check of its host key, within about `allowed`.
///
/// # Errors
/// Everything that fails in the stage `connect`; the caller sets its deadline.
pub(super) async fn connect(
    client: &ClientId,
    hosts: &Arc<KnownHosts>,
    meeting: Meeting,
    opening: &Opening,
    allowed: Duration,
) -> Result<Session, Failure> {
    let tcp = tcp(client, allowed).await?;
    let cut = CancellationToken::new();
    // From here on whoever drops this future cuts the stream, and the session's task ends.
    let guard = cut.clone().drop_guard();
    let last_words = LastWords::default();
    let gatekeeper =
        Gatekeeper { hosts: Arc::clone(hosts), client: client.clone(), meeting, last_words: last_words.clone() };
    let algorithms = hosts.preferred_algorithms(client.address(), client.port());
    let stream = CuttableStream::new(tcp, cut, opening.clone());
    match client::connect_stream(Arc::new(settings(algorithms)), stream, gatekeeper).await {
        Ok(handle) => Ok(Session::new(handle, last_words, opening.names_windows(), guard)),
        Err(ended) => Err(failure(ended, opening, &last_words)),
    }
}

fn settings(host_key_algorithms: Vec<Algorithm>) -> client::Config {
    client::Config {
        client_id: russh::SshId::Standard(Cow::Borrowed(concat!("SSH-2.0-fleetsweep_", env!("CARGO_PKG_VERSION")))),
        preferred: Preferred {
            key: Cow::Owned(host_key_algorithms),
            cipher: Cow::Borrowed(CIPHERS),
            ..Preferred::DEFAULT
        },
        keepalive_interval: Some(KEEPALIVE),
        channel_buffer_size: CHANNEL_MESSAGES,
        nodelay: true,
        ..client::Config::default()
    }
}

/// Tries the addresses of a client one after the other, each with its share of the time.
async fn tcp(client: &ClientId, allowed: Duration) -> Result<TcpStream, Failure> {
    let deadline = Instant::now() + allowed;
    let addresses = lookup(client, allowed * 3 / 4).await?;
    let left = deadline.saturating_duration_since(Instant::now());
    let share = left / u32::try_from(addresses.len().max(1)).unwrap_or(u32::MAX);
    let mut last: Option<Failure> = None;
    for address in &addresses {
        let failed = match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(tcp)) => {
                if let Err(error) = tcp.set_nodelay(true) {
                    tracing::debug!(%client, %error, "small packets may be delayed");
                }
                return Ok(tcp);
            }
            Ok(Err(error)) => Failure::new(Stage::Connect, network(&error)).because(error),
            Err(_) => {
                Failure::new(Stage::Connect, FailureKind::TimedOut).because("no answer to the connection request")
            }
        };
        // That we cannot reach one of its addresses says less than how the client meets us at another.
        if last.is_none() || failed.kind.blame() != Blame::Collector {
            last = Some(failed);
        }
    }
    let last = last
        .unwrap_or_else(|| Failure::new(Stage::Connect, FailureKind::NameUnknown).because("the name has no address"));
    Err(if addresses.len() > 1 { last.because(format!("tried {} addresses", addresses.len())) } else { last })
}

/// The addresses of a client. A name service that says nothing is not a client that says nothing: it has a time of
/// its own.
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

/// What ended a session before its host key was accepted.
fn failure(ended: Ended, opening: &Opening, last_words: &LastWords) -> Failure {
    let error = match ended {
        Ended::Refused(failure) => return failure,
        Ended::KeyTaken => return Failure::new(Stage::Connect, FailureKind::Cancelled),
        Ended::Ssh(error) => error,
    };
    if let Some(failure) = not_ssh(opening) {
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
    match last_words.get() {
        Some(words) => failure.because(words),
        None if ended_by_peer => failure.because("the client closed the connection before the key exchange was done"),
        None => failure.because(error),
    }
}

/// The failure that the other side's first line amounts to, where that is not the line of an SSH server.
pub(super) fn not_ssh(opening: &Opening) -> Option<Failure> {
    let line = opening.foreign_line()?;
    // OpenSSH says so in plain text when it drops a login above its MaxStartups.
    let kind = if line.contains("MaxStartups") || line.starts_with("Not allowed at this time") {
        FailureKind::ConnectionLost
    } else {
        FailureKind::NotSsh
    };
    Some(Failure::new(Stage::Connect, kind).because(format!("it said: {line}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_not_pinned_is_met_by_policy_and_a_wrong_one_never_passes() {
        let unknown = HostKeyVerdict::Unknown { authority_line: None };
        let changed = HostKeyVerdict::Changed { pinned: Vec::new() };
        let revoked = HostKeyVerdict::Revoked { line: 1 };
        let refuse = Decision::Refuse;
        use FailureKind::{HostKeyChanged, HostKeyRevoked, HostKeyUnknown};
        for (verdict, strict, accept_new, off) in [
            (&HostKeyVerdict::Pinned, Decision::Go, Decision::Go, Decision::Go),
            (&unknown, refuse(HostKeyUnknown), Decision::PinAndGo, Decision::Go),
            (&changed, refuse(HostKeyChanged), refuse(HostKeyChanged), Decision::Go),
            (&revoked, refuse(HostKeyRevoked), refuse(HostKeyRevoked), Decision::Go),
        ] {
            assert_eq!(decide(HostKeyPolicy::Strict, verdict), strict, "{verdict:?}");
            assert_eq!(decide(HostKeyPolicy::AcceptNew, verdict), accept_new, "{verdict:?}");
            assert_eq!(decide(HostKeyPolicy::Off, verdict), off, "{verdict:?}");
        }
    }
}
