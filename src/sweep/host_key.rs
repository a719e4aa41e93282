//! Checks a host key by the policy of the configuration, during the connection and again before an open session is
//! reused. The file of pinned keys is in [`super::known_hosts`].

use std::{
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::{SystemTime, UNIX_EPOCH},
};

use russh::keys::{Certificate, HashAlg, PublicKey, ssh_key::public::KeyData};

use super::{
    algorithms::{AlgorithmSet, HostKeys},
    host_certificate,
    known_as::KnownAs,
    known_hosts::{HostKeyVerdict, KnownHosts, KnownHostsError},
    server_key::ServerKey,
    shortage,
};
use crate::{
    config::{HostKeyPolicy, safe_text},
    fleet::{Failure, FailureKind, Stage},
};

/// The purpose of checking a host key.
#[derive(Clone)]
pub(super) enum HostKeyPurpose {
    /// To log in, if the policy accepts it.
    Enter(HostKeyPolicy),
    /// To pin it and to disconnect afterwards.
    Trust {
        /// The key that was shown.
        shown: Arc<OnceLock<ShownHostKey>>,
        /// What happens if other keys are pinned.
        others: PinnedOthers,
    },
    /// To see it and to disconnect afterwards, without pinning it.
    Look {
        /// The key that was shown.
        shown: Arc<OnceLock<ShownHostKey>>,
    },
}

/// What happens to keys that are pinned for a client when it shows another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PinnedOthers {
    /// They stay, and the new key is refused.
    Stay,
    /// The new key takes their place: the operator named this client.
    Replaced,
}

/// The result of pinning a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ShownHostKey {
    /// `SHA256:…`
    pub(super) fingerprint: String,
    /// Such as `ssh-ed25519`.
    pub(super) algorithm: String,
    /// What was pinned before.
    pub(super) before: PinnedBefore,
    /// The key.
    pub(super) key: PublicKey,
}

/// What was pinned for a client before its key was shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PinnedBefore {
    /// Nothing.
    Nothing,
    /// This key.
    ThisKey,
    /// Other keys, which this one has replaced: algorithm and fingerprint of each.
    Others(Vec<String>),
}

/// The decision for a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decision {
    Accept,
    PinAndAccept,
    Replace,
    Refuse(FailureKind),
}

fn decide(policy: HostKeyPolicy, verdict: &HostKeyVerdict) -> Decision {
    match (policy, verdict) {
        (HostKeyPolicy::Off, _) | (HostKeyPolicy::Strict | HostKeyPolicy::AcceptNew, HostKeyVerdict::Pinned) => {
            Decision::Accept
        }
        (HostKeyPolicy::AcceptNew, HostKeyVerdict::Unknown { .. }) => Decision::PinAndAccept,
        // A host with an authority is known by it.
        (HostKeyPolicy::Strict | HostKeyPolicy::AcceptNew, HostKeyVerdict::BadCertificate { .. }) => {
            Decision::Refuse(FailureKind::HostKeyUnknown)
        }
        (HostKeyPolicy::Strict, HostKeyVerdict::Unknown { .. }) => Decision::Refuse(FailureKind::HostKeyUnknown),
        (HostKeyPolicy::Strict | HostKeyPolicy::AcceptNew, HostKeyVerdict::Changed { .. }) => {
            Decision::Refuse(FailureKind::HostKeyChanged)
        }
        (HostKeyPolicy::Strict | HostKeyPolicy::AcceptNew, HostKeyVerdict::Revoked { .. }) => {
            Decision::Refuse(FailureKind::HostKeyRevoked)
        }
    }
}

/// The next step after the check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verified {
    /// Log in.
    LogIn,
    /// Disconnect, because the key was seen or pinned, which was the purpose.
    KeySeen,
}

impl HostKeyPurpose {
    /// The host keys that are offered to a client, in the order of the current `known_hosts` file. A key that is to be
    /// pinned is not shown in a certificate.
    ///
    /// # Errors
    /// [`FailureKind::KnownHostsUnusable`]
    pub(super) fn offered(
        &self,
        hosts: &KnownHosts,
        client: &KnownAs,
        offered: AlgorithmSet,
    ) -> Result<HostKeys, Failure> {
        if !matches!(self, Self::Enter(HostKeyPolicy::Off)) {
            hosts.refresh().map_err(|error| unusable(Stage::Connect, &error))?;
        }
        let KnownAs { id, files } = client;
        let mut algorithms = hosts.preferred_algorithms(id.address(), id.port(), offered.host_keys());
        let mut authorities = hosts.authorities(id.address(), id.port());
        for file in files {
            let further = hosts.further(file).map_err(|error| unusable(Stage::Connect, &error))?;
            algorithms = further.preferred_algorithms(id.address(), id.port(), algorithms);
            authorities.append(&mut further.authorities(id.address(), id.port()));
        }
        let is_checked = match self {
            Self::Enter(policy) => *policy != HostKeyPolicy::Off,
            Self::Trust { .. } | Self::Look { .. } => false,
        };
        Ok(HostKeys { algorithms, certificates: is_checked && !authorities.is_empty() })
    }

    /// Checks the key that a client has proved to own, and pins it if the policy requires this.
    ///
    /// # Errors
    /// The reason why it is refused.
    pub(super) async fn judge(
        &self,
        hosts: &Arc<KnownHosts>,
        client: &KnownAs,
        shown: &ServerKey,
    ) -> Result<Verified, Failure> {
        const STAGE: Stage = Stage::Connect;
        let policy = match self {
            Self::Enter(HostKeyPolicy::Off) => return Ok(Verified::LogIn),
            Self::Enter(policy) => *policy,
            Self::Trust { .. } | Self::Look { .. } => HostKeyPolicy::AcceptNew,
        };
        let (verdict, file) = verdict(hosts, client, STAGE, shown)?;
        let key = shown.key().into_owned();
        let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
        let decision = match (self, &verdict) {
            // Other files are only read.
            (Self::Trust { others: PinnedOthers::Replaced, .. }, HostKeyVerdict::Changed { .. })
                if file == hosts.path() =>
            {
                Decision::Replace
            }
            (Self::Look { .. }, HostKeyVerdict::Unknown { .. }) => Decision::Accept,
            (Self::Enter(_) | Self::Trust { .. } | Self::Look { .. }, verdict) => decide(policy, verdict),
        };
        let mut replaced = Vec::new();
        match decision {
            Decision::Accept => {}
            Decision::Replace => {
                let (hosts, of, key) = (Arc::clone(hosts), client.id.clone(), key.clone());
                let replacing = tokio::task::spawn_blocking(move || hosts.replace(of.address(), of.port(), &key));
                let keys = match replacing.await {
                    Ok(Ok(keys)) => keys,
                    Ok(Err(error)) => return Err(unusable(STAGE, &error)),
                    Err(error) => return Err(unusable(STAGE, &error)),
                };
                replaced = keys.iter().map(|key| format!("{} {}", key.algorithm, key.fingerprint)).collect();
                tracing::info!(%fingerprint, "host key pinned in place of another one");
            }
            Decision::PinAndAccept => {
                let (hosts, of, key) = (Arc::clone(hosts), client.id.clone(), key.clone());
                // This writes a file, so it must not run on a thread of other sessions.
                let pinned = tokio::task::spawn_blocking(move || hosts.pin(of.address(), of.port(), &key));
                match pinned.await {
                    Ok(Ok(())) => tracing::info!(%fingerprint, "host key pinned at first sight"),
                    // Another process has pinned another key of the client meanwhile.
                    Ok(Err(error @ KnownHostsError::Contradicted { .. })) => {
                        return Err(Failure::new(STAGE, FailureKind::HostKeyChanged).because(error));
                    }
                    Ok(Err(error)) => return Err(unusable(STAGE, &error)),
                    Err(error) => return Err(unusable(STAGE, &error)),
                }
            }
            Decision::Refuse(kind) => return Err(refusal(STAGE, kind, &key, &verdict, &file)),
        }
        match self {
            Self::Enter(_) => Ok(Verified::LogIn),
            Self::Trust { shown, .. } | Self::Look { shown } => {
                let before = match verdict {
                    HostKeyVerdict::Pinned => PinnedBefore::ThisKey,
                    HostKeyVerdict::Changed { .. } => PinnedBefore::Others(replaced),
                    HostKeyVerdict::Unknown { .. }
                    | HostKeyVerdict::Revoked { .. }
                    | HostKeyVerdict::BadCertificate { .. } => PinnedBefore::Nothing,
                };
                let algorithm = key.algorithm().to_string();
                shown.get_or_init(|| ShownHostKey { fingerprint, algorithm, before, key });
                Ok(Verified::KeySeen)
            }
        }
    }
}

/// Checks the host key of an open session with the current `known_hosts` file. If the file no longer contains the key,
/// it is refused, even if the policy accepts unknown keys.
///
/// # Errors
/// The failure that refuses it.
pub(super) fn judge_again(
    hosts: &KnownHosts,
    client: &KnownAs,
    policy: HostKeyPolicy,
    stage: Stage,
    shown: &ServerKey,
) -> Result<(), Failure> {
    if policy == HostKeyPolicy::Off {
        return Ok(());
    }
    let (verdict, file) = verdict(hosts, client, stage, shown)?;
    let key = &shown.key();
    match decide(policy, &verdict) {
        Decision::Accept => Ok(()),
        Decision::PinAndAccept | Decision::Replace => {
            Err(refusal(stage, FailureKind::HostKeyUnknown, key, &verdict, &file))
        }
        Decision::Refuse(kind) => Err(refusal(stage, kind, key, &verdict, &file)),
    }
}

/// The verdict with the current files, which the operator may have changed, and the file that it is from. As in OpenSSH,
/// a key that one of them pins is pinned whatever the others say, unless one revokes it.
fn verdict_of_key(
    hosts: &KnownHosts,
    client: &KnownAs,
    stage: Stage,
    key: &PublicKey,
) -> Result<(HostKeyVerdict, PathBuf), Failure> {
    hosts.refresh().map_err(|error| unusable(stage, &error))?;
    let KnownAs { id, files } = client;
    let mut found = (hosts.judge(id.address(), id.port(), key), hosts.path().to_owned());
    for file in files {
        let further = hosts.further(file).map_err(|error| unusable(stage, &error))?;
        let verdict = further.judge(id.address(), id.port(), key);
        if weight(&verdict) > weight(&found.0) {
            found = (verdict, file.clone());
        }
    }
    Ok(found)
}

/// The verdict about a key or a certificate with the current files. The key in a certificate may be pinned by itself.
fn verdict(
    hosts: &KnownHosts,
    client: &KnownAs,
    stage: Stage,
    shown: &ServerKey,
) -> Result<(HostKeyVerdict, PathBuf), Failure> {
    let key = shown.key();
    let of_key = verdict_of_key(hosts, client, stage, &key)?;
    let (ServerKey::Certificate(certificate), HostKeyVerdict::Unknown { .. } | HostKeyVerdict::Changed { .. }) =
        (shown, &of_key.0)
    else {
        return Ok(of_key);
    };
    let authority = PublicKey::from(certificate.signature_key().clone());
    let of_authority = verdict_of_key(hosts, client, stage, &authority)?;
    if matches!(of_authority.0, HostKeyVerdict::Revoked { .. }) {
        return Ok(of_authority);
    }
    let KnownAs { id, files } = client;
    let mut authorities = hosts.authorities(id.address(), id.port());
    for file in files {
        let further = hosts.further(file).map_err(|error| unusable(stage, &error))?;
        authorities.append(&mut further.authorities(id.address(), id.port()));
    }
    Ok(match (certified(certificate, id.address(), &authorities), of_key) {
        (Ok(()), (_, file)) => (HostKeyVerdict::Pinned, file),
        (Err(_), of_key @ (HostKeyVerdict::Changed { .. }, _)) => of_key,
        (Err(reason), (_, file)) => (HostKeyVerdict::BadCertificate { reason }, file),
    })
}

/// Whether a certificate is valid for a host now.
fn certified(certificate: &Certificate, host: &str, authorities: &[KeyData]) -> Result<(), String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    host_certificate::check(certificate, &host.to_ascii_lowercase(), authorities, now).map_err(|bad| bad.to_string())
}

/// Which of the verdicts of several files counts.
fn weight(verdict: &HostKeyVerdict) -> u8 {
    match verdict {
        HostKeyVerdict::Unknown { .. } | HostKeyVerdict::BadCertificate { .. } => 0,
        HostKeyVerdict::Changed { .. } => 1,
        HostKeyVerdict::Pinned => 2,
        HostKeyVerdict::Revoked { .. } => 3,
    }
}

/// An error with all its causes, as the details of a failure.
fn unusable(stage: Stage, error: &(dyn std::error::Error + 'static)) -> Failure {
    let kind = if shortage::is_behind(error) { FailureKind::CollectorShort } else { FailureKind::KnownHostsUnusable };
    let mut failure = Failure::new(stage, kind).because(error);
    let mut source = error.source();
    while let Some(cause) = source {
        failure = failure.because(cause);
        source = cause.source();
    }
    failure
}

fn refusal(stage: Stage, kind: FailureKind, key: &PublicKey, verdict: &HostKeyVerdict, file: &Path) -> Failure {
    let fingerprint = key.fingerprint(HashAlg::Sha256);
    let failure = Failure::new(stage, kind).because(format!("the client shows {} {fingerprint}", key.algorithm()));
    let file = safe_text::path(file);
    match verdict {
        HostKeyVerdict::Pinned | HostKeyVerdict::Unknown { authority_line: None } => failure,
        HostKeyVerdict::Unknown { authority_line: Some(line) } => failure.because(format!(
            "line {line} of {file} names a certificate authority for it, and it shows no certificate"
        )),
        HostKeyVerdict::Changed { pinned } => pinned.iter().fold(failure, |failure, key| {
            failure.because(format!("line {} of {file} pins {} {}", key.line, key.algorithm, key.fingerprint))
        }),
        HostKeyVerdict::BadCertificate { reason } => failure.because(reason),
        HostKeyVerdict::Revoked { line } => failure.because(format!("line {line} of {file} revokes it")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_not_pinned_is_met_by_policy_and_a_wrong_one_never_passes() {
        let unknown = HostKeyVerdict::Unknown { authority_line: None };
        let changed = HostKeyVerdict::Changed { pinned: Vec::new() };
        let revoked = HostKeyVerdict::Revoked { line: 1 };
        let uncertified = HostKeyVerdict::BadCertificate { reason: "it expired".to_owned() };
        let refuse = Decision::Refuse;
        use FailureKind::{HostKeyChanged, HostKeyRevoked, HostKeyUnknown};
        for (verdict, strict, accept_new, off) in [
            (&HostKeyVerdict::Pinned, Decision::Accept, Decision::Accept, Decision::Accept),
            (&unknown, refuse(HostKeyUnknown), Decision::PinAndAccept, Decision::Accept),
            (&changed, refuse(HostKeyChanged), refuse(HostKeyChanged), Decision::Accept),
            (&uncertified, refuse(HostKeyUnknown), refuse(HostKeyUnknown), Decision::Accept),
            (&revoked, refuse(HostKeyRevoked), refuse(HostKeyRevoked), Decision::Accept),
        ] {
            assert_eq!(decide(HostKeyPolicy::Strict, verdict), strict, "{verdict:?}");
            assert_eq!(decide(HostKeyPolicy::AcceptNew, verdict), accept_new, "{verdict:?}");
            assert_eq!(decide(HostKeyPolicy::Off, verdict), off, "{verdict:?}");
        }
    }
}
