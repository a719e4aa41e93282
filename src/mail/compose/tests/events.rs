//! Mails about security logs as users receive them.

use super::*;
use crate::{
    config::AttachmentFormat,
    fleet::security::{
        EventAccess, SecurityEvent,
        allowance::{Allowed, Spent},
    },
    mail::compose::events,
};

/// 2026-03-01T03:10:00Z.
const AT_MS: i64 = 1_772_334_600_000;

pub(super) fn event(source: &str, second: i64, message: &str) -> SecurityEvent {
    SecurityEvent {
        record_id: format!("s={second}"),
        channel: None,
        event_id: None,
        level: "information".into(),
        occurred_unix_ms: AT_MS + second * 1000,
        source: source.into(),
        user: None,
        message: message.into(),
        data: vec![("pid".into(), "4711".into())],
    }
}

pub(super) fn log(events: Vec<SecurityEvent>) -> SecurityLog {
    SecurityLog {
        channel: "journal".into(),
        access: EventAccess::Read,
        bookmark: Some("journal 17 s=06".into()),
        truncated: false,
        events,
    }
}

pub(super) fn db() -> config::Client {
    config::Client { name: "db".into(), events: Some(true), ..client(Vec::new()) }
}

/// The mails about a log, with attachments of at most this size.
pub(super) fn mails(client: &config::Client, reading: &Reading, log: &SecurityLog, part_bytes: usize) -> Vec<Mail> {
    let allowed = Allowed { events: log.events.len(), spent: Spent::default() };
    mails_within(allowed, client, reading, log, part_bytes)
}

/// The mails about a log with a limited allowance.
fn mails_within(
    allowed: Allowed,
    client: &config::Client,
    reading: &Reading,
    log: &SecurityLog,
    part_bytes: usize,
) -> Vec<Mail> {
    mails_at(&[], allowed, client, reading, log, part_bytes)
}

/// The mails about a log after logins at these times.
pub(super) fn mails_at(
    logins_unix_ms: &[(i64, i64)],
    allowed: Allowed,
    client: &config::Client,
    reading: &Reading,
    log: &SecurityLog,
    part_bytes: usize,
) -> Vec<Mail> {
    let now = at("10:00:00");
    let (collector_name, program) = ("mon-1", "fleetsweep");
    let (reading, gathered) = (Some(reading), &[][..]);
    let occasion = EventsContext {
        client,
        reading,
        log,
        gathered,
        allowed,
        ignored: 0,
        attachments: AttachmentFormat::Text,
        // Room for three attachments.
        mail_size: Bytes(part_bytes as u64 * 9 / 2 + 3),
        logins_unix_ms,
        now,
        collector_name,
        program,
    };
    let mut number = 0;
    let mut new_id = || {
        number += 1;
        Uuid::from_u128(number)
    };
    Composer::new().unwrap().mails_of(&occasion, events::drafts_of_parts(&occasion, part_bytes), &mut new_id).unwrap()
}

/// The single mail and its attachment, as users see them.
fn shown_with(reading: &Reading, log: &SecurityLog) -> String {
    let mails = mails(&db(), reading, log, 1 << 20);
    let [mail] = mails.as_slice() else { panic!("one mail: {mails:?}") };
    assert!(mail.body.lines().count() <= 60, "{}", mail.body);
    let files: Vec<String> =
        mail.attachments.iter().map(|file| format!("\n--- {}\n{}", file.file_name, file.text)).collect();
    show(mail) + &files.concat()
}

fn shown(log: &SecurityLog) -> String {
    shown_with(&reading(1.0, 10, 10), log)
}

#[test]
fn nothing_new_is_said_too() {
    insta::assert_snapshot!("nothing_new", shown(&log(Vec::new())));
}

#[test]
fn a_log_that_may_not_be_read_is_no_silence() {
    let denied = SecurityLog { access: EventAccess::Denied, channel: "/var/log/auth.log".into(), ..log(Vec::new()) };
    let why = "/var/log/auth.log: this account may not read it: add it to the group adm or systemd-journal";
    let other = "file system /mnt: it hangs";
    let reading = Reading { warnings: vec![other.into(), why.into()], ..reading(1.0, 10, 10) };
    insta::assert_snapshot!("denied", shown_with(&reading, &denied));
    let unavailable = SecurityLog { access: EventAccess::Unavailable, channel: String::new(), ..denied };
    let why = "security events: neither a journal nor /var/log/auth.log or /var/log/secure can be read";
    let reading = Reading { warnings: vec![why.into()], ..reading };
    insta::assert_snapshot!("unavailable", shown_with(&reading, &unavailable));
}

#[test]
fn a_log_that_was_cleared_and_one_that_goes_on_say_so() {
    let accepted = || event("sshd", 1, "Accepted publickey for ops from 10.0.0.9 port 4 ssh2");
    let cleared = SecurityLog { access: EventAccess::Cleared, ..log(vec![accepted()]) };
    insta::assert_snapshot!("cleared", shown(&cleared));
    let cleared = SecurityLog { access: EventAccess::Cleared, ..log(Vec::new()) };
    let mails = mails(&db(), &reading(1.0, 10, 10), &cleared, 1 << 20);
    assert_eq!(mails[0].subject, "[fleetsweep] db: the security log was cleared");
    let truncated = SecurityLog { truncated: true, ..log(vec![accepted()]) };
    insta::assert_snapshot!("truncated", shown(&truncated));
}

#[test]
fn a_few_events_are_told_gravest_first() {
    let mut events = vec![
        event("CRON", 0, "pam_unix(cron:session): session opened for user www(uid=33) by (uid=0)"),
        event("CRON", 60, "pam_unix(cron:session): session closed for user www"),
        event("sudo", 70, "ops : TTY=pts/0 ; PWD=/home/ops ; USER=root ; COMMAND=/usr/bin/apt update"),
        event("useradd", 75, "new user: name=eve, UID=1001, GID=1001, home=/home/eve, shell=/bin/sh, from=/dev/pts/0"),
    ];
    events.extend((80..83).map(|n| event("sshd", n, &format!("Failed password for root from 10.0.0.7 port {n} ssh2"))));
    let windows = SecurityEvent {
        channel: None,
        event_id: Some(4625),
        user: Some("eve".into()),
        ..event("Security", 90, "An account failed to log on.")
    };
    events.push(windows);
    let reading = Reading { clock_ahead_ms: Some(-185_000), ..reading(1.0, 10, 10) };
    insta::assert_snapshot!("few_events", shown_with(&reading, &log(events)));
}

/// A night of failed logins from everywhere, with other events, and 40 kinds that occur once.
fn burst() -> Vec<SecurityEvent> {
    let mut events: Vec<_> = (0..4000)
        .map(|n| match n % 4 {
            0 => event("sshd", n, &format!("Failed password for root from 10.0.0.7 port {} ssh2", 1024 + n)),
            1 => event(
                "sshd",
                n,
                &format!("Failed password for invalid user u{n} from 10.9.{}.7 port {n} ssh2", n % 200),
            ),
            2 => {
                event("sshd", n, &format!("Connection closed by authenticating user root 10.0.0.7 port {n} [preauth]"))
            }
            _ => event("CRON", n, &format!("pam_unix(cron:session): session {n} closed for user www")),
        })
        .collect();
    let once = |n: u8| {
        format!(
            "unit-{} started",
            "abcdefghij".chars().cycle().skip(n.into()).take(3 + usize::from(n) / 10).collect::<String>()
        )
    };
    events.extend((0..40).map(|n| event("systemd", i64::from(n), &once(n))));
    events
}

#[test]
fn a_burst_of_thousands_is_few_lines_and_is_attached_whole() {
    let log = log(burst());
    let mails = mails(&db(), &reading(1.0, 10, 10), &log, 1 << 20);
    let [mail] = mails.as_slice() else { panic!("one mail") };
    assert!(mail.body.lines().count() <= 60, "{}", mail.body);
    insta::assert_snapshot!("burst", show(mail));
    let listed: usize = mail.attachments.iter().map(|file| file.text.lines().count() - 1).sum();
    assert_eq!(listed, log.events.len());
}

#[test]
fn a_list_that_is_too_long_for_one_mail_is_several() {
    let client =
        config::Client { mail: vec!["a@example.com".parse().unwrap(), "b@example.com".parse().unwrap()], ..db() };
    let log = log(burst());
    let mails = mails(&client, &reading(1.0, 10, 10), &log, 120_000);
    let told: Vec<_> = mails.iter().map(|mail| (mail.recipient.as_str(), mail.subject.as_str())).collect();
    let subject = "[fleetsweep] db: 2000 failed logins, 4040 security events";
    let (first, second) = (format!("{subject} (1 of 2)"), format!("{subject} (2 of 2)"));
    assert_eq!(
        told,
        [("a@example.com", &*first), ("b@example.com", &first), ("a@example.com", &second), ("b@example.com", &second)]
    );
    let names = |mail: &Mail| mail.attachments.iter().map(|file| file.file_name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&mails[0]), [1, 2, 3].map(|n| format!("db-security-events-{n}of5.txt")));
    assert_eq!(names(&mails[3]), [4, 5].map(|n| format!("db-security-events-{n}of5.txt")));
    let lines = |recipient: &str| {
        let files = mails.iter().filter(|mail| mail.recipient == recipient).flat_map(|mail| &mail.attachments);
        files.map(|file| file.text.lines().count() - 1).sum::<usize>()
    };
    assert_eq!((lines("a@example.com"), lines("b@example.com")), (4040, 4040));
    insta::assert_snapshot!("second_of_two", show(&mails[2]));
}

#[test]
fn what_a_client_says_moves_nothing_in_a_mail() {
    let name = "a\r\nBcc: eve@example.net\r\n\r\n../{{ now }}";
    let client = config::Client { name: name.into(), ..db() };
    let mails = mails(&client, &reading(1.0, 10, 10), &hostile_log(), 1 << 20);
    let mut mail = mails[0].clone();
    let file = mail.attachments.remove(0);
    assert_eq!(file.text.lines().count(), 2);
    assert_eq!(file.text.lines().nth(1).unwrap().split('\t').count(), 8);
    insta::assert_snapshot!("hostile_events", show(&mail) + &format!("\n--- {}", file.file_name));
}

#[test]
fn the_command_prints_the_events_of_this_client_from_the_first_to_the_last() {
    let of = |client: &config::Client, seconds: &[i64]| {
        let events = seconds.iter().map(|second| event("sshd", *second, "x")).collect();
        mails(client, &reading(1.0, 10, 10), &log(events), 1 << 20)[0].export_command.clone()
    };
    let span = "--since 2026-03-01T03:10:00.000Z --until 2026-03-01T03:10:09.001Z";
    for (name, expected) in [
        ("db", "db"),
        ("10.0.4.7", "10.0.4.7:22"),
        ("it's a box", r"'it'\''s a box'"),
        ("web-[1]*?", "'web-[[]1[]][*][?]'"),
        (r"a\b", r"'a\\b'"),
        ("$(id) `id`; rm -rf /", "'$(id) `id`; rm -rf /'"),
    ] {
        let client = config::Client { name: name.into(), ..db() };
        let command = format!("fleetsweep export events --client {expected} {span}");
        assert_eq!(of(&client, &[9, 0, 3]), Some(command), "{name}");
        let pattern: String = expected
            .strip_prefix('\'')
            .map_or(expected.into(), |quoted| quoted.strip_suffix('\'').unwrap().replace(r"'\''", "'"));
        let pattern: crate::fleet::select::Pattern = pattern.parse().unwrap();
        assert!(pattern.meets(&client.id, &client.name) && !pattern.meets(&ClientId::new("h", 1), "web-1xy"));
    }
    assert_eq!(of(&db(), &[]), None);
    // The clock of a client may have any value, but the command must work.
    let absurd = of(&db(), &[i64::MAX / 2000, i64::MIN / 2000]).unwrap();
    let times: Vec<&str> = absurd.split_whitespace().filter(|word| word.ends_with('Z')).collect();
    assert!(times.len() == 2 && times.iter().all(|time| time.parse::<Timestamp>().is_ok()), "{absurd}");
}

#[test]
fn what_the_daily_allowance_leaves_out_is_summed_up_all_the_same() {
    let log = log((0..6).map(|second| event("sshd", second, "Failed password for root from 10.0.0.7")).collect());
    let mails = |events: usize, left_out| {
        let spent = Spent { day: 1, stored: 100, bytes: 5000, left_out };
        mails_within(Allowed { events, spent }, &db(), &reading(5.0, 10, 20), &log, 1 << 20)
    };
    let [first] = &mails(2, 4)[..] else { panic!("one mail") };
    assert!(first.subject.contains("6 security events") && first.subject.ends_with("4 not kept"), "{}", first.subject);
    assert!(first.body.contains("used up: 4 of these events are neither stored nor attached"), "{}", first.body);
    assert!(first.body.contains("until 00:00 UTC") && first.body.contains("`max-events`"), "{}", first.body);
    // All six are in the summary, and the first two in the list.
    assert!(first.body.contains("6\u{d7}") && first.body.contains("What is kept is attached"), "{}", first.body);
    assert_eq!(first.attachments[0].text.matches("Failed password").count(), 2);
    let [later] = &mails(0, 10)[..] else { panic!("one mail") };
    assert!(later.body.contains("neither stored nor attached, 10 today"), "{}", later.body);
    assert!(!later.body.contains("until 00:00") && later.attachments.is_empty(), "{}", later.body);
    let [within] = &mails(6, 0)[..] else { panic!("one mail") };
    assert!(!within.body.contains("allowance") && !within.subject.contains("not kept"), "{}", within.body);
}
