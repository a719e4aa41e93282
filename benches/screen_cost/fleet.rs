//! The fleet that is drawn: deterministic events for a number of clients.

use std::sync::Arc;

use fleetsweep::{
    fleet::{
        Bytes, ClientId, Event, EventKind, Failure, FailureKind, Metric, Percent, Reading, Stage, SweepId,
        alert::Exceeded,
        event::{ClientCard, Trigger},
        history::StoredHistory,
        metric::Instance,
        rates::Rates,
        reading::{FileSystem, Process, Usage},
        state::{RecentCollection, Remembered},
        states::States,
        stream::{About, Frame},
    },
    tui::{
        Look, Message, Model,
        theme::{Background, Colours},
    },
};
use jiff::Timestamp;
use uuid::Uuid;

/// The time of all events.
const NOW_MS: i64 = 1_772_435_649_000;

/// The stages of a collection after the queue.
const STAGES: [Stage; 6] =
    [Stage::Connect, Stage::Authenticate, Stage::Upload, Stage::Execute, Stage::Decrypt, Stage::Store];

/// In a sweep that has not ended, this many of a hundred clients have a result.
const DONE_OF_100: usize = 80;

/// One in this many clients fails.
const FAILS_EVERY: usize = 40;

pub(crate) fn at(after_ms: i64) -> Timestamp {
    Timestamp::from_millisecond(NOW_MS + after_ms).unwrap()
}

pub(crate) fn id(n: usize) -> ClientId {
    ClientId::new(format!("10.{}.{}.{}", n / 62_500, n / 250 % 250, n % 250 + 1), 22)
}

fn name(n: usize) -> String {
    format!("{}-{n:05}", ["web", "db", "cache", "edge", "batch"][n % 5])
}

/// Numbers from 0 to 99 without an obvious pattern.
fn noise(n: usize, salt: usize) -> usize {
    n.wrapping_mul(7919).wrapping_add(salt.wrapping_mul(104_729)) % 9973 % 100
}

fn reading(n: usize) -> Box<Reading> {
    let gib = 1 << 30;
    let percent = |value: usize| Percent::new(value as f64).unwrap();
    let system = |mount: &str, used: usize| FileSystem {
        mount: mount.to_owned(),
        kind: "ext4".to_owned(),
        total: Bytes(100 * gib),
        used: Bytes(used as u64 * gib),
        available: Bytes((100 - used as u64) * gib),
        inodes: None,
        trend: None,
    };
    let process = |pid, name: &str| Process { pid, name: name.to_owned(), cpu_percent: 3.5, memory: Bytes(2 * gib) };
    let processes = || (1..=5).map(|pid| process(pid, "postgres")).collect();
    Box::new(Reading {
        host_name: Some(name(n)),
        os_family: Some("linux".to_owned()),
        os_version: Some("Debian GNU/Linux 12".to_owned()),
        kernel: Some("6.1.0".to_owned()),
        architecture: Some("x86_64".to_owned()),
        cpu: Some(percent(noise(n, 1))),
        cores: (0..8).map(|core| percent(noise(n, 20 + core))).collect(),
        memory: Some(Usage { total: Bytes(100 * gib), used: Bytes(noise(n, 2) as u64 * gib) }),
        swap: Some(Usage { total: Bytes(gib), used: Bytes(gib / 50) }),
        uptime_seconds: Some(1_054_800),
        load: Some([0.42, 0.40, 0.38]),
        file_systems: vec![system("/", 61), system("/var", noise(n, 3))],
        rates: Rates::default(),
        states: States::default(),
        silent_mounts: Vec::new(),
        omitted_file_systems: 0,
        interfaces: Vec::new(),
        top_cpu: processes(),
        top_memory: processes(),
        warnings: Vec::new(),
        agent_version: "0.1.0".to_owned(),
        clock_ahead_ms: Some(3),
    })
}

/// The events of a sweep in order. If it has not ended, the last ones are missing.
pub(crate) fn sweep(number: u64, clients: usize, to_its_end: bool) -> Vec<Event> {
    let start_ms = i64::try_from(number).unwrap() * 300_000;
    let id_of_sweep = Some(SweepId(Uuid::from_u128(u128::from(number))));
    let tell = |after_ms, client: Option<usize>, kind| Event {
        at: at(start_ms + after_ms),
        sweep: id_of_sweep,
        client: client.map(id),
        kind,
    };
    let all = (0..clients).map(id).collect();
    let mut events = vec![tell(0, None, EventKind::SweepStarted { number, trigger: Trigger::Schedule, clients: all })];
    let mut failed = 0;
    for n in 0..clients {
        let began = (50_000 * n / clients) as i64;
        let share = n * 100 / clients;
        let fails = n % FAILS_EVERY == 0;
        let reached = match share {
            _ if to_its_end || share < DONE_OF_100 => STAGES.len(),
            share => (99 - share) / 4,
        };
        let reached = if fails { reached.min(2) } else { reached };
        for (index, stage) in (0..).zip(STAGES.into_iter().take(reached)) {
            events.push(tell(began + 300 * index, Some(n), EventKind::StageEntered { stage, attempt: 1 }));
        }
        if !to_its_end && share >= DONE_OF_100 {
            continue;
        }
        let (collection, duration_ms, attempts) = (Uuid::from_u128(n as u128), 900 + 10 * noise(n, 9) as u64, 1);
        let kind = if fails {
            failed += 1;
            let failure = Failure::new(Stage::Authenticate, FailureKind::AuthenticationRefused)
                .because("the server still accepts: publickey");
            EventKind::CollectionFailed { collection, duration_ms, attempts, failure, alerts: Vec::new() }
        } else {
            let cpu = noise(n, 1) as f64;
            let exceeded = Exceeded { metric: Metric::Cpu, instance: Instance::HOST, limit: 90.0, value: cpu };
            let alerts = if cpu > 97.0 { vec![exceeded] } else { Vec::new() };
            EventKind::Collected { collection, duration_ms, attempts, reading: reading(n), alerts }
        };
        events.push(tell(began + 5500, Some(n), kind));
    }
    if to_its_end {
        let (ok, failed) = (u32::try_from(clients).unwrap() - failed, failed);
        events.push(tell(58_000, None, EventKind::SweepEnded { number, duration_ms: 58_000, ok, failed }));
    }
    events
}

/// Frames as the dashboard receives them.
pub(crate) fn frames(events: Vec<Event>) -> Vec<Frame> {
    events.into_iter().map(|event| Frame::Event(Arc::new(event))).collect()
}

/// A dashboard with this many clients and a full history, in the middle of its second sweep.
pub(crate) fn model(clients: usize, size: (u16, u16)) -> Model {
    let look = Look { colours: Colours::Many, background: Background::Dark, unicode: true };
    let about = About { name: "bench".to_owned(), schedule: "every 5m".to_owned(), interval_ms: Some(300_000) };
    let mut model = Model::new(about, look, size, at(300_000));
    let card = |n| ClientCard { id: id(n), name: name(n), username: "ops".to_owned(), limits: Vec::new() };
    let configured = EventKind::Configured { clients: (0..clients).map(card).collect() };
    let configured = Event { at: at(0), sweep: None, client: None, kind: configured };
    model.update(Message::Frames(frames(vec![configured])));
    let sample = |n: usize, k: i64| RecentCollection {
        at: at(-300_000 * (60 - k)),
        duration_ms: 900 + 10 * noise(n, 7) as u64,
        cpu_percent: Some(noise(n, 11) as f64),
        memory_percent: Some(50.0),
    };
    let remembered = |n| Remembered {
        client: id(n),
        last: None,
        sample: None,
        reading: Some((at(-300_000), reading(n))),
        exceeded: Vec::new(),
        recent: (0..60).map(|k| sample(n, k)).collect(),
    };
    let memory = StoredHistory { clients: (0..clients).map(remembered).collect(), alerts: Vec::new() };
    model.update(Message::Frames(vec![Frame::Remembered(Arc::new(memory))]));
    model.update(Message::Frames(frames(sweep(0, clients, true))));
    model.update(Message::Frames(frames(sweep(1, clients, false))));
    model.update(Message::Tick(at(350_000)));
    model.prepare();
    model
}

/// A client that changes and is on the screen in the order of the configuration. It is being collected, in its first or
/// second attempt.
pub(crate) fn one_change(turn: u32) -> Message {
    let kind = EventKind::StageEntered { stage: Stage::Upload, attempt: turn % 2 + 1 };
    let event = Event { at: at(350_000), sweep: Some(SweepId(Uuid::from_u128(1))), client: Some(id(3)), kind };
    Message::Frames(frames(vec![event]))
}
