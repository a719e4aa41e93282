//! Checks every template with the fields of its event, and the messages of the important events.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::windows::events::tests::{FAILURE, FIELDS, SUCCESS, read, xml};

/// The fields of the short names of accounts.
const ACCOUNTS: [(&str, &[&str]); 5] = [
    ("@Task", &["TaskContent", "TaskContentNew"]),
    ("@Target", &["TargetUserName", "TargetDomainName", "TargetUserSid", "TargetSid"]),
    ("@Subject", &["SubjectUserName", "SubjectDomainName", "SubjectUserSid"]),
    ("@Member", &["MemberName", "MemberSid"]),
    ("@Account", &["AccountName", "AccountDomain"]),
];
const WAYS: [&str; 8] = ["", "status", "kerberos", "logon", "cipher", "protocol", "rights", "trust"];
const TASK: &str = "<Task><Exec><Command>a task</Command></Exec></Task>";

fn real_fields() -> BTreeMap<u32, Vec<&'static str>> {
    FIELDS
        .lines()
        .map(|line| {
            let mut words = line.split(' ');
            (words.next().unwrap().parse().unwrap(), words.collect())
        })
        .collect()
}

/// The placeholders of a template: the possible fields of each, with their formats.
fn gaps(template: &str) -> Vec<Vec<(&str, &str)>> {
    let inside = template.split('{').skip(1).map(|rest| rest.split_once('}').expect("a closed gap").0);
    inside.map(|gap| gap.split('|').map(|one| one.split_once(':').unwrap_or((one, ""))).collect()).collect()
}

fn all() -> impl Iterator<Item = (u32, &'static str, &'static str)> {
    let of = |keywords| move |(id, template): &(u32, &'static str)| (*id, *template, keywords);
    TEMPLATES.iter().map(of(SUCCESS)).chain(FAILED.iter().map(of(FAILURE)))
}

/// A value for such a field, or at least one that can be recognised.
fn sample<'a>(field: &'a str, way: &str) -> &'a str {
    match way {
        "status" => "0xC0000072",
        "kerberos" => "0x18",
        "logon" => "10",
        "cipher" => "0x17",
        "protocol" => "6",
        "trust" => "2",
        _ if field.starts_with("TaskContent") => TASK,
        _ => field,
    }
}

#[test]
fn the_tables_are_in_order_and_complete() {
    for table in [TEMPLATES, FAILED] {
        assert!(table.is_sorted_by(|one, other| one.0 < other.0));
    }
    let with_template: BTreeSet<u32> = TEMPLATES.iter().map(|(id, _)| *id).collect();
    assert!(with_template.iter().eq(real_fields().keys()), "{with_template:?}");
    assert!(FAILED.iter().all(|(id, _)| with_template.contains(id)));
    assert!(TITLES.is_sorted_by(|one, other| one.0 < other.0));
    assert!(TITLES.iter().all(|(id, _)| !with_template.contains(id)));
}

/// The share of these ids that have words, in percent.
fn covered(ids: &str) -> (usize, Vec<u32>) {
    let ids: Vec<u32> = ids
        .lines()
        .filter(|line| !line.starts_with('#'))
        .flat_map(str::split_whitespace)
        .map(|id| id.parse().unwrap())
        .collect();
    let has_words = |id: &u32| {
        TEMPLATES.binary_search_by_key(id, |(known, _)| *known).is_ok()
            || TITLES.binary_search_by_key(id, |(known, _)| *known).is_ok()
    };
    let missing: Vec<u32> = ids.iter().copied().filter(|id| !has_words(id)).collect();
    ((ids.len() - missing.len()) * 100 / ids.len(), missing)
}

#[test]
fn every_event_that_microsoft_recommends_to_monitor_has_words() {
    assert_eq!(covered(include_str!("../monitored.txt")), (100, Vec::new()));
}

#[test]
fn nearly_every_event_that_rules_of_sigma_use_has_words() {
    let (percent, missing) = covered(include_str!("../sigma.txt"));
    assert!(percent >= 95, "{percent} %, without {missing:?}");
}

#[test]
fn a_status_without_a_meaning_gives_way_to_the_reason_beside_it() {
    for (fields, expected) in [
        (vec![("Status", "0xC0000199"), ("SubStatus", "0xC00000FF")], "the account is a domain's or computer's own"),
        (vec![("SubStatus", "0xC00000FF"), ("FailureReason", "%%2307")], "the account is locked out"),
        (vec![("Status", "0x0"), ("SubStatus", "0x0"), ("FailureReason", "%%2304")], "a fault during the logon"),
        (vec![("SubStatus", "0xC00000FF")], "code 0xC00000FF"),
    ] {
        assert_eq!(read(&xml(4625, FAILURE, &fields)).message, format!("Failed logon: {expected}"), "{fields:?}");
    }
}

#[test]
fn changes_say_what_was_changed() {
    let by = [("TargetUserName", "bob"), ("SubjectUserName", "eve")];
    for (id, fields, expected) in [
        (
            4738,
            vec![
                ("PasswordLastSet", "11/22/2026 9:42:01 AM"),
                ("UserAccountControl", "%%2096"),
                ("SamAccountName", "-"),
            ],
            "User account bob changed by eve: Kerberos pre-authentication not required; password set 11/22/2026 9:42:01 AM",
        ),
        (
            4742,
            vec![("ServicePrincipalNames", "\n\t\tHOST/a\n\t\tcifs/b"), ("AllowedToDelegateTo", "cifs/dc1")],
            "Computer account bob changed by eve; may delegate to cifs/dc1; service names HOST/a cifs/b",
        ),
        (
            4739,
            vec![("DomainName", "CORP"), ("MinPasswordLength", "4"), ("LockoutThreshold", "-")],
            "Domain policy of CORP changed by eve; minimum length of passwords 4",
        ),
        (
            4662,
            vec![
                ("ObjectType", "%{19195a5b-6da0-11d0-afd3-00c04fd930c9}"),
                ("AccessList", "%%7688"),
                ("Properties", "%%7688\n\t\t{1131f6ad-9c07-11d1-f79f-00c04fc2dcd2}"),
            ],
            "Operation on an object of the directory: domain by eve: control access; control access, replicate all changes with secrets (DCSync)",
        ),
        (
            4698,
            vec![
                ("TaskName", "\\x"),
                (
                    "TaskContent",
                    "<Task><UserId>S-1-5-18</UserId><Exec><Command>c.exe</Command><Arguments>/x</Arguments></Exec></Task>",
                ),
            ],
            "Scheduled task created: \\x by eve; runs c.exe /x",
        ),
        (
            4717,
            vec![("TargetSid", "S-1-5-32-555"), ("AccessGranted", "SeRemoteInteractiveLogonRight")],
            "Logon right granted to Remote Desktop Users: SeRemoteInteractiveLogonRight by eve",
        ),
        (
            4868,
            vec![("RequestId", "7")],
            "Certificate manager denied a request: TargetUserName=bob, SubjectUserName=eve, RequestId=7",
        ),
    ] {
        let fields: Vec<_> = by.into_iter().chain(fields).collect();
        assert_eq!(read(&xml(id, SUCCESS, &fields)).message, expected, "{id}");
    }
}

#[test]
fn every_template_names_fields_that_its_event_has_and_is_filled_by_them() {
    let real = real_fields();
    for (id, template, keywords) in all() {
        let mut fields: Vec<(&str, &str)> = real[&id].iter().map(|field| (*field, *field)).collect();
        let mut expected = Vec::new();
        for gap in gaps(template) {
            for (index, (name, way)) in gap.iter().enumerate() {
                assert!(WAYS.contains(way), "{id}: {way}");
                let only = [*name];
                let names =
                    ACCOUNTS.iter().find(|(account, _)| account == name).map_or(&only[..], |(_, fields)| fields);
                let first = if *name == "@Task" { names } else { &names[..1] };
                let field = fields.iter_mut().find(|(field, _)| first.contains(field));
                let field = field.unwrap_or_else(|| panic!("event {id} has no {name}"));
                field.1 = sample(field.0, way);
                if index == 0 {
                    expected.push(match *way {
                        "status" => "the account is disabled",
                        "kerberos" => "wrong password",
                        "logon" => "10 (remote desktop)",
                        "cipher" => "RC4",
                        "protocol" => "TCP",
                        "trust" => "we trust them",
                        _ if *name == "@Task" => "runs a task",
                        _ => field.1,
                    });
                }
            }
        }
        let message = read(&xml(id, keywords, &fields)).message;
        for part in expected {
            assert!(message.contains(part), "{id}: {part} is missing in {message}");
        }
        assert!(!message.contains(['{', '}', '[', ']', '@', '|']), "{id}: {message}");
        assert!(!message.starts_with("Event "), "{id}: {message}");
    }
}

#[test]
fn whatever_is_missing_leaves_no_odd_punctuation() {
    const ENDS: [&str; 12] = [" of", " by", " to", " from", " for", " with", " on", " at", " in", ":", ",", ";"];
    const INSIDE: [&str; 12] = ["  ", " ,", " :", " ;", ",,", "::", ": ,", ": ;", "()", "( ", " )", ", ("];
    for (id, template, keywords) in all() {
        let names: Vec<&str> = gaps(template).into_iter().flatten().map(|(name, _)| name).collect();
        for which in 0..1_u32 << names.len() {
            let there = names.iter().enumerate().filter(|(index, _)| which >> index & 1 == 1).map(|(_, name)| *name);
            let fields: Vec<(&str, &str)> = there
                .flat_map(|name| {
                    let account = ACCOUNTS.iter().find(|(account, _)| *account == name);
                    let value = if name == "@Task" { TASK } else { "x" };
                    account.map_or(vec![(name, "1")], |(_, fields)| vec![(fields[0], value)])
                })
                .collect();
            let message = read(&xml(id, keywords, &fields)).message;
            assert!(!ENDS.iter().any(|end| message.ends_with(end)), "{id}: {message}");
            assert!(!INSIDE.iter().any(|odd| message.contains(odd)), "{id}: {message}");
            assert_eq!(message.trim(), message, "{id}");
        }
    }
}

#[test]
fn important_events_are_said_in_these_words() {
    let bob = [("TargetUserName", "bob"), ("TargetDomainName", "CONTOSO")];
    let eve = [("SubjectUserName", "eve"), ("SubjectDomainName", "CONTOSO")];
    for (id, keywords, fields, expected, user) in [
        (
            4624,
            SUCCESS,
            vec![
                ("LogonType", "10"),
                ("IpAddress", "::ffff:10.0.0.5"),
                ("ElevatedToken", "%%1842"),
                ("WorkstationName", "-"),
            ],
            "Logon of CONTOSO\\bob from 10.0.0.5; logon type 10 (remote desktop), elevated: yes",
            "CONTOSO\\bob",
        ),
        (
            4688,
            SUCCESS,
            vec![("NewProcessName", "C:\\a.exe"), ("TokenElevationType", "%%1937"), ("CommandLine", "a.exe {x} [y]")],
            "Process started by CONTOSO\\eve for CONTOSO\\bob: C:\\a.exe, elevated rights; command line: a.exe {x} [y]",
            "CONTOSO\\bob",
        ),
        (
            4719,
            SUCCESS,
            vec![("CategoryId", "%%8274"), ("SubcategoryId", "%%12801"), ("AuditPolicyChanges", "%%8448, %%8450")],
            "Audit policy changed by CONTOSO\\eve: Object Access / Registry: success no longer audited, failure no longer audited",
            "CONTOSO\\bob",
        ),
        (
            4732,
            SUCCESS,
            vec![("MemberName", "-"), ("MemberSid", "S-1-5-21-1-2-3-1001")],
            "Member S-1-5-21-1-2-3-1001 added to the local security group CONTOSO\\bob by CONTOSO\\eve",
            "S-1-5-21-1-2-3-1001",
        ),
        (4740, SUCCESS, vec![], "User account bob locked out by attempts from CONTOSO", "bob"),
        (
            4768,
            SUCCESS,
            vec![("Status", "0x0"), ("TicketEncryptionType", "0x12"), ("IpAddress", "::1")],
            "Kerberos ticket given to CONTOSO\\bob from ::1, encrypted with AES256",
            "CONTOSO\\bob",
        ),
        (
            4768,
            FAILURE,
            vec![("Status", "0x6"), ("TicketEncryptionType", "0xffffffff")],
            "Kerberos ticket refused to CONTOSO\\bob: unknown user name",
            "CONTOSO\\bob",
        ),
        (4771, FAILURE, vec![("Status", "0x18")], "Failed Kerberos logon of bob: wrong password", "CONTOSO\\bob"),
        (
            4776,
            FAILURE,
            vec![("Workstation", "WS1"), ("Status", "0xC0000064")],
            "Credentials of bob refused for WS1: unknown user name",
            "CONTOSO\\bob",
        ),
        (4776, SUCCESS, vec![("Status", "0x0")], "Credentials of bob checked", "CONTOSO\\bob"),
        (
            4663,
            FAILURE,
            vec![("ObjectType", "File"), ("ObjectName", "C:\\x"), ("AccessList", "%%4416\n\t\t\t\t%%4417\n\t\t\t\t")],
            "Failed: Access by CONTOSO\\eve to File C:\\x: read data or list folder, write data or add file",
            "CONTOSO\\bob",
        ),
        (
            4781,
            SUCCESS,
            vec![("OldTargetUserName", "old"), ("NewTargetUserName", "new")],
            "Account old renamed to new in CONTOSO by CONTOSO\\eve",
            "CONTOSO\\new",
        ),
        (
            5156,
            SUCCESS,
            vec![
                ("Application", "\\device\\x.exe"),
                ("Direction", "%%14593"),
                ("SourceAddress", "10.0.0.1"),
                ("SourcePort", "50000"),
                ("DestAddress", "10.0.0.2"),
                ("DestPort", "443"),
                ("Protocol", "6"),
            ],
            "Firewall let a connection through, outbound, of \\device\\x.exe: TCP from 10.0.0.1:50000 to 10.0.0.2:443",
            "CONTOSO\\bob",
        ),
    ] {
        let fields: Vec<_> = bob.into_iter().chain(eve).chain(fields).collect();
        let event = read(&xml(id, keywords, &fields));
        assert_eq!(event.message, expected, "{id}");
        assert_eq!(event.user.as_deref(), Some(user), "{id}");
    }
}

#[test]
fn an_event_without_a_template_lists_its_fields_within_bounds() {
    let event = read(&xml(9999, SUCCESS, &[("A", "1"), ("B", "-"), ("C", "%%1842")]));
    assert_eq!(event.message, "Event 9999 of Microsoft-Windows-Security-Auditing: A=1, C=yes");
    assert_eq!(event.user, None);
    assert_eq!(read(&xml(9999, SUCCESS, &[])).message, "Event 9999 of Microsoft-Windows-Security-Auditing");
    let long = "x".repeat(1500);
    let names: Vec<String> = (0..64).map(|n| format!("n{n}")).collect();
    let fields: Vec<(&str, &str)> = names.iter().map(|name| (&**name, &*long)).collect();
    let message = read(&xml(9999, SUCCESS, &fields)).message;
    assert!(message.len() <= MAX_UNKNOWN_BYTES + 3 && message.ends_with('…'), "{}", message.len());
}

#[test]
fn a_user_is_a_name_with_its_domain_or_an_identity() {
    for (fields, expected) in [
        (vec![("TargetUserName", "bob"), ("SubjectUserName", "eve")], Some("bob")),
        (vec![("TargetUserName", "-"), ("SubjectUserName", "eve"), ("SubjectDomainName", "D")], Some("D\\eve")),
        (
            vec![("TargetUserName", "bob@CONTOSO.LOCAL"), ("TargetDomainName", "CONTOSO.LOCAL")],
            Some("bob@CONTOSO.LOCAL"),
        ),
        (vec![("TargetUserSid", "S-1-5-18")], Some("SYSTEM")),
        (vec![("TargetUserSid", "S-1-5-21-1-2-3-1105")], Some("S-1-5-21-1-2-3-1105")),
        (vec![("TargetUserSid", "S-1-0-0")], None),
        (vec![("AccountName", "bob"), ("AccountDomain", "D")], Some("D\\bob")),
        (vec![], None),
    ] {
        assert_eq!(read(&xml(4624, SUCCESS, &fields)).user.as_deref(), expected, "{fields:?}");
    }
}
