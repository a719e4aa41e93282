//! Has the database forget what is older than the configuration keeps: now and then, a piece at a time, between
//! collections. Not what is deleted.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::store::{Store, StoreError};

/// How often it is looked whether something has grown old.
const EVERY: Duration = Duration::from_secs(10 * 60);

/// How long the database is left to others after each piece. A piece takes some ten milliseconds: a sweep keeps
/// most of the database's time.
const REST: Duration = Duration::from_millis(50);

/// Tidies up until `stop`. A database that fails is tried again the next time.
pub async fn run(store: &Store, retention: Duration, stop: &CancellationToken) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let tidy = async {
        loop {
            ticks.tick().await;
            if let Err(error) = forget(store, retention, None).await {
                tracing::error!("what has grown old could not be deleted: {}", super::chain(&error));
            }
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = tidy => {}
    }
}

/// Deletes what is older than `retention`, for no longer than `time` where one is given.
///
/// # Errors
/// What the database says; what was deleted until then is gone.
pub async fn forget(store: &Store, retention: Duration, time: Option<Duration>) -> Result<(), StoreError> {
    let began = Instant::now();
    let Ok(before) = Timestamp::now().checked_sub(retention) else { return Ok(()) };
    while store.forget(before).await? {
        if time.is_some_and(|time| began.elapsed() >= time) {
            return Ok(());
        }
        tokio::time::sleep(REST).await;
    }
    Ok(())
}
