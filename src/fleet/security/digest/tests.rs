//! The classes of events, their groups, what a subject names, and that no event is lost or counted twice.

use proptest::{collection::vec, prelude::*};

use super::*;

fn event(source: &str, level: &str, at_ms: i64, message: &str) -> SecurityEvent {
    SecurityEvent {
        record_id: String::new(),
        channel: None,
        event_id: None,
        level: level.to_owned(),
        occurred_unix_ms: at_ms,
        source: source.to_owned(),
        user: None,
        message: message.to_owned(),
        data: Vec::new(),
    }
}

/// A line of a process.
fn line(source: &str, pid: u32, message: &str) -> SecurityEvent {
    SecurityEvent { data: vec![("pid".to_owned(), pid.to_string())], ..event(source, "information", 0, message) }
}

fn numbered(event_id: u32, message: &str, data: &[(&str, &str)]) -> SecurityEvent {
    SecurityEvent {
        channel: None,
        event_id: Some(event_id),
        data: data.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        ..event("Microsoft-Windows-Security-Auditing", "audit success", 0, message)
    }
}

fn refused(event: SecurityEvent) -> SecurityEvent {
    SecurityEvent { level: "audit failure".to_owned(), ..event }
}

fn all(events: &[SecurityEvent]) -> Vec<Group<'_>> {
    groups(events, Visitor::default())
}

fn class_of(event: SecurityEvent) -> Class {
    all(&[event])[0].class
}

fn said(events: &[SecurityEvent]) -> Vec<String> {
    headlines(&all(events)).into_iter().map(|headline| headline.detailed).collect()
}

#[test]
fn an_event_of_linux_gets_its_class_from_its_program_and_how_it_begins() {
    use Class::{AccountChange, FailedLogin, Failure, Grant, Other, PrivilegedLogin, Tampering};
    for (source, level, message, expected) in [
        ("sshd", "information", "Failed password for root from 10.0.0.7 port 4 ssh2", FailedLogin),
        ("sshd-session", "information", "Failed password for invalid user x from 10.0.0.7 port 1 ssh2", FailedLogin),
        ("login", "notice", "FAILED LOGIN (1) on '/dev/tty1' FOR 'root', Authentication failure", FailedLogin),
        ("sshd", "information", "Invalid user x from 10.0.0.7 port 4", FailedLogin),
        ("sshd", "notice", "pam_unix(sshd:auth): authentication failure; rhost=10.0.0.7", FailedLogin),
        ("sshd(pam_unix)", "information", "authentication failure; logname= uid=0 rhost=10.0.0.7", FailedLogin),
        ("auth", "notice", "pam_unix(dovecot:auth): authentication failure; ruser=x rhost=10.0.0.7", FailedLogin),
        ("sudo", "alert", "ops : 3 incorrect password attempts ; TTY=pts/0 ; COMMAND=/bin/sh", FailedLogin),
        ("sudo", "alert", "eve : user NOT in sudoers ; TTY=pts/0 ; COMMAND=/bin/sh", Failure),
        ("su", "notice", "FAILED SU (to root) ops on pts/0", FailedLogin),
        ("audit", "notice", "USER_LOGIN pid=7 uid=0 msg='op=login acct=\"x\" addr=10.0.0.7 res=failed'", FailedLogin),
        ("audit", "notice", "USER_LOGIN pid=7 uid=0 msg='op=login acct=\"x\" addr=10.0.0.7 res=success'", Other),
        ("audit", "notice", "CONFIG_CHANGE auid=0 op=set audit_enabled=0 old=1 res=1", Tampering),
        ("kernel", "error", "something", Failure),
        ("sudo", "notice", "ops : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/sh", PrivilegedLogin),
        ("sshd", "information", "pam_unix(sshd:session): session opened for user root(uid=0)", PrivilegedLogin),
        ("sshd", "information", "Accepted publickey for root from 10.0.0.7 port 4 ssh2", PrivilegedLogin),
        ("CRON", "information", "pam_unix(cron:session): session opened for user root(uid=0)", Other),
        ("useradd", "information", "new user: name=eve, UID=1001, GID=1001", Grant),
        ("usermod", "information", "add 'eve' to group 'sudo'", Grant),
        ("gpasswd", "information", "user eve added by root to group wheel", Grant),
        ("userdel", "information", "delete user 'eve'", AccountChange),
        ("passwd", "information", "pam_unix(passwd:chauthtok): password changed for eve", AccountChange),
        ("sshd", "information", "Accepted publickey for ops from 10.0.0.7 port 4 ssh2", Other),
        ("CRON", "information", "pam_unix(cron:session): session closed for user www", Other),
    ] {
        assert_eq!(class_of(event(source, level, 0, message)), expected, "{message}");
    }
}

#[test]
fn a_number_and_its_level_decide_the_class() {
    use Class::{AccountChange, FailedLogin, Failure, Grant, Installation, Other, PrivilegedLogin, Tampering};
    for (id, success, failure) in [
        (4625, FailedLogin, FailedLogin),
        (4771, FailedLogin, FailedLogin),
        (4768, Other, FailedLogin),
        (4776, Other, FailedLogin),
        (4740, FailedLogin, FailedLogin),
        (1102, Tampering, Failure),
        (4719, Tampering, Failure),
        (5025, Tampering, Failure),
        (4672, PrivilegedLogin, Failure),
        (4697, Installation, Failure),
        (4698, Installation, Failure),
        (4732, Grant, Failure),
        (4733, AccountChange, Failure),
        (4720, Grant, Failure),
        (4624, Other, Failure),
        (1, Other, Failure),
        (99_999, Other, Failure),
    ] {
        assert_eq!(class_of(numbered(id, "words", &[])), success, "{id}");
        assert_eq!(class_of(refused(numbered(id, "words", &[]))), failure, "{id}");
    }
    // Other programs use the same numbers.
    let other = SecurityEvent { source: "Microsoft-Windows-EventSystem".into(), ..numbered(4625, "words", &[]) };
    assert_eq!(class_of(other), Other);
    let installed = SecurityEvent { source: "Service Control Manager".into(), ..numbered(7045, "words", &[]) };
    assert_eq!(class_of(installed), Installation);
}

#[test]
fn what_somebody_typed_chooses_no_class() {
    let typed = r#"Process started: findstr /c:"failed login" /c:"log was cleared" new user: name=eve"#;
    assert_eq!(class_of(numbered(4688, typed, &[("CommandLine", typed)])), Class::Other);
    for (source, message, expected) in [
        ("sudo", "ops : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/echo Failed password for", Class::PrivilegedLogin),
        ("sshd", "Failed password for invalid user new user: name=x from 10.0.0.7 port 1 ssh2", Class::FailedLogin),
        ("sshd", "Accepted password for x from 10.0.0.7 port 1 ssh2: Failed password for", Class::Other),
        ("cleaner", "the audit log was cleared, failed login, denied", Class::Other),
    ] {
        assert_eq!(class_of(event(source, "information", 0, message)), expected, "{message}");
    }
    // An address in a name is not where somebody came from.
    for message in [
        "Failed password for invalid user x from 9.9.9.9 port 1 from 10.0.0.7 port 2 ssh2",
        "pam_unix(sshd:auth): authentication failure; ruser=a rhost=9.9.9.9 rhost=10.0.0.7 user=b",
    ] {
        let events = [line("sshd", 1, message)];
        assert_eq!(all(&events)[0].addresses.top, [("10.0.0.7".to_owned(), 1)], "{message}");
    }
}

#[test]
fn codes_of_windows_raise_a_class() {
    let requested = |properties| numbered(4662, "words", &[("Properties", properties)]);
    assert_eq!(class_of(requested("%%7688 {19195a5b-6da0-11d0-afd3-00c04fd930c9}")), Class::Other);
    let replicated = requested("%%7688 {1131F6AD-9C07-11d1-f79f-00c04fc2dcd2}");
    assert_eq!(said(&[replicated]), ["replication of all passwords requested"]);
    let changed = |codes| numbered(4738, "words", &[("UserAccountControl", codes)]);
    assert_eq!(class_of(changed("%%2048")), Class::AccountChange);
    assert_eq!(class_of(changed("%%2096")), Class::Grant);
}

#[test]
fn a_subject_names_everything_grave_in_the_fixed_order() {
    let member = |sid| numbered(4732, "Member eve added", &[("TargetSid", sid), ("TargetUserName", "Any name")]);
    let mut events: Vec<_> = (0..512).map(|n| refused(numbered(4625, &format!("Failed logon of u{n}"), &[]))).collect();
    events.extend((0..5000).map(|_| numbered(4624, "Logon of bob", &[("LogonType", "3")])));
    events.extend((0..50).map(|_| numbered(4672, "Special privileges", &[])));
    events.push(numbered(4740, "User account eve locked out", &[]));
    events.extend([member("S-1-5-32-544"), member("S-1-5-21-1-2-3-1105"), member("S-1-5-21-1-2-3-512")]);
    events.extend([numbered(4720, "created", &[]), numbered(4720, "created", &[]), numbered(1102, "cleared", &[])]);
    let groups = all(&events);
    assert_eq!(
        headlines(&groups),
        [
            ("security log cleared", "1 change of protection"),
            (
                "member added to Administrators, member added to Domain Admins, 2× account created, member added to a group",
                "5 grants"
            ),
            ("account locked out, 512 failed logins", "513 failed logins"),
        ]
        .map(|(detailed, short)| Headline { detailed: detailed.to_owned(), short: short.to_owned() })
    );
    let classes: Vec<_> = counts(&groups).iter().map(|count| (count.class, count.all)).collect();
    assert_eq!(
        classes,
        [
            (Class::Tampering, 1),
            (Class::Grant, 5),
            (Class::FailedLogin, 513),
            (Class::PrivilegedLogin, 50),
            (Class::Other, 5000)
        ]
    );
    assert!(is_urgent(&groups) && !is_urgent(&all(&events[..5000])));
}

#[test]
fn a_spraying_tool_is_one_group_for_each_result() {
    let failed = |n: u32, status: &str| {
        let name = format!("user{n}");
        let user = Some(format!("CORP\\{name}"));
        let message = format!("Failed logon of CORP\\{name} from 10.0.0.7 (KALI): {status}; logon type 3 (network)");
        let data = [
            ("TargetUserName", name.as_str()),
            ("SubStatus", status),
            ("LogonType", "3"),
            ("IpAddress", "::ffff:10.0.0.7"),
            ("WorkstationName", "KALI"),
        ];
        refused(SecurityEvent { user, ..numbered(4625, &message, &data) })
    };
    let mut events: Vec<_> = (0..500).map(|n| failed(n, "0xc0000064")).collect();
    events.extend([failed(1000, "0xc000006a"), failed(1001, "0xc000006a"), failed(1000, "0xc000006a")]);
    let groups = all(&events);
    let [unknown, known] = groups.as_slice() else { panic!("{groups:#?}") };
    assert_eq!(unknown.message, "Failed logon of … from 10.0.0.7 (KALI): 0xc0000064; logon type 3 (network)");
    assert_eq!((unknown.count, unknown.accounts.distinct, unknown.addresses.distinct), (500, 500, 1));
    assert_eq!(known.accounts.top, [("CORP\\user1000".to_owned(), 2), ("CORP\\user1001".to_owned(), 1)]);
    assert_eq!((&known.addresses.top, known.workstations.distinct), (&vec![("10.0.0.7".to_owned(), 3)], 1));
}

#[test]
fn one_attempt_of_linux_counts_once_whatever_the_programs_write() {
    let sshd = |pid, message: &str| line("sshd", pid, message);
    for (events, expected) in [
        (
            vec![
                sshd(1, "Invalid user eve from 10.0.0.7 port 4"),
                sshd(1, "pam_unix(sshd:auth): check pass; user unknown"),
                sshd(1, "pam_unix(sshd:auth): authentication failure; logname= uid=0 ruser= rhost=10.0.0.7"),
                sshd(1, "Failed password for invalid user eve from 10.0.0.7 port 4 ssh2"),
                sshd(1, "Connection closed by invalid user eve 10.0.0.7 port 4 [preauth]"),
            ],
            1,
        ),
        (
            vec![
                sshd(2, "pam_unix(sshd:auth): authentication failure; rhost=10.0.0.7 user=root"),
                sshd(2, "Failed password for root from 10.0.0.7 port 4 ssh2"),
                sshd(2, "message repeated 5 times: [ Failed password for root from 10.0.0.7 port 4 ssh2]"),
                sshd(2, "error: maximum authentication attempts exceeded for root from 10.0.0.7 port 4 ssh2 [preauth]"),
                sshd(2, "Disconnecting authenticating user root 10.0.0.7 port 4: Too many authentication failures"),
                sshd(2, "PAM 5 more authentication failures; logname= uid=0 euid=0 rhost=10.0.0.7 user=root"),
            ],
            6,
        ),
        // Only keys are allowed: nothing says `Failed`.
        (
            vec![
                sshd(3, "Invalid user eve from 10.0.0.7 port 4"),
                sshd(3, "Connection closed by invalid user eve 10.0.0.7 port 4 [preauth]"),
                sshd(4, "Connection closed by authenticating user root 10.0.0.7 port 5 [preauth]"),
            ],
            2,
        ),
        // One process for many logins.
        (
            (0..7)
                .map(|n| {
                    line(
                        "auth",
                        9,
                        &format!("pam_unix(dovecot:auth): authentication failure; ruser=u{n} rhost=10.0.0.7"),
                    )
                })
                .collect(),
            7,
        ),
        (vec![line("sudo", 1, "ops : 3 incorrect password attempts ; TTY=pts/0 ; COMMAND=/bin/sh")], 3),
    ] {
        let groups = all(&events);
        let failed: u64 = counts(&groups).iter().filter(|count| count.class == Class::FailedLogin).map(|c| c.all).sum();
        assert_eq!(failed, expected, "{groups:#?}");
        let from = groups.iter().filter(|group| group.class == Class::FailedLogin);
        assert!(from.filter(|group| group.source != "sudo").all(|group| group.addresses.top[0].0 == "10.0.0.7"));
    }
}

#[test]
fn a_failed_logon_that_windows_records_twice_counts_once() {
    let of = |id: u32, account: &str, at_ms: i64| SecurityEvent {
        user: Some(account.to_owned()),
        occurred_unix_ms: at_ms,
        ..refused(numbered(id, "a failed logon", &[]))
    };
    let success = SecurityEvent { user: Some("ops".into()), ..numbered(4776, "a good password", &[]) };
    for (what, events, expected) in [
        ("a check and its logon", vec![of(4776, "OPS", 10), of(4625, "ops", 30)], 1),
        ("in the other order", vec![of(4625, "ops", 10), of(4776, "ops", 30)], 1),
        ("checks for another machine", vec![of(4776, "ops", 10), of(4776, "ops", 30)], 2),
        ("two checks and one logon", vec![of(4776, "ops", 10), of(4625, "ops", 20), of(4776, "ops", 30)], 2),
        ("two of each", vec![of(4776, "a", 1), of(4776, "a", 2), of(4625, "a", 3), of(4625, "a", 2_002)], 2),
        ("another account", vec![of(4776, "a", 10), of(4625, "b", 10)], 2),
        ("long before", vec![of(4776, "a", 10), of(4625, "a", 2_011)], 2),
        ("a success", vec![success, of(4625, "ops", 0)], 1),
        ("absurd times", vec![of(4776, "a", i64::MIN), of(4625, "a", i64::MAX)], 2),
    ] {
        let groups = all(&events);
        let failed =
            counts(&groups).iter().find(|count| count.class == Class::FailedLogin).map_or(0, |count| count.all);
        assert_eq!(failed, expected, "{what}");
        assert_eq!(groups.iter().map(|group| group.events.len()).sum::<usize>(), events.len(), "{what}");
    }
}

#[test]
fn a_success_from_an_address_that_also_failed_is_a_class_of_its_own() {
    let failed = || line("sshd", 1, "Failed password for root from 10.0.0.7 port 4 ssh2");
    let accepted = |address: &str| line("sshd", 2, &format!("Accepted password for ops from {address} port 5 ssh2"));
    for (events, expected) in [
        (vec![failed(), accepted("10.0.0.7")], 1),
        (vec![accepted("10.0.0.7"), failed()], 1),
        (vec![failed(), accepted("10.0.0.8")], 0),
    ] {
        let found = all(&events).iter().filter(|group| group.class == Class::Intrusion).count();
        assert_eq!(found, expected, "{events:#?}");
    }
    let windows = |address| {
        vec![
            refused(numbered(4625, "x", &[("IpAddress", address)])),
            numbered(4624, "x", &[("IpAddress", address), ("LogonType", "3")]),
        ]
    };
    assert_eq!(said(&windows("10.0.0.7")), ["1 login from an address that also failed", "1 failed login"]);
    // At the keyboard, every logon has this address.
    assert_eq!(said(&windows("127.0.0.1")), ["1 failed login"]);
}

#[test]
fn what_happens_all_the_time_is_marked() {
    let system = [("SubjectUserSid", "S-1-5-18"), ("SubjectUserName", "SYSTEM")];
    let mut by_system = system.to_vec();
    by_system.push(("TargetUserSid", "S-1-5-21-1-2-3-1001"));
    for (event, expected) in [
        (numbered(4672, "x", &system), Some(Routine::System)),
        (numbered(4672, "x", &[("SubjectUserSid", "S-1-5-20")]), Some(Routine::System)),
        (numbered(4672, "x", &[("SubjectUserSid", "S-1-5-21-1-2-3-500")]), None),
        (numbered(4702, "x", &system), Some(Routine::System)),
        // The system starts the session of somebody else.
        (numbered(4624, "x", &by_system), None),
        // These are never routine.
        (numbered(1102, "x", &system), None),
        (numbered(4720, "x", &system), None),
        (numbered(4697, "x", &system), None),
        (event("CRON", "information", 0, "pam_unix(cron:session): session opened for user root"), Some(Routine::Cron)),
        (event("su", "information", 0, "pam_unix(su:session): session opened for user root"), None),
    ] {
        let events = [event];
        assert_eq!(all(&events)[0].routine, expected, "{events:?}");
    }
    let quiet = [numbered(4672, "x", &system), numbered(4702, "x", &system)];
    assert_eq!(said(&quiet), [""; 0]);
}

#[test]
fn our_own_visits_are_known_by_account_address_and_time() {
    let at = |at_ms, pid, message: &str| SecurityEvent { occurred_unix_ms: at_ms, ..line("sshd", pid, message) };
    let events = [
        at(10, 1, "Accepted publickey for ops from 10.0.0.9 port 4 ssh2"),
        at(10, 1, "pam_unix(sshd:session): session opened for user ops(uid=7) by (uid=0)"),
        at(11, 1, "Disconnected from user ops 10.0.0.9 port 4"),
        at(500, 2, "Accepted publickey for ops from 10.0.0.9 port 5 ssh2"),
        at(500, 3, "Accepted publickey for ops from 10.0.0.66 port 5 ssh2"),
        at(500, 4, "Accepted publickey for root from 10.0.0.9 port 5 ssh2"),
    ];
    let routine = |account, logins_unix_ms: &[(i64, i64)]| {
        let groups = groups(&events, Visitor { account, logins_unix_ms });
        let mut own: Vec<usize> = groups
            .iter()
            .filter(|group| group.routine == Some(Routine::Collector))
            .flat_map(|group| group.events.clone())
            .collect();
        own.sort_unstable();
        own
    };
    assert_eq!(routine("ops", &[(-9, -3), (5, 20)]), [0, 1, 2, 3]);
    assert_eq!(routine("ops", &[(30, 40)]), [0; 0]);
    assert_eq!(routine("ops", &[]), [0; 0]);
    assert_eq!(routine("eve", &[(-9, -3), (5, 20)]), [0; 0]);
    let logon = [("TargetUserName", "Ops"), ("TargetLogonId", "0x77"), ("ProcessName", r"C:\OpenSSH\sshd.exe")];
    let windows = [
        numbered(4624, "x", &logon),
        numbered(4672, "x", &[("SubjectLogonId", "0x77")]),
        numbered(4672, "x", &[("SubjectLogonId", "0x78")]),
    ];
    let groups = groups(&windows, Visitor { account: r"CORP\ops", logins_unix_ms: &[] });
    assert_eq!(groups.iter().filter(|group| group.routine == Some(Routine::Collector)).count(), 2);
}

#[test]
fn a_burst_is_one_group_and_the_unusual_comes_first() {
    let mut events = Vec::new();
    for n in 0..212 {
        events.push(event(
            "sshd",
            "information",
            1000 + n,
            &format!("Failed password for root from 10.0.0.7 port {n} ssh2"),
        ));
        events.push(event("daemon", "information", 1000 + n, &format!("session {n} closed")));
    }
    events.push(event("useradd", "information", 8, "new user: name=eve, UID=1"));
    events.push(event("systemd-logind", "information", 9, "New seat seat0."));
    let groups = all(&events);
    let seen: Vec<_> = groups.iter().map(|group| (group.count, group.message.as_str())).collect();
    assert_eq!(
        seen,
        [
            (1, "new user: name=eve, UID=1"),
            (212, "Failed password for root from 10.0.0.7 port … ssh2"),
            (1, "New seat seat0."),
            (212, "session … closed"),
        ]
    );
    assert_eq!((groups[1].first_unix_ms, groups[1].last_unix_ms), (1000, 1211));
}

/// Events of few sources and shapes, so that they meet, with times as no clock has them.
fn events() -> impl Strategy<Value = Vec<SecurityEvent>> {
    let message = prop_oneof![
        "(message repeated [0-9]{1,3} times: \\[ )?Failed password for [ab]{1,2} from 10\\.0\\.0\\.[0-9] port [0-9]{1,2}\\]?",
        "(Invalid user|Accepted password for) [ab] from 10\\.0\\.0\\.[0-9] port [0-9]",
        "(new user: [ab]|session [0-9] closed|COMMAND=[ab]|pam_unix\\([a-z:]{0,9}\\): [a-z ]{0,9})",
        "\\PC{0,20}",
    ];
    let event = (
        "sshd|sudo|CRON|audit|",
        prop_oneof![Just(None), (4624..4626_u32).prop_map(Some)],
        any::<i64>(),
        message,
        "[0-9]?",
    )
        .prop_map(|(source, event_id, at_ms, message, pid)| SecurityEvent {
            channel: None,
            event_id,
            data: vec![("pid".to_owned(), pid), ("IpAddress".to_owned(), "10.0.0.7".to_owned())],
            ..event(&source, "information", at_ms, &message)
        });
    vec(event, 0..60)
}

proptest! {
    #[test]
    fn every_event_is_in_exactly_one_group_and_counts_add_up(events in events()) {
        let groups = all(&events);
        let mut seen: Vec<usize> = groups.iter().flat_map(|group| group.events.iter().copied()).collect();
        seen.sort_unstable();
        prop_assert_eq!(seen, (0..events.len()).collect::<Vec<_>>());
        let counted: u64 = counts(&groups).iter().map(|count| count.all).sum();
        prop_assert_eq!(counted, groups.iter().map(|group| group.count).sum::<u64>());
        prop_assert!(counts(&groups).iter().all(|count| count.routine <= count.all));
        prop_assert!(groups.is_sorted_by_key(|group| group.class));
        for group in &groups {
            let times: Vec<i64> = group.events.iter().map(|index| events[*index].occurred_unix_ms).collect();
            prop_assert_eq!(Some(&group.first_unix_ms), times.iter().min());
            prop_assert_eq!(Some(&group.last_unix_ms), times.iter().max());
            prop_assert!(group.routine.is_none() || !group.class.spec().is_grave || group.event_id.is_some());
            for index in &group.events {
                prop_assert_eq!(events[*index].source.as_str(), group.source);
            }
        }
    }
}
