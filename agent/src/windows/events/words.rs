//! The meaning of numbers in the security log: references like `%%2313`, reasons of failed logons, results of Kerberos,
//! types of logons, ciphers and protocols. Unknown numbers are not changed.

mod identities;
mod references;

use references::REFERENCES;

/// A text with all references replaced. Lists have one entry per line, which become commas.
pub(super) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        let (word, comma) = match word.strip_suffix(',') {
            Some(word) => (word, true),
            None => (word, false),
        };
        if let Some(identity) = word.strip_prefix("%{").and_then(|word| word.strip_suffix('}')) {
            if !plain.is_empty() {
                plain.push_str(if plain.ends_with(',') { " " } else { ", " });
            }
            plain.push_str(&self::identity(identity));
            continue;
        }
        let known = reference(word);
        // Two adjacent references are two entries of a list.
        if !plain.is_empty() {
            let list = known.is_some() || word.starts_with("%%");
            plain.push_str(if list && !plain.ends_with(',') { ", " } else { " " });
        }
        match known {
            Some(words) => plain.push_str(words),
            None => plain.push_str(word),
        }
        if comma {
            plain.push(',');
        }
    }
    plain
}

/// The name of a SID or of a GUID of the directory, or the text itself.
pub(super) fn identity(text: &str) -> String {
    identities::sid(text).or_else(|| identities::guid(text).map(str::to_owned)).unwrap_or_else(|| text.to_owned())
}

/// Rights and properties of the directory: references, and GUIDs in braces.
pub(super) fn rights(text: &str) -> String {
    let named = |word: &str| {
        let guid = word.trim_start_matches('%').strip_prefix('{').and_then(|word| word.strip_suffix('}'));
        guid.and_then(identities::guid).map_or_else(|| plain(word), str::to_owned)
    };
    text.split_whitespace().filter(|word| *word != "---").map(named).collect::<Vec<_>>().join(", ")
}

/// The direction of a trust between domains.
pub(super) fn trust(text: &str) -> String {
    match text {
        "1" => "they trust us",
        "2" => "we trust them",
        "3" => "each trusts the other",
        _ => return format!("direction {text}"),
    }
    .to_owned()
}

/// Whether the meaning of a code is known.
pub(super) fn is_known(text: &str, way: &str) -> bool {
    let said = if way == "status" { status(text) } else { kerberos(text) };
    said.is_none_or(|said| !said.starts_with("code "))
}

/// A text of at most this many bytes, with a mark if it was longer.
pub(super) fn cut(mut text: String, max_bytes: usize) -> String {
    if text.len() > max_bytes {
        text.truncate(text.floor_char_boundary(max_bytes));
        text.push('…');
    }
    text
}

/// The text for a reference into the system's table.
fn reference(text: &str) -> Option<&'static str> {
    let number: u16 = text.strip_prefix("%%")?.parse().ok()?;
    let found = REFERENCES.binary_search_by_key(&number, |(number, _)| *number).ok()?;
    REFERENCES.get(found).map(|(_, words)| *words)
}

/// The meaning of a status; `None` for success.
pub(super) fn status(text: &str) -> Option<String> {
    coded(text, |code| {
        Some(match code {
            0xC000_0022 => "access denied",
            0xC000_005E => "no domain controller is available",
            0xC000_0064 => "unknown user name",
            0xC000_0068 => "wrong group identity",
            0xC000_006A => "wrong password",
            0xC000_006C => "the new password breaks the password policy",
            0xC000_006D => "unknown user name or wrong password",
            0xC000_006E => "the account is restricted",
            0xC000_006F => "outside the allowed hours",
            0xC000_0070 => "not allowed from this workstation",
            0xC000_0071 => "the password has expired",
            0xC000_0072 => "the account is disabled",
            0xC000_00DC => "the security database is in the wrong state",
            0xC000_0133 => "the clocks differ too much",
            0xC000_015B => "this type of logon is not granted to the account",
            0xC000_018B => "the computer has no account in the domain",
            0xC000_018C => "the trust between the domains is broken",
            0xC000_018D => "the trust between computer and domain is broken",
            0xC000_0192 => "the logon service is not running",
            0xC000_0193 => "the account has expired",
            0xC000_0199 => "the account is a domain's or computer's own",
            0xC000_0224 => "the password must be changed first",
            0xC000_0225 => "a fault of Windows",
            0xC000_0234 => "the account is locked out",
            0xC000_0371 => "the password is not stored here",
            0xC000_0388 => "downgrade of the authentication was detected",
            0xC000_0413 => "not allowed by the authentication policy",
            _ => return None,
        })
    })
}

/// The meaning of a Kerberos result; `None` for success.
pub(super) fn kerberos(text: &str) -> Option<String> {
    coded(text, |code| {
        Some(match code {
            0x1 => "the client's entry has expired",
            0x2 => "the server's entry has expired",
            0x3 => "the protocol version is not supported",
            0x6 => "unknown user name",
            0x7 => "unknown service",
            0x8 => "the name is not unique",
            0x9 => "the account has no key",
            0xB => "the requested times are wrong",
            0xC => "not allowed by a policy, such as workstation or hours",
            0xD => "the option cannot be granted",
            0xE => "the cipher is not supported",
            0xF => "the checksum is not supported",
            0x10 => "the kind of pre-authentication is not supported",
            0x12 => "the account is disabled, expired, locked out or outside its hours",
            0x17 => "the password has expired",
            0x18 => "wrong password",
            0x19 => "pre-authentication is required",
            0x1B => "the service takes user-to-user tickets alone",
            0x1D => "the service is not available",
            0x1F => "the integrity check failed",
            0x20 => "the ticket has expired",
            0x21 => "the ticket is not valid yet",
            0x22 => "the request was replayed",
            0x23 => "the ticket is for somebody else",
            0x25 => "the clocks differ too much",
            0x29 => "the message was altered",
            0x3C => "a fault that is not named",
            0x3E => "the client is not trusted",
            0x40 => "wrong signature",
            0x44 => "another realm is responsible",
            _ => return None,
        })
    })
}

/// The text for a number, or the number; `None` for zero.
fn coded(text: &str, words: fn(u32) -> Option<&'static str>) -> Option<String> {
    match u32::from_str_radix(text.strip_prefix("0x").unwrap_or(text), 16) {
        Ok(0) => None,
        Ok(code) => Some(words(code).map_or_else(|| format!("code {text}"), str::to_owned)),
        Err(_) => Some(plain(text)),
    }
}

/// A type of logon with its name.
pub(super) fn logon(text: &str) -> String {
    let name = match text {
        "0" => "system",
        "2" => "interactive",
        "3" => "network",
        "4" => "batch",
        "5" => "service",
        "7" => "unlock",
        "8" => "network, password in clear",
        "9" => "other credentials",
        "10" => "remote desktop",
        "11" => "interactive, cached",
        "12" => "remote desktop, cached",
        "13" => "unlock, cached",
        _ => return text.to_owned(),
    };
    format!("{text} ({name})")
}

/// The encryption of a Kerberos ticket.
pub(super) fn cipher(text: &str) -> Option<String> {
    let name = match text.to_ascii_lowercase().as_str() {
        "0x1" => "DES-CBC-CRC",
        "0x3" => "DES-CBC-MD5",
        "0x11" => "AES128",
        "0x12" => "AES256",
        "0x17" => "RC4",
        "0x18" => "RC4, export strength",
        // The value if no ticket was issued.
        "0xffffffff" => return None,
        _ => return Some(text.to_owned()),
    };
    Some(name.to_owned())
}

/// A protocol above IP.
pub(super) fn protocol(text: &str) -> String {
    match text {
        "1" => "ICMP",
        "6" => "TCP",
        "17" => "UDP",
        "58" => "ICMPv6",
        _ => return format!("protocol {text}"),
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_become_words_and_lists_get_commas() {
        assert!(REFERENCES.is_sorted_by(|one, other| one.0 < other.0));
        for (text, expected) in [
            ("%%2313", "unknown user name or wrong password"),
            ("%%1538\n\t\t\t\t%%1541\n\t\t\t\t", "read permissions, synchronize"),
            ("%%8448, %%8450", "success no longer audited, failure no longer audited"),
            ("%%60000", "%%60000"),
            ("%%4416 %%65535 %%4417", "read data or list folder, %%65535, write data or add file"),
            ("%%", "%%"),
            ("100%% of it", "100%% of it"),
            ("SeDebugPrivilege\n\t\t\tSeBackupPrivilege", "SeDebugPrivilege SeBackupPrivilege"),
            ("plain  text", "plain text"),
            ("%{S-1-5-32-544}", "Administrators"),
            ("\n\t\t%{S-1-5-18}\n\t\t%{S-1-5-21-1-2-3-1105}", "SYSTEM, S-1-5-21-1-2-3-1105"),
            ("%{bf967aba-0de6-11d0-a285-00aa003049e2}", "user"),
            ("%%5440 %%5447", "read general information, set the password"),
            ("echo %{x} {y}", "echo, x {y}"),
            ("", ""),
        ] {
            assert_eq!(plain(text), expected, "{text}");
        }
    }

    #[test]
    fn codes_become_words_and_success_is_no_reason() {
        for (text, expected) in [
            ("0xC000006A", Some("wrong password")),
            ("0xc0000064", Some("unknown user name")),
            ("0xC0000234", Some("the account is locked out")),
            ("0xC000015B", Some("this type of logon is not granted to the account")),
            ("0xC00000FF", Some("code 0xC00000FF")),
            ("0x0", None),
            ("%%2307", Some("the account is locked out")),
        ] {
            assert_eq!(status(text).as_deref(), expected, "{text}");
        }
        for (text, expected) in [
            ("0x6", Some("unknown user name")),
            ("0x18", Some("wrong password")),
            ("0x25", Some("the clocks differ too much")),
            ("0x99", Some("code 0x99")),
            ("0x0", None),
        ] {
            assert_eq!(kerberos(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn logons_ciphers_and_protocols_have_names() {
        for (text, expected) in [("3", "3 (network)"), ("10", "10 (remote desktop)"), ("99", "99"), ("", "")] {
            assert_eq!(logon(text), expected);
        }
        for (text, expected) in
            [("0x12", Some("AES256")), ("0x17", Some("RC4")), ("0xFFFFFFFF", None), ("0x5", Some("0x5"))]
        {
            assert_eq!(cipher(text).as_deref(), expected);
        }
        let asked = "%%7688\n\t\t{1131f6aa-9c07-11d1-f79f-00c04fc2dcd2}\n\t{19195a5b-6da0-11d0-afd3-00c04fd930c9}";
        assert_eq!(rights(asked), "control access, replicate changes (DCSync), domain");
        assert_eq!((trust("2").as_str(), trust("9").as_str()), ("we trust them", "direction 9"));
        for (text, expected) in [("6", "TCP"), ("17", "UDP"), ("132", "protocol 132")] {
            assert_eq!(protocol(text), expected);
        }
    }
}
