//! Scripted streams for tests: always the same frames, with their own clock.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use crate::fleet::{
    Bytes, ClientId, Event, EventKind, Failure, FailureKind, Metric, Percent, Reading, Stage, SweepId,
    alert::Exceeded,
    event::{ClientCard, Trigger},
    history::StoredHistory,
    metric::Instance,
    reading::{FileSystem, Interface, Process, Usage},
    state::{Fleet, RecentCollection, Remembered},
    stream::{About, Frame, LogLevel, LogLine},
};

/// 2026-03-02T07:14:09Z.
pub(super) fn start() -> Timestamp {
    Timestamp::from_second(1_772_435_649).unwrap()
}

pub(super) fn id(n: usize) -> ClientId {
    ClientId::new(format!("10.4.{}.{}", n / 250, n % 250 + 1), 22)
}

pub(super) fn configured(count: usize) -> EventKind {
    let card =
        |n| ClientCard { id: id(n), name: format!("web-{n:05}"), username: "admin".to_owned(), limits: Vec::new() };
    EventKind::Configured { clients: (0..count).map(card).collect() }
}

/// The reading of an ordinary Linux server: 8 cores, 4 file systems, 2 interfaces, 5 and 5 processes.
pub(super) fn reading(n: usize) -> Reading {
    let gib = 1 << 30;
    let part = |k: usize| ((n * 31 + k * 17) % 1000) as f64 / 10.0;
    let process = |k: usize| Process {
        pid: 4000 + u32::try_from(k).unwrap(),
        name: format!("postgres-{k}"),
        cpu_percent: part(k),
        memory: Bytes(123_456_789 * k as u64),
    };
    let system = |mount: &str| FileSystem {
        mount: mount.to_owned(),
        kind: "ext4".to_owned(),
        total: Bytes(100 * gib),
        used: Bytes(61 * gib),
        available: Bytes(39 * gib),
        inodes: None,
        trend: None,
    };
    let interface =
        |name: &str| Interface { name: name.to_owned(), received: Bytes(12_345_678_901), sent: Bytes(9_876_543_210) };
    Reading {
        host_name: Some(format!("web-{n:05}")),
        os_family: Some("linux".to_owned()),
        os_version: Some("Debian GNU/Linux 12 (bookworm)".to_owned()),
        kernel: Some("6.1.0-18-amd64".to_owned()),
        architecture: Some("x86_64".to_owned()),
        cpu: Percent::new(part(1)).ok(),
        cores: (0..8).map(|core| Percent::new(part(core)).unwrap()).collect(),
        memory: Some(Usage { total: Bytes(16 * gib), used: Bytes(7 * gib + n as u64) }),
        swap: Some(Usage { total: Bytes(gib), used: Bytes(gib / 50) }),
        uptime_seconds: Some(1_054_800),
        load: Some([0.42, 0.40, 0.38]),
        file_systems: ["/", "/boot", "/var", "/srv"].map(system).to_vec(),
        interfaces: ["eth0", "eth1"].map(interface).to_vec(),
        top_cpu: (0..5).map(process).collect(),
        top_memory: (0..5).map(process).collect(),
        warnings: Vec::new(),
        agent_version: "0.1.0".to_owned(),
        clock_ahead_ms: Some(3),
        ..Reading::default()
    }
}

pub(super) fn collected(n: usize) -> EventKind {
    let exceeded = Exceeded { metric: Metric::Memory, instance: Instance::HOST, limit: 50.0, value: 91.5 };
    EventKind::Collected {
        collection: Uuid::from_u128(n as u128),
        duration_ms: 312,
        attempts: 1,
        reading: Box::new(reading(n)),
        alerts: vec![exceeded],
    }
}

/// A fleet in which every client has a reading and the maximum number of short collections.
pub(super) fn whole_fleet(count: usize) -> Fleet {
    let mut fleet = Fleet::default();
    let mut tell = |at, client: Option<ClientId>, kind| {
        fleet.apply(&Event { at, sweep: Some(SweepId(Uuid::from_u128(1))), client, kind });
    };
    tell(start(), None, configured(count));
    let clients = (0..count).map(id).collect();
    tell(start(), None, EventKind::SweepStarted { number: 1, trigger: Trigger::Schedule, clients });
    for n in 0..count {
        let at = start() + SignedDuration::from_micros(1_000_003 + n as i64 * 1013);
        for stage in Stage::ALL {
            tell(at, Some(id(n)), EventKind::StageEntered { stage, attempt: 1 });
        }
        tell(at, Some(id(n)), collected(n));
    }
    let sample = |k: i64| RecentCollection {
        at: start() - SignedDuration::from_millis((61 - k) * 300_017),
        duration_ms: 312,
        cpu_percent: Some(k as f64 * 1.1),
        memory_percent: Some(43.75),
    };
    let remembered = |n| Remembered {
        client: id(n),
        last: None,
        reading: None,
        sample: None,
        exceeded: Vec::new(),
        recent: (0..60).map(sample).collect(),
    };
    fleet.remember(StoredHistory { clients: (0..count).map(remembered).collect(), alerts: Vec::new() });
    fleet
}

/// A stream from steps: how many milliseconds after the previous step, and what happens then. It starts like that of a
/// subscriber.
pub(super) fn stream(steps: &[(u32, u8)]) -> Vec<(Timestamp, Frame)> {
    let mut at = start();
    let about = About { name: "demo".to_owned(), schedule: "every 5m".to_owned(), interval_ms: Some(300_000) };
    let mut frames = vec![(at, Frame::About(about)), (at, Frame::Fleet(Arc::new(Fleet::default())))];
    let mut sweep = 0_u128;
    let event = |at, sweep, client, kind| {
        (at, Frame::Event(Arc::new(Event { at, sweep: Some(SweepId(Uuid::from_u128(sweep))), client, kind })))
    };
    frames.push(event(at, 0, None, configured(3)));
    for (index, (gap_ms, what)) in steps.iter().enumerate() {
        at += SignedDuration::from_millis(i64::from(*gap_ms));
        let client = Some(id(index % 3));
        frames.push(match what % 8 {
            0 | 1 => {
                sweep += 1;
                let number = u64::try_from(sweep).unwrap();
                let clients = (0..3).map(id).collect();
                event(at, sweep, None, EventKind::SweepStarted { number, trigger: Trigger::Schedule, clients })
            }
            2 => event(at, sweep, client, EventKind::StageEntered { stage: Stage::Connect, attempt: 1 }),
            3 => event(at, sweep, client, collected(index)),
            4 => {
                let kind = EventKind::CollectionFailed {
                    collection: Uuid::from_u128(index as u128),
                    duration_ms: 2000,
                    attempts: 2,
                    failure: Failure::new(Stage::Connect, FailureKind::Refused),
                    alerts: Vec::new(),
                };
                event(at, sweep, client, kind)
            }
            5 => {
                let paused = index % 2 == 0;
                event(at, sweep, None, EventKind::SchedulePaused { paused, actor: "ops".to_owned() })
            }
            6 => (at, Frame::Log(LogLine { at, level: LogLevel::Info, client: None, text: format!("line {index}") })),
            _ => {
                let (name, schedule) = (format!("demo {index}"), "manual".to_owned());
                (at, Frame::About(About { name, schedule, interval_ms: None }))
            }
        });
    }
    frames
}
