//! Roll-ups: every value counts once, in the bucket of its time, whatever the order in which collections are stored.

use support::{Database, Trial};

use crate::{
    fleet::{
        Bytes, ClientId, Failure, FailureKind, Percent, Reading, Stage,
        history::{Point, Span},
        reading::{FileSystem, Interface},
        rollup::Tier,
    },
    open,
    records::{AT, at, plain, reading},
    store::{Outcome, Record, Shrunk, Store},
};

pub(crate) fn trials() -> Vec<Trial> {
    support::trials_per_database![
        every_value_counts_once_in_each_length_of_bucket,
        what_comes_late_lands_in_the_bucket_of_its_time,
        a_failed_collection_measures_how_many_failed,
        a_client_with_many_instances_has_history_of_the_first,
        the_newest_file_systems_and_interfaces_are_those_of_the_newest_reading,
        old_buckets_go_by_their_length_and_only_those,
        a_long_chart_is_made_of_what_there_is,
        samples_from_before_are_rolled_up_afterwards_and_once,
        a_file_gives_back_what_deleted_rows_have_left,
        a_file_that_is_too_large_loses_its_oldest_samples_first,
    ]
}

/// `AT` is 200 seconds into five minutes, 800 into an hour and 80,000 into a day.
const FIVE: i64 = AT - 200_000;
const HOUR: i64 = AT - 800_000;
const DAY: i64 = AT - 80_000_000;

fn client() -> ClientId {
    ClientId::new("10.0.4.1", 22)
}

/// A collection that ended so many milliseconds after `AT`.
fn measured(number: u32, ms: i64, cpu: f64) -> Record {
    let reading = Reading { cpu: Some(Percent::new(cpu).unwrap()), ..reading() };
    let outcome = Outcome::Collected(Box::new(reading));
    Record { client: client(), started_at: at(ms), duration_ms: 0, outcome, ..plain(number.into()) }
}

/// The buckets of a metric: start, length, count, lowest, mean, highest.
async fn buckets(database: &Database, metric: &str, seconds: i32) -> Vec<String> {
    database
        .rows(&format!(
            "SELECT bucket_start_ms, count, minimum, mean, maximum FROM v1_history WHERE client_ip = '10.0.4.1'
             AND client_port = 22 AND metric = '{metric}' AND instance = '' AND bucket_seconds = {seconds} ORDER BY 1"
        ))
        .await
}

async fn every_value_counts_once_in_each_length_of_bucket(database: Database) {
    let store = open(&database).await;
    for (number, ms, cpu) in [(1, 0, 10.0), (2, 60_000, 20.5), (3, 99_999, 40.0)] {
        store.record(measured(number, ms, cpu)).await.unwrap();
    }
    // The bucket that is not full yet is continued by another run.
    store.close().await;
    let store = open(&database).await;
    store.record(measured(4, 100_000, 1.25)).await.unwrap();
    store.record(measured(5, 3_000_000, 99.0)).await.unwrap();
    let first = format!("{FIVE}|3|10.0|23.5|40.0");
    let second = format!("{}|1|1.25|1.25|1.25", FIVE + 300_000);
    let last = format!("{}|1|99.0|99.0|99.0", FIVE + 3_000_000);
    assert_eq!(buckets(&database, "cpu", 300).await, [first, second, last.clone()]);
    let hours = [format!("{HOUR}|4|1.25|17.938|40.0"), format!("{}|1|99.0|99.0|99.0", HOUR + 3_600_000)];
    assert_eq!(buckets(&database, "cpu", 3_600).await, hours);
    assert_eq!(buckets(&database, "cpu", 86_400).await, [format!("{DAY}|5|1.25|34.15|99.0")]);
    // Every metric of the host that was measured, and each mount.
    let series = "SELECT DISTINCT metric, instance FROM v1_history ORDER BY 1, 2";
    let found = database.rows(series).await;
    for expected in ["cpu|", "disk-used|/", "load|", "memory|", "unreachable|"] {
        assert!(found.iter().any(|series| series == expected), "{expected}: {found:?}");
    }
    assert!(!found.iter().any(|series| series.starts_with("swap")), "{found:?}");
    let used = "SELECT minimum, mean, maximum FROM v1_history WHERE metric = 'disk-used' AND bucket_seconds = 86400";
    assert_eq!(database.rows(used).await, ["50.0|50.0|50.0"]);
}

async fn what_comes_late_lands_in_the_bucket_of_its_time(database: Database) {
    let store = open(&database).await;
    let hours = |hour: i64| hour * 3_600_000;
    // In order; then what waited for two hours; then a clock that is years ahead for one collection.
    for (number, ms, cpu) in [
        (1, 0, 10.0),
        (2, hours(2), 20.0),
        (3, 1, 30.0),
        (4, hours(1), 40.0),
        (5, hours(2) + 1, 60.0),
        (6, hours(90_000), 90.0),
        (7, hours(2) + 2, 70.0),
    ] {
        store.record(measured(number, ms, cpu)).await.unwrap();
    }
    let expected = [
        (HOUR, "2|10.0|20.0|30.0"),
        (HOUR + hours(1), "1|40.0|40.0|40.0"),
        (HOUR + hours(2), "3|20.0|50.0|70.0"),
        (HOUR + hours(90_000), "1|90.0|90.0|90.0"),
    ];
    let expected = expected.map(|(start, values)| format!("{start}|{values}"));
    assert_eq!(buckets(&database, "cpu", 3_600).await, expected);
    // A bucket is in one of the two tables.
    let twice = "SELECT COUNT(*) FROM history_buckets JOIN history_open ON history_open.group_id = history_buckets.group_id
        AND history_open.tier_seconds = history_buckets.tier_seconds AND history_open.start_ms = history_buckets.start_ms";
    assert_eq!(database.count(twice).await, 0);
}

async fn a_failed_collection_measures_how_many_failed(database: Database) {
    let store = open(&database).await;
    store.record(measured(1, 0, 10.0)).await.unwrap();
    // What the collector is to blame for says nothing about the client.
    let ours = FailureKind::CollectorOffline;
    for (number, kind, failed) in [(2, FailureKind::Refused, 1), (3, FailureKind::Refused, 2), (4, ours, 3)] {
        let failure = Failure::new(Stage::Connect, kind);
        let mut record = Record { outcome: Outcome::Failed(failure), ..measured(number, i64::from(number), 0.0) };
        record.state.failed_in_a_row = failed;
        store.record(record).await.unwrap();
    }
    assert_eq!(buckets(&database, "unreachable", 86_400).await, [format!("{DAY}|3|0.0|1.0|2.0")]);
    assert_eq!(buckets(&database, "cpu", 86_400).await, [format!("{DAY}|1|10.0|10.0|10.0")]);
}

fn system(mount: &str, used: u64) -> FileSystem {
    let (total, available) = (Bytes(1_000), Bytes(1_000 - used));
    FileSystem { mount: mount.into(), used: Bytes(used), total, available, ..reading().file_systems[0].clone() }
}

async fn a_client_with_many_instances_has_history_of_the_first(database: Database) {
    let store = open(&database).await;
    for number in 0..4 {
        let file_systems = (0..400).map(|mount| system(&format!("/{number}/{mount}"), 5)).collect();
        let outcome = Outcome::Collected(Box::new(Reading { file_systems, ..reading() }));
        store.record(Record { outcome, ..measured(number, 0, 1.0) }).await.unwrap();
    }
    let series = database.count("SELECT COUNT(*) FROM history_series").await;
    assert_eq!(series, 1_200);
    assert_eq!(buckets(&database, "cpu", 86_400).await.len(), 1);
    let places = "SELECT COUNT(*) FROM (SELECT DISTINCT group_id, slot FROM history_series) AS places";
    assert_eq!(database.count(places).await, series);
}

async fn the_newest_file_systems_and_interfaces_are_those_of_the_newest_reading(database: Database) {
    let interface = |name: &str, bytes| Interface { received: Bytes(bytes), sent: Bytes(2 * bytes), ..interface(name) };
    let store = open(&database).await;
    let with = async |store: &Store, number: u32, file_systems: Vec<FileSystem>, interfaces| {
        let outcome = Outcome::Collected(Box::new(Reading { file_systems, interfaces, ..reading() }));
        store.record(Record { outcome, ..measured(number, number.into(), 1.0) }).await.unwrap();
    };
    with(&store, 1, vec![system("/", 5), system("/var", 6), system("/old", 7)], vec![interface("eth0", 10)]).await;
    // A mount on top of another has its name, and counts.
    with(&store, 2, vec![system("/", 5), system("/var", 6), system("/var", 8)], vec![interface("eth0", 11)]).await;
    let mounts = "SELECT mount, kind, total_bytes, used_bytes, available_bytes, collected_at_ms FROM v1_file_systems
        WHERE client_ip = '10.0.4.1' ORDER BY mount";
    let at_ms = AT + 2;
    let expected = [format!("/|ext4|1000|5|995|{at_ms}"), format!("/var|ext4|1000|8|992|{at_ms}")];
    assert_eq!(database.rows(mounts).await, expected);
    let interfaces = "SELECT interface, received_bytes, sent_bytes, collected_at_ms FROM v1_interfaces";
    assert_eq!(database.rows(interfaces).await, [format!("eth0|11|22|{at_ms}")]);
    store.close().await;
    let store = open(&database).await;
    with(&store, 3, vec![system("/", 5)], Vec::new()).await;
    assert_eq!(database.rows(mounts).await, [format!("/|ext4|1000|5|995|{}", AT + 3)]);
    assert_eq!(database.rows(interfaces).await, [""; 0]);
    let clients = "SELECT client_name, host_name, last_collected_at_ms, failed_in_a_row FROM v1_clients";
    assert_eq!(database.rows(clients).await, [format!("db|db-1|{}|0", AT + 3)]);
}

fn interface(name: &str) -> Interface {
    Interface { name: name.into(), received: Bytes(0), sent: Bytes(0) }
}

async fn old_buckets_go_by_their_length_and_only_those(database: Database) {
    let store = open(&database).await;
    for (number, day) in (0..4).enumerate() {
        store.record(measured(u32::try_from(number).unwrap(), day * 86_400_000, 1.0)).await.unwrap();
    }
    let days = |count: i64| at(count * 86_400_000);
    let before = [(Tier::FiveMinutes, days(2)), (Tier::Hour, days(1)), (Tier::Day, at(-1))];
    while store.forget_history(before).await.unwrap() {}
    // That of the day that ends after the limit stays, and the newest.
    for (seconds, count) in [(300, 2), (3_600, 3), (86_400, 4)] {
        assert_eq!(buckets(&database, "cpu", seconds).await.len(), count, "{seconds}");
    }
    let far = days(9_000);
    while store.forget_history(Tier::ALL.map(|tier| (tier, far))).await.unwrap() {}
    assert_eq!(database.count("SELECT COUNT(*) FROM history_buckets").await, 0);
    // What is filled now goes on, and samples have their own time.
    store.record(measured(9, 3 * 86_400_000 + 1, 3.0)).await.unwrap();
    assert_eq!(buckets(&database, "cpu", 300).await, [format!("{}|2|1.0|2.0|3.0", FIVE + 3 * 86_400_000)]);
    assert_eq!(database.count("SELECT COUNT(*) FROM v1_samples").await, 5);
}

async fn a_long_chart_is_made_of_what_there_is(database: Database) {
    let store = open(&database).await;
    for (number, day) in (0..40).enumerate() {
        store.record(measured(u32::try_from(number).unwrap(), day * 86_400_000, 10.0 + day as f64)).await.unwrap();
    }
    let now = at(39 * 86_400_000 + 1);
    let chart = async |span| store.reader().history(&client(), span, now).await.unwrap();
    let newest = chart(Span::Hour).await;
    for (span, expected) in [(Span::Week, 8), (Span::Month, 31), (Span::Year, 40), (Span::FiveYears, 8)] {
        let points = chart(span).await;
        assert_eq!(points.len(), expected, "{span:?}");
        assert!(points.iter().map(|point| point.at).is_sorted() && points.iter().all(|point| point.at <= now));
        assert_eq!(points.last().unwrap().memory_percent, newest[0].memory_percent);
    }
    let whole = chart(Span::Year).await;
    let values = |points: &[Point]| points.iter().map(|point| point.cpu_percent.unwrap()).collect::<Vec<_>>();
    assert_eq!(values(&whole), (10..50).map(f64::from).collect::<Vec<_>>());
    // The means of up to five days, which differ by one.
    let longest = chart(Span::FiveYears).await;
    assert!(values(&longest).iter().all(|mean| (mean * 2.0).fract() == 0.0), "{longest:?}");
    // CPU and memory need not be in the same group.
    let slot = database.count("SELECT slot FROM history_series WHERE metric = 'memory'").await;
    database.change("UPDATE history_series SET group_id = group_id + 1000, slot = 11 WHERE metric = 'memory'").await;
    for table in ["history_buckets", "history_open"] {
        let copied = format!(
            "INSERT INTO {table} (start_ms, tier_seconds, group_id, sum_11, count_11)
             SELECT start_ms, tier_seconds, group_id + 1000, sum_{slot:02}, count_{slot:02} FROM {table}"
        );
        database.change(&copied).await;
    }
    assert_eq!((chart(Span::Year).await, chart(Span::FiveYears).await), (whole, longest));
    // Samples and the shorter buckets are gone: the older part is made of days, and a day has its place.
    database.change("DELETE FROM collections").await;
    database.change("DELETE FROM history_buckets WHERE tier_seconds < 86400").await;
    assert_eq!(chart(Span::Month).await.len(), 31);
    // Days that were never rolled up are made of samples.
    store.record(measured(99, 39 * 86_400_000, 49.0)).await.unwrap();
    database.change("DELETE FROM history_buckets").await;
    database.change("DELETE FROM history_open").await;
    let points = chart(Span::Month).await;
    assert_eq!(points.iter().map(|point| point.cpu_percent).collect::<Vec<_>>(), [Some(49.0)]);
}

async fn samples_from_before_are_rolled_up_afterwards_and_once(database: Database) {
    let store = open(&database).await;
    for number in 0..6 {
        store.record(measured(number, i64::from(number) * 60_000, 10.0 * f64::from(number))).await.unwrap();
    }
    let before = [buckets(&database, "cpu", 300).await, buckets(&database, "cpu", 86_400).await];
    store.close().await;
    drop(store);
    // As the migration leaves it: nothing is rolled up. Then one is collected before the others are.
    for table in ["history_open", "history_buckets", "history_series"] {
        database.change(&format!("DELETE FROM {table}")).await;
    }
    database.change("UPDATE clients SET unrolled_collection = latest_collection").await;
    let store = open(&database).await;
    store.record(measured(6, 400_000, 80.0)).await.unwrap();
    while store.catch_up().await.unwrap() {}
    let mut expected = before[0].clone();
    let last = expected.pop().unwrap();
    assert_eq!(last, format!("{}|4|20.0|35.0|50.0", FIVE + 300_000));
    expected.extend([last, format!("{}|1|80.0|80.0|80.0", FIVE + 600_000)]);
    assert_eq!(buckets(&database, "cpu", 300).await, expected);
    assert_eq!(before[1], [format!("{DAY}|6|0.0|25.0|50.0")]);
    let day = buckets(&database, "cpu", 86_400).await;
    assert!(day.len() == 1 && day[0].starts_with(&format!("{DAY}|7|0.0|32.857")), "{day:?}");
    assert!(!store.catch_up().await.unwrap());
}

async fn a_file_gives_back_what_deleted_rows_have_left(database: Database) {
    let store = open(&database).await;
    if database.engine() != support::Engine::Sqlite {
        // A server manages its own space.
        assert!(!store.give_back().await.unwrap());
        return;
    }
    database.change("CREATE TABLE much (content TEXT)").await;
    let fill = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2500)
        INSERT INTO much SELECT hex(zeroblob(2000)) FROM n";
    database.change(fill).await;
    database.change("DROP TABLE much").await;
    let free = "SELECT freelist_count FROM pragma_freelist_count";
    assert!(database.count(free).await > 2_000);
    let mut pieces = 0;
    while store.give_back().await.unwrap() {
        pieces += 1;
    }
    assert!(pieces >= 1, "more than a piece");
    assert!(database.count(free).await < 200);
}

async fn a_file_that_is_too_large_loses_its_oldest_samples_first(database: Database) {
    const COLLECTIONS: u32 = 900;
    let store = open(&database).await;
    let minutes = |number: u32| i64::from(number) * 60_000;
    for number in 1..=COLLECTIONS {
        store.record(measured(number, minutes(number), 10.0)).await.unwrap();
    }
    let newest = at(minutes(COLLECTIONS - 99));
    let all = Bytes(1 << 40);
    if database.engine() != support::Engine::Sqlite {
        assert_eq!(store.shrink(Bytes(1), newest).await.unwrap(), None, "a server manages its own space");
        return;
    }
    let collected = "SELECT started_at_ms FROM v1_collections ORDER BY 1";
    let days = async || {
        database.rows("SELECT SUM(count) FROM v1_history WHERE metric = 'cpu' AND bucket_seconds = 86400").await
    };
    let Some(Shrunk::Enough { by }) = store.shrink(all, newest).await.unwrap() else { panic!("it is small enough") };
    let used = all.0 - by.0;
    assert_eq!(
        (database.rows(collected).await.len(), days().await),
        (COLLECTIONS as usize, vec![COLLECTIONS.to_string()])
    );

    // A fifth has to go.
    let most = Bytes(used * 4 / 5);
    while store.shrink(most, newest).await.unwrap() == Some(Shrunk::Deleted) {}
    assert!(matches!(store.shrink(most, newest).await.unwrap(), Some(Shrunk::Enough { .. })));
    let left = database.rows(collected).await;
    assert!((200..COLLECTIONS as usize - 100).contains(&left.len()), "{}", left.len());
    let first = COLLECTIONS + 1 - u32::try_from(left.len()).unwrap();
    let expected: Vec<String> = (first..=COLLECTIONS).map(|number| (AT + minutes(number)).to_string()).collect();
    assert_eq!(left, expected, "the newest ones stay");
    assert_eq!(days().await, [COLLECTIONS.to_string()], "roll-ups stay");

    // However small it should be, the newest data stays.
    while store.shrink(Bytes(1), newest).await.unwrap() == Some(Shrunk::Deleted) {}
    assert_eq!(store.shrink(Bytes(1), newest).await.unwrap(), Some(Shrunk::Stuck));
    assert_eq!(database.rows(collected).await.len(), 100);
}
