//! Looks after stored data in small pieces between collections: rolls up the samples from before there were roll-ups, and
//! deletes what is older than it is kept, and gives back its space. What that is is decided in `store`.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::{
    app::error::chain,
    config::Database,
    fleet::rollup::Tier,
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
pub async fn run(store: &Store, keeping: Keeping, stop: &CancellationToken) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let tidy = async {
        let mut waits = false;
        loop {
            ticks.tick().await;
            match forget(store, keeping, None).await {
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

/// How long data is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keeping {
    /// Everything but roll-ups: `retention`.
    pub retention: Duration,
    /// Roll-ups: `history`.
    pub history: Duration,
}

/// How long roll-ups of five minutes and of an hour are kept, unless samples are kept longer. Those of a day are kept as
/// long as `history`. An hour of a year is as large as five minutes of a month.
const FIVE_MINUTES_KEPT: Duration = Duration::from_secs(90 * 86_400);
const HOURS_KEPT: Duration = Duration::from_secs(2 * 365 * 86_400);

impl Keeping {
    /// That of a configuration.
    #[must_use]
    pub fn configured(database: &Database) -> Self {
        Self { retention: database.retention, history: database.history }
    }

    /// How long roll-ups of this length are kept.
    #[must_use]
    pub fn of(self, tier: Tier) -> Duration {
        let kept = match tier {
            Tier::FiveMinutes => FIVE_MINUTES_KEPT,
            Tier::Hour => HOURS_KEPT,
            Tier::Day => self.history,
        };
        kept.max(self.retention).min(self.history)
    }
}

/// Deletes data that is older than it is kept, for at most `time` if it is given. Ages are relative to the trusted time of the
/// store and not to the clock.
///
/// # Errors
/// The error of the database. The rows that were deleted before it stay deleted.
pub async fn forget(store: &Store, keeping: Keeping, time: Option<Duration>) -> Result<Deletion, StoreError> {
    let began = Instant::now();
    let TrustedTime { now, behind } = store.trusted_time(ClockReading::of_system()).await?;
    let deletion = Deletion { waits_for: Some(behind).filter(|behind| *behind >= TOLD_FROM) };
    let Some(now) = now else { return Ok(deletion) };
    let before = |kept: Duration| now.checked_sub(kept).unwrap_or(Timestamp::MIN);
    let history = Tier::ALL.map(|tier| (tier, before(keeping.of(tier))));
    let is_over = || time.is_some_and(|time| began.elapsed() >= time);
    // Before the samples are deleted. A run that ends has time for both.
    while store.catch_up().await? && time.is_none_or(|time| began.elapsed() < time / 2) {
        tokio::time::sleep(REST).await;
    }
    while store.forget(before(keeping.retention)).await? && !is_over() {
        tokio::time::sleep(REST).await;
    }
    while store.forget_history(history).await? && !is_over() {
        tokio::time::sleep(REST).await;
    }
    while store.give_back().await? && !is_over() {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roll_ups_outlive_samples_and_the_longest_live_longest() {
        const DAY: u64 = 86_400;
        for (retention, history, expected) in [
            (90, 1826, [90, 730, 1826]),
            // As long as samples, and never longer than configured.
            (400, 1826, [400, 730, 1826]),
            (7, 30, [30, 30, 30]),
            (90, 30, [30, 30, 30]),
        ] {
            let [retention, history] = [retention, history].map(|days| Duration::from_secs(days * DAY));
            let kept = Tier::ALL.map(|tier| Keeping { retention, history }.of(tier).as_secs() / DAY);
            assert_eq!(kept, expected);
        }
    }
}
