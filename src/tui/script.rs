//! A scripted fleet for tests: the same events, readings and answers every time, with a fixed clock.

use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

use super::{
    Answer, Look, Message, Model,
    theme::{Background, Colours},
};
use crate::fleet::{
    Bytes, ClientId, Event, EventKind, Failure, FailureKind, Metric, Percent, Reading, Stage, SweepId,
    alert::{Exceeded, HoldReason, Notice, NoticeReason, Step},
    event::{CardLimit, ClientCard, MailStep, Trigger},
    history::{EventRow, MailRow, MailStatus, Point, StoredHistory},
    listing::{Listed, Page, Part, Wish},
    mail::MailKind,
    metric::Instance,
    reading::{FileSystem, Process, Usage},
    state::{Finished, Fleet, RecentCollection, Remembered, SweepView},
    stream::{About, Frame, LogLevel, LogLine},
    trend::Trend,
};

pub(super) const DARK: Look = Look { colours: Colours::Many, background: Background::Dark, unicode: true };
pub(super) const LIGHT: Look = Look { background: Background::Light, ..DARK };
pub(super) const MONO: Look = Look { colours: Colours::Mono, ..DARK };
pub(super) const ASCII: Look = Look { unicode: false, colours: Colours::Sixteen, ..DARK };

pub(super) const SWEEP: SweepId = SweepId(Uuid::from_u128(0x0198_0000_0000_7000_8000_0000_0000_0080));

/// 2026-03-02T07:14:09Z.
pub(super) fn now() -> Timestamp {
    Timestamp::from_second(1_772_435_649).unwrap()
}

pub(super) fn before(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(now().as_millisecond() - milliseconds).unwrap()
}

pub(super) fn name(n: usize) -> String {
    let kinds = ["web", "db", "cache", "edge", "batch"];
    format!("{}-{n:03}", kinds[n % kinds.len()])
}

pub(super) fn id(n: usize) -> ClientId {
    ClientId::new(format!("10.4.{}.{}", n / 250, n % 250 + 1), 22)
}

/// A deterministic pseudorandom number from 0 to 99.
pub(super) fn noise(n: usize, salt: usize) -> usize {
    let mixed =
        (n as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (salt as u64 + 7).wrapping_mul(0xd1b5_4a32_d192_ed03);
    usize::try_from((mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40).unwrap() % 100
}

pub(super) fn reading(n: usize) -> Box<Reading> {
    let gib = 1 << 30;
    let system = |mount: &str, used: u64, trend| FileSystem {
        mount: mount.to_owned(),
        kind: "ext4".to_owned(),
        total: Bytes(100 * gib),
        used: Bytes(used * gib),
        available: Bytes((100 - used) * gib),
        inodes: None,
        trend,
    };
    let level = Trend { low: -1, middle: 0, high: 1, is_steady: false };
    let grows = i64::try_from(gib).unwrap() * (1 + n as i64 % 5);
    let trend = match n % 4 {
        0 => Some(Trend { low: grows * 4 / 5, middle: grows, high: grows * 4 / 3, is_steady: true }),
        1 => Some(Trend { low: -grows, middle: 0, high: grows, is_steady: false }),
        2 => Some(level),
        _ => None,
    };
    let process = |pid, name: &str, cpu_percent, memory| Process {
        pid,
        name: name.to_owned(),
        cpu_percent,
        memory: Bytes(memory),
    };
    Box::new(Reading {
        host_name: Some(name(n)),
        os_version: Some("Debian GNU/Linux 12".to_owned()),
        architecture: Some("x86_64".to_owned()),
        cpu: Percent::new(noise(n, 1) as f64).ok(),
        cores: (0..8).map(|core| Percent::new(noise(n, 20 + core) as f64).unwrap()).collect(),
        memory: Some(Usage { total: Bytes(16 * gib), used: Bytes(16 * gib / 100 * noise(n, 2) as u64) }),
        swap: Some(Usage { total: Bytes(gib), used: Bytes(gib / 50) }),
        uptime_seconds: Some(1_054_800 + n as u64),
        load: Some([0.42, 0.40, 0.38]),
        file_systems: vec![
            system("/", 61, Some(level).filter(|_| trend.is_some())),
            system("/var/lib/postgresql", noise(n, 3) as u64, trend),
        ],
        top_cpu: vec![process(4121, "postgres", 92.0, 2 * gib), process(17, "kswapd0", 3.5, 0)],
        top_memory: vec![process(4121, "postgres", 92.0, 2 * gib)],
        warnings: vec!["file system /mnt/backup: does not answer".to_owned()],
        os_family: Some("linux".to_owned()),
        kernel: Some("6.1.0".to_owned()),
        interfaces: Vec::new(),
        agent_version: "0.1.0".to_owned(),
        clock_ahead_ms: Some(3),
        ..Reading::default()
    })
}

fn samples(n: usize) -> Vec<RecentCollection> {
    let sample = |k: usize| RecentCollection {
        at: before(300_000 * (30 - k as i64)),
        duration_ms: 900 + 10 * noise(n, k) as u64,
        cpu_percent: Some((40.0 + 45.0 * ((k + n) as f64 / 3.0).sin()).clamp(0.0, 100.0)),
        memory_percent: Some(50.0 + k as f64),
    };
    (0..30).map(sample).collect()
}

fn event(ago_ms: i64, client: Option<usize>, kind: EventKind) -> Event {
    Event { at: before(ago_ms), sweep: Some(SWEEP), client: client.map(id), kind }
}

pub(super) fn cards(count: usize) -> Vec<ClientCard> {
    let limits = [(Metric::Cpu, 90.0), (Metric::Memory, 85.0)].map(|(metric, limit)| CardLimit { metric, limit });
    let card = |n| ClientCard { id: id(n), name: name(n), username: "admin".to_owned(), limits: limits.to_vec() };
    (0..count).map(card).collect()
}

pub(super) fn remembered(n: usize) -> Remembered {
    Remembered {
        client: id(n),
        last: Some(Finished {
            sweep: SweepId(Uuid::from_u128(1)),
            collection: Uuid::nil(),
            at: before(300_000),
            duration_ms: 1200,
            attempts: 1,
            failure: None,
            stages: Vec::new(),
        }),
        reading: Some((before(300_000), reading(n))),
        sample: None,
        exceeded: Vec::new(),
        recent: samples(n),
    }
}

fn failure(n: usize) -> Failure {
    match n % 4 {
        0 => Failure::new(Stage::Connect, FailureKind::TimedOut).because("no answer to the SSH banner in 10 s"),
        1 => Failure::new(Stage::Execute, FailureKind::AgentFailed)
            .because("exit status 137 (killed: out of memory?)")
            .because("stderr: Killed"),
        2 => Failure::new(Stage::Authenticate, FailureKind::AuthenticationRefused)
            .because("the server still accepts: publickey"),
        _ => Failure::new(Stage::Connect, FailureKind::HostKeyUnknown)
            .because("ssh-ed25519 SHA256:uNiVztksCsDhcc0u9e8BgrJ"),
    }
}

fn fails(n: usize) -> bool {
    [0, 1, 2, 3, 7, 14, 60, 272, 325, 378].contains(&n)
}

/// A sweep of this many clients, four fifths of them done: some failed, some over a limit, some in progress.
pub(super) fn events(count: usize) -> Vec<Event> {
    let mut events = vec![
        event(60_000, None, EventKind::Configured { clients: cards(count) }),
        event(
            60_000,
            None,
            EventKind::SweepStarted { number: 128, trigger: Trigger::Schedule, clients: (0..count).map(id).collect() },
        ),
    ];
    let share = |per_mille: usize| count * per_mille / 1000;
    let stages = [Stage::Connect, Stage::Authenticate, Stage::Upload, Stage::Execute, Stage::Decrypt, Stage::Store];
    for n in 0..count {
        let began = 58_000 - (50_000 * n / count) as i64;
        let reached = match n {
            n if fails(n) => stages.iter().position(|stage| *stage == failure(n).stage).unwrap() + 1,
            n if n < share(794) => 6,
            n if n < share(806) => 5,
            n if n < share(846) => 4,
            n if n < share(864) => 3,
            n if n < share(888) => 1,
            _ => 0,
        };
        for (index, stage) in stages.into_iter().take(reached).enumerate() {
            let at = began - [0, 1240, 1900, 2510, 5200, 5300][index];
            events.push(event(at, Some(n), EventKind::StageEntered { stage, attempt: 1 }));
        }
        let done = began - 5530;
        if fails(n) {
            let alerts = if n == 1 {
                vec![Exceeded { metric: Metric::Unreachable, instance: Instance::HOST, limit: 2.0, value: 3.0 }]
            } else {
                Vec::new()
            };
            events.push(event(
                done,
                Some(n),
                EventKind::CollectionFailed {
                    collection: Uuid::from_u128(n as u128),
                    duration_ms: 5530,
                    attempts: 1,
                    failure: failure(n),
                    alerts,
                },
            ));
        } else if n < share(794) {
            let cpu = noise(n, 1) as f64;
            let alerts = if cpu > 97.0 {
                vec![Exceeded { metric: Metric::Cpu, instance: Instance::HOST, limit: 90.0, value: cpu }]
            } else {
                Vec::new()
            };
            events.push(event(
                done,
                Some(n),
                EventKind::Collected {
                    collection: Uuid::from_u128(n as u128),
                    duration_ms: 5530,
                    attempts: 1,
                    reading: reading(n),
                    alerts,
                },
            ));
        }
    }
    let alert = |ago, n, metric, limit, value, raised, step, notice| {
        let raised_at = before(raised);
        event(
            ago,
            Some(n),
            EventKind::Alert { metric, instance: Instance::HOST, limit, value, raised_at, step, notice },
        )
    };
    let send = Notice::Send(NoticeReason::Raised);
    events.extend([
        alert(7000, 1, Metric::Unreachable, 2.0, 3.0, 600_000, Step::Raised, send),
        alert(14_000, 5, Metric::Memory, 85.0, 91.0, 74_000, Step::Raised, send),
        alert(169_000, 2, Metric::Cpu, 90.0, 97.0, 169_000, Step::Raised, send),
        alert(500_000, 3, Metric::Cpu, 90.0, 95.0, 548_000, Step::Raised, send),
        alert(308_000, 3, Metric::Cpu, 90.0, 41.0, 548_000, Step::Resolved, Notice::Hold(HoldReason::NoRecoveryMail)),
    ]);
    let mail = |ago, n, mail, step| {
        let kind = MailKind::Alert;
        event(
            ago,
            Some(n),
            EventKind::Mail { mail: Uuid::from_u128(mail), kind, recipient: "ops@example.com".into(), step },
        )
    };
    events.extend([
        mail(6000, 1, 1, MailStep::Queued),
        mail(5000, 1, 1, MailStep::Sent { answer: "250 2.0.0 Ok".into() }),
        mail(13_000, 5, 2, MailStep::Sent { answer: "250 2.0.0 Ok".into() }),
        mail(168_000, 2, 3, MailStep::Deferred { error: "smtp timed out".into(), next_at: before(-40_000) }),
    ]);
    events
}

/// A model after the script, with the second client selected.
pub(super) fn model(count: usize, size: (u16, u16), look: Look) -> Model {
    let about = About { name: "prod".to_owned(), schedule: "every 5m".to_owned(), interval_ms: Some(300_000) };
    let mut model = Model::new(about, look, size, now());
    let mut events = events(count).into_iter().map(Arc::new);
    model.update(Message::Frames(events.by_ref().take(1).map(Frame::Event).collect()));
    let memory = StoredHistory { clients: (0..count).map(remembered).collect(), alerts: Vec::new() };
    model.update(Message::Frames(vec![Frame::Remembered(Arc::new(memory))]));
    model.update(Message::Frames(events.map(Frame::Event).collect()));
    (model.view.selected, model.view.chosen) = (Some(id(1)), true);
    model.update(Message::Answer(Answer::History {
        client: id(1),
        span: model.view.span,
        until: None,
        points: samples(1)
            .iter()
            .map(|s| Point { at: s.at, cpu_percent: s.cpu_percent, memory_percent: s.memory_percent })
            .collect(),
    }));
    model.update(Message::Answer(Answer::SecurityEvents {
        client: id(1),
        events: vec![EventRow {
            at: before(90_000),
            level: "warning".to_owned(),
            source: "sshd".to_owned(),
            message: "Failed password for root from 10.9.8.7".to_owned(),
        }],
    }));
    let line = |ago, level, client: Option<usize>, text: &str| LogLine {
        at: before(ago),
        level,
        client: client.map(name),
        text: text.to_owned(),
    };
    let lines = vec![
        line(60_000, LogLevel::Info, None, "sweep started sweep=128 clients=500"),
        line(9000, LogLevel::Warn, Some(1), "collection failed: agent failed stage=execute client=10.4.0.2:22"),
        line(5000, LogLevel::Error, None, "mail refused for good: 550 no such user"),
        line(1000, LogLevel::Debug, Some(8), "collected client=10.4.0.9:22"),
    ];
    model.update(Message::Frames(lines.into_iter().map(Frame::Log).collect()));
    let mail = |n: u128, status, answer: Option<&str>| MailRow {
        id: Uuid::from_u128(n),
        kind: MailKind::Alert,
        recipient: "ops@example.com".to_owned(),
        subject: format!("[fleetsweep] {}: cpu 97.0 % exceeds 90.0 %", name(2)),
        body: format!("{} exceeds a limit.\n\n  cpu  97.0 %  limit 90.0 %  since 07:11:20Z\n", name(2)),
        attachments: Vec::new(),
        created_at: before(169_000),
        status,
        attempts: 2,
        answer: answer.map(ToOwned::to_owned),
    };
    let mails = vec![
        mail(3, MailStatus::Waiting { next_at: before(-40_000) }, Some("connection timed out")),
        mail(1, MailStatus::Sent { at: before(5000) }, Some("250 2.0.0 Ok: queued as 4XyZ")),
        mail(4, MailStatus::Refused, Some("550 5.1.1 no such user")),
    ];
    let wish = model.mails.want(0).unwrap();
    model.update(Message::Answer(Answer::Mails { wish, page: page(mails), waiting: 1, refused: 1 }));
    model.update(Message::Tick(now()));
    model.prepare();
    model.take_changed();
    model
}

/// Applies an event at the current time.
pub(super) fn tell(model: &mut Model, client: Option<usize>, kind: EventKind) {
    model.update(Message::Frames(vec![Frame::Event(Arc::new(event(0, client, kind)))]));
}

/// The request at the first step into the past.
pub(super) const NEWEST_SWEEPS: Wish = Wish { part: Part::Newest, most: 500 };

/// A page with all rows of a list, the newest first.
pub(super) fn page<T: Listed>(rows: Vec<T>) -> Page<T> {
    let ends = rows.first().zip(rows.last()).map(|(first, last)| (first.key(), last.key()));
    let total = rows.len() as u64;
    Page { rows, ends, unreadable: Vec::new(), newer: Some(0), has_more: false, total }
}

/// The answer to a request for sweeps, which are given oldest first.
pub(super) fn listed(wish: Wish, sweeps: &[SweepView]) -> Message {
    Message::Answer(Answer::Sweeps { wish, page: page(sweeps.iter().rev().cloned().collect()) })
}

/// The answer to a query for a past fleet.
pub(super) fn found(sweep: &SweepView, count: usize) -> Message {
    Message::Answer(Answer::Past { sweep: sweep.id, fleet: past(sweep, count), unreadable: 0 })
}

/// Past sweeps at intervals of five minutes, oldest first. The third one failed in part.
pub(super) fn sweeps(count: usize) -> Vec<SweepView> {
    (0..count)
        .map(|n| SweepView {
            id: SweepId(Uuid::from_u128(100 + n as u128)),
            number: n as u64 + 1,
            trigger: Trigger::Schedule,
            started_at: before(300_000 * (count - n) as i64),
            clients: (0..20).map(id).collect(),
            ok: if n == 2 { 18 } else { 20 },
            failed: if n == 2 { 2 } else { 0 },
            duration_ms: Some(6000),
        })
        .collect()
}

/// The fleet at the end of a past sweep.
pub(super) fn past(sweep: &SweepView, count: usize) -> Box<Fleet> {
    let clients = (0..count).map(|n| {
        let mut remembered = remembered(n);
        if let Some(last) = &mut remembered.last {
            last.sweep = sweep.id;
        }
        remembered
    });
    Box::new(Fleet::past(
        sweep.clone(),
        &cards(count),
        StoredHistory { clients: clients.collect(), alerts: Vec::new() },
    ))
}
