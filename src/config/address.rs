//! Parses an IPv4 or IPv6 address or a host name into its canonical form, also with ranges. Does not look up names.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{
    range::Pattern,
    safe_text::{SafeText, digits, dotted, words},
    value_error::ValueError,
};

const HINT: &str = "write an address (10.0.4.1, 2001:db8::1) or a host name (db.example.com)";

/// The canonical form of an address or host name. Two spellings of the same address or name become equal.
///
/// IPv6 addresses lose their brackets and are compressed; host names become lower case.
pub(super) fn parse(text: &str) -> Result<String, ValueError> {
    if text.is_empty() {
        return Err(ValueError::new("the address is empty", HINT));
    }
    if let Ok(address) = text.parse::<Ipv4Addr>() {
        return Ok(address.to_string());
    }
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let (address, zone) = match bare.split_once('%') {
        Some((address, zone)) => (address, Some(zone)),
        None => (bare, None),
    };
    if let Ok(address) = address.parse::<Ipv6Addr>() {
        return match zone {
            None => Ok(address.to_string()),
            Some(zone) if is_zone(zone) => Ok(format!("{address}%{zone}")),
            Some(_) => Err(ValueError::new(
                "the zone after `%` is not the name of a network interface",
                "write it like fe80::1%eth0",
            )),
        };
    }
    host_name(text)
}

/// All addresses and host names that a text with ranges expands to, each in its canonical form.
pub(super) fn expanded(written: &str) -> Result<Vec<String>, ValueError> {
    let text = without_brackets(written.trim());
    let pattern = Pattern::parse(text).map_err(|wrong| shifted(wrong, written, text))?;
    let expanded = pattern.expand();
    let mut addresses = Vec::with_capacity(expanded.len());
    for text in &expanded {
        let address = parse(text).map_err(|wrong| {
            if pattern.has_range() && text.starts_with(|c: char| c.is_ascii_digit()) {
                // A hint about one of many addresses would be misleading.
                ValueError { hint: "change the range so that every address in it is valid".into(), ..wrong }
            } else {
                wrong
            }
        })?;
        addresses.push(address);
    }
    Ok(addresses)
}

/// An IPv6 address without the brackets around it, which are not a range.
pub(super) fn without_brackets(text: &str) -> &str {
    let Some(inside) = text.strip_prefix('[') else { return text };
    let first = inside.split(['[', ']']).next().unwrap_or_default();
    if first.contains(':') { inside.strip_suffix(']').unwrap_or(text) } else { text }
}

/// Moves the position of an error in `part`, a substring of `whole`, to the position in `whole`.
fn shifted(wrong: ValueError, whole: &str, part: &str) -> ValueError {
    let by = whole.find(part).unwrap_or_default();
    let at = wrong.at.clone().map(|at| at.start + by..at.end + by);
    ValueError { at, ..wrong }
}

/// Whether an address or host name means this machine (loopback). Names are not looked up.
pub(super) fn is_loopback(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

fn is_zone(zone: &str) -> bool {
    !zone.is_empty() && zone.len() <= 15 && zone.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

/// A host name after RFC 1123, in lower case. An underscore is allowed: DNS and `/etc/hosts` allow it, and people use it.
fn host_name(text: &str) -> Result<String, ValueError> {
    // The message does not repeat the text: it may be a login with its password.
    let refuse =
        |hint: SafeText| Err(ValueError::new(words![dotted(text), " is not a valid address or host name"], hint));
    if text.contains('@') {
        return refuse(
            "write only the address here; write the user as username=\"…\" and the password as password=\"…\"".into(),
        );
    }
    if text.contains("://") {
        return refuse(HINT.into());
    }
    if let Some((host, rest)) = text.split_once('/') {
        // A prefix such as 10.0.4.0/24 is not expanded, because its network and broadcast addresses would be swept too.
        let hint = match (host.parse::<Ipv4Addr>(), rest) {
            (Ok(address), "24") => {
                let [a, b, c, _] = address.octets();
                words!["write a range: ", a, ".", b, ".", c, ".[1-254]"]
            }
            (Ok(_) | Err(_), _) => "write a range like 10.0.4.[1-254]".into(),
        };
        return refuse(hint);
    }
    if let Some((host, port)) = text.rsplit_once(':')
        && port.parse::<u16>().is_ok()
        && (!host.contains(':') || host.ends_with(']'))
    {
        return refuse("write only the address here, and the port as port=\"…\"".into());
    }
    if !text.is_ascii() {
        return refuse("write the name in its ASCII form (xn--…)".into());
    }
    let labels: Vec<&str> = text.strip_suffix('.').unwrap_or(text).split('.').collect();
    let is_label = |label: &&str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if text.len() > 253 || !labels.iter().all(is_label) {
        return refuse(HINT.into());
    }
    // A name whose last label is a number is a mistyped address.
    if labels.last().is_some_and(|label| label.bytes().all(|byte| byte.is_ascii_digit())) {
        let padded = labels.iter().any(|label| label.len() > 1 && label.starts_with('0'));
        let hint = if padded { "write its numbers without leading zeros" } else { "write four numbers from 0 to 255" };
        return refuse(hint.into());
    }
    if let [a, b, c, last] = labels.as_slice()
        && let Some((first, last)) = last.split_once('-')
        && let [Some(a), Some(b), Some(c), Some(first), Some(last)] = [a, b, c, first, last].map(octet)
    {
        return refuse(words!["write a range in brackets: ", a, ".", b, ".", c, ".[", first, "-", last, "]"]);
    }
    Ok(text.to_ascii_lowercase())
}

/// One number of an IPv4 address, as it is written.
fn octet(text: &str) -> Option<SafeText> {
    text.parse::<u8>().ok().and_then(|_| digits(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_names_take_their_canonical_form() {
        for (text, expected) in [
            ("10.0.4.1", "10.0.4.1"),
            ("2001:DB8:0:0::1", "2001:db8::1"),
            ("[::1]", "::1"),
            ("fe80::1%eth0", "fe80::1%eth0"),
            ("DB.Example.com", "db.example.com"),
            ("localhost", "localhost"),
            ("web-01", "web-01"),
            ("Web_1.example", "web_1.example"),
            ("1host", "1host"),
            ("db.example.com.", "db.example.com."),
        ] {
            assert_eq!(parse(text), Ok(expected.to_owned()));
        }
    }

    #[test]
    fn what_is_neither_is_refused_with_a_mend_that_fits() {
        const LOGIN: &str =
            "write only the address here; write the user as username=\"…\" and the password as password=\"…\"";
        for (text, hint) in [
            ("", HINT),
            ("a b", HINT),
            ("-a", HINT),
            ("a..b", HINT),
            ("ssh://a", HINT),
            ("fe80::zz", HINT),
            (&"a".repeat(64), HINT),
            ("10.0.4", "write four numbers from 0 to 255"),
            ("10.0.4.256", "write four numbers from 0 to 255"),
            ("10.0.4.01", "write its numbers without leading zeros"),
            ("10.0.4.1-40", "write a range in brackets: 10.0.4.[1-40]"),
            ("10.0.4.0/24", "write a range: 10.0.4.[1-254]"),
            ("10.0.0.0/8", "write a range like 10.0.4.[1-254]"),
            ("10.0.4.1:2222", "write only the address here, and the port as port=\"…\""),
            ("[::1]:22", "write only the address here, and the port as port=\"…\""),
            ("hunter2:1234", "write only the address here, and the port as port=\"…\""),
            ("root@db", LOGIN),
            ("ops:hunter2@10.0.0.1", LOGIN),
            ("ops@hunter2", LOGIN),
            ("ssh://ops:hunter2@h", LOGIN),
            ("bücher.example", "write the name in its ASCII form (xn--…)"),
            ("fe80::1%", "write it like fe80::1%eth0"),
        ] {
            let wrong = parse(text).unwrap_err();
            assert_eq!(wrong.hint.as_str(), hint, "{text}");
            assert!(!wrong.problem.as_str().contains("hunter2"), "{text}");
        }
    }
}
