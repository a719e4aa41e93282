//! The pinned host keys: a `known_hosts` file in memory, interpreted in the same way as OpenSSH does. `file` reads the
//! file and writes it; `line` parses its lines; `removal` removes those of a host. The policy (`host-keys`) for keys that are not pinned is elsewhere.
//!
//! An `@cert-authority` line pins nothing: it names a key that may sign the certificates of hosts. Whether a certificate is
//! valid is in [`super::host_certificate`].

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use russh::keys::{
    Algorithm, HashAlg, PublicKey,
    ssh_key::{Fingerprint, public::KeyData},
};

mod file;
#[cfg(any(test, fuzzing))]
pub(super) mod fuzzing;
mod line;
mod removal;

pub(super) use line::is_like;

use super::audit_trail::AuditTrail;
use crate::{config::safe_text, fleet::audit::AuditAction};
use file::Stamp;
use line::{Entry, Hosts, Marker};
use removal::PatternLine;

/// Hosts at this port are written without brackets.
const SSH_PORT: u16 = 22;

/// A `known_hosts` file, shared by all collections.
///
/// One lock protects it. It is held during a lookup (microseconds; up to a millisecond in a hashed file of a thousand
/// lines, once per host) or a short append.
pub struct KnownHosts {
    path: PathBuf,
    state: Mutex<State>,
    /// Further files that clients name, as they were read last.
    further: Mutex<HashMap<PathBuf, Arc<Self>>>,
    trail: AuditTrail,
}

/// The content of the file.
#[derive(Default)]
struct State {
    /// The whole text.
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    bad_lines: Vec<BadLine>,
    /// The number of lines, including blank ones.
    lines: usize,
    /// The stamp of the file when it was read; `None` if the file did not exist.
    stamp: Option<Stamp>,
    /// The indices of the entries that apply to a name. A cache.
    met: HashMap<String, Arc<[usize]>>,
}

/// A line that was skipped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadLine {
    /// Counts from 1.
    pub line: usize,
    /// The error in it.
    pub problem: String,
}

/// The result of checking a host key against the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostKeyVerdict {
    /// The key is pinned for the host.
    Pinned,
    /// The file has no key for this host.
    Unknown {
        /// The line of an `@cert-authority` that applies to the host. Such a host is known only by certificate.
        authority_line: Option<usize>,
    },
    /// The file has other keys for this host. As in OpenSSH, this includes keys of another algorithm: otherwise an
    /// impostor could use an algorithm that was never pinned. [`KnownHosts::preferred_algorithms`] makes an honest host
    /// offer the pinned key.
    Changed {
        /// Those keys, in the order of the file; never empty.
        pinned: Vec<PinnedKey>,
    },
    /// It has shown a certificate, which is not accepted, and its key is not pinned either.
    BadCertificate {
        /// What is wrong with it.
        reason: String,
    },
    /// The key is marked `@revoked`, which takes precedence over everything else.
    Revoked {
        /// The line, from 1.
        line: usize,
    },
}

/// A key that is pinned for a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinnedKey {
    /// Its algorithm.
    pub algorithm: Algorithm,
    /// Its SHA-256 fingerprint; shown as `ssh-keygen -l` shows it.
    pub fingerprint: Fingerprint,
    /// Its line, from 1.
    pub line: usize,
}

/// Why the file could not be used. The cause is the error's source.
#[derive(Debug, thiserror::Error)]
pub enum KnownHostsError {
    /// The file exists but cannot be read.
    #[error(
        "cannot read the host keys in {}: let this account read it, or name another file with `known-hosts` on <ssh>",
        safe_text::path(path)
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// A key could not be added.
    #[error(
        "cannot add the host key of {host} to {}: let this account write to it, or name another file with `known-hosts` on <ssh>",
        safe_text::path(path)
    )]
    Unwritable {
        /// The host as it would be written in the file.
        host: String,
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The file now has another key for the host, or has it revoked.
    #[error(
        "the host key of {host} was not added: {} has another key for it, or lists the key as revoked",
        safe_text::path(path)
    )]
    Contradicted {
        /// The host as it would be written in the file.
        host: String,
        /// The file.
        path: PathBuf,
    },
    /// A key could not be replaced, because its line applies to other hosts too.
    #[error(
        "the host key of {host} was not replaced: line {line} of {} pins it by a pattern: correct this line by hand",
        safe_text::path(path)
    )]
    Patterned {
        /// The host as it would be written in the file.
        host: String,
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// The name of the host has another meaning in a `known_hosts` file.
    #[error("`{host}` cannot be written to a known_hosts file: write the client's `ip` as a plain name or address")]
    NoHostName {
        /// The name.
        host: String,
    },
}

impl KnownHosts {
    /// Reads a file. A missing file counts as empty. Lines that cannot be parsed are skipped and listed in
    /// [`bad_lines`](Self::bad_lines).
    ///
    /// # Errors
    /// [`KnownHostsError::Unreadable`].
    pub fn load(path: &Path) -> Result<Self, KnownHostsError> {
        let trail = AuditTrail::default();
        Ok(Self { path: path.to_owned(), state: Mutex::new(read(path)?), further: Mutex::default(), trail })
    }

    /// The same, and notes in `trail` which keys are pinned.
    pub(super) fn with_trail(self, trail: AuditTrail) -> Self {
        Self { trail, ..self }
    }

    /// The path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the file again if it may have changed, for example by `ssh-keygen -R`. Returns whether it had changed.
    /// Normally this only reads the metadata.
    ///
    /// # Errors
    /// [`KnownHostsError::Unreadable`]; the previous content stays in use.
    pub fn refresh(&self) -> Result<bool, KnownHostsError> {
        refresh(&self.path, &mut self.state())
    }

    /// Another file, as it is now. Nothing is added to it.
    ///
    /// # Errors
    /// [`KnownHostsError::Unreadable`]
    pub(super) fn further(&self, path: &Path) -> Result<Arc<Self>, KnownHostsError> {
        let mut further = self.further.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = further.get(path) {
            known.refresh()?;
            return Ok(Arc::clone(known));
        }
        let read = Arc::new(Self::load(path)?);
        further.insert(path.to_owned(), Arc::clone(&read));
        Ok(read)
    }

    /// The lines that were skipped.
    #[must_use]
    pub fn bad_lines(&self) -> Vec<BadLine> {
        self.state().bad_lines.clone()
    }

    /// Checks the key that the host at `address` and `port` has proved to own.
    ///
    /// A host at a port other than 22 is listed as `[host]:port`. If it is not listed, a line for the plain host with
    /// the same key pins it too, as in OpenSSH.
    #[must_use]
    pub fn judge(&self, address: &str, port: u16, key: &PublicKey) -> HostKeyVerdict {
        self.state().judge(&Names::new(address, port), key.key_data())
    }

    /// The host key algorithms in `accepted`, with those of pinned keys first. Otherwise a host could present a key
    /// that is not pinned and be refused.
    #[must_use]
    pub fn preferred_algorithms(&self, address: &str, port: u16, accepted: Vec<Algorithm>) -> Vec<Algorithm> {
        let names = Names::new(address, port);
        let mut state = self.state();
        let mut pinned = state.pinned(&names.full);
        if let (true, Some(plain)) = (pinned.is_empty(), &names.plain) {
            pinned = state.pinned(plain);
        }
        let is_pinned = |algorithm: &Algorithm| pinned.iter().any(|key| is_served_by(algorithm, &key.algorithm));
        let (mut first, rest): (Vec<_>, Vec<_>) = accepted.into_iter().partition(is_pinned);
        first.extend(rest);
        first
    }

    /// The keys that may sign certificates of the host: the `@cert-authority` lines that apply to it.
    #[must_use]
    pub fn authorities(&self, address: &str, port: u16) -> Vec<KeyData> {
        let names = Names::new(address, port);
        let mut state = self.state();
        let met: Vec<usize> = [Some(&names.full), names.plain.as_ref()]
            .into_iter()
            .flatten()
            .flat_map(|name| state.entries_of(name).to_vec())
            .collect();
        let entries = met.iter().filter_map(|index| state.entries.get(*index));
        entries.filter(|entry| entry.marker == Marker::Authority).map(|entry| entry.key.clone()).collect()
    }

    /// Appends a key for a host that has none. The name is hashed if the file has hashed names. Creates the file (mode
    /// 0600) and its directory (0700) if they are missing. A key that is already pinned is not added again.
    ///
    /// # Errors
    /// Any [`KnownHostsError`]; the key is then not pinned.
    pub fn pin(&self, address: &str, port: u16, key: &PublicKey) -> Result<(), KnownHostsError> {
        if self.add(address, port, key)? {
            self.trail.note(AuditAction::Pin, &Names::new(address, port).full, shown(key));
        }
        Ok(())
    }

    /// Adds a key. Returns whether it was not there before.
    fn add(&self, address: &str, port: u16, key: &PublicKey) -> Result<bool, KnownHostsError> {
        let names = Names::new(address, port);
        let host = names.full.clone();
        if address.is_empty()
            || address.contains(|c: char| c.is_whitespace() || c.is_control() || ",*?!|@#[]".contains(c))
        {
            return Err(KnownHostsError::NoHostName { host: address.to_owned() });
        }
        let mut state = self.state();
        refresh(&self.path, &mut state)?;
        match state.judge(&names, key.key_data()) {
            HostKeyVerdict::Pinned => return Ok(false),
            HostKeyVerdict::Changed { .. } | HostKeyVerdict::Revoked { .. } | HostKeyVerdict::BadCertificate { .. } => {
                return Err(KnownHostsError::Contradicted { host, path: self.path.clone() });
            }
            HostKeyVerdict::Unknown { .. } => {}
        }
        let written = if state.entries.iter().any(|entry| matches!(entry.hosts, Hosts::Hashed { .. })) {
            line::hashed(&host, rand::random())
        } else {
            host.clone()
        };
        let unwritable = |source| KnownHostsError::Unwritable { host: host.clone(), path: self.path.clone(), source };
        let bare = PublicKey::from(key.key_data().clone());
        let text = format!("{written} {}\n", bare.to_openssh().map_err(|error| unwritable(io::Error::other(error)))?);
        let (stamp, added) = file::append(&self.path, &text).map_err(unwritable)?;
        let line = state.lines + 1;
        match line::parse(line, text.trim_end()) {
            Ok(Some(entry)) if stamp.bytes == (state.bytes.len() + added.len()) as u64 => {
                state.entries.push(entry);
                state.bytes.extend_from_slice(added.as_bytes());
                state.lines = line;
                state.stamp = Some(stamp);
                state.met.remove(&names.full);
            }
            // Another process wrote at the same time.
            Ok(_) | Err(_) => *state = read(&self.path)?,
        }
        Ok(true)
    }

    /// Pins a key in place of all keys that are pinned for the host, and returns those. The file as it was is kept with
    /// `.old` at its name, as by `ssh-keygen -R`.
    ///
    /// # Errors
    /// Any [`KnownHostsError`]; the file is then as it was. A revoked key is never pinned.
    pub(super) fn replace(&self, address: &str, port: u16, key: &PublicKey) -> Result<Vec<PinnedKey>, KnownHostsError> {
        let names = Names::new(address, port);
        let mut state = self.state();
        refresh(&self.path, &mut state)?;
        let replaced = match state.judge(&names, key.key_data()) {
            HostKeyVerdict::Changed { pinned } => pinned,
            HostKeyVerdict::Pinned
            | HostKeyVerdict::Unknown { .. }
            | HostKeyVerdict::Revoked { .. }
            | HostKeyVerdict::BadCertificate { .. } => Vec::new(),
        };
        if !replaced.is_empty() {
            let host = names.full.clone();
            let kept = removal::without(&state.bytes, &names.full).map_err(|PatternLine(line)| {
                KnownHostsError::Patterned { host: host.clone(), path: self.path.clone(), line }
            })?;
            let unwritable = |source| KnownHostsError::Unwritable { host, path: self.path.clone(), source };
            file::replace(&self.path, &kept).map_err(unwritable)?;
            *state = read(&self.path)?;
        }
        drop(state);
        self.add(address, port, key)?;
        let before: String =
            replaced.iter().map(|old| format!("; before: {} {}", old.algorithm, old.fingerprint)).collect();
        self.trail.note(AuditAction::RePin, &names.full, format!("{}{before}", shown(key)));
        Ok(replaced)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic cannot leave the state inconsistent, because it is replaced or appended to as a whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The names under which a host may be listed in the file.
struct Names {
    /// The name that new keys are pinned under.
    full: String,
    /// The name without the port, if the port is not 22.
    plain: Option<String>,
}

impl Names {
    fn new(address: &str, port: u16) -> Self {
        let plain = address.to_ascii_lowercase();
        if port == SSH_PORT {
            Self { full: plain, plain: None }
        } else {
            Self { full: format!("[{plain}]:{port}"), plain: Some(plain) }
        }
    }
}

impl State {
    fn judge(&mut self, names: &Names, key: &KeyData) -> HostKeyVerdict {
        let verdict = self.judge_name(&names.full, key);
        let (HostKeyVerdict::Unknown { .. }, Some(plain)) = (&verdict, &names.plain) else { return verdict };
        match self.judge_name(plain, key) {
            accepted_or_revoked @ (HostKeyVerdict::Pinned | HostKeyVerdict::Revoked { .. }) => accepted_or_revoked,
            // A key of another server on the same machine.
            HostKeyVerdict::Changed { .. } | HostKeyVerdict::Unknown { .. } | HostKeyVerdict::BadCertificate { .. } => {
                verdict
            }
        }
    }

    fn judge_name(&mut self, name: &str, key: &KeyData) -> HostKeyVerdict {
        let met = self.entries_of(name);
        let entries = || met.iter().filter_map(|index| self.entries.get(*index));
        if let Some(entry) = entries().find(|entry| entry.marker == Marker::Revoked && entry.key == *key) {
            return HostKeyVerdict::Revoked { line: entry.line };
        }
        if entries().any(|entry| entry.marker == Marker::None && entry.key == *key) {
            return HostKeyVerdict::Pinned;
        }
        let authority = entries().find(|entry| entry.marker == Marker::Authority).map(|entry| entry.line);
        let pinned = self.pinned(name);
        if pinned.is_empty() {
            HostKeyVerdict::Unknown { authority_line: authority }
        } else {
            HostKeyVerdict::Changed { pinned }
        }
    }

    /// The keys of a name.
    fn pinned(&mut self, name: &str) -> Vec<PinnedKey> {
        self.entries_of(name)
            .iter()
            .filter_map(|index| self.entries.get(*index))
            .filter(|entry| entry.marker == Marker::None)
            .map(|entry| PinnedKey {
                algorithm: entry.key.algorithm(),
                fingerprint: entry.key.fingerprint(HashAlg::Sha256),
                line: entry.line,
            })
            .collect()
    }

    fn entries_of(&mut self, name: &str) -> Arc<[usize]> {
        if let Some(met) = self.met.get(name) {
            return Arc::clone(met);
        }
        let met: Arc<[usize]> = self
            .entries
            .iter()
            .enumerate()
            .filter(|(_, entry)| entry.hosts.meet(name))
            .map(|(index, _)| index)
            .collect();
        self.met.insert(name.to_owned(), Arc::clone(&met));
        met
    }
}

fn shown(key: &PublicKey) -> String {
    format!("{} {}", key.algorithm(), key.fingerprint(HashAlg::Sha256))
}

/// Whether a key of the algorithm `pinned` can sign with `algorithm`. RSA keys can sign with either hash.
fn is_served_by(algorithm: &Algorithm, pinned: &Algorithm) -> bool {
    match (algorithm, pinned) {
        (Algorithm::Rsa { .. }, Algorithm::Rsa { .. }) => true,
        (algorithm, pinned) => algorithm == pinned,
    }
}

fn refresh(path: &Path, state: &mut State) -> Result<bool, KnownHostsError> {
    let unreadable = |source| KnownHostsError::Unreadable { path: path.to_owned(), source };
    let now = file::stamp(path).map_err(unreadable)?;
    match (&state.stamp, &now) {
        (None, None) => return Ok(false),
        (Some(read), Some(now)) if read.is_still(now) => return Ok(false),
        (Some(_) | None, Some(_)) | (Some(_), None) => {}
    }
    let had_file = state.stamp.is_some();
    let (stamp, bytes) = file::contents(path).map_err(unreadable)?;
    if had_file == stamp.is_some() && bytes == state.bytes {
        state.stamp = stamp;
        return Ok(false);
    }
    *state = State { stamp, ..parse(bytes) };
    Ok(true)
}

fn read(path: &Path) -> Result<State, KnownHostsError> {
    let (stamp, bytes) =
        file::contents(path).map_err(|source| KnownHostsError::Unreadable { path: path.to_owned(), source })?;
    Ok(State { stamp, ..parse(bytes) })
}

fn parse(bytes: Vec<u8>) -> State {
    let mut state = State::default();
    // Lossy, because a comment may be in any encoding and must not invalidate the key before it.
    let text = String::from_utf8_lossy(&bytes);
    for (index, text) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        state.lines = index + 1;
        match line::parse(state.lines, text) {
            Ok(Some(entry)) => state.entries.push(entry),
            Ok(None) => {}
            Err(problem) => state.bad_lines.push(BadLine { line: state.lines, problem }),
        }
    }
    drop(text);
    state.bytes = bytes;
    state
}

#[cfg(test)]
mod tests;
