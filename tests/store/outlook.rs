//! When file systems will be full: the history from which it is told, and what is stored of it.

use std::collections::HashMap;

use support::{Database, Trial};

use crate::{
    fleet::{
        Bytes, ClientId, Reading,
        metric::Instance,
        reading::FileSystem,
        rollup::{Quantity, Series},
        trend::{MOST_POINTS, Trend, Trends},
    },
    open,
    records::{AT, at, plain, reading},
    store::{Outcome, Record, Store},
};

pub(crate) fn trials() -> Vec<Trial> {
    support::trials_per_database![
        a_month_of_hours_gives_the_trend_of_each_mount,
        an_outlook_is_stored_with_its_file_system_and_known_to_the_next_run,
    ]
}

const GIB: f64 = 1_073_741_824.0;
const HOUR_MS: i64 = 3_600_000;

fn client() -> ClientId {
    ClientId::new("10.0.4.1", 22)
}

/// Adds a value of a mount for each hour of so many days before `AT`.
async fn past(store: &Store, days: i64, mount: &str, used_gib: impl Fn(f64) -> f64) {
    let series = Series { quantity: Quantity::DiskUsed, instance: Instance::new(mount) };
    let value = |hours: i64| (at(-hours * HOUR_MS), series.clone(), used_gib(-(hours as f64) / 24.0) * GIB);
    store.add_history(&client(), "db", (1..=days * 24).map(value).collect()).await.unwrap();
}

async fn a_month_of_hours_gives_the_trend_of_each_mount(database: Database) {
    let store = open(&database).await;
    past(&store, 40, "/var", |day| 80.0 + 1.5 * day).await;
    past(&store, 4, "/srv", |day| 20.0 + 0.5 * day).await;
    past(&store, 2, "/new", |day| 20.0 + day).await;
    // Enough mounts for another group of series.
    for number in 0..12 {
        past(&store, 1, &format!("/{number}"), |_| 1.0).await;
    }
    past(&store, 35, "/last", |day| 60.0 + 5.0 * (day.rem_euclid(7.0))).await;
    let history = store.reader().used_space(&client(), at(0)).await.unwrap();
    assert_eq!(history.len(), 16);
    let of = |mount: &str| {
        let points = &history[&Instance::new(mount)];
        assert!(points.len() < MOST_POINTS, "{mount}: {}", points.len());
        Trend::of(points)
    };
    for (mount, gib_a_day, is_steady) in [("/var", 1.5, true), ("/srv", 0.5, true), ("/last", 0.0, false)] {
        let trend = of(mount).unwrap();
        assert_eq!(trend.is_steady, is_steady, "{mount}: {trend:?}");
        assert!(!is_steady || (trend.middle as f64 / GIB / gib_a_day - 1.0).abs() < 0.01, "{mount}: {trend:?}");
    }
    assert_eq!(of("/new"), None);
    // Of a month, not of all that there is.
    let first = history[&Instance::new("/var")].first().unwrap().day;
    assert!((AT as f64 / 86_400_000.0 - first - 30.0).abs() < 0.5, "{first}");
    let other = store.reader().used_space(&ClientId::new("10.0.4.9", 22), at(0)).await.unwrap();
    assert_eq!(other, HashMap::new());
}

async fn an_outlook_is_stored_with_its_file_system_and_known_to_the_next_run(database: Database) {
    let system = |mount: &str, available, trend| FileSystem {
        mount: mount.into(),
        available: Bytes(available),
        trend,
        ..reading().file_systems[0].clone()
    };
    let steady = Trend { low: 80, middle: 100, high: 125, is_steady: true };
    let unsteady = Trend { low: -50, middle: 100, high: 5_000, is_steady: false };
    let store = open(&database).await;
    let record = async |store: &Store, number: u32, file_systems, trends_at| {
        let outcome = Outcome::Collected(Box::new(Reading { file_systems, ..reading() }));
        let record = plain(number.into());
        store.record(Record { client: client(), outcome, trends_at, ..record }).await.unwrap();
    };
    let systems = vec![
        system("/", 1_050, Some(steady)),
        system("/boot", 100_000, Some(steady)),
        system("/full", 0, None),
        system("/new", 1_000, None),
        system("/var", 1_000, Some(unsteady)),
    ];
    record(&store, 1, systems, Some(at(7))).await;
    let shown = "SELECT mount, outlook, growth_bytes_per_day, full_in_days, full_earliest_days, full_latest_days
        FROM v1_file_systems ORDER BY mount";
    let expected = [
        "/|filling|100|10.5|8.4|13.13",
        "/boot|over-1y|100|NULL|NULL|NULL",
        "/full|full|NULL|0.0|NULL|NULL",
        "/new|NULL|NULL|NULL|NULL|NULL",
        "/var|fluctuating|NULL|NULL|NULL|NULL",
    ];
    assert_eq!(database.rows(shown).await, expected);
    assert_eq!(database.rows("SELECT disk_full_days FROM v1_samples").await, ["0.0"]);
    // Days without a date are no history.
    let history =
        "SELECT instance, mean FROM v1_history WHERE metric = 'disk-full' AND bucket_seconds = 3600 ORDER BY 1";
    assert_eq!(database.rows(history).await, ["/|10.5", "/full|0.0"]);
    store.close().await;
    let store = open(&database).await;
    let known = |trends: &HashMap<ClientId, Trends>| {
        let Trends { estimated_at, by_mount } = trends[&client()].clone();
        let mut mounts: Vec<_> = by_mount.into_iter().collect();
        mounts.sort_by(|one, other| one.0.cmp(&other.0));
        (estimated_at, mounts)
    };
    let trends = store.reader().trends().await.unwrap();
    let mounts = [("/", steady), ("/boot", steady), ("/var", unsteady)].map(|(mount, trend)| (mount.to_owned(), trend));
    assert_eq!(known(&trends), (at(7), mounts.to_vec()));
    // A collection that did not estimate anew keeps the time.
    record(&store, 2, vec![system("/", 950, Some(steady))], None).await;
    assert_eq!(known(&store.reader().trends().await.unwrap()), (at(7), vec![("/".to_owned(), steady)]));
    assert_eq!(database.rows(shown).await, ["/|filling|100|9.5|7.6|11.88"]);
}
