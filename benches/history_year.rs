//! Benchmark of the history: a year of a fleet with 20 values a minute, with SQLite, PostgreSQL and MariaDB in one run on
//! one machine.
//!
//! `cargo bench --bench history_year [-- CLIENTS DAYS [ENGINE]...]`. Defaults: 500 clients, 365 days, and all installed
//! engines. The database is left as the retention of the program would leave it: buckets of five minutes for the last 90
//! days, of an hour and of a day for all days. The default needs 12 GB of disk at a time.
//!
//! * **rows**, **bytes**: of the tables of buckets and their indexes, and bytes per value. A value is one series in one
//!   bucket, with count, minimum, sum, maximum and last. For comparison the **peer**: the usual table with a row per value.
//! * **chart**: the dashboard's query of a client's CPU and memory over a time span: the median and the slowest of distant
//!   clients.
//! * **stored**: the time of a collection with its 20 values in the full database, one after the other, each in a
//!   transaction of its own. For comparison one without values, and as the **floor** a row.
//!
//! It only prints figures. There is no limit that makes it fail. The goals are 40 bytes per value and 50 ms per chart.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a benchmark ends where it cannot go on, and prints"
)]

mod records;

use std::time::{Duration, Instant};

use fleetsweep::{
    config::directories::Environment,
    fleet::{Reading, history::Span, rollup::Tier},
    store::{Reader, Store},
};
use fleetsweep_agent::report::{Cpu, FileSystem, Inodes, Load, Memory, Report};
use jiff::Timestamp;
use records::{client, record};
use support::{Database, Engine};

/// The end of the year: the time of the newest collection.
const END_MS: u64 = 1_700_006_400_000;
const DAY_MS: u64 = 86_400_000;
/// For how long the program keeps buckets of five minutes.
const FINE_DAYS: u64 = 90;
/// The series of a row of buckets.
const SLOTS: u64 = 12;
/// The most rows that the database makes in one statement.
const CHUNK: u64 = 1_000_000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let number = |index: usize, default| arguments.get(index).map_or(default, |text| text.parse().expect("a number"));
    let (clients, days) = (number(0, 500), number(1, 365));
    let wanted = |name: &str| arguments.len() < 3 || arguments.iter().skip(2).any(|engine| engine == name);
    support::on_each_engine(wanted, async |database| measure(database, clients, days).await);
}

async fn measure(database: Database, clients: u64, days: u64) {
    let url = database.url().into();
    let store = Store::open(&url, &Environment::default()).await.unwrap();
    for number in 0..clients {
        store.record(record(number, number, END_MS - DAY_MS * (days + 2), reading(number))).await.unwrap();
    }
    let (_, empty_bytes) = size(&database).await;
    let began = Instant::now();
    let series = database.count("SELECT COUNT(*) FROM history_series").await;
    for (tier, days) in [(Tier::FiveMinutes, days.min(FINE_DAYS)), (Tier::Hour, days), (Tier::Day, days)] {
        fill(&database, tier, days).await;
    }
    if database.engine() != Engine::Mariadb {
        database.change("ANALYZE").await;
    }
    println!("{clients} clients, {series} series, {days} days, made in {:.0?}", began.elapsed());
    let (rows, bytes) = size(&database).await;
    let values = rows as f64 * series as f64 / groups(&database).await as f64;
    let bytes = bytes.saturating_sub(empty_bytes);
    println!(
        "{rows} rows, {values:.0} values, {:.2} GB: {:.1} bytes per value",
        bytes as f64 / 1e9,
        bytes as f64 / values
    );
    peer(&database).await;
    let reader = Reader::open(&url).await.unwrap();
    charts(&reader, clients).await;
    reader.close().await;
    storing(&database, &store, clients).await;
    store.close().await;
}

/// With 20 values that are rolled up.
fn reading(number: u64) -> Reading {
    let system = |mount: &str| FileSystem {
        mount: mount.into(),
        kind: "ext4".into(),
        total_bytes: 100_000_000_000,
        used_bytes: 40_000_000_000 + number * 7_919_000,
        available_bytes: 60_000_000_000 - number * 7_919_000,
        inodes: Some(Inodes { total: 6_000_000, free: 5_000_000 + number }),
    };
    let report = Report {
        cpu: Some(Cpu {
            total_percent: (number % 100) as f64,
            core_percent: Vec::new(),
            window: Duration::from_millis(250),
        }),
        memory: Some(Memory { total_bytes: 8_000_000_000, used_bytes: 5_000_000_000, available_bytes: 3_000_000_000 }),
        load: Some(Load { one: 0.5, five: 0.4, fifteen: 0.3 }),
        file_systems: ["/", "/boot", "/home", "/srv", "/var"].map(system).into(),
        temperature_millicelsius: Some(40_000),
        ..Report::default()
    };
    Reading::from_report(&report, 0)
}

async fn groups(database: &Database) -> i64 {
    database.count("SELECT COUNT(DISTINCT group_id) FROM history_series").await
}

/// Makes the rows of a tier, oldest first, as the program appends them.
async fn fill(database: &Database, tier: Tier, days: u64) {
    let (length_ms, per_bucket) = (u64::try_from(tier.milliseconds()).unwrap(), tier.seconds() / 60);
    let buckets = days * DAY_MS / length_ms;
    let groups = u64::try_from(groups(database).await).unwrap();
    let numbered = |part: &str| (0..SLOTS).map(|slot| format!("{part}_{slot:02}")).collect::<Vec<_>>().join(", ");
    let columns = ["sum", "minimum", "maximum", "last", "count"].map(numbered).join(", ");
    let mut values = Vec::new();
    for part in ["v * {count}", "v / 2", "v / 2 + 50000", "v", "{count}"] {
        for slot in 0..SLOTS {
            // A number below 100,000 that differs from one bucket, group and slot to the next like a measured one.
            let measured = format!("((n * 7919 + grouped.group_id * 104729 + {slot} * 15485863) % 100000)");
            let value = part.replace("{count}", &per_bucket.to_string()).replace('v', &measured);
            values.push(format!("CASE WHEN {slot} <= grouped.last THEN {value} END"));
        }
    }
    let begin_ms = END_MS - buckets * length_ms;
    let step = (CHUNK / groups).max(1);
    for first in (0..buckets).step_by(usize::try_from(step).unwrap()) {
        let last = (first + step).min(buckets) - 1;
        let numbers = match database.engine() {
            Engine::Sqlite => format!(
                "(WITH RECURSIVE numbers(n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM numbers WHERE n < {last})
                 SELECT n FROM numbers) AS numbers"
            ),
            Engine::Postgres => format!("generate_series({first}::bigint, {last}) AS numbers(n)"),
            Engine::Mariadb => format!("(SELECT seq AS n FROM seq_{first}_to_{last}) AS numbers"),
        };
        let sql = format!(
            "INSERT INTO history_buckets (start_ms, {columns}, group_id, tier_seconds)
             SELECT {begin_ms} + n * {length_ms}, {}, grouped.group_id, {} FROM {numbers}
             CROSS JOIN (SELECT group_id, MAX(slot) AS last FROM history_series GROUP BY group_id) AS grouped
             ORDER BY n, grouped.group_id",
            values.join(", "),
            tier.seconds()
        );
        database.change(&sql).await;
    }
}

/// The rows of buckets, and the bytes of their table with its indexes.
async fn size(database: &Database) -> (i64, i64) {
    let rows = database.count("SELECT COUNT(*) FROM history_buckets").await;
    (rows, bytes(database, "history_buckets").await)
}

async fn bytes(database: &Database, table: &str) -> i64 {
    match database.engine() {
        // The whole file; the caller takes the difference.
        Engine::Sqlite => {
            database.count("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size").await
        }
        Engine::Postgres => database.count(&format!("SELECT pg_total_relation_size('{table}')")).await,
        Engine::Mariadb => {
            let table_rows =
                format!("information_schema.tables WHERE table_schema = DATABASE() AND table_name = '{table}'");
            database.change(&format!("ANALYZE TABLE {table}")).await;
            database.count(&format!("SELECT data_length + index_length FROM {table_rows}")).await
        }
    }
}

/// The bytes per value of a table with a row per value.
async fn peer(database: &Database) {
    let before = if database.engine() == Engine::Sqlite { bytes(database, "peer").await } else { 0 };
    let real = if database.engine() == Engine::Postgres { "REAL" } else { "FLOAT" };
    let create = format!(
        "CREATE TABLE peer (series_id INTEGER NOT NULL, tier_seconds INTEGER NOT NULL, start_ms BIGINT NOT NULL,
         count INTEGER NOT NULL, minimum {real}, sum DOUBLE PRECISION, maximum {real}, last {real},
         PRIMARY KEY (series_id, tier_seconds, start_ms))"
    );
    database.change(&create).await;
    let numbers = match database.engine() {
        Engine::Sqlite => {
            "(WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 1000000)
             SELECT n FROM numbers) AS numbers"
                .to_owned()
        }
        Engine::Postgres => "generate_series(1::bigint, 1000000) AS numbers(n)".to_owned(),
        Engine::Mariadb => "(SELECT seq AS n FROM seq_1_to_1000000) AS numbers".to_owned(),
    };
    let measured = "((n * 7919) % 100000)";
    let insert = format!(
        "INSERT INTO peer SELECT n / 10000, 300, {END_MS} + n * 300000, 5, {measured} / 2, {measured} * 5,
         {measured} / 2 + 50000, {measured} FROM {numbers}"
    );
    database.change(&insert).await;
    let bytes = bytes(database, "peer").await - before;
    println!("a row per value: {:.1} bytes per value", bytes as f64 / 1e6);
}

async fn charts(reader: &Reader, clients: u64) {
    let now = Timestamp::from_millisecond(i64::try_from(END_MS).unwrap()).unwrap();
    let step = usize::try_from(clients / 23).unwrap().max(1);
    for span in Span::ALL {
        let mut took = Vec::new();
        for number in (0..clients).step_by(step) {
            let began = Instant::now();
            let points = reader.history(&client(number), span, now).await.unwrap().len();
            took.push((began.elapsed(), points));
        }
        took.sort_unstable();
        let (median, points) = took.get(took.len() / 2).copied().unwrap_or_default();
        let (slowest, _) = took.last().copied().unwrap_or_default();
        println!("chart {:>4} {median:>10.1?}  slowest {slowest:>10.1?}  {points} points", span.word());
    }
}

/// The time of a collection, one after the other.
async fn storing(database: &Database, store: &Store, clients: u64) {
    // The first collection of a client after a pause closes its buckets. The others are like those of every minute.
    let mut number = clients;
    let mut rounds = async |minute: u64, reading: &dyn Fn(u64) -> Reading| {
        let began = Instant::now();
        for of in 0..clients {
            number += 1;
            store.record(record(number, of, END_MS + minute * 60_000, reading(of))).await.unwrap();
        }
        began.elapsed() / u32::try_from(clients).unwrap()
    };
    let first = rounds(0, &reading).await;
    let usual = rounds(1, &reading).await;
    let closing = rounds(5, &reading).await;
    let none = rounds(6, &|_| Reading::from_report(&Report::default(), 0)).await;
    let floor = floor(database, clients).await;
    let row = |name: &str, took: Duration| println!("{name:<32} {took:>10.1?}  ({:.1} x floor)", ratio(took, floor));
    row("stored", usual);
    row("stored, buckets of an hour end", first);
    row("stored, buckets of 5 minutes end", closing);
    row("stored, without values", none);
    row("floor", floor);
}

fn ratio(one: Duration, other: Duration) -> f64 {
    one.as_secs_f64() / other.as_secs_f64()
}

/// The time of one row, in a transaction of its own.
async fn floor(database: &Database, count: u64) -> Duration {
    database.change("CREATE TABLE floor_rows (id BIGINT NOT NULL PRIMARY KEY, at_ms BIGINT NOT NULL)").await;
    let statements: String =
        (0..count).map(|number| format!("INSERT INTO floor_rows (id, at_ms) VALUES ({number}, {END_MS});\n")).collect();
    let statements = if database.engine() == Engine::Postgres {
        statements.replace(";\n", "; COMMIT; BEGIN;\n")
    } else {
        statements
    };
    let began = Instant::now();
    database.change(&statements).await;
    began.elapsed() / u32::try_from(count).unwrap()
}
