//! Words that several parts of `check` print. Not the parts.

use crate::config::{Login, safe_text};

/// The most lines of one kind that are listed. The others are counted.
pub(super) const LISTED: usize = 8;

/// The credentials of a login, in the order in which they are tried.
pub(super) fn login(login: &Login) -> String {
    let Login { key, identities, defaults, certificates: _, agent_socket: _, agent_keys, ssh_agent, password } = login;
    let mut ways = Vec::new();
    if let Some(key) = key.as_ref().filter(|key| key.is_public()) {
        ways.push(format!("key {} of the ssh-agent", safe_text::path(&key.path)));
    } else if let Some(key) = key {
        let passphrase = key.passphrase.as_ref().map(|source| format!(" (passphrase {source})"));
        ways.push(format!("key {}{}", safe_text::path(&key.path), passphrase.unwrap_or_default()));
    }
    ways.extend(identities.iter().map(|key| {
        let of_agent = if key.is_public() { " of the ssh-agent" } else { "" };
        format!("key {}{of_agent}", safe_text::path(&key.path))
    }));
    if *ssh_agent {
        let of_files = if agent_keys.is_some() { " (only the keys of these files)" } else { "" };
        ways.push(format!("ssh-agent{of_files}"));
    }
    ways.extend(defaults.iter().map(|key| format!("key {} if it needs no passphrase", safe_text::path(&key.path))));
    if let Some(source) = password {
        ways.push(format!("password {source}"));
    }
    ways.join(", then ")
}
