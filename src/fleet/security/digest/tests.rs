//! The concerns of events, their groups, and that no event is lost or counted twice.

use proptest::{collection::vec, prelude::*};

use super::*;

fn event(source: &str, level: &str, at_ms: i64, message: &str) -> SecurityEvent {
    SecurityEvent {
        record_id: String::new(),
        event_id: None,
        level: level.to_owned(),
        occurred_unix_ms: at_ms,
        source: source.to_owned(),
        user: None,
        message: message.to_owned(),
        data: Vec::new(),
    }
}

#[test]
fn an_event_is_about_the_gravest_that_it_says() {
    use Concern::{Account, Cleared, FailedLogin, Failure, Other, Privilege};
    for (source, level, message, expected) in [
        ("sshd", "information", "Failed password for root from 10.0.0.7 port 4 ssh2", FailedLogin),
        ("sshd", "information", "Failed password for invalid user x from 10.0.0.7", FailedLogin),
        ("login", "notice", "FAILED LOGIN (1) on '/dev/tty1' FOR 'root'", FailedLogin),
        ("sshd", "information", "Invalid user x from 10.0.0.7 port 4", Failure),
        ("sshd", "notice", "pam_unix(sshd:auth): authentication failure; rhost=10.0.0.7", Failure),
        ("sudo", "alert", "ops : 3 incorrect password attempts ; COMMAND=/bin/sh", Failure),
        ("kernel", "error", "something", Failure),
        ("Eventlog", "information", "The audit log was cleared.", Cleared),
        ("sudo", "notice", "ops : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/sh", Privilege),
        ("sshd", "information", "pam_unix(sshd:session): session opened for user root(uid=0) by ops(uid=7)", Privilege),
        ("useradd", "information", "new user: name=eve, UID=1001", Account),
        ("usermod", "information", "add 'eve' to group 'sudo'", Account),
        ("sshd", "information", "Accepted publickey for ops from 10.0.0.7 port 4 ssh2", Other),
        ("CRON", "information", "pam_unix(cron:session): session closed for user www", Other),
    ] {
        assert_eq!(Concern::of(&event(source, level, 0, message)), expected, "{message}");
    }
    for (event_id, expected) in [
        (4625, FailedLogin),
        (1102, Cleared),
        (4672, Privilege),
        (4697, Privilege),
        (4732, Privilege),
        (4733, Account),
        (4720, Account),
        (4624, Other),
        (1, Other),
    ] {
        let event = SecurityEvent { event_id: Some(event_id), ..event("Security", "audit success", 0, "words") };
        assert_eq!(Concern::of(&event), expected, "{event_id}");
    }
}

#[test]
fn of_rights_and_accounts_the_unusual_comes_first() {
    let numbered = |event_id, at_ms, message: &str| SecurityEvent {
        event_id: Some(event_id),
        ..event("Microsoft-Windows-Security-Auditing", "audit success", at_ms, message)
    };
    let mut events: Vec<_> = (0..50).map(|n| numbered(4672, n, "Special privileges for SYSTEM")).collect();
    events.push(numbered(4732, 99, "eve was added to Administrators"));
    let seen: Vec<_> = groups(&events).iter().map(|group| (group.events.len(), group.event_id)).collect();
    assert_eq!(seen, [(1, Some(4732)), (50, Some(4672))]);
}

#[test]
fn a_burst_is_one_group_and_the_unusual_comes_first() {
    let mut events = Vec::new();
    for n in 0..212 {
        events.push(event(
            "sshd",
            "information",
            1000 + n,
            &format!("Failed password for root from 10.0.0.7 port {n}"),
        ));
        events.push(event("CRON", "information", 1000 + n, &format!("session {n} closed")));
    }
    events.push(event("sshd", "information", 7, "Failed password for root from 10.0.0.8"));
    events.push(event("useradd", "information", 8, "new user: name=eve"));
    events.push(event("systemd-logind", "information", 9, "New seat seat0."));
    let groups = groups(&events);
    let seen: Vec<_> = groups.iter().map(|group| (group.events.len(), group.message.as_str())).collect();
    assert_eq!(
        seen,
        [
            (212, "Failed password for root from 10.0.0.7 port …"),
            (1, "Failed password for root from 10.0.0.8"),
            (1, "new user: name=eve"),
            (1, "New seat seat0."),
            (212, "session … closed"),
        ]
    );
    assert_eq!((groups[0].first_unix_ms, groups[0].last_unix_ms), (1000, 1211));
    assert_eq!(counts(&groups), [(Concern::FailedLogin, 213), (Concern::Account, 1), (Concern::Other, 213)]);
}

/// Events of few sources and shapes, so that they meet, with times as no clock has them.
fn events() -> impl Strategy<Value = Vec<SecurityEvent>> {
    let message = prop_oneof![
        "Failed password for [ab]{1,2} from 10\\.0\\.0\\.[0-9] port [0-9]{1,2}",
        "(new user: [ab]|session [0-9] closed|COMMAND=[ab])",
        "\\PC{0,20}",
    ];
    let event = ("sshd|sudo|", prop_oneof![Just(None), (4624..4626_u32).prop_map(Some)], any::<i64>(), message)
        .prop_map(|(source, event_id, at_ms, message)| SecurityEvent {
            event_id,
            ..event(&source, "information", at_ms, &message)
        });
    vec(event, 0..60)
}

proptest! {
    #[test]
    fn every_event_is_in_exactly_one_group_and_counts_add_up(events in events()) {
        let groups = groups(&events);
        let mut seen: Vec<usize> = groups.iter().flat_map(|group| group.events.iter().copied()).collect();
        seen.sort_unstable();
        prop_assert_eq!(seen, (0..events.len()).collect::<Vec<_>>());
        prop_assert_eq!(counts(&groups).iter().map(|(_, count)| count).sum::<usize>(), events.len());
        prop_assert!(groups.is_sorted_by_key(|group| group.concern));
        for group in &groups {
            let times: Vec<i64> = group.events.iter().map(|index| events[*index].occurred_unix_ms).collect();
            prop_assert_eq!(Some(&group.first_unix_ms), times.iter().min());
            prop_assert_eq!(Some(&group.last_unix_ms), times.iter().max());
            for index in &group.events {
                prop_assert_eq!(Concern::of(&events[*index]), group.concern);
                prop_assert_eq!(events[*index].source.as_str(), group.source);
            }
        }
    }
}
