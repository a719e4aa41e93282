//! Hosts on the command line: `user@host:port`, with ranges as in `config.xml`.

use std::net::Ipv6Addr;

use super::{
    host::{Host, Said, Source},
    input::InputError,
};

/// A host, or several with ranges.
///
/// # Errors
/// [`InputError`]
pub fn host(text: &str) -> Result<Host, InputError> {
    let bare = text.strip_prefix("ssh://").map(|rest| rest.strip_suffix('/').unwrap_or(rest)).unwrap_or(text);
    if let Some(several) = between_commas(bare)
        && several.iter().all(|part| host(part).is_ok())
    {
        let place = format!("'{}'", text.escape_debug());
        return Err(InputError::new(&place, "these are several hosts", "separate them with blanks"));
    }
    let (username, rest) = match bare.rsplit_once('@') {
        Some((username, rest)) => (Some(username), rest),
        None => (None, bare),
    };
    let (address, port) = address_and_port(rest);
    let place = place(text, username, rest, port);
    if username == Some("") {
        return Err(InputError::new(&place, "there is no user before `@`", "write user@host, or only the host"));
    }
    if port == Some("") {
        return Err(InputError::new(&place, "there is no port after `:`", "write host:port, or only the host"));
    }
    Said { address, name: None, port, username }.checked(Source::Argument, &place)
}

/// An argument as errors name it, without what may be a password.
fn place(text: &str, username: Option<&str>, rest: &str, port: Option<&str>) -> String {
    let shown = match (username, port) {
        (Some(username), _) if username.contains([':', '/', ',']) => format!("…@{}", rest.escape_debug()),
        (_, Some(port)) if !port.bytes().all(|byte| byte.is_ascii_digit()) => {
            let before = text.strip_suffix(port).unwrap_or_default();
            format!("{}…", before.escape_debug())
        }
        (Some(_) | None, Some(_) | None) => text.escape_debug().to_string(),
    };
    format!("'{shown}'")
}

/// The parts of a text between commas outside of ranges; `None` if there is no such comma.
fn between_commas(text: &str) -> Option<Vec<&str>> {
    let mut is_in_range = false;
    let is_separator = |c: char| {
        is_in_range = match c {
            '[' => true,
            ']' => false,
            _ => is_in_range,
        };
        c == ',' && !is_in_range
    };
    let parts: Vec<&str> = text.split(is_separator).map(str::trim).collect();
    (parts.len() > 1).then_some(parts)
}

/// Splits `host:port`. Colons in brackets and in an IPv6 address are no separators.
pub(super) fn address_and_port(text: &str) -> (&str, Option<&str>) {
    if text.parse::<Ipv6Addr>().is_ok() {
        return (text, None);
    }
    match text.rsplit_once(':') {
        // A zone does not change what is an address.
        Some((address, port)) if !port.contains(']') && (!address.contains(':') || address.ends_with(']')) => {
            (address, Some(port))
        }
        Some(_) | None => (text, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_argument_is_user_host_and_port() {
        let check = |text: &str, address: &str, port: Option<u16>, username: Option<&str>| {
            let expected =
                Host { address: address.to_owned(), port, username: username.map(str::to_owned), ..Host::default() };
            assert_eq!(host(text), Ok(expected), "{text}");
        };
        check("10.0.4.1", "10.0.4.1", None, None);
        check("ops@web-1.example.com:2222", "web-1.example.com", Some(2222), Some("ops"));
        check("CORP\\ann@mail@win", "win", None, Some("CORP\\ann@mail"));
        check("10.0.4.[1-40]:22", "10.0.4.[1-40]", Some(22), None);
        check("root@web-[01,03].x", "web-[01,03].x", None, Some("root"));
        check("2001:db8::1", "2001:db8::1", None, None);
        check("ops@[2001:db8::1]:2222", "2001:db8::1", Some(2222), Some("ops"));
        check("[::1]", "::1", None, None);
        check("fe80::1%eth0", "fe80::1%eth0", None, None);
        check("ssh://ops@web:2222/", "web", Some(2222), Some("ops"));
        check("ssh://[::1]", "::1", None, None);
    }

    #[test]
    fn what_is_no_host_is_refused_with_the_fix() {
        let check = |text: &str, expected: &str| {
            let error = host(text).unwrap_err().to_string();
            assert!(error.starts_with(&format!("'{}': ", text.escape_debug())) && error.contains(expected), "{error}");
        };
        let hidden = |text: &str, expected: &str| {
            let error = host(text).unwrap_err().to_string();
            assert!(error.starts_with(expected) && !error.contains("S3cret"), "{error}");
        };
        hidden("u:S3cret@h", "'…@h': the user: an account contains no `:`: a password does not belong here");
        hidden("ssh://u:S3cret@h:22", "'…@h:22': the user: an account contains no `:`");
        hidden("u:S3c@S3cret@h", "'…@h': the user: an account contains no `:`");
        hidden("u:S3cret,x@h", "'…@h': the user: an account contains no `:`");
        hidden("u@h1,u:S3cret@h2", "'…@h2': the user: an account contains no `:`");
        hidden("sftp://u@h", "'…@h': the user: this is no account but a URL");
        hidden("u/S3cret@h", "'…@h': the user: an account contains no `/`");
        hidden("u,S3cret@we b", "'…@we b': the address: ");
        hidden("u:S3cret", "'u:…': the port: ");
        hidden("u@h:S3cret@22", "'…@22': ");
        check("u@h1:22,u@h2:22", "these are several hosts: separate them with blanks");
        check("h1, h2", "these are several hosts: separate them with blanks");
        check("", "the address is empty");
        check("@web", "there is no user before `@`");
        check("web:", "there is no port after `:`");
        check("web:0", "the port `0`");
        check("web:65536", "the port `65536`: ");
        check("web:65536", "write a whole number from 1 to 65535");
        check("we b", "the address: ");
        check("10.0.4.[9-1]", "runs backwards");
        check("a\u{1b}[31m@web", "the user: ");
        check("<web>", "the address: ");
        check("1:2:3", "the address `1:2:3`");
        check("[0-65536]", "at most 65536 are allowed");
    }
}
