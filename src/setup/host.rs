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

/// What names a host. Only an argument may contain ranges; the others say where its parts belong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Argument,
    Csv,
    Inventory,
    OpensshFile,
}

impl Source {
    /// Where the port and the user of a host belong.
    fn port_and_user(self) -> (&'static str, &'static str) {
        match self {
            Self::Argument => ("behind the host, as host:port", "before the host, as user@host"),
            Self::Csv => ("in a column `port`", "in a column `username`"),
            Self::Inventory => ("as ansible_port=PORT", "as ansible_user=NAME"),
            Self::OpensshFile => ("as Port", "as User"),
        }
    }
}

impl Said<'_> {
    /// The host, with every part checked. `place` is where it stands.
    pub(super) fn checked(self, source: Source, place: &str) -> Result<Host, InputError> {
        let Self { address, name, port, username } = self;
        // A part that is no such thing may be a secret in the wrong place.
        let wrong = |what: &str, shown: Option<&str>, Refused { problem, hint }: Refused| {
            let shown = shown.map_or(String::new(), |text| format!(" {}", quoted(text)));
            InputError::new(place, format!("the {what}{shown}: {problem}"), hint)
        };
        let address = address.trim();
        let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let address = bare.filter(|inside| inside.contains(':')).unwrap_or(address);
        check_address(address, source).map_err(|refused| {
            wrong("address", Some(address).filter(|address| looks_like_an_address(address)), refused)
        })?;
        let name = name.map(str::trim).filter(|name| !name.is_empty() && *name != address);
        let name = name.map(|name| entry::name(name).map_err(|refused| wrong("name", None, refused))).transpose()?;
        let port = port.map(str::trim).filter(|port| !port.is_empty());
        let digits = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
        let checked =
            |port| entry::port(port).map_err(|refused| wrong("port", Some(port).filter(|port| digits(port)), refused));
        let port = port.map(checked).transpose()?;
        let username = username.map(str::trim).filter(|name| !name.is_empty());
        let username =
            username.map(|name| account(name).map_err(|refused| wrong("user", None, refused))).transpose()?;
        Ok(Host { address: address.to_owned(), name, port, username, has_openssh_user: false })
    }
}

/// The account of a host. A password, an address or several hosts are refused; the error does not repeat them.
///
/// # Errors
/// [`Refused`]
pub fn account(text: &str) -> Result<String, Refused> {
    let refused = |problem: &str, hint: &str| Err(Refused { problem: problem.to_owned(), hint: hint.to_owned() });
    if text.contains("://") {
        return refused("this is no account but a URL", "leave out the part up to `://`");
    }
    if text.contains(':') {
        return refused("an account contains no `:`", "a password does not belong here: --password env:NAME");
    }
    if text.contains(['/', ',']) {
        return refused("an account contains no `/` and no `,`", "write the name of one account");
    }
    entry::account(text)
}

/// Whether an address is one. Parts of a host that stand in it are refused with the place where they belong.
fn check_address(address: &str, source: Source) -> Result<(), Refused> {
    let refused = |problem: &str, hint: String| Err(Refused { problem: problem.to_owned(), hint });
    let (port, user) = source.port_and_user();
    if source != Source::Argument && address.contains(['[', ']']) {
        return refused("it contains a range", "write one line for each host".to_owned());
    }
    if address.contains('@') {
        return refused("it contains a user", format!("write only the address here, and the user {user}"));
    }
    let Err(wrong) = entry::addresses(address) else { return Ok(()) };
    if address.rsplit_once(':').is_some_and(|(before, port)| {
        port.bytes().all(|byte| byte.is_ascii_digit()) && !port.is_empty() && entry::addresses(before).is_ok()
    }) {
        return refused("it contains a port", format!("write only the address here, and the port {port}"));
    }
    if source != Source::Argument && wrong.hint.contains("range") {
        return refused(&wrong.problem, "write one line for each host".to_owned());
    }
    Err(wrong)
}

/// Whether a refused address may be shown: an IP address or a host name with a mistake. Anything else may be a secret.
fn looks_like_an_address(text: &str) -> bool {
    let is_ip = |c: char| c.is_ascii_hexdigit() || ".:/[],%-".contains(c);
    let is_name = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
    text.chars().all(is_ip) || text.chars().all(is_name)
}

/// The name of a part of a file as an error shows it. Anything else may be a secret in the wrong place.
pub(super) fn known_as(text: &str) -> String {
    let is_name = !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || "._-".contains(c));
    if is_name { quoted(text) } else { "`…`".to_owned() }
}

/// A text of a file as an error shows it: on one line, harmless and not too long.
pub(super) fn quoted(text: &str) -> String {
    const LONGEST: usize = 60;
    let shown: String = text.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    let more = if text.chars().nth(LONGEST).is_some() { "…" } else { "" };
    format!("`{shown}{more}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_no_password_no_url_and_no_list() {
        let check = |text: &str, expected: &str| {
            let found = account(text).map_err(|refused| refused.to_string());
            let found = found.unwrap_or_else(|refused| refused);
            assert!(found.starts_with(expected) && !found.contains("S3cret"), "{text}: {found}");
        };
        check("ops", "ops");
        check("CORP\\ann@mail", "CORP\\ann@mail");
        check("u:S3cret", "an account contains no `:`: a password does not belong here: --password env:NAME");
        check("u:S3/cret,", "an account contains no `:`");
        check(":S3cret", "an account contains no `:`");
        check("ssh://u", "this is no account but a URL: leave out the part up to `://`");
        check("S3cret/x", "an account contains no `/` and no `,`: write the name of one account");
        check("u,S3cret", "an account contains no `/` and no `,`");
    }
}
