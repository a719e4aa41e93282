//! Three scenes as an administrator receives them: a quiet hour, a brute-force attack, and a domain controller.

use super::{
    events::{db, event, log, mails, mails_at},
    *,
};
use crate::fleet::security::{
    SecurityEvent,
    allowance::{Allowed, Spent},
};

const AUDITING: &str = "Microsoft-Windows-Security-Auditing";

/// A numbered event with the fields of the published schema, and the message of the agent.
fn numbered(event_id: u32, second: i64, user: &str, message: &str, data: &[(&str, &str)]) -> SecurityEvent {
    SecurityEvent {
        record_id: (90_000 + second).to_string(),
        channel: None,
        event_id: Some(event_id),
        level: "audit success".into(),
        user: Some(user.into()),
        data: data.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
        ..event(AUDITING, second, message)
    }
}

fn of_system(event_id: u32, second: i64, message: &str) -> SecurityEvent {
    let data = [("SubjectUserSid", "S-1-5-18"), ("SubjectUserName", "DC1$"), ("SubjectDomainName", "CORP")];
    numbered(event_id, second, "CORP\\DC1$", message, &data)
}

/// The mail about these events, without its attachment.
fn scene(channel: &str, events: Vec<SecurityEvent>) -> String {
    let log = SecurityLog { channel: channel.into(), ..log(events) };
    let mails = mails(&db(), &reading(1.0, 10, 10), &log, 1 << 20);
    show(&mails[0])
}

#[test]
fn a_quiet_hour_of_windows() {
    let mut events = Vec::new();
    for n in 0..12 {
        let logon = [
            ("SubjectUserSid", "S-1-5-18"),
            ("SubjectUserName", "DC1$"),
            ("TargetUserSid", "S-1-5-18"),
            ("TargetUserName", "SYSTEM"),
            ("TargetDomainName", "NT AUTHORITY"),
            ("LogonType", "5"),
        ];
        let message = "Logon of NT AUTHORITY\\SYSTEM; logon type 5 (service) by Advapi with Negotiate, elevated: yes";
        events.push(numbered(4624, n * 300, "NT AUTHORITY\\SYSTEM", message, &logon));
        let message = "Special privileges given to the new logon of NT AUTHORITY\\SYSTEM: SeTcbPrivilege";
        events.push(of_system(4672, n * 300, message));
    }
    events.push(of_system(
        4702,
        1800,
        "Scheduled task updated: \\Microsoft\\Windows\\UpdateOrchestrator\\Schedule Scan",
    ));
    insta::assert_snapshot!("quiet_hour_windows", scene("Security", events));
}

#[test]
fn a_quiet_hour_of_linux() {
    let mut events = Vec::new();
    for n in 0..4 {
        events.push(event("CRON", n * 900, "pam_unix(cron:session): session opened for user root(uid=0) by (uid=0)"));
        events.push(event("CRON", n * 900 + 1, "pam_unix(cron:session): session closed for user root"));
    }
    let own = [
        ("sshd", "Accepted publickey for ops from 10.0.0.9 port 51234 ssh2: ED25519 SHA256:abc"),
        ("sshd", "pam_unix(sshd:session): session opened for user ops(uid=1000) by (uid=0)"),
        ("systemd-logind", "New session 77 of user ops."),
    ];
    events.extend(own.map(|(source, message)| event(source, 3590, message)));
    for (pid, event) in (1..).zip(&mut events) {
        let pid: i32 = if event.source == "sshd" { 999 } else { pid };
        event.data = vec![("pid".into(), pid.to_string())];
    }
    let log = log(events);
    let login = [at("04:09:49"), at("04:09:51")].map(Timestamp::as_millisecond);
    let allowed = Allowed { events: log.events.len(), spent: Spent::default() };
    let mails = mails_at(&[(login[0], login[1])], allowed, &db(), &reading(1.0, 10, 10), &log, 1 << 20);
    insta::assert_snapshot!("quiet_hour_linux", show(&mails[0]));
}

/// 500 names from one address; three of them exist.
fn attack() -> Vec<SecurityEvent> {
    let names = ["backup", "jsmith", "svc-sql"];
    let attempt = |n: i64| {
        let known = names.get(usize::try_from(n % 167).unwrap_or_default()).filter(|_| n < 500);
        let name = known.map_or_else(|| format!("user{n:03}"), |name| (*name).to_owned());
        let (status, words) =
            if known.is_some() { ("0xc000006a", "wrong password") } else { ("0xc0000064", "unknown user name") };
        let message = format!("Failed logon of CORP\\{name} from 203.0.113.9 (KALI): {words}; logon type 3 (network)");
        let data = [
            ("SubjectUserSid", "S-1-0-0"),
            ("TargetUserSid", "S-1-0-0"),
            ("TargetUserName", name.as_str()),
            ("TargetDomainName", "CORP"),
            ("Status", "0xc000006d"),
            ("SubStatus", status),
            ("LogonType", "3"),
            ("WorkstationName", "KALI"),
            ("IpAddress", "203.0.113.9"),
        ];
        let user = format!("CORP\\{name}");
        SecurityEvent { level: "audit failure".into(), ..numbered(4625, n, &user, &message, &data) }
    };
    (0..500).map(attempt).collect()
}

#[test]
fn a_brute_force_attack() {
    let mut events = attack();
    insta::assert_snapshot!("brute_force", scene("Security", events.clone()));
    // One of them has found a password.
    let data = [
        ("SubjectUserSid", "S-1-0-0"),
        ("TargetUserSid", "S-1-5-21-1-2-3-1105"),
        ("TargetUserName", "svc-sql"),
        ("LogonType", "3"),
        ("IpAddress", "203.0.113.9"),
    ];
    let message = "Logon of CORP\\svc-sql from 203.0.113.9; logon type 3 (network) by NtLmSsp with NTLM";
    events.push(numbered(4624, 501, "CORP\\svc-sql", message, &data));
    let log = SecurityLog { channel: "Security".into(), ..log(events) };
    let mails = mails(&db(), &reading(1.0, 10, 10), &log, 1 << 20);
    assert_eq!(
        mails[0].subject,
        "[fleetsweep] db: 1 login from an address that also failed, 500 failed logins, 501 security events"
    );
}

#[test]
fn a_domain_controller_on_which_somebody_becomes_an_administrator() {
    let mut events = Vec::new();
    for n in 0..5000 {
        let (name, address) = (format!("user{:03}", n % 300), format!("10.1.{}.{}", n % 4, n % 200));
        let user = format!("CORP\\{name}");
        let data = [
            ("SubjectUserSid", "S-1-0-0"),
            ("TargetUserSid", "S-1-5-21-1-2-3-2000"),
            ("TargetUserName", name.as_str()),
            ("LogonType", "3"),
            ("IpAddress", address.as_str()),
        ];
        let message = format!("Logon of {user} from {address}; logon type 3 (network) by Kerberos with Kerberos");
        events.push(numbered(4624, n, &user, &message, &data));
        let service = format!("FILE{}$", n % 7);
        let data = [
            ("TargetUserName", name.as_str()),
            ("ServiceName", service.as_str()),
            ("TicketEncryptionType", "0x12"),
            ("IpAddress", address.as_str()),
            ("Status", "0x0"),
        ];
        let message =
            format!("Kerberos ticket for the service {service} given to {user} from {address}, encrypted with AES256");
        events.push(numbered(4769, n, &user, &message, &data));
        if n % 20 == 0 {
            let data = [("SubjectUserSid", "S-1-5-21-1-2-3-500"), ("SubjectUserName", "Administrator")];
            let message = "Special privileges given to the new logon of CORP\\Administrator: SeDebugPrivilege";
            events.push(numbered(4672, n, "CORP\\Administrator", message, &data));
        }
    }
    let by =
        [("SubjectUserSid", "S-1-5-21-1-2-3-1104"), ("SubjectUserName", "helpdesk"), ("SubjectDomainName", "CORP")];
    let created = [("TargetUserName", "eve"), ("TargetSid", "S-1-5-21-1-2-3-4711")];
    let created: Vec<_> = created.into_iter().chain(by).collect();
    events.push(numbered(4720, 2400, "CORP\\eve", "User account CORP\\eve created by CORP\\helpdesk", &created));
    let added = [
        ("MemberName", "CN=eve,CN=Users,DC=corp,DC=example"),
        ("MemberSid", "S-1-5-21-1-2-3-4711"),
        ("TargetUserName", "Administratoren"),
        ("TargetDomainName", "Builtin"),
        ("TargetSid", "S-1-5-32-544"),
    ];
    let added: Vec<_> = added.into_iter().chain(by).collect();
    let message = "Member CN=eve,CN=Users,DC=corp,DC=example added to the local security group \
                   Builtin\\Administratoren by CORP\\helpdesk";
    events.push(numbered(4732, 2410, "CN=eve,CN=Users,DC=corp,DC=example", message, &added));
    insta::assert_snapshot!("domain_controller", scene("Security", events));
}

#[test]
fn a_subject_that_is_too_long_counts_the_last_classes_alone() {
    let mut events = attack();
    for (n, id) in [1102, 4719, 5025, 4720, 4724, 4704, 4717, 4781, 4794, 4697, 4698].into_iter().enumerate() {
        events.push(numbered(id, 600 + n as i64, "CORP\\eve", "words", &[]));
    }
    let client = config::Client { name: "a-client-with-a-rather-long-name.example.com".into(), ..db() };
    let log = SecurityLog { channel: "Security".into(), ..log(events) };
    let mails = mails(&client, &reading(1.0, 10, 10), &log, 1 << 20);
    insta::assert_snapshot!("long_subject", mails[0].subject);
}

#[test]
fn a_mail_about_a_hundred_thousand_events_takes_a_time_that_grows_with_them() {
    // Quadratic time would take hours.
    let events: Vec<SecurityEvent> = (0..100_000)
        .map(|n: i64| {
            let (name, address) = (format!("user{n}"), format!("10.{}.{}.7", n % 251, n % 13));
            let data =
                [("TargetUserName", name.as_str()), ("SubStatus", "0xc0000064"), ("IpAddress", address.as_str())];
            match n % 3 {
                0 => numbered(
                    4625,
                    n,
                    &name,
                    &format!("Failed logon of {name} from {address}: unknown user name"),
                    &data,
                ),
                1 => event("sshd", n, &format!("Failed password for invalid user {name} from {address} port {n} ssh2")),
                _ => event(
                    "daemon",
                    n,
                    &format!("{} for {name}", "x".repeat(usize::try_from(n % 97).unwrap_or_default())),
                ),
            }
        })
        .collect();
    let began = std::time::Instant::now();
    assert!(
        scene("Security", events).contains("33334× ") && began.elapsed() < Duration::from_secs(120),
        "{:?}",
        began.elapsed()
    );
}
