//! The names of well-known identities: SIDs, which are the same on every machine, and GUIDs of the directory. The names
//! of other accounts are in no table.

/// SIDs with a fixed name.
const SIDS: [(&str, &str); 17] = [
    ("S-1-1-0", "Everyone"),
    ("S-1-3-0", "CREATOR OWNER"),
    ("S-1-5-2", "NETWORK"),
    ("S-1-5-3", "BATCH"),
    ("S-1-5-4", "INTERACTIVE"),
    ("S-1-5-6", "SERVICE"),
    ("S-1-5-7", "ANONYMOUS LOGON"),
    ("S-1-5-9", "ENTERPRISE DOMAIN CONTROLLERS"),
    ("S-1-5-10", "SELF"),
    ("S-1-5-11", "Authenticated Users"),
    ("S-1-5-13", "TERMINAL SERVER USER"),
    ("S-1-5-14", "REMOTE INTERACTIVE LOGON"),
    ("S-1-5-18", "SYSTEM"),
    ("S-1-5-19", "LOCAL SERVICE"),
    ("S-1-5-20", "NETWORK SERVICE"),
    ("S-1-5-113", "Local account"),
    ("S-1-5-114", "Local account and member of Administrators group"),
];

/// Groups of each machine: `S-1-5-32-` and one of these.
const LOCAL: [(&str, &str); 23] = [
    ("544", "Administrators"),
    ("545", "Users"),
    ("546", "Guests"),
    ("547", "Power Users"),
    ("548", "Account Operators"),
    ("549", "Server Operators"),
    ("550", "Print Operators"),
    ("551", "Backup Operators"),
    ("552", "Replicator"),
    ("554", "Pre-Windows 2000 Compatible Access"),
    ("555", "Remote Desktop Users"),
    ("556", "Network Configuration Operators"),
    ("557", "Incoming Forest Trust Builders"),
    ("558", "Performance Monitor Users"),
    ("559", "Performance Log Users"),
    ("560", "Windows Authorization Access Group"),
    ("562", "Distributed COM Users"),
    ("568", "IIS_IUSRS"),
    ("573", "Event Log Readers"),
    ("574", "Certificate Service DCOM Access"),
    ("578", "Hyper-V Administrators"),
    ("579", "Access Control Assistance Operators"),
    ("580", "Remote Management Users"),
];

/// Accounts and groups of each domain: `S-1-5-21-`, the domain, and one of these.
const OF_DOMAINS: [(&str, &str); 18] = [
    ("498", "Enterprise Read-only Domain Controllers"),
    ("500", "Administrator"),
    ("501", "Guest"),
    ("502", "krbtgt"),
    ("512", "Domain Admins"),
    ("513", "Domain Users"),
    ("514", "Domain Guests"),
    ("515", "Domain Computers"),
    ("516", "Domain Controllers"),
    ("517", "Cert Publishers"),
    ("518", "Schema Admins"),
    ("519", "Enterprise Admins"),
    ("520", "Group Policy Creator Owners"),
    ("521", "Read-only Domain Controllers"),
    ("525", "Protected Users"),
    ("526", "Key Admins"),
    ("527", "Enterprise Key Admins"),
    ("553", "RAS and IAS Servers"),
];

/// Rights, classes and attributes of the directory, in lower case.
const GUIDS: [(&str, &str); 31] = [
    ("00299570-246d-11d0-a768-00aa006e0529", "reset the password"),
    ("00fbf30c-91fe-11d1-aebc-0000f80367c1", "alternative security identities"),
    ("037088f8-0ae1-11d2-b422-00a0c968f939", "remote access information"),
    ("1131f6aa-9c07-11d1-f79f-00c04fc2dcd2", "replicate changes (DCSync)"),
    ("1131f6ab-9c07-11d1-f79f-00c04fc2dcd2", "start replication"),
    ("1131f6ac-9c07-11d1-f79f-00c04fc2dcd2", "manage the replication topology"),
    ("1131f6ad-9c07-11d1-f79f-00c04fc2dcd2", "replicate all changes with secrets (DCSync)"),
    ("19195a5b-6da0-11d0-afd3-00c04fd930c9", "domain"),
    ("28630ebf-41d5-11d1-a9c1-0000f80367c1", "user principal name"),
    ("3f78c3e5-f79a-46bd-a0b8-9d18116ddc79", "who may act for others"),
    ("4828cc14-1437-45bc-9b07-ad6f015e5f28", "inetOrgPerson"),
    ("4c164200-20c0-11d0-a768-00aa006e0529", "account restrictions"),
    ("5b47d60f-6090-40b2-9f37-2a4de88f3063", "key credential link"),
    ("5f202010-79a5-11d0-9020-00c04fc2d4cf", "logon information"),
    ("68b1d179-0d15-4d4f-ab71-46152e79a7bc", "allowed to authenticate"),
    ("77b5b886-944a-11d1-aebd-0000f80367c1", "personal information"),
    ("89e95b76-444d-4c62-991a-0facbeda640c", "replicate a filtered set (DCSync)"),
    ("91e647de-d96f-4b70-9557-d63ff4f3ccd8", "private information"),
    ("ab721a53-1e2f-11d0-9819-00aa0040529b", "change the password"),
    ("bc0ac240-79a9-11d0-9020-00c04fc2d4cf", "group membership"),
    ("bf9679c0-0de6-11d0-a285-00aa003049e2", "member"),
    ("bf967a86-0de6-11d0-a285-00aa003049e2", "computer"),
    ("bf967a9c-0de6-11d0-a285-00aa003049e2", "group"),
    ("bf967aa5-0de6-11d0-a285-00aa003049e2", "organizational unit"),
    ("bf967aba-0de6-11d0-a285-00aa003049e2", "user"),
    ("c7407360-20bf-11d0-a768-00aa006e0529", "domain password and lockout policy"),
    ("ccc2dc7d-a6ad-4a7a-8846-c04e3cc53501", "unexpire a password"),
    ("e48d0154-bcf8-11d1-8702-00c04fb96050", "public information"),
    ("f30e3bc1-9ff0-11d1-b603-0000f80367c1", "link to group policies"),
    ("f30e3bc2-9ff0-11d1-b603-0000f80367c1", "group policy"),
    ("f3a64788-5306-11d1-a9c5-0000f80367c1", "service principal name"),
];

fn find(table: &'static [(&str, &str)], key: &str) -> Option<&'static str> {
    table.iter().find(|(known, _)| *known == key).map(|(_, name)| *name)
}

/// The name of a SID. That of an account or a group of a domain is followed by the SID, which names the domain.
pub(super) fn sid(text: &str) -> Option<String> {
    if let Some(name) = find(&SIDS, text) {
        return Some(name.to_owned());
    }
    if let Some(rid) = text.strip_prefix("S-1-5-32-") {
        return find(&LOCAL, rid).map(str::to_owned);
    }
    let (_, rid) = text.strip_prefix("S-1-5-21-")?.rsplit_once('-')?;
    find(&OF_DOMAINS, rid).map(|name| format!("{name} ({text})"))
}

/// The name of a GUID of the directory.
pub(super) fn guid(text: &str) -> Option<&'static str> {
    find(&GUIDS, &text.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn well_known_identities_have_names() {
        for (text, expected) in [
            ("S-1-5-18", Some("SYSTEM")),
            ("S-1-5-32-544", Some("Administrators")),
            ("S-1-5-32-9999", None),
            ("S-1-5-21-1-2-3-512", Some("Domain Admins (S-1-5-21-1-2-3-512)")),
            ("S-1-5-21-1-2-3-1105", None),
            ("S-1-5-21", None),
            ("eve", None),
            ("", None),
        ] {
            assert_eq!(sid(text).as_deref(), expected, "{text}");
        }
        assert_eq!(guid("BF967ABA-0DE6-11d0-a285-00aa003049e2"), Some("user"));
        assert!(GUIDS.is_sorted_by(|one, other| one.0 < other.0));
        assert!(GUIDS.iter().all(|(guid, _)| guid.len() == 36 && *guid == guid.to_ascii_lowercase()));
    }
}
