//! Events from records with the published schema.

use proptest::prelude::*;

use super::*;

/// The field names of all ids with a template: one line per id, as published by Microsoft.
pub(super) const FIELDS: &str = include_str!("fields.txt");

/// Events with an element of this name in `UserData` in place of `EventData`.
const USER_DATA: [(u32, &str); 4] =
    [(1101, "AuditEventsDropped"), (1102, "LogFileCleared"), (1105, "AutoBackup"), (1108, "EventProcessingFailure")];

pub(super) const SUCCESS: &str = "0x8020000000000000";
pub(super) const FAILURE: &str = "0x8010000000000000";

pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A record as Windows renders it.
pub(super) fn xml(event_id: u32, keywords: &str, fields: &[(&str, &str)]) -> String {
    let provider = if event_id < 2000 { "Microsoft-Windows-Eventlog" } else { "Microsoft-Windows-Security-Auditing" };
    let data = match USER_DATA.iter().find(|(id, _)| *id == event_id) {
        Some((_, element)) => {
            let leaves: String =
                fields.iter().map(|(name, value)| format!("<{name}>{}</{name}>", escaped(value))).collect();
            let namespace = "http://manifests.microsoft.com/win/2004/08/windows/eventlog";
            format!("<UserData><{element} xmlns='{namespace}'>{leaves}</{element}></UserData>")
        }
        None if fields.is_empty() => String::new(),
        None => {
            let data: String =
                fields.iter().map(|(name, value)| format!("<Data Name='{name}'>{}</Data>", escaped(value))).collect();
            format!("<EventData>{data}</EventData>")
        }
    };
    format!(
        "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System>\
         <Provider Name='{provider}' Guid='{{54849625-5478-4994-a5ba-3e3b0328c30d}}'/><EventID>{event_id}</EventID>\
         <Version>2</Version><Level>0</Level><Task>12544</Task><Opcode>0</Opcode><Keywords>{keywords}</Keywords>\
         <TimeCreated SystemTime='2026-11-22T09:42:01.1234567Z'/><EventRecordID>4711</EventRecordID>\
         <Correlation ActivityID='{{00000000-0000-0000-0000-000000000000}}'/>\
         <Execution ProcessID='624' ThreadID='640'/><Channel>Security</Channel><Computer>DC1.contoso.local</Computer>\
         <Security/></System>{data}</Event>"
    )
}

#[track_caller]
pub(super) fn read(xml: &str) -> SecurityEvent {
    match step(xml) {
        Step::Record { record_id, event } => {
            assert_eq!(record_id.to_string(), event.record_id);
            event
        }
        other @ (Step::Spoilt(_) | Step::Stopped(_)) => panic!("{other:?}: {xml}"),
    }
}

#[test]
fn a_failed_logon_is_read_whole() {
    let fields = [
        ("SubjectUserSid", "S-1-0-0"),
        ("SubjectUserName", "-"),
        ("SubjectDomainName", "-"),
        ("TargetUserName", "bob & \"<co>\""),
        ("TargetDomainName", "CONTOSO"),
        ("Status", "0xc000006d"),
        ("FailureReason", "%%2313"),
        ("SubStatus", "0xc000006a"),
        ("LogonType", "3"),
        ("WorkstationName", "WS1"),
        ("IpAddress", "10.0.0.5"),
    ];
    let event = read(&xml(4625, FAILURE, &fields));
    assert_eq!((&*event.record_id, event.event_id), ("4711", Some(4625)));
    assert_eq!((&*event.level, event.occurred_unix_ms), ("audit failure", 1_795_340_521_123));
    assert_eq!(event.source, "Microsoft-Windows-Security-Auditing");
    assert_eq!(event.user.as_deref(), Some("CONTOSO\\bob & \"<co>\""));
    assert_eq!(
        event.message,
        "Failed logon of CONTOSO\\bob & \"<co>\" from 10.0.0.5 (WS1): wrong password; logon type 3 (network)"
    );
    // The raw fields are unchanged.
    let fields: Vec<_> = fields.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    assert_eq!(event.data, fields);
}

#[test]
fn numbers_of_other_logs_have_their_own_meaning() {
    let other = |provider: &str, event_id, fields: &[(&str, &str)]| {
        let xml = xml(event_id, "0x8080000000000000", fields).replace("Microsoft-Windows-Security-Auditing", provider);
        match step_of_other(&xml) {
            Step::Record { event, .. } => event.message,
            Step::Spoilt(_) | Step::Stopped(_) => panic!("{xml}"),
        }
    };
    let service = [("ServiceName", "updater"), ("ImagePath", "C:\\x.exe")];
    let expected = "Service installed: ServiceName=updater, ImagePath=C:\\x.exe";
    assert_eq!(other("Service Control Manager", 7045, &service), expected);
    // As one of the security log, this would be a failed logon.
    assert_eq!(other("Someone", 4625, &[("a", "b")]), "Event 4625 of Someone: a=b");
}

#[test]
fn a_cleared_log_says_who_cleared_it() {
    let fields = [("SubjectUserName", "Administrator"), ("SubjectDomainName", "CONTOSO")];
    let event = read(&xml(1102, "0x4020000000000000", &fields));
    assert_eq!(event.message, "The security log was cleared by CONTOSO\\Administrator");
    assert_eq!(event.user.as_deref(), Some("CONTOSO\\Administrator"));
    assert_eq!(event.level, "audit success");
    // Without the account, as after a crash.
    assert_eq!(read(&xml(1102, SUCCESS, &[])).message, "The security log was cleared");
}

proptest! {
    #[test]
    fn any_text_is_an_event_or_spoilt(text in any::<String>()) {
        step(&text);
    }

    #[test]
    fn any_pieces_of_records_are_an_event_or_spoilt(
        pieces in prop::collection::vec(prop::sample::select(vec![
            "<Event>", "</Event>", "<System>", "</System>", "<EventData>", "</EventData>", "<UserData>", "</UserData>",
            "<Data Name='a'>", "<Data>", "</Data>", "<Data/>", "&lt;", "&#1;", "&x;", "%%2313", "text", "<![CDATA[x]]>",
            "<EventRecordID>7</EventRecordID>", "<EventID>4625</EventID>", "<!-- -->", "<TimeCreated SystemTime='x'/>",
            "<TimeCreated SystemTime='2026-11-22T09:42:01Z'/>", "<?x?>", "<!DOCTYPE x>", "<x:y z='1'>", "</x:y>",
        ]), 0..40),
    ) {
        step(&pieces.concat());
    }

    #[test]
    fn any_value_is_carried_into_the_message_or_left_out(id in prop::sample::select(vec![4624_u32, 4688, 4663, 9999]), value in any::<String>()) {
        let value: String = value.chars().filter(|c| !c.is_control()).collect();
        let fields = ["TargetUserName", "CommandLine", "AccessList", "LogonType", "ObjectName"].map(|name| (name, &*value));
        let event = read(&xml(id, SUCCESS, &fields));
        prop_assert!(event.message.len() <= 5 << 10);
    }
}
