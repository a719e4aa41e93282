//! Benchmark of the databases: storing collections, and charts over a long history, with SQLite, PostgreSQL and MariaDB
//! in one run on one machine.
//!
//! `cargo bench --bench database [-- SAMPLES [ENGINE]...]`. Defaults: 10,000,000 samples of 500 clients, and all
//! installed engines. The servers are started by the benchmark with their default durability.
//!
//! * **stored**: collections per second as the program stores them, 128 at the same time, with all waiting ones in one
//!   transaction. For comparison **one at a time**, with one transaction each. The ratio is the gain from batching.
//! * **floor**: the same number of rows without the program, 250 per statement, in one transaction.
//! * **chart**: the dashboard's query of a client's CPU and memory over a time span, the median over clients. For
//!   comparison the **floor**, the cheapest query, and the query plan.
//! * **start**: the dashboard's queries at its start, for all clients.
//!
//! It only prints figures. There is no limit that makes it fail.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark ends where it cannot go on, and prints"
)]

mod records;

use std::time::{Duration, Instant};

use fleetsweep::{
    config::directories::Environment,
    fleet::{Reading, history::Span},
    store::{HISTORY, Reader, Record, Store},
};
use fleetsweep_agent::report::Report;
use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;
use records::{client, record};
use support::{Database, Engine};

const CLIENTS: u64 = 500;
/// Any UUID.
const UUID: &str = "00000000-0000-0000-0000-000000000001";
/// The time between two samples of a client.
const STEP_MS: u64 = 60_000;
/// The time of the first sample.
const BEGIN_MS: u64 = 1_600_000_000_000;
/// The number of concurrent collections, as with the default of `concurrency`.
const AT_ONCE: usize = 128;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let samples = arguments.first().map_or(10_000_000, |count| count.parse().expect("the number of samples"));
    let wanted = |name: &str| arguments.len() < 2 || arguments.iter().skip(1).any(|engine| engine == name);
    support::on_each_engine(wanted, async |database| measure(database, samples).await);
}

async fn measure(database: Database, samples: u64) {
    let engine = database.engine();
    let url = database.url().into();
    Store::open(&url, &Environment::default()).await.unwrap().close().await;
    let store = Store::open(&url, &Environment::default()).await.unwrap();
    storing(&database, &store).await;
    store.close().await;

    let began = Instant::now();
    database.change("DELETE FROM collections").await;
    database.change(&fill(engine, samples)).await;
    database.change(if engine == Engine::Mariadb { "ANALYZE TABLE collections" } else { "ANALYZE" }).await;
    println!("{samples} samples of {CLIENTS} clients, made in {:.0?}", began.elapsed());
    let reader = Reader::open(&url).await.unwrap();
    charts(&database, &reader, samples).await;
    reader.close().await;
}

/// Rows per second: as the program stores them, one at a time, and the floor.
async fn storing(database: &Database, store: &Store) {
    let batched = 20 * AT_ONCE as u64;
    let together = rate(batched, async {
        stream::iter(0..batched)
            .map(|number| store.record(bare_record(number)))
            .buffer_unordered(AT_ONCE)
            .for_each(async |stored| stored.unwrap())
            .await;
    })
    .await;
    let singly = 2 * AT_ONCE as u64;
    let alone = rate(singly, async {
        for number in 0..singly {
            store.record(bare_record(batched + number)).await.unwrap();
        }
    })
    .await;
    let bare = bare_rows(batched);
    let floor = rate(batched, database.change(&bare)).await;
    println!("stored         {together:>8.0} collections/s");
    println!("one at a time  {alone:>8.0} collections/s  (batching: {:.1} x)", together / alone);
    println!("floor          {floor:>8.0} bare rows/s    ({:.1} x)", floor / together);
}

async fn rate(count: u64, work: impl Future<Output = ()>) -> f64 {
    let began = Instant::now();
    work.await;
    count as f64 / began.elapsed().as_secs_f64()
}

fn bare_record(number: u64) -> Record {
    let reading = Reading::from_report(&Report::default(), 0);
    record(number, number % CLIENTS, BEGIN_MS + number, reading)
}

const COLUMNS: &str = "INSERT INTO collections (id, collection_uuid, sweep_uuid, client_id, started_at_ms, duration_ms,
    attempts, status, collected_at_ms, cpu_percent, memory_percent)";

/// A transaction with this many rows, with ids far above those of the store.
fn bare_rows(count: u64) -> String {
    let row =
        |number: u64| format!("({}, '{UUID}', '{UUID}', 1, 0, 300, 1, 'ok', NULL, NULL, NULL)", 1_000_000_000 + number);
    let numbers: Vec<u64> = (0..count).collect();
    let statements = numbers.chunks(250).map(|chunk| {
        format!("{COLUMNS} VALUES {};\n", chunk.iter().map(|number| row(*number)).collect::<Vec<_>>().join(", "))
    });
    format!("BEGIN;\n{}COMMIT", statements.collect::<String>())
}

/// The statements with which the database creates this many samples.
fn fill(engine: Engine, samples: u64) -> String {
    let between = STEP_MS / CLIENTS;
    let row = format!(
        "SELECT n, '{UUID}', '{UUID}', n % {CLIENTS} + 1, {BEGIN_MS} + (n - n % {CLIENTS}) * {between}, 300, 1, 'ok',
         {BEGIN_MS} + (n - n % {CLIENTS}) * {between} + 300, n % 97, n % 89"
    );
    match engine {
        Engine::Sqlite => format!(
            "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {samples})
             {COLUMNS} {row} FROM numbers"
        ),
        Engine::Postgres => format!("{COLUMNS} {row} FROM generate_series(1, {samples}) AS numbers(n)"),
        Engine::Mariadb => {
            format!("{COLUMNS} {row} FROM (SELECT seq AS n FROM seq_1_to_{samples}) AS numbers")
        }
    }
}

async fn charts(database: &Database, reader: &Reader, samples: u64) {
    let now_ms = i64::try_from(BEGIN_MS + samples * (STEP_MS / CLIENTS) + 300).unwrap();
    let now = Timestamp::from_millisecond(now_ms).unwrap();
    let floor = median(async |_| {
        reader.last_sweep_number().await.unwrap();
    })
    .await;
    println!("floor      {floor:>10.1?}");
    for span in Span::ALL {
        let points = reader.history(&client(7), span, now).await.unwrap().len();
        let took = median(async |number| drop(reader.history(&client(number), span, now).await.unwrap())).await;
        let ratio = took.as_secs_f64() / floor.as_secs_f64();
        println!("chart {:>4} {took:>10.1?}  {points} points  ({ratio:.1} x floor)", span.word());
    }
    let began = Instant::now();
    let remembered = reader.memory().await.unwrap();
    println!("start      {:>10.1?}  {} clients", began.elapsed(), remembered.clients.len());
    let values = ["'10.0.0.8'".to_owned(), "22".to_owned(), "0".to_owned(), now_ms.to_string(), "60000".to_owned()];
    let query = values.iter().fold(HISTORY.to_owned(), |query, value| query.replacen('?', value, 1));
    let explain = if database.engine() == Engine::Sqlite { "EXPLAIN QUERY PLAN" } else { "EXPLAIN" };
    println!("its plan:");
    for line in database.rows(&format!("{explain} {query}")).await {
        println!("    {line}");
    }
}

/// The median over distant clients, each queried once.
async fn median(question: impl AsyncFn(u64)) -> Duration {
    let mut took = Vec::new();
    for number in (0..CLIENTS).step_by(23) {
        let began = Instant::now();
        question(number).await;
        took.push(began.elapsed());
    }
    took.sort_unstable();
    took.get(took.len() / 2).copied().unwrap_or_default()
}
