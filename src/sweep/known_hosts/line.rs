//! One line of a `known_hosts` file: the hosts it applies to and the key.
//!
//! The format is the section "SSH_KNOWN_HOSTS FILE FORMAT" of sshd(8).

use base64ct::{Base64, Encoding};
use hmac::{Hmac, KeyInit, Mac};
use russh::keys::{PublicKey, ssh_key::public::KeyData};
use sha1::Sha1;

/// The marker of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Marker {
    /// None: the key belongs to the host.
    None,
    /// `@revoked`: the key must never be accepted.
    Revoked,
    /// `@cert-authority`: the key signs certificates of hosts.
    Authority,
}

/// A line with a key.
pub(super) struct Entry {
    /// Counts from 1.
    pub(super) line: usize,
    pub(super) marker: Marker,
    pub(super) hosts: Hosts,
    pub(super) key: KeyData,
}

/// The hosts that a line applies to.
pub(super) enum Hosts {
    /// `*.example.com,!test.example.com`: at least one pattern matches the name, and no negated one does.
    Patterns(Vec<HostPattern>),
    /// `|1|salt|hash`: the name whose HMAC-SHA-1 with the salt is the hash. The salt is stored as the keyed state,
    /// which halves the cost of each comparison.
    Hashed { keyed: Box<Hmac<Sha1>>, hash: [u8; HASH_BYTES] },
}

/// One pattern of a line, in lower case.
pub(super) struct HostPattern {
    negated: bool,
    text: String,
}

const HASH_BYTES: usize = 20;
const HASH_PREFIX: &str = "|1|";

/// Parses one line without its line break. `None` for a blank line or a comment.
///
/// # Errors
/// The error in the line.
pub(super) fn parse(line: usize, text: &str) -> Result<Option<Entry>, String> {
    let text = text.trim_matches([' ', '\t', '\r']);
    if text.is_empty() || text.starts_with('#') {
        return Ok(None);
    }
    let (marker, rest) = if text.starts_with('@') {
        let (marker, rest) = next_field(text);
        match marker {
            "@revoked" => (Marker::Revoked, rest),
            "@cert-authority" => (Marker::Authority, rest),
            _ => return Err("the marker is neither @revoked nor @cert-authority".to_owned()),
        }
    } else {
        (Marker::None, text)
    };
    let (hosts, rest) = next_field(rest);
    let (algorithm, rest) = next_field(rest);
    let (blob, _comment) = next_field(rest);
    if hosts.is_empty() || algorithm.is_empty() || blob.is_empty() {
        return Err("a line consists of hosts, key type and key".to_owned());
    }
    let key = PublicKey::from_openssh(&format!("{algorithm} {blob}"))
        .map_err(|error| format!("the key cannot be read: {error}"))?;
    let key = KeyData::from(key);
    if let KeyData::Other(_) | KeyData::Certificate(_) = key {
        // If it were kept, every other key of the host would count as changed. OpenSSH ignores it too.
        return Err("the key is of a type that is not supported".to_owned());
    }
    Ok(Some(Entry { line, marker, hosts: parse_hosts(hosts)?, key }))
}

fn next_field(text: &str) -> (&str, &str) {
    match text.split_once([' ', '\t']) {
        Some((field, rest)) => (field, rest.trim_start_matches([' ', '\t'])),
        None => (text, ""),
    }
}

fn parse_hosts(text: &str) -> Result<Hosts, String> {
    if !text.starts_with('|') {
        let patterns = text.split(',').filter(|pattern| !pattern.is_empty()).map(|pattern| {
            let (negated, bare) = match pattern.strip_prefix('!') {
                Some(bare) => (true, bare),
                None => (false, pattern),
            };
            HostPattern { negated, text: bare.to_ascii_lowercase() }
        });
        return Ok(Hosts::Patterns(patterns.collect()));
    }
    let malformed = || "a hashed host is written |1|salt|hash".to_owned();
    let (salt, hash) = text.strip_prefix(HASH_PREFIX).and_then(|rest| rest.split_once('|')).ok_or_else(malformed)?;
    let salt = decode(salt).ok_or_else(malformed)?;
    let hash = decode(hash).ok_or_else(malformed)?;
    Ok(Hosts::Hashed { keyed: Box::new(keyed(&salt)), hash })
}

fn decode(text: &str) -> Option<[u8; HASH_BYTES]> {
    let mut bytes = [0; HASH_BYTES];
    let length = Base64::decode(text, &mut bytes).ok()?.len();
    (length == HASH_BYTES).then_some(bytes)
}

fn keyed(salt: &[u8; HASH_BYTES]) -> Hmac<Sha1> {
    // A salt fits into one block of SHA-1. It is padded with zeros, as HMAC does.
    let mut block = hmac::digest::Key::<Hmac<Sha1>>::default();
    for (slot, byte) in block.iter_mut().zip(salt) {
        *slot = *byte;
    }
    Hmac::new(&block)
}

/// The hashed form of `name`, with a new salt.
pub(super) fn hashed(name: &str, salt: [u8; HASH_BYTES]) -> String {
    let mut mac = keyed(&salt);
    mac.update(name.as_bytes());
    let hash = mac.finalize().into_bytes();
    format!("{HASH_PREFIX}{}|{}", Base64::encode_string(&salt), Base64::encode_string(&hash))
}

impl Hosts {
    /// Whether the line applies to `name`, which must be in lower case: `host` or `[host]:port`.
    pub(super) fn meet(&self, name: &str) -> bool {
        match self {
            Self::Patterns(patterns) => {
                let mut met = false;
                for pattern in patterns {
                    if is_like(name.as_bytes(), pattern.text.as_bytes()) {
                        if pattern.negated {
                            return false;
                        }
                        met = true;
                    }
                }
                met
            }
            Self::Hashed { keyed, hash } => {
                let mut mac = Hmac::clone(keyed);
                mac.update(name.as_bytes());
                mac.verify_slice(hash).is_ok()
            }
        }
    }
}

/// Whether `name` matches `pattern`, in which `*` matches any bytes and `?` matches one. The time is at most
/// proportional to the product of both lengths, because only the last `*` is backtracked.
pub(in crate::sweep) fn is_like(name: &[u8], pattern: &[u8]) -> bool {
    let (mut at, mut next) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while let Some(byte) = name.get(at) {
        match pattern.get(next) {
            Some(b'*') => {
                star = Some((at, next));
                next += 1;
            }
            Some(wanted) if *wanted == b'?' || wanted == byte => {
                at += 1;
                next += 1;
            }
            Some(_) | None => {
                let Some((begun, of_star)) = star else { return false };
                star = Some((begun + 1, of_star));
                at = begun + 1;
                next = of_star + 1;
            }
        }
    }
    pattern.iter().skip(next).all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAyP2O1ykmBJqiDn/OmCW9+JOC4FDpAQYD+Yb2TaJTDX";

    fn meets(hosts: &str, name: &str) -> bool {
        parse(1, &format!("{hosts} {KEY}")).unwrap().unwrap().hosts.meet(name)
    }

    #[test]
    fn patterns_meet_names_as_openssh_has_it() {
        for (hosts, name, expected) in [
            ("10.0.4.1", "10.0.4.1", true),
            ("10.0.4.1", "10.0.4.11", false),
            ("10.0.4.*", "10.0.4.11", true),
            ("10.0.4.?", "10.0.4.11", false),
            ("10.0.4.??", "10.0.4.11", true),
            ("10.0.4.*", "[10.0.4.1]:2222", false),
            ("*", "[10.0.4.1]:2222", true),
            ("[10.0.4.1]:2222", "[10.0.4.1]:2222", true),
            ("[*]:2222", "[10.0.4.1]:2222", true),
            ("db,web", "web", true),
            ("db,web", "db,web", false),
            ("*.example.com,!test.example.com", "db.example.com", true),
            ("*.example.com,!test.example.com", "test.example.com", false),
            ("!test.example.com,*.example.com", "test.example.com", false),
            ("!test.example.com", "db.example.com", false),
            ("DB.Example.COM", "db.example.com", true),
            ("fe80::1", "fe80::1", true),
            (",", "db", false),
            ("**a*b**", "xaxxbx", true),
            ("*a", "ab", false),
        ] {
            assert_eq!(meets(hosts, name), expected, "{hosts} and {name}");
        }
    }

    #[test]
    fn a_pattern_of_many_stars_ends_soon() {
        assert!(!is_like("a".repeat(5_000).as_bytes(), format!("{}b", "*a".repeat(500)).as_bytes()));
    }

    #[test]
    fn lines_are_read_whatever_their_spacing() {
        for (text, expected) in [
            (format!("db {KEY}"), Some(Marker::None)),
            (format!("  db\t {}  a comment", KEY.replace(' ', "\t\t")), Some(Marker::None)),
            (format!("db {KEY}\r"), Some(Marker::None)),
            (format!("db {KEY} comment\r"), Some(Marker::None)),
            (format!("@revoked * {KEY}"), Some(Marker::Revoked)),
            (format!("@cert-authority\t*.example.com {KEY}"), Some(Marker::Authority)),
            ("# a comment".to_owned(), None),
            ("  \t\r".to_owned(), None),
            (String::new(), None),
        ] {
            assert_eq!(parse(1, &text).unwrap().map(|entry| entry.marker), expected, "{text:?}");
        }
    }

    #[test]
    fn lines_that_are_none_say_why() {
        let short_hash = "|1|Gt9ao87bsV4foEC08DKFIgm8dDY=|jI19";
        for (text, problem) in [
            ("db".to_owned(), "a line consists of hosts, key type and key"),
            ("db ssh-ed25519".to_owned(), "a line consists of hosts, key type and key"),
            ("@revoked".to_owned(), "a line consists of hosts, key type and key"),
            (format!("@trusted db {KEY}"), "the marker is neither @revoked nor @cert-authority"),
            (format!("@revoked,x db {KEY}"), "the marker is neither @revoked nor @cert-authority"),
            (format!("|2|a|b {KEY}"), "a hashed host is written |1|salt|hash"),
            (format!("{short_hash} {KEY}"), "a hashed host is written |1|salt|hash"),
            (KEY.replace("ssh-ed25519", "db ssh-rsa"), "the key cannot be read"),
            ("db ssh-ed25519 AAAA".to_owned(), "the key cannot be read"),
            ("db 1024 35 123456789".to_owned(), "the key cannot be read"),
            (
                "db new@example.com AAAAD25ld0BleGFtcGxlLmNvbQAAAAFh".to_owned(),
                "the key is of a type that is not supported",
            ),
        ] {
            match parse(1, &text) {
                Err(error) => assert!(error.starts_with(problem), "{text}: {error}"),
                Ok(_) => panic!("{text} was read"),
            }
        }
    }

    #[test]
    fn a_name_meets_its_own_hash_and_no_other() {
        for name in ["10.0.4.1", "[10.0.4.1]:2222", "fe80::1"] {
            let hosts = hashed(name, [7; HASH_BYTES]);
            assert!(meets(&hosts, name));
            assert!(!meets(&hosts, "10.0.4.2"));
        }
    }

    proptest! {
        #[test]
        fn no_line_makes_the_parser_panic(text in ".*") {
            let _read = parse(1, &text);
        }

        #[test]
        fn no_damage_to_a_line_makes_the_parser_panic(at in 0usize..110, character: char) {
            let line: String = format!("@revoked |1|Gt9ao87bsV4foEC08DKFIgm8dDY=|jI19UmzplIMunMWq6u4YBDlp0dU= {KEY}");
            let damaged: String = line.chars().enumerate().map(|(i, c)| if i == at { character } else { c }).collect();
            let _read = parse(1, &damaged);
        }

        #[test]
        fn a_pattern_without_wildcards_is_equality(name in "[a-z.]{0,12}", pattern in "[a-z.]{0,12}") {
            prop_assert_eq!(is_like(name.as_bytes(), pattern.as_bytes()), name == pattern);
            prop_assert!(is_like(name.as_bytes(), name.as_bytes()));
        }
    }
}
