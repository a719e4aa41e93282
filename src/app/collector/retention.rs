//! Has the database forget what is older than the configuration keeps: now and then, a piece at a time, between
//! collections. Not what is deleted.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::{
    app::error::chain,
    store::{
        Store, StoreError,
        clock::{ClockReading, TrustedTime},
    },
};

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
        let mut waits = false;
        loop {
            ticks.tick().await;
            match forget(store, retention, None).await {
                Ok(Deletion { waits_for: Some(behind) }) if !waits => {
                    waits = true;
                    say_why(behind);
                }
                Ok(Deletion { waits_for }) => waits = waits_for.is_some(),
                Err(error) => tracing::error!("deleting old rows failed: {}", chain(&error)),
            }
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = tidy => {}
    }
}

/// How far the clock may be ahead of the time that is trusted before it is told.
const TOLD_FROM: Duration = Duration::from_secs(86_400);

/// What became of deleting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deletion {
    /// How far the clock is ahead of the time up to which it is trusted, where that is far: nothing is deleted by it.
    pub waits_for: Option<Duration>,
}

/// Deletes what is older than `retention`, for no longer than `time` where one is given. How old it is, is reckoned from
/// the time that the store trusts, and not from the clock.
///
/// # Errors
/// What the database says; what was deleted until then is gone.
pub async fn forget(store: &Store, retention: Duration, time: Option<Duration>) -> Result<Deletion, StoreError> {
    let began = Instant::now();
    let TrustedTime { now, behind } = store.trusted_time(ClockReading::of_system()).await?;
    let deletion = Deletion { waits_for: Some(behind).filter(|behind| *behind >= TOLD_FROM) };
    let Some(Ok(before)) = now.map(|now| now.checked_sub(retention)) else { return Ok(deletion) };
    while store.forget(before).await? {
        if time.is_some_and(|time| began.elapsed() >= time) {
            break;
        }
        tokio::time::sleep(REST).await;
    }
    Ok(deletion)
}

/// Says why nothing is deleted for now.
pub fn say_why(behind: Duration) {
    let behind = Duration::from_secs(behind.as_secs());
    tracing::warn!(
        "the clock is {} ahead of the time that is known to have passed; old rows are deleted only gradually: check the clock",
        humantime::format_duration(behind)
    );
}
