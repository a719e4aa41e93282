//! Complete mails as users receive them, from collections that the judge has judged.

use std::time::Duration;

use fleetsweep_agent::report::{self, Report};
use mail_parser::MessageParser;

use super::*;
use crate::{
    config,
    fleet::{
        Bytes, ClientId, Failure, FailureKind, Metric, Percent, Reading, Rule, Stage,
        judge::{ClientState, judge},
        metric::Observation,
        reading::{FileSystem, Process, Usage},
        rule::Repeat,
        security::SecurityLog,
        trend::Trend,
    },
};

mod events;
mod scenes;
mod troubles;

fn at(time: &str) -> Timestamp {
    format!("2026-03-01T{time}Z").parse().unwrap()
}

fn client(rules: Vec<Rule>) -> config::Client {
    config::Client {
        id: ClientId::new("10.0.4.7", 22),
        name: "web-1".into(),
        username: "ops".into(),
        login: config::Login::default(),
        mail: vec!["Operators <ops@example.com>".parse().unwrap()],
        rules,
        agent: config::AgentDelivery::default(),
        events: None,
        events_mail: Repeat::Every,
        logs: Vec::new(),
        ignore: None,
        redact: None,
        legacy: false,
        via: std::sync::Arc::default(),
        openssh: None,
    }
}

fn rule(metric: Metric, limit: f64) -> Rule {
    let repeat = Repeat::After(Duration::from_secs(4 * 3600));
    Rule { metric, instance: None, exclude: vec![], limit, clear: limit, for_sweeps: 1, repeat, recovery: true }
}

/// A reading with all values; `cpu` and `disk` in percent.
fn reading(cpu: f64, memory: u64, disk: u64) -> Reading {
    const GIB: u64 = 1 << 30;
    let process =
        |pid, name: &str, cpu_percent, memory| Process { pid, name: name.into(), cpu_percent, memory: Bytes(memory) };
    let system = |mount: &str, used| FileSystem {
        mount: mount.into(),
        kind: "ext4".into(),
        total: Bytes(100 * GIB),
        used: Bytes(used * GIB),
        available: Bytes((100 - used) * GIB),
        inodes: None,
        trend: None,
    };
    Reading {
        host_name: Some("web-1.internal".into()),
        os_version: Some("Debian GNU/Linux 12".into()),
        kernel: Some("6.1.0".into()),
        architecture: Some("x86_64".into()),
        cpu: Some(Percent::new(cpu).unwrap()),
        cores: vec![Percent::ZERO; 2],
        memory: Some(Usage { total: Bytes(100 * GIB), used: Bytes(memory * GIB) }),
        load: Some([3.0, 2.0, 1.0]),
        uptime_seconds: Some(1_047_605),
        file_systems: vec![system("/", 20), system("/var/lib/postgresql", disk), system("/home", 50)],
        top_cpu: vec![process(4711, "ffmpeg", 187.5, GIB), process(812, "postgres", 6.0, 2 * GIB)],
        top_memory: vec![process(812, "postgres", 6.0, 42 * GIB), process(77, "java", 0.5, 900 << 20)],
        ..Reading::from_report(&Report::default(), 0)
    }
}

/// A log with harmful texts.
fn hostile_log() -> SecurityLog {
    SecurityLog::from_report(&report::EventLog {
        source: "journal\r\nBcc: eve@example.net".into(),
        events: vec![report::SecurityEvent {
            record_id: "1".into(),
            channel: None,
            event_id: None,
            level: "info\trm\n".into(),
            occurred_unix_ms: i64::MAX,
            source: "sshd\n.\nQUIT".into(),
            user: Some("a\tb".into()),
            message: format!("{{{{ 7 * 7 }}}} {{% if %}}\r\n.\r\n\x1b[2J\u{202e}{}", "x".repeat(9000)),
            data: vec![("k\n".into(), "v\t".into())],
        }],
        ..Default::default()
    })
}

/// The mails of the last of these collections of a client.
fn mails(client: &config::Client, life: &[(Timestamp, Observation<'_>)]) -> Vec<Mail> {
    let histories = [
        (Metric::Memory, vec![(at("08:00:00"), 40.4), (at("09:00:00"), 55.0)]),
        (Metric::Cpu, vec![(at("09:59:00"), 12.0)]),
        (Metric::Disk, (0..24).map(|hour| (at(&format!("{:02}:30:00", hour / 3)), 60.0 + f64::from(hour))).collect()),
    ];
    let composer = Composer::new().unwrap();
    let mut state = ClientState::default();
    let mut mails = Vec::new();
    let mut number = 0;
    let mut new_id = || {
        number += 1;
        Uuid::from_u128(number)
    };
    for (now, observation) in life {
        let verdict = judge(&state, &client.rules, !client.mail.is_empty(), *observation, *now, &mut new_id);
        let occasion = MailContext {
            client,
            verdict: &verdict,
            observation: *observation,
            histories: &histories,
            now: *now,
            collector_name: "mon-1",
        };
        mails = composer.alert_mails(&occasion, &mut new_id).unwrap();
        state = verdict.state;
    }
    mails
}

/// The single mail, as users see it.
fn shown(client: &config::Client, life: &[(Timestamp, Observation<'_>)]) -> String {
    let mails = mails(client, life);
    let [mail] = mails.as_slice() else { panic!("one mail: {mails:?}") };
    show(mail)
}

fn show(mail: &Mail) -> String {
    format!("Kind: {}\nTo: {}\nSubject: {}\n\n{}", mail.kind, mail.recipient, mail.subject, mail.body)
}

#[test]
fn a_mail_of_one_alert_says_what_since_when_by_how_much_and_who_uses_most() {
    let client = client(vec![rule(Metric::Memory, 85.0)]);
    let full = reading(10.0, 91, 50);
    insta::assert_snapshot!("memory_raised", shown(&client, &[(at("10:00:00"), Observation::Reading(&full))]));
}

#[test]
fn a_reminder_says_that_it_is_one_and_what_else_is_open() {
    let client = client(vec![rule(Metric::Memory, 85.0), rule(Metric::Disk, 90.0)]);
    let (full, fuller) = (reading(10.0, 91, 50), reading(10.0, 93, 95));
    let life = [
        (at("10:00:00"), Observation::Reading(&full)),
        (at("13:00:00"), Observation::Reading(&fuller)),
        (at("14:10:05"), Observation::Reading(&fuller)),
    ];
    insta::assert_snapshot!("memory_reminder", shown(&client, &life));
}

#[test]
fn several_alerts_of_one_collection_are_one_mail() {
    let rules = vec![
        Rule { for_sweeps: 2, ..rule(Metric::Cpu, 90.0) },
        rule(Metric::Memory, 85.0),
        rule(Metric::Disk, 75.5),
        Rule { repeat: Repeat::Every, ..rule(Metric::Load, 1.0) },
    ];
    let busy = reading(97.0, 10, 50);
    let busier = reading(97.5, 91, 96);
    let life = [(at("09:59:00"), Observation::Reading(&busy)), (at("10:00:00"), Observation::Reading(&busier))];
    insta::assert_snapshot!("several_alerts", shown(&client(rules), &life));
}

#[test]
fn an_unreachable_client_is_told_of_with_every_cause_and_the_next_step() {
    let failure =
        Failure::new(Stage::Connect, FailureKind::TimedOut).because("no SSH banner within 5 s").because("10.0.4.7:22");
    let mut client = client(vec![rule(Metric::Unreachable, 2.0)]);
    client.name = "10.0.4.7".into();
    let life = ["09:58:00", "09:59:00", "10:00:00"].map(|time| (at(time), Observation::Failed(&failure)));
    insta::assert_snapshot!("unreachable", shown(&client, &life));
}

/// 81 GiB of 100 are used, and the trend says how that goes on.
fn filling(trend: Option<Trend>) -> Reading {
    let mut reading = reading(1.0, 5, 81);
    reading.file_systems[1].trend = trend;
    // The others do not grow.
    reading.file_systems[0].trend = Some(Trend { low: -1, middle: 0, high: 1, is_steady: false });
    reading.file_systems[2].trend = Some(Trend { low: -1, middle: 0, high: 1 << 30, is_steady: false });
    reading
}

#[test]
fn a_disk_that_will_be_full_is_told_with_its_growth_and_its_date() {
    let client = client(vec![rule(Metric::DiskFull, 14.0)]);
    let [low, middle, high] = [1638, 1946, 2458].map(|mebibytes: i64| mebibytes << 20);
    let steady = Some(Trend { low, middle, high, is_steady: true });
    let filling_now = filling(steady);
    insta::assert_snapshot!(
        "disk_full_raised",
        shown(&client, &[(at("10:00:00"), Observation::Reading(&filling_now))])
    );
    // After a clean-up no date can be told.
    let cleaned = filling(Some(Trend { low: -5, middle: 1, high: 1 << 30, is_steady: false }));
    let life = [(at("10:00:00"), Observation::Reading(&filling_now)), (at("11:00:00"), Observation::Reading(&cleaned))];
    insta::assert_snapshot!("disk_full_ended", shown(&client, &life));
    // One whose history is too short says nothing.
    let unknown = filling(None);
    let unknown = [(at("10:00:00"), Observation::Reading(&unknown))];
    assert!(mails(&client, &unknown).is_empty());
}

#[test]
fn the_end_of_alerts_is_told_with_their_length_and_peak() {
    let client = client(vec![rule(Metric::Memory, 85.0), rule(Metric::Unreachable, 0.0)]);
    let failure = Failure::new(Stage::Connect, FailureKind::Refused);
    let (full, fuller, fine) = (reading(1.0, 91, 5), reading(1.0, 93, 5), reading(1.0, 41, 5));
    let full_life = [
        (at("10:00:00"), Observation::Reading(&full)),
        (at("11:00:00"), Observation::Reading(&fuller)),
        (at("12:10:00"), Observation::Reading(&fine)),
    ];
    insta::assert_snapshot!("recovery", shown(&client, &full_life));
    let back = [(at("10:00:00"), Observation::Failed(&failure)), (at("10:00:30"), Observation::Reading(&fine))];
    insta::assert_snapshot!("reachable_again", shown(&client, &back));
}

#[test]
fn an_end_beside_a_beginning_is_told_in_the_mail_of_the_beginning() {
    let rules = vec![Rule { repeat: Repeat::Every, ..rule(Metric::Cpu, 90.0) }, rule(Metric::Memory, 85.0)];
    let (full, busy) = (reading(1.0, 91, 5), reading(99.0, 41, 5));
    let life = [(at("10:00:00"), Observation::Reading(&full)), (at("10:01:00"), Observation::Reading(&busy))];
    insta::assert_snapshot!("alert_and_recovery", shown(&client(rules.clone()), &life));
    let life = [(at("09:59:00"), Observation::Reading(&busy)), (at("10:00:00"), Observation::Reading(&busy))];
    insta::assert_snapshot!("every_collection", shown(&client(rules), &life));
}

#[test]
fn the_test_mail_says_what_it_shows() {
    let mail = Composer::new().unwrap().test_mail("ops@example.com", "mon-1", at("10:00:00"), Uuid::nil()).unwrap();
    insta::assert_snapshot!("test_mail", show(&mail));
}

#[test]
fn every_recipient_gets_the_same_mail_under_an_id_of_its_own() {
    let mut client = client(vec![rule(Metric::Memory, 85.0)]);
    client.mail.push("boss@example.com".parse().unwrap());
    let full = reading(1.0, 91, 5);
    let life = [(at("10:00:00"), Observation::Reading(&full))];
    let mails = mails(&client, &life);
    let [first, second] = mails.as_slice() else { panic!("two: {mails:?}") };
    assert_eq!((first.recipient.as_str(), second.recipient.as_str()), ("ops@example.com", "boss@example.com"));
    assert_eq!((&first.subject, &first.body), (&second.subject, &second.body));
    assert_ne!(first.id, second.id);
}

#[test]
fn a_verdict_that_mails_nothing_makes_no_mail_and_wants_no_history() {
    let mut client = client(vec![rule(Metric::Memory, 85.0)]);
    let full = reading(1.0, 91, 5);
    let moment = (at("10:00:00"), Observation::Reading(&full));
    assert!(mails(&client, &[moment, moment]).is_empty());
    client.mail.clear();
    assert!(mails(&client, &[moment]).is_empty());
}

#[test]
fn history_is_wanted_of_exceeded_metrics_that_are_mailed() {
    let rules = [rule(Metric::Cpu, 90.0), rule(Metric::Memory, 85.0), rule(Metric::Unreachable, 0.0)];
    let judged =
        |before: &ClientState, observation, time| judge(before, &rules, true, observation, at(time), &mut Uuid::new_v4);
    let (busy, fine) = (reading(95.0, 91, 5), reading(95.0, 5, 5));
    let failure = Failure::new(Stage::Connect, FailureKind::Refused);
    let first = judged(&ClientState::default(), Observation::Reading(&busy), "10:00:00");
    assert_eq!(history_wanted(&first), [Metric::Cpu, Metric::Memory]);
    let second = judged(&first.state, Observation::Reading(&fine), "14:00:00");
    assert_eq!(history_wanted(&second), [Metric::Cpu]);
    let third = judged(&second.state, Observation::Failed(&failure), "15:00:00");
    assert_eq!(history_wanted(&third), []);
}

#[test]
fn no_text_of_a_client_writes_a_line_of_its_own() {
    let evil = "x\r\nBcc: eve@example.net\r\n\r\nClick\x1b[2J\u{202e}{{ client }}{% raw %}";
    let mut client = client(vec![rule(Metric::Memory, 85.0), rule(Metric::Disk, 85.0), rule(Metric::Cpu, 1.0)]);
    client.name = evil.into();
    let mut reading = reading(91.0, 91, 91);
    reading.host_name = Some(evil.into());
    reading.os_version = Some(evil.into());
    reading.file_systems.iter_mut().for_each(|system| system.mount = evil.into());
    reading.top_cpu.iter_mut().chain(&mut reading.top_memory).for_each(|process| process.name = evil.into());
    let mails = mails(&client, &[(at("10:00:00"), Observation::Reading(&reading))]);
    let [mail] = mails.as_slice() else { panic!("one: {mails:?}") };
    assert!(!mail.subject.chars().any(char::is_control));
    assert!(mail.body.lines().all(|line| !line.starts_with("Bcc:") && !line.starts_with("Click")));
    assert!(!mail.body.chars().any(|c| (c.is_control() && c != '\n') || c == '\u{202e}'));
    assert!(mail.body.contains("{{ client }}"), "what a client says is no template");
    let header = format!("Subject: {}\r\n\r\n{}", mail.subject, mail.body);
    assert!(MessageParser::default().parse(header.as_bytes()).unwrap().bcc().is_none());
}
