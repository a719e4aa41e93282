//! Hosts on the command line: `user@host:port`, with ranges as in `config.xml`.

use std::net::Ipv6Addr;

use super::{
    host::{Host, Ranges, Said},
    input::InputError,
};

/// A host, or several with ranges.
///
/// # Errors
/// [`InputError`]
pub fn host(text: &str) -> Result<Host, InputError> {
    let (username, rest) = match text.rsplit_once('@') {
        Some((username, rest)) => (Some(username), rest),
        None => (None, text),
    };
    let (address, port) = address_and_port(rest);
    let place = format!("'{}'", text.escape_debug());
    if username == Some("") {
        return Err(InputError::new(&place, "there is no user before `@`", "write user@host, or only the host"));
    }
    if port == Some("") {
        return Err(InputError::new(&place, "there is no port after `:`", "write host:port, or only the host"));
    }
    Said { address, name: None, port, username }.checked(Ranges::Allowed, &place)
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
    }

    #[test]
    fn what_is_no_host_is_refused_with_the_fix() {
        let check = |text: &str, expected: &str| {
            let error = host(text).unwrap_err().to_string();
            assert!(error.starts_with(&format!("'{}': ", text.escape_debug())) && error.contains(expected), "{error}");
        };
        check("", "the address is empty");
        check("@web", "there is no user before `@`");
        check("web:", "there is no port after `:`");
        check("web:0", "the port `0`");
        check("web:65536", "write a whole number from 1 to 65535");
        check("we b", "the address `we b`");
        check("10.0.4.[9-1]", "runs backwards");
        check("a\u{1b}[31m@web", "the user `a\\u{1b}[31m`");
        check("<web>", "the address `<web>`");
        check("1:2:3", "the address `1:2:3`");
        check("[0-65536]", "at most 65536 are allowed");
    }
}
