//! Groups whose members have far-reaching rights: of Windows by their identities, which are the same in every language
//! and which nobody can give to another group, and of Linux by their names.

/// Groups of each Windows machine, `S-1-5-32-RID`.
const LOCAL: [(&str, &str); 13] = [
    ("544", "Administrators"),
    ("547", "Power Users"),
    ("548", "Account Operators"),
    ("549", "Server Operators"),
    ("550", "Print Operators"),
    ("551", "Backup Operators"),
    ("552", "Replicator"),
    ("555", "Remote Desktop Users"),
    ("556", "Network Configuration Operators"),
    ("557", "Incoming Forest Trust Builders"),
    ("562", "Distributed COM Users"),
    ("578", "Hyper-V Administrators"),
    ("580", "Remote Management Users"),
];

/// Groups of each domain, `S-1-5-21-…-RID`.
const OF_DOMAINS: [(&str, &str); 9] = [
    ("498", "Enterprise Read-only Domain Controllers"),
    ("512", "Domain Admins"),
    ("516", "Domain Controllers"),
    ("517", "Cert Publishers"),
    ("518", "Schema Admins"),
    ("519", "Enterprise Admins"),
    ("520", "Group Policy Creator Owners"),
    ("526", "Key Admins"),
    ("527", "Enterprise Key Admins"),
];

/// Groups of Linux by which somebody can become root or read secrets.
const LINUX: [&str; 9] = ["root", "sudo", "wheel", "admin", "adm", "shadow", "disk", "docker", "lxd"];

/// The name of such a group of Windows.
pub(super) fn windows(sid: &str) -> Option<&'static str> {
    let find = |table: &'static [(&str, &str)], rid: &str| {
        table.iter().find(|(known, _)| *known == rid).map(|(_, name)| *name)
    };
    if let Some(rid) = sid.strip_prefix("S-1-5-32-") {
        return find(&LOCAL, rid);
    }
    let (_, rid) = sid.strip_prefix("S-1-5-21-")?.rsplit_once('-')?;
    find(&OF_DOMAINS, rid)
}

/// The name of such a group of Linux.
pub(super) fn linux(name: &str) -> Option<&'static str> {
    LINUX.into_iter().find(|known| *known == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_known_by_their_identities_alone() {
        for (sid, expected) in [
            ("S-1-5-32-544", Some("Administrators")),
            ("S-1-5-21-1-2-3-512", Some("Domain Admins")),
            ("S-1-5-21-1-2-3-513", None),
            ("S-1-5-21-1-2-3-1512", None),
            ("S-1-5-32-1544", None),
            ("S-1-5-21-512", None),
            ("Administrators", None),
            ("", None),
        ] {
            assert_eq!(windows(sid), expected, "{sid}");
        }
        assert_eq!((linux("sudo"), linux("Sudo"), linux("users")), (Some("sudo"), None, None));
    }
}
