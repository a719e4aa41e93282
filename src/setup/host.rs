//! A host as a source names it. Where it is in the file does not matter here.

use super::input::InputError;
use crate::config::entry::{self, Refused};

/// A host, or several that a range describes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Host {
    /// `ip`: an address or a name, possibly with ranges.
    pub address: String,
    /// `name`, if it is another one.
    pub name: Option<String>,
    /// Its port; `None` for the usual one.
    pub port: Option<u16>,
    /// The account; `None` for that of all hosts.
    pub username: Option<String>,
    /// Whether files of OpenSSH name its account.
    pub has_openssh_user: bool,
}

/// Hosts that belong together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Group {
    /// What they are; `None` if they have no name in common.
    pub title: Option<String>,
    /// The hosts, in the order of the source.
    pub hosts: Vec<Host>,
}

/// What a source says about a host, before it is checked.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Said<'a> {
    pub(super) address: &'a str,
    pub(super) name: Option<&'a str>,
    pub(super) port: Option<&'a str>,
    pub(super) username: Option<&'a str>,
}

/// Whether ranges may stand in an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ranges {
    Allowed,
    Refused,
}

impl Said<'_> {
    /// The host, with every part checked. `place` is where it stands.
    pub(super) fn checked(self, ranges: Ranges, place: &str) -> Result<Host, InputError> {
        let Self { address, name, port, username } = self;
        let wrong = |what: &str, text: &str, Refused { problem, hint }: Refused| {
            InputError::new(place, format!("the {what} {}: {problem}", quoted(text)), hint)
        };
        let address = address.trim();
        let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let address = bare.filter(|inside| inside.contains(':')).unwrap_or(address);
        if ranges == Ranges::Refused && address.contains(['[', ']']) {
            let hint = "write one line for each host";
            return Err(InputError::new(place, format!("the address {} contains a range", quoted(address)), hint));
        }
        entry::addresses(address).map_err(|refused| wrong("address", address, refused))?;
        let name = name.map(str::trim).filter(|name| !name.is_empty() && *name != address);
        let name = name.map(|name| entry::name(name).map_err(|refused| wrong("name", name, refused))).transpose()?;
        let port = port.map(str::trim).filter(|port| !port.is_empty());
        let port = port.map(|port| entry::port(port).map_err(|refused| wrong("port", port, refused))).transpose()?;
        let username = username.map(str::trim).filter(|name| !name.is_empty());
        let account = |name| entry::account(name).map_err(|refused| wrong("user", name, refused));
        let username = username.map(account).transpose()?;
        Ok(Host { address: address.to_owned(), name, port, username, has_openssh_user: false })
    }
}

/// A text of a file as an error shows it: on one line, harmless and not too long.
pub(super) fn quoted(text: &str) -> String {
    const LONGEST: usize = 60;
    let shown: String = text.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    let more = if text.chars().nth(LONGEST).is_some() { "…" } else { "" };
    format!("`{shown}{more}`")
}
