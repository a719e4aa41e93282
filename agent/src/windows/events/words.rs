//! Numbers of the security log in words: references like `%%2313`, reasons of failed logons, results of Kerberos,
//! types of logons, ciphers and protocols. Not the messages. A number that is not here stays a number.

/// A text with every reference in it replaced. Lists come in lines: they get commas.
pub(super) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        let (word, comma) = match word.strip_suffix(',') {
            Some(word) => (word, true),
            None => (word, false),
        };
        let known = reference(word);
        // Two references side by side are two entries of a list.
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

/// What a reference into the system's own table of words stands for.
fn reference(text: &str) -> Option<&'static str> {
    let number: u16 = text.strip_prefix("%%")?.parse().ok()?;
    let found = REFERENCES.binary_search_by_key(&number, |(number, _)| *number).ok()?;
    REFERENCES.get(found).map(|(_, words)| *words)
}

/// What a status stands for; `None` where it stands for success.
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

/// What a result of Kerberos stands for; `None` where it stands for success.
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

/// The words for a number, or the number; `None` for zero.
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

/// How a Kerberos ticket is encrypted.
pub(super) fn cipher(text: &str) -> Option<String> {
    let name = match text.to_ascii_lowercase().as_str() {
        "0x1" => "DES-CBC-CRC",
        "0x3" => "DES-CBC-MD5",
        "0x11" => "AES128",
        "0x12" => "AES256",
        "0x17" => "RC4",
        "0x18" => "RC4, export strength",
        // What stands there where no ticket was given.
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

/// By their numbers, in ascending order.
const REFERENCES: &[(u16, &str)] = &[
    (1537, "delete"),
    (1538, "read permissions"),
    (1539, "write permissions"),
    (1540, "take ownership"),
    (1541, "synchronize"),
    (1542, "system security"),
    (1543, "all that is allowed"),
    (1552, "specific right 0"),
    (1553, "specific right 1"),
    (1554, "specific right 2"),
    (1555, "specific right 3"),
    (1793, "not set"),
    (1794, "never"),
    (1795, "enabled"),
    (1796, "disabled"),
    (1797, "all"),
    (1798, "none"),
    (1801, "granted by"),
    (1802, "denied by"),
    (1803, "denied by integrity"),
    (1804, "granted by ownership"),
    (1805, "not granted"),
    (1809, "unknown or unchecked"),
    (1832, "identification"),
    (1833, "impersonation"),
    (1840, "delegation"),
    (1842, "yes"),
    (1843, "no"),
    (1844, "system"),
    (1845, "not available"),
    (1846, "default"),
    (1872, "REG_NONE"),
    (1873, "REG_SZ"),
    (1874, "REG_EXPAND_SZ"),
    (1875, "REG_BINARY"),
    (1876, "REG_DWORD"),
    (1877, "REG_DWORD_BIG_ENDIAN"),
    (1878, "REG_LINK"),
    (1879, "REG_MULTI_SZ"),
    (1883, "REG_QWORD"),
    (1904, "new value"),
    (1905, "changed value"),
    (1906, "deleted value"),
    (1936, "default rights"),
    (1937, "elevated rights"),
    (1938, "limited rights"),
    (2048, "account enabled"),
    (2049, "home directory no longer required"),
    (2050, "password required"),
    (2051, "no temporary duplicate"),
    (2052, "no normal account"),
    (2055, "no workstation account"),
    (2056, "no server account"),
    (2057, "password expires"),
    (2058, "account unlocked"),
    (2059, "password not stored reversibly"),
    (2060, "smart card not required"),
    (2061, "not trusted for delegation"),
    (2062, "delegation allowed"),
    (2063, "DES not required"),
    (2064, "Kerberos pre-authentication required"),
    (2065, "password no longer expired"),
    (2066, "not trusted to authenticate for delegation"),
    (2080, "account disabled"),
    (2081, "home directory required"),
    (2082, "password not required"),
    (2083, "temporary duplicate"),
    (2084, "normal account"),
    (2087, "workstation account"),
    (2088, "server account"),
    (2089, "password never expires"),
    (2090, "account locked"),
    (2091, "password stored reversibly"),
    (2092, "smart card required"),
    (2093, "trusted for delegation"),
    (2094, "delegation not allowed"),
    (2095, "DES required"),
    (2096, "Kerberos pre-authentication not required"),
    (2097, "password expired"),
    (2098, "trusted to authenticate for delegation"),
    (2304, "a fault during the logon"),
    (2305, "the account has expired"),
    (2306, "the logon service is not running"),
    (2307, "the account is locked out"),
    (2308, "this type of logon is not granted to the account"),
    (2309, "the password has expired"),
    (2310, "the account is disabled"),
    (2311, "outside the allowed hours"),
    (2312, "not allowed on this computer"),
    (2313, "unknown user name or wrong password"),
    (2314, "the identities of the domain do not agree"),
    (2315, "a smart card is required"),
    (2458, "read a key from its file"),
    (2459, "write a key to its file"),
    (2480, "open a key"),
    (2481, "create a key"),
    (2499, "computer's key"),
    (2500, "user's key"),
    (4416, "read data or list folder"),
    (4417, "write data or add file"),
    (4418, "append data or add folder"),
    (4419, "read extended attributes"),
    (4420, "write extended attributes"),
    (4421, "execute or traverse"),
    (4422, "delete child"),
    (4423, "read attributes"),
    (4424, "write attributes"),
    (4432, "query key value"),
    (4433, "set key value"),
    (4434, "create subkey"),
    (4435, "enumerate subkeys"),
    (4436, "watch the key"),
    (4437, "create link"),
    (4480, "end the process"),
    (4481, "create a thread"),
    (4482, "set the session"),
    (4483, "change its memory"),
    (4484, "read its memory"),
    (4485, "write its memory"),
    (4486, "duplicate handles"),
    (4487, "create a process"),
    (4488, "set quotas"),
    (4489, "set process information"),
    (4490, "query process information"),
    (7680, "create child"),
    (7681, "delete child"),
    (7682, "list contents"),
    (7683, "write self"),
    (7684, "read property"),
    (7685, "write property"),
    (7686, "delete tree"),
    (7687, "list object"),
    (7688, "control access"),
    (8099, "read a credential"),
    (8100, "list credentials"),
    (8272, "System"),
    (8273, "Logon/Logoff"),
    (8274, "Object Access"),
    (8275, "Privilege Use"),
    (8276, "Detailed Tracking"),
    (8277, "Policy Change"),
    (8278, "Account Management"),
    (8279, "DS Access"),
    (8280, "Account Logon"),
    (8448, "success no longer audited"),
    (8449, "success audited"),
    (8450, "failure no longer audited"),
    (8451, "failure audited"),
    (12288, "Security State Change"),
    (12289, "Security System Extension"),
    (12290, "System Integrity"),
    (12291, "IPsec Driver"),
    (12292, "Other System Events"),
    (12544, "Logon"),
    (12545, "Logoff"),
    (12546, "Account Lockout"),
    (12547, "IPsec Main Mode"),
    (12548, "Special Logon"),
    (12549, "IPsec Quick Mode"),
    (12550, "IPsec Extended Mode"),
    (12551, "Other Logon/Logoff Events"),
    (12552, "Network Policy Server"),
    (12553, "User/Device Claims"),
    (12554, "Group Membership"),
    (12800, "File System"),
    (12801, "Registry"),
    (12802, "Kernel Object"),
    (12803, "SAM"),
    (12804, "Other Object Access Events"),
    (12805, "Certification Services"),
    (12806, "Application Generated"),
    (12807, "Handle Manipulation"),
    (12808, "File Share"),
    (12809, "Filtering Platform Packet Drop"),
    (12810, "Filtering Platform Connection"),
    (12811, "Detailed File Share"),
    (12812, "Removable Storage"),
    (12813, "Central Policy Staging"),
    (13056, "Sensitive Privilege Use"),
    (13057, "Non Sensitive Privilege Use"),
    (13058, "Other Privilege Use Events"),
    (13312, "Process Creation"),
    (13313, "Process Termination"),
    (13314, "DPAPI Activity"),
    (13315, "RPC Events"),
    (13316, "Plug and Play Events"),
    (13317, "Token Right Adjusted Events"),
    (13568, "Audit Policy Change"),
    (13569, "Authentication Policy Change"),
    (13570, "Authorization Policy Change"),
    (13571, "MPSSVC Rule-Level Policy Change"),
    (13572, "Filtering Platform Policy Change"),
    (13573, "Other Policy Change Events"),
    (13824, "User Account Management"),
    (13825, "Computer Account Management"),
    (13826, "Security Group Management"),
    (13827, "Distribution Group Management"),
    (13828, "Application Group Management"),
    (13829, "Other Account Management Events"),
    (14080, "Directory Service Access"),
    (14081, "Directory Service Changes"),
    (14082, "Directory Service Replication"),
    (14083, "Detailed Directory Service Replication"),
    (14336, "Credential Validation"),
    (14337, "Kerberos Service Ticket Operations"),
    (14338, "Other Account Logon Events"),
    (14339, "Kerberos Authentication Service"),
    (14592, "inbound"),
    (14593, "outbound"),
    (14597, "transport"),
    (14608, "resource assignment"),
    (14609, "listen"),
    (14610, "receive or accept"),
    (14611, "connect"),
    (14674, "value added"),
    (14675, "value deleted"),
];

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
        for (text, expected) in [("6", "TCP"), ("17", "UDP"), ("132", "protocol 132")] {
            assert_eq!(protocol(text), expected);
        }
    }
}
