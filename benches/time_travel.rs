//! Benchmark of time travel: a dashboard over a long history that is controlled by keys.
//!
//! `cargo bench --bench time_travel [-- SAMPLES [ENGINE]...]`. Defaults: 1,000,000 samples of 1,000 clients in SQLite.
//! There are as many alerts as samples. The benchmark creates the database in a temporary directory.
//!
//! * **one sweep**: the query of the fleet at the end of a sweep: the newest one, one in the middle, the oldest one.
//! * **held**: `←` is held for two seconds, 30 times per second, with a frame after each key. Prints how many sweeps this
//!   passes, how long after the last key its sweep is on the screen, and the longest time for a key.
//! * **lists**: the newest, the next and the oldest page of sweeps and of alerts. The first one also counts them.
//!
//! It only prints figures. There is no limit that makes it fail. The goal is half a second from the last key to its
//! sweep.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark ends where it cannot go on, and prints"
)]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use fleetsweep::{
    app::run::dashboard::{answers, questions::Questions},
    config::directories::Environment,
    fleet::{
        ClientId, Event, EventKind, SweepId,
        event::ClientCard,
        listing::{Listed, Page, Part},
        reading::Reading,
        stream::{About, Frame},
    },
    store::{Reader, Store},
    tui::{Command, Look, Message, Model, draw},
};
use fleetsweep_agent::report::Report;
use jiff::Timestamp;
use ratatui::{buffer::Buffer, layout::Rect};
use support::{Database, Engine};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const CLIENTS: u64 = 1000;
/// The time between two sweeps.
const STEP_MS: u64 = 60_000;
/// The time of the first sweep.
const BEGIN_MS: u64 = 1_600_000_000_000;
/// The number of complete readings per client, as in the program.
const READINGS: u64 = 32;
/// How long the key is held, and the interval of its repetition.
const HELD: Duration = Duration::from_secs(2);
const REPEAT: Duration = Duration::from_millis(33);
const SIZE: (u16, u16) = (120, 40);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let samples = arguments.first().map_or(1_000_000, |count| count.parse().expect("the number of samples"));
    let engines: Vec<&str> = arguments.iter().skip(1).map(String::as_str).collect();
    let wanted = |name: &str| if engines.is_empty() { name == "sqlite" } else { engines.contains(&name) };
    support::on_each_engine(wanted, async |database| measure(database, samples).await);
}

async fn measure(database: Database, samples: u64) {
    let url = database.url().into();
    Store::open(&url, &Environment::default()).await.unwrap().close().await;
    let began = Instant::now();
    for statement in fill(database.engine(), samples) {
        database.change(&statement).await;
    }
    let analyze =
        if database.engine() == Engine::Mariadb { "ANALYZE TABLE collections, sweeps, alerts" } else { "ANALYZE" };
    database.change(analyze).await;
    println!("{samples} samples of {CLIENTS} clients, made in {:.0?}", began.elapsed());
    let reader = Reader::open(&url).await.unwrap();
    let cards: Vec<ClientCard> = (0..CLIENTS).map(card).collect();
    one_sweep(&reader, &cards, samples / CLIENTS).await;
    held(&reader, &cards).await;
    lists("sweeps", async |part| reader.sweeps_page(part, 500).await.unwrap()).await;
    lists("alerts", async |part| reader.alerts_page(part, 500).await.unwrap()).await;
    reader.close().await;
}

fn card(number: u64) -> ClientCard {
    let id = ClientId::new(format!("10.0.{}.{}", number / 250, number % 250 + 1), 22);
    ClientCard { id, name: format!("client-{number}"), username: "ops".into(), limits: Vec::new() }
}

fn sweep(number: u64) -> SweepId {
    SweepId(Uuid::from_u128(0x5000_0000_0000 + u128::from(number)))
}

async fn one_sweep(reader: &Reader, cards: &[ClientCard], sweeps: u64) {
    for (name, number) in [("newest", sweeps), ("middle", sweeps / 2), ("oldest", 1)] {
        let mut took = [Duration::ZERO; 5];
        for duration in &mut took {
            let began = Instant::now();
            reader.past(sweep(number), cards, &CancellationToken::new()).await.unwrap();
            *duration = began.elapsed();
        }
        took.sort_unstable();
        let [_, _, median, _, most] = took;
        println!("one sweep, {name}  {median:>8.1?}  (the first {most:.1?} at most)");
    }
}

/// The dashboard without its terminal: it receives keys, draws frames and queries the database like the program.
struct Dashboard {
    model: Model,
    questions: Questions,
    answers: mpsc::UnboundedReceiver<Message>,
    buffer: Buffer,
}

impl Dashboard {
    fn new(reader: &Reader, cards: &[ClientCard]) -> Self {
        let (told, answers) = mpsc::unbounded_channel();
        let (reader, known): (_, Arc<[ClientCard]>) = (reader.clone(), cards.into());
        let ask = move |query, superseded| {
            let (reader, known) = (reader.clone(), known.clone());
            async move { answers::answer(&reader, query, known.to_vec(), Timestamp::now(), &superseded).await }
        };
        let questions = Questions::start(ask, move |answer| {
            let told = told.clone();
            async move { told.send(Message::Answer(answer)).unwrap() }
        });
        let about = About { name: "bench".into(), schedule: "every 1m".into(), ..About::default() };
        let look = Look::from_environment(|_| None);
        let mut model = Model::new(about, look, SIZE, Timestamp::now());
        let kind = EventKind::Configured { clients: cards.to_vec() };
        let event = Event { at: Timestamp::now(), sweep: None, client: None, kind };
        model.update(Message::Frames(vec![Frame::Event(Arc::new(event))]));
        let buffer = Buffer::empty(Rect { x: 0, y: 0, width: SIZE.0, height: SIZE.1 });
        Self { model, questions, answers, buffer }
    }

    fn take(&mut self, message: Message) {
        for command in self.model.update(message) {
            if let Command::Ask(query) = command {
                self.questions.put(query);
            }
        }
    }

    fn draw(&mut self) {
        self.model.prepare();
        self.buffer.reset();
        draw::draw(&self.model, &mut self.buffer);
    }

    fn press(&mut self, key: KeyCode) {
        self.take(Message::Key(KeyEvent::new(key, KeyModifiers::NONE)));
        self.draw();
    }

    /// Applies results until a time, or until the past is loaded.
    async fn wait(&mut self, until: Instant, is_over: impl Fn(&Model) -> bool) -> bool {
        while !is_over(&self.model) {
            match tokio::time::timeout_at(until.into(), self.answers.recv()).await {
                Ok(Some(answer)) => {
                    self.take(answer);
                    self.draw();
                }
                Ok(None) | Err(_) => return false,
            }
        }
        true
    }

    fn shown(&self) -> Option<u64> {
        self.model.shown().newest_sweep().map(|sweep| sweep.number)
    }
}

async fn held(reader: &Reader, cards: &[ClientCard]) {
    let patience = Duration::from_secs(60);
    let mut dashboard = Dashboard::new(reader, cards);
    dashboard.press(KeyCode::Left);
    assert!(dashboard.wait(Instant::now() + patience, |model| !model.waits_for_past()).await, "no past");
    let first = dashboard.shown().unwrap();
    for (name, key) in [("left", KeyCode::Left), ("page up", KeyCode::PageUp)] {
        let before = dashboard.shown().unwrap();
        let began = Instant::now();
        let mut slowest = Duration::ZERO;
        let mut next = began;
        while began.elapsed() < HELD {
            let pressed = Instant::now();
            dashboard.press(key);
            slowest = slowest.max(pressed.elapsed());
            next += REPEAT;
            dashboard.wait(next, |_| false).await;
        }
        let released = Instant::now();
        assert!(dashboard.wait(released + patience, |model| !model.waits_for_past()).await, "no past");
        let took = released.elapsed();
        let passed = before - dashboard.shown().unwrap();
        println!(
            "{name} held {HELD:.0?}: {passed} sweeps, the last one stands {took:.1?} after the key; slowest key {slowest:.1?}"
        );
    }
    println!("from sweep {first} to sweep {}", dashboard.shown().unwrap());
    dashboard.questions.end();
}

async fn lists<T: Listed>(name: &str, ask: impl AsyncFn(Part) -> Page<T>) {
    let mut next = None;
    for (which, part) in [("newest", Some(Part::Newest)), ("next", None), ("oldest", Some(Part::Oldest))] {
        let Some(part) = part.or(next) else { continue };
        let began = Instant::now();
        let page = ask(part).await;
        let took = began.elapsed();
        next = page.rows.last().map(|row| Part::Older(row.key()));
        println!("{name}, {which:<6} page  {took:>8.1?}  {} of {}", page.rows.len(), page.total);
    }
}

/// The statements with which the database creates this many samples, with one sweep per minute of all clients.
fn fill(engine: Engine, samples: u64) -> Vec<String> {
    let sweeps = samples / CLIENTS;
    let numbers = |count: u64| match engine {
        Engine::Sqlite => format!(
            "(WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count})
             SELECT n FROM numbers) AS numbers"
        ),
        Engine::Postgres => format!("(SELECT generate_series(1::bigint, {count}) AS n) AS numbers"),
        Engine::Mariadb => format!("(SELECT seq AS n FROM seq_1_to_{count}) AS numbers"),
    };
    let text = |number: &str| match engine {
        Engine::Sqlite => format!("printf('%012x', {number})"),
        Engine::Postgres => format!("lpad(to_hex({number}), 12, '0')"),
        Engine::Mariadb => format!("lpad(lower(hex({number})), 12, '0')"),
    };
    let whole = |number: &str, by: u64| match engine {
        Engine::Mariadb => format!("({number} DIV {by})"),
        Engine::Sqlite | Engine::Postgres => format!("({number} / {by})"),
    };
    let join = |parts: [&str; 2]| match engine {
        Engine::Mariadb => format!("CONCAT({}, {})", parts[0], parts[1]),
        Engine::Sqlite | Engine::Postgres => format!("{} || {}", parts[0], parts[1]),
    };
    let sweep_of = whole("(n - 1)", CLIENTS);
    let uuid =
        |number: &str| join(["'00000000-0000-0000-0000-'", &text(&format!("{} + {number}", 0x5000_0000_0000_u64))]);
    let reading = serde_json::to_string(&Reading::from_report(&Report::default(), 0)).unwrap();
    let ip = join(["'10.0.'", &join([&whole("(n - 1)", 250), &join(["'.'", "((n - 1) % 250 + 1)"])])]);
    let at = format!("{BEGIN_MS} + {sweep_of} * {STEP_MS}");
    let readings = CLIENTS * READINGS.min(sweeps);
    vec![
        format!(
            "INSERT INTO clients (id, ip, port, name, failed_in_a_row, latest_collection)
             SELECT n, {ip}, 22, 'client', 0, {samples} - {CLIENTS} + n FROM {}",
            numbers(CLIENTS)
        ),
        format!(
            "INSERT INTO sweeps (sweep_uuid, sweep_number, set_off_by, started_at_ms, ended_at_ms, duration_ms,
             client_count, ok_count, failed_count, last_collection)
             SELECT {}, n, 'schedule', {BEGIN_MS} + (n - 1) * {STEP_MS}, {BEGIN_MS} + (n - 1) * {STEP_MS} + 9000, 9000,
             {CLIENTS}, {CLIENTS}, 0, n * {CLIENTS} FROM {}",
            uuid("n"),
            numbers(sweeps)
        ),
        format!(
            "INSERT INTO collections (id, collection_uuid, sweep_uuid, client_id, started_at_ms, duration_ms, attempts,
             status, collected_at_ms, host_name, cpu_percent, core_count, memory_total_bytes, memory_used_bytes,
             memory_percent, uptime_seconds, load_1, load_5, load_15, disk_percent, stages)
             SELECT n, {}, {}, (n - 1) % {CLIENTS} + 1, {at}, 300, 1, 'ok', {at} + 300, 'client', n % 97, 4,
             16000000000, 8000000000, n % 89, n, 0.5, 0.4, 0.3, n % 83, '[[\"connect\",{BEGIN_MS}]]' FROM {}",
            uuid("n"),
            uuid(&format!("{sweep_of} + 1")),
            numbers(samples)
        ),
        format!(
            "INSERT INTO cores (collection_id, core, cpu_percent) SELECT {}, n % 2, n % 91 FROM {}",
            whole("(n + 1)", 2),
            numbers(2 * samples)
        ),
        format!(
            "INSERT INTO readings (client_id, slot, collection_id, collected_at_ms, reading)
             SELECT (n - 1) % {CLIENTS} + 1, {sweep_of}, {samples} - {readings} + n, {BEGIN_MS}, '{reading}' FROM {}",
            numbers(readings)
        ),
        format!(
            "INSERT INTO alerts (id, client_id, metric, instance, limit_value, last_value, peak_value, raised_at_ms,
             resolved_at_ms, notice) SELECT {}, (n - 1) % {CLIENTS} + 1, 'cpu', '', 90, 95, 96, {at}, {at} + 60000,
             '{{\"mail\":\"hold\",\"reason\":\"no_recipient\"}}' FROM {}",
            uuid("n"),
            numbers(samples)
        ),
    ]
}
