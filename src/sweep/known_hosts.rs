//! The pinned host keys: a `known_hosts` file in memory, judged as OpenSSH judges it. Reading it and adding to it is in
//! `file`, its lines are in `line`. Not the SSH session, and not the policy (`host-keys`) for keys that are not pinned.
//!
//! Host certificates are not accepted: an `@cert-authority` line pins nothing.

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

use crate::config::safe_text;
use file::Stamp;
use line::{Entry, Hosts, Marker};

/// The port for which a host is written without brackets.
const SSH_PORT: u16 = 22;

/// A `known_hosts` file. Shared by reference between all collections.
///
/// One lock guards it. It is held for a look-up (microseconds; in a hashed file of a thousand lines up to a
/// millisecond, once for each host) or for one short append.
pub struct KnownHosts {
    path: PathBuf,
    state: Mutex<State>,
}

/// What stands in the file.
#[derive(Default)]
struct State {
    /// The whole of it.
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    bad_lines: Vec<BadLine>,
    /// Lines of the file, blank ones included.
    lines: usize,
    /// The file as it was when it was read; `None` where there was none.
    stamp: Option<Stamp>,
    /// By name, which entries speak for it.
    met: HashMap<String, Arc<[usize]>>,
}

/// A line that was passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadLine {
    /// Counts from 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: String,
}

/// What the file says of a host's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostKeyVerdict {
    /// It is the host's.
    Pinned,
    /// The file has no key of this host.
    Unknown {
        /// The line of an `@cert-authority` that speaks for the host: it is known by certificate alone,
        /// and certificates are not accepted.
        authority_line: Option<usize>,
    },
    /// The file has other keys of this host. As with OpenSSH that holds for a key of another algorithm
    /// too: whoever impersonates a host must not slip by with an algorithm that was never pinned.
    /// [`KnownHosts::preferred_algorithms`] sees to it that an honest host offers the pinned one.
    Changed {
        /// Those keys, in the order of the file; never empty.
        pinned: Vec<PinnedKey>,
    },
    /// It is marked `@revoked`, which outweighs everything else.
    Revoked {
        /// Its line in the file, from 1.
        line: usize,
    },
}

/// A key that the file has for a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinnedKey {
    /// Its algorithm.
    pub algorithm: Algorithm,
    /// Its SHA-256 fingerprint; shown as `ssh-keygen -l` shows it.
    pub fingerprint: Fingerprint,
    /// Where it stands; counts from 1.
    pub line: usize,
}

/// Why the file could not be used. The cause is the error's source.
#[derive(Debug, thiserror::Error)]
pub enum KnownHostsError {
    /// It is there and cannot be read.
    #[error(
        "cannot read the host keys in {}: give this account the right to read it, or name another file with `known-hosts` on <ssh>",
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
        "cannot add the host key of {host} to {}: give this account the right to write it, or name another file with `known-hosts` on <ssh>",
        safe_text::path(path)
    )]
    Unwritable {
        /// The host as it would stand there.
        host: String,
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// A key is to be added that the file contradicts by now.
    #[error("the host key of {host} was not added: {} has another key of it, or has it revoked", safe_text::path(path))]
    Contradicted {
        /// The host as it would stand there.
        host: String,
        /// The file.
        path: PathBuf,
    },
    /// The host's name means something else in such a file.
    #[error("`{host}` cannot stand in a known_hosts file: write the client's `ip` as a plain name or address")]
    NoHostName {
        /// The name.
        host: String,
    },
}

impl KnownHosts {
    /// Reads a file. One that does not exist is empty. Lines that cannot be read are passed over and
    /// remembered ([`bad_lines`](Self::bad_lines)).
    ///
    /// # Errors
    /// [`KnownHostsError::Unreadable`].
    pub fn load(path: &Path) -> Result<Self, KnownHostsError> {
        Ok(Self { path: path.to_owned(), state: Mutex::new(read(path)?) })
    }

    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the file again where it may have changed since: after `ssh-keygen -R`, for instance. Says whether
    /// it had. Where it has not for a while, this looks at its metadata alone.
    ///
    /// # Errors
    /// [`KnownHostsError::Unreadable`]; what was read before stays.
    pub fn refresh(&self) -> Result<bool, KnownHostsError> {
        refresh(&self.path, &mut self.state())
    }

    /// The lines that were passed over.
    #[must_use]
    pub fn bad_lines(&self) -> Vec<BadLine> {
        self.state().bad_lines.clone()
    }

    /// Judges the key that the host at `address` and `port` has proved to hold.
    ///
    /// A host on another port than 22 stands in the file as `[host]:port`. Where it does not, a line for
    /// the plain host with this very key pins it too, as with OpenSSH.
    #[must_use]
    pub fn judge(&self, address: &str, port: u16, key: &PublicKey) -> HostKeyVerdict {
        self.state().judge(&Names::new(address, port), key.key_data())
    }

    /// The order in which the host is asked for its key in one of `accepted`: first those in which a key of it is
    /// pinned, so that a host known by one key is not refused for another that it has as well.
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

    /// Adds a key for a host that has none, at the end of the file; hashes the name where the file has
    /// hashed names. Makes the file (0600) and its directory (0700) where they are missing. A key that is
    /// pinned already is not added again.
    ///
    /// # Errors
    /// Every [`KnownHostsError`]; the key is then not pinned.
    pub fn pin(&self, address: &str, port: u16, key: &PublicKey) -> Result<(), KnownHostsError> {
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
            HostKeyVerdict::Pinned => return Ok(()),
            HostKeyVerdict::Changed { .. } | HostKeyVerdict::Revoked { .. } => {
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
            // Someone else wrote at the same moment.
            Ok(_) | Err(_) => *state = read(&self.path)?,
        }
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No panic can leave the state half changed: it is replaced or appended to, whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The names under which a host may stand in the file.
struct Names {
    /// The one it is pinned under.
    full: String,
    /// Without its port, where that is not 22.
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
            // Another server of the same machine.
            HostKeyVerdict::Changed { .. } | HostKeyVerdict::Unknown { .. } => verdict,
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

    /// The keys that the file has for a name.
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

/// Whether a host with a key of `pinned`'s algorithm can answer in `algorithm`: RSA keys sign with either hash.
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
    // Lossy: a comment may be in any encoding, and must not cost the key before it.
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
