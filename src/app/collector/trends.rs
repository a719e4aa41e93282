//! Adds to a reading how the used space of each file system has changed. Estimates are made of the roll-ups every four
//! hours for each client, are kept in the [`ClientStates`] and stored with the file systems, so that another run of the program,
//! such as `--once` by a timer, goes on with them.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;

use crate::{
    app::error::chain,
    fleet::{
        ClientId, Reading,
        metric::Instance,
        reading::FileSystem,
        trend::{EVERY_MS, Point, Trend, Trends},
    },
    store::Store,
};

use super::client_states::ClientStates;

/// How long a collection waits for the history. After that, the last estimate counts.
const DEADLINE: Duration = Duration::from_secs(5);

/// The most file systems of a client with a trend. A client decides how many it has.
const MOST_MOUNTS: usize = 100;

const DAY_MS: f64 = 86_400_000.0;

/// Adds the trends to a reading. Returns when they were estimated, if that was now.
pub(super) async fn add(
    store: &Store,
    client_states: &ClientStates,
    client: &ClientId,
    reading: &mut Reading,
    now: Timestamp,
) -> Option<Timestamp> {
    let known = client_states.trends(client);
    let is_due = known.as_ref().is_none_or(|known| known.are_due(now, offset_ms(client)));
    let estimated = if is_due && !reading.file_systems.is_empty() && !store.is_away() {
        estimate(store, client, &reading.file_systems, now).await.map(Arc::new)
    } else {
        None
    };
    if let Some(trends) = &estimated {
        client_states.follow_trends(client, Arc::clone(trends));
    }
    let trends = estimated.clone().or(known).filter(|trends| trends.are_good(now));
    for system in &mut reading.file_systems {
        system.trend =
            trends.as_ref().and_then(|trends| trends.by_mount.get(Instance::new(&system.mount).name()).copied());
    }
    estimated.map(|trends| trends.estimated_at)
}

/// Estimates the trends of file systems from their history and these newest values. `None` if the database does not
/// answer.
async fn estimate(store: &Store, client: &ClientId, systems: &[FileSystem], now: Timestamp) -> Option<Trends> {
    let history = match tokio::time::timeout(DEADLINE, store.reader().used_space(client, now)).await {
        Ok(Ok(history)) => history,
        Ok(Err(error)) => {
            tracing::debug!("the history of the file systems of {client} could not be read: {}", chain(&error));
            return None;
        }
        Err(passed) => {
            tracing::debug!("the history of the file systems of {client} could not be read in time: {passed}");
            return None;
        }
    };
    let mut by_mount = HashMap::new();
    for system in systems.iter().take(MOST_MOUNTS) {
        let mount = Instance::new(&system.mount);
        let Some(points) = history.get(&mount) else { continue };
        let newest = Point { day: now.as_millisecond() as f64 / DAY_MS, used_bytes: system.used.0 as f64 };
        let points: Vec<Point> = points.iter().copied().chain([newest]).collect();
        by_mount.extend(Trend::of(&points).map(|trend| (mount.name().to_owned(), trend)));
        // Each takes about a millisecond of this thread.
        tokio::task::yield_now().await;
    }
    Some(Trends { estimated_at: now, by_mount })
}

/// When a client is estimated: at times that are always the same for a client, and different for others.
fn offset_ms(client: &ClientId) -> i64 {
    let mut hasher = DefaultHasher::new();
    client.hash(&mut hasher);
    i64::try_from(hasher.finish() % EVERY_MS.unsigned_abs()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, ToSpan as _};

    use super::*;
    use crate::{
        config::directories::Environment,
        fleet::{
            Bytes,
            rollup::{Quantity, Series},
        },
    };

    const GIB: u64 = 1 << 30;

    /// `/var` has 10 GiB left.
    fn reading(used_gib: u64) -> Reading {
        let system = FileSystem {
            mount: "/var".into(),
            kind: "ext4".into(),
            total: Bytes((used_gib + 10) * GIB),
            used: Bytes(used_gib * GIB),
            available: Bytes(10 * GIB),
            inodes: None,
            trend: None,
        };
        let new = FileSystem { mount: "/new".into(), ..system.clone() };
        Reading { file_systems: vec![system, new], ..Reading::default() }
    }

    #[tokio::test]
    async fn trends_are_estimated_every_four_hours_and_by_the_next_run_only_when_they_are_due() {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", directory.path().join("a.db").display()).into();
        let store = Store::open(&url, &Environment::default()).await.unwrap();
        let (client, states) = (ClientId::new("10.0.4.1", 22), ClientStates::new(HashMap::new(), HashMap::new()));
        // When it is due.
        let offset = SignedDuration::from_millis(offset_ms(&client));
        let now = Timestamp::from_second(1_800_000_000 / 14_400 * 14_400).unwrap().checked_add(offset).unwrap();
        let series = Series { quantity: Quantity::DiskUsed, instance: Instance::new("/var") };
        let value = |hour: i32| {
            let used_gib = 100.0 - 2.0 * f64::from(hour) / 24.0;
            (now.checked_sub(hour.hours()).unwrap(), series.clone(), used_gib * GIB as f64)
        };
        store.add_history(&client, "db", (1..=240).map(value).collect()).await.unwrap();
        let minutes = |minutes: i64| now.checked_add(minutes.minutes()).unwrap();
        for (minute, is_estimated) in [(1, true), (2, false), (239, false), (241, true), (242, false)] {
            let mut reading = reading(100);
            let estimated_at = add(&store, &states, &client, &mut reading, minutes(minute)).await;
            assert_eq!(estimated_at, is_estimated.then(|| minutes(minute)), "{minute}");
            let days = reading.file_systems[0].outlook().unwrap().days().unwrap();
            assert!((days - 5.0).abs() < 0.1, "{days}");
            assert_eq!(reading.file_systems[1].trend, None, "its history is too short");
        }
        // Another run has those that were stored, and does not ask a database that does not answer.
        let known = Trends::clone(&states.trends(&client).unwrap());
        store.close().await;
        for (minute, is_known) in [(245, true), (600, true), (2 * 24 * 60 + 241, true), (2 * 24 * 60 + 242, false)] {
            let next = ClientStates::new(HashMap::new(), HashMap::new());
            next.take_in_trends([(client.clone(), known.clone())].into());
            let mut reading = reading(100);
            assert_eq!(add(&store, &next, &client, &mut reading, minutes(minute)).await, None);
            assert_eq!(reading.file_systems[0].trend.is_some(), is_known, "{minute}");
        }
    }
}
