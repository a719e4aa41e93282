//! Our name for `EHLO` (RFC 5321, 4.1.1.1): the full host name, or the address. Many servers refuse a short name such
//! as `vm`.

use std::{
    net::{IpAddr, ToSocketAddrs as _},
    time::Duration,
};

/// The time limit for looking up the name.
const LOOKED_UP_WITHIN: Duration = Duration::from_secs(2);

/// The full host name of this machine, if the system can resolve it.
pub(super) async fn full_name() -> Option<String> {
    let (found, name) = tokio::sync::oneshot::channel();
    // In a separate thread, because the runtime waits for its own threads at the end, and a name server may be slow.
    let look_up = move || {
        // The receiver may no longer wait.
        let _unheard = found.send(look_up());
    };
    std::thread::Builder::new().name("own name".to_owned()).spawn(look_up).ok()?;
    tokio::time::timeout(LOOKED_UP_WITHIN, name).await.ok()?.ok()?
}

fn look_up() -> Option<String> {
    let name = gethostname::gethostname().into_string().ok()?;
    let candidates = [Some(name.clone()), canonical_name(&name)];
    candidates.into_iter().flatten().find(|name| is_full(name) && (name.as_str(), 0).to_socket_addrs().is_ok())
}

/// The result of `hostname -f`, from the hosts file or the DNS.
fn canonical_name(name: &str) -> Option<String> {
    // The value of `AI_CANONNAME` in all libcs.
    const CANONICAL_NAME: i32 = 0x2;
    let hints = dns_lookup::AddrInfoHints { flags: CANONICAL_NAME, ..dns_lookup::AddrInfoHints::default() };
    dns_lookup::getaddrinfo(Some(name), None, Some(hints)).ok()?.filter_map(Result::ok).find_map(|info| info.canonname)
}

/// Whether a host name is fully qualified.
fn is_full(name: &str) -> bool {
    let labels: Vec<&str> = name.split('.').collect();
    let is_label = |label: &&str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let Some(top) = labels.last() else { return false };
    name.len() <= 253
        && labels.len() > 1
        && labels.iter().all(is_label)
        && !top.bytes().all(|byte| byte.is_ascii_digit())
        && !["localhost", "localdomain", "invalid"].contains(&top.to_ascii_lowercase().as_str())
}

/// An address literal.
pub(super) fn literal(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => format!("[{address}]"),
        IpAddr::V6(address) => format!("[IPv6:{address}]"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_full_where_it_has_a_domain_that_others_know() {
        let long = format!("{}.example.com", "a".repeat(64));
        for (name, expected) in [
            ("mon.example.com", true),
            ("mon-1.internal", true),
            ("xn--bcher-kva.example", true),
            ("vm", false),
            ("", false),
            (".", false),
            ("mon.example.com.", false),
            ("localhost", false),
            ("localhost.localdomain", false),
            ("mon.LocalDomain", false),
            ("a.localhost", false),
            ("under_score.example.com", false),
            ("mon.-example.com", false),
            ("mön.example.com", false),
            ("a b.example.com", false),
            ("192.0.2.1", false),
            (&long, false),
        ] {
            assert_eq!(is_full(name), expected, "{name}");
        }
    }

    #[test]
    fn an_address_stands_in_brackets() {
        for (address, expected) in [
            ("192.0.2.1", "[192.0.2.1]"),
            ("::ffff:192.0.2.1", "[192.0.2.1]"),
            ("2001:db8::1", "[IPv6:2001:db8::1]"),
            ("::1", "[IPv6:::1]"),
        ] {
            assert_eq!(literal(address.parse().unwrap()), expected);
        }
    }
}
