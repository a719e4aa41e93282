//! Deletes data that is older than the configured retention, in small pieces between collections. What is deleted is
//! decided in `store`.

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

/// How often to look for old data.
const EVERY: Duration = Duration::from_secs(10 * 60);

/// The pause after each piece. A piece takes some ten milliseconds, so a sweep has most of the database's time.
const REST: Duration = Duration::from_millis(50);

/// Deletes old data until `stop`. After an error it tries again next time.
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

/// How far the clock may be ahead of the trusted time before that is reported.
const TOLD_FROM: Duration = Duration::from_secs(86_400);

/// The result of a deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deletion {
    /// How far the clock is ahead of the trusted time, if that is so far that old data is kept.
    pub waits_for: Option<Duration>,
}

/// Deletes data older than `retention`, for at most `time` if it is given. Ages are relative to the trusted time of the
/// store and not to the clock.
///
/// # Errors
/// The error of the database. The rows that were deleted before it stay deleted.
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

/// Logs why nothing is deleted for now.
pub fn say_why(behind: Duration) {
    let behind = Duration::from_secs(behind.as_secs());
    tracing::warn!(
        "the clock is {} ahead of the time that is known to have passed; old rows are deleted only gradually: check the clock",
        humantime::format_duration(behind)
    );
}
