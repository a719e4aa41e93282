//! The jump hosts of `ProxyJump`: `[user@]host[:port]` or `ssh://…`, separated by commas. Not how they are reached.

use std::fmt;

use super::expand;

/// One jump host, as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hop {
    /// The account, if one is named.
    pub user: Option<String>,
    /// The name, which may be an alias of the same configuration. An IPv6 address has no brackets.
    pub host: String,
    /// The port, if one is named.
    pub port: Option<u16>,
}

impl fmt::Display for Hop {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { user, host, port } = self;
        if let Some(user) = user {
            write!(out, "{user}@")?;
        }
        if host.contains(':') { write!(out, "[{host}]") } else { out.write_str(host) }?;
        port.map_or(Ok(()), |port| write!(out, ":{port}"))
    }
}

/// All jump hosts, in the order in which they are reached; `None` if one is none.
pub(super) fn parse(text: &str) -> Option<Vec<Hop>> {
    text.split(',').map(one).collect()
}

fn one(text: &str) -> Option<Hop> {
    let text = match text.strip_prefix("ssh://") {
        Some(uri) => uri.strip_suffix('/').unwrap_or(uri),
        None => text,
    };
    let (user, place) = match text.rsplit_once('@') {
        Some((user, place)) => (Some(user.to_owned()), place),
        None => (None, text),
    };
    let (host, port) = match place.strip_prefix('[') {
        Some(inside) => {
            let (host, after) = inside.split_once(']')?;
            (host, if after.is_empty() { None } else { Some(after.strip_prefix(':')?) })
        }
        None => match place.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        },
    };
    let port = match port {
        Some(digits) if digits.bytes().all(|digit| digit.is_ascii_digit()) => {
            Some(digits.parse().ok().filter(|port| *port != 0)?)
        }
        Some(_) => return None,
        None => None,
    };
    let is_name = |text: &str| !text.is_empty() && expand::is_safe_in_command(text);
    (is_name(host) && user.as_deref().is_none_or(is_name)).then(|| Hop { user, host: host.to_owned(), port })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jump_hosts_are_read_and_shown() {
        let check = |text: &str, expected: Option<&[&str]>| {
            let found = parse(text).map(|hops| hops.iter().map(ToString::to_string).collect::<Vec<_>>());
            let expected = expected.map(|hops| hops.iter().map(|hop| (*hop).to_owned()).collect::<Vec<_>>());
            assert_eq!(found, expected, "{text}");
        };
        check("b", Some(&["b"]));
        check("u@b:22,ssh://c:33/,[::1]:44", Some(&["u@b:22", "c:33", "[::1]:44"]));
        check("u@[fe80::1]", Some(&["u@[fe80::1]"]));
        check("a@b@c", Some(&["a@b@c"]));
        check("%r@%h-b", Some(&["%r@%h-b"]));
        for wrong in ["", "b,", "b, c", "::1", "b:x", "b:0", "b:70000", "@b", "-b", "b;c", "[::1", "[::1]22", "$(x)@b"]
        {
            check(wrong, None);
        }
    }
}
