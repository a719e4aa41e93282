//! Looks after stored data in small pieces between collections: rolls up the samples from before there were roll-ups, and
//! deletes what is older than it is kept or does not fit into `max-size`, and gives back its space. What that is is decided
//! in `store`.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::{
    app::error::chain,
    app::troubles::tracker::TroubleTracker,
    config::Database,
    fleet::{
        Bytes,
        rollup::Tier,
        troubles::{Finding, TroubleKind},
    },
    store::{
        Shrunk, Store, StoreError,
        clock::{ClockReading, TrustedTime},
    },
};

/// How often to look for old data.
const EVERY: Duration = Duration::from_secs(10 * 60);

/// The pause after each piece. A piece takes some ten milliseconds, so a sweep has most of the database's time.
const REST: Duration = Duration::from_millis(50);

/// Data of this last time is not deleted, however small `max-size` is.
const NEWEST: Duration = Duration::from_secs(60 * 60);

/// Deletes old data until `stop`. After an error it tries again next time.
pub async fn run(store: &Store, keeping: Keeping, troubles: &TroubleTracker, stop: &CancellationToken) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let tidy = async {
        let mut waits = false;
        loop {
            ticks.tick().await;
            match forget(store, keeping, troubles, None).await {
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
    /// The most space for all of it: `max-size`.
    pub max_size: Option<Bytes>,
}

/// How long roll-ups of five minutes and of an hour are kept, unless samples are kept longer. Those of a day are kept as
/// long as `history`. An hour of a year is as large as five minutes of a month.
const FIVE_MINUTES_KEPT: Duration = Duration::from_secs(90 * 86_400);
const HOURS_KEPT: Duration = Duration::from_secs(2 * 365 * 86_400);

impl Keeping {
    /// That of a configuration.
    #[must_use]
    pub fn configured(database: &Database) -> Self {
        Self { retention: database.retention, history: database.history, max_size: database.max_size }
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
pub async fn forget(
    store: &Store,
    keeping: Keeping,
    troubles: &TroubleTracker,
    time: Option<Duration>,
) -> Result<Deletion, StoreError> {
    let began = Instant::now();
    let TrustedTime { now, behind } = store.trusted_time(ClockReading::of_system()).await?;
    let deletion = Deletion { waits_for: Some(behind).filter(|behind| *behind >= TOLD_FROM) };
    let Some(now) = now else { return Ok(deletion) };
    let before = |kept: Duration| now.checked_sub(kept).unwrap_or(Timestamp::MIN);
    let history = Tier::ALL.map(|tier| (tier, before(keeping.of(tier))));
    let is_over = || time.is_some_and(|time| began.elapsed() >= time);
    // Before the samples are deleted. A run that ends has time for both.
    let mut has_more = store.catch_up().await?;
    while has_more && time.is_none_or(|time| began.elapsed() < time / 2) {
        tokio::time::sleep(REST).await;
        has_more = store.catch_up().await?;
    }
    while store.forget(before(keeping.retention)).await? && !is_over() {
        tokio::time::sleep(REST).await;
    }
    while store.forget_history(history).await? && !is_over() {
        tokio::time::sleep(REST).await;
    }
    // Samples that are not rolled up yet are not deleted early.
    if let (Some(most), false) = (keeping.max_size, has_more) {
        let finding = shrink(store, most, before(NEWEST), &is_over).await?;
        finding.into_iter().for_each(|finding| troubles.note(finding));
    }
    while store.give_back().await? && !is_over() {
        tokio::time::sleep(REST).await;
    }
    Ok(deletion)
}

/// Deletes the oldest data until the rest fits into `most`, or until `is_over`. Returns a finding about the size; `None` if
/// there is nothing to report: the limit is near, and nothing had to be deleted.
async fn shrink(
    store: &Store,
    most: Bytes,
    newest: Timestamp,
    is_over: &impl Fn() -> bool,
) -> Result<Option<Finding>, StoreError> {
    let present = |detail: String| Some(Finding::Present { kind: TroubleKind::Size, detail });
    let mut has_deleted = false;
    loop {
        match store.shrink(most, newest).await? {
            Some(Shrunk::Deleted) if !is_over() => has_deleted = true,
            Some(Shrunk::Deleted) => break,
            Some(Shrunk::Enough { by }) if !has_deleted => {
                return Ok((by.0 >= most.0 / 4).then_some(Finding::Absent(TroubleKind::Size)));
            }
            Some(Shrunk::Enough { .. }) => break,
            Some(Shrunk::Stuck) => return Ok(present(format!("the data of the last hour is larger than {most}"))),
            None => return Ok(None),
        }
        tokio::time::sleep(REST).await;
    }
    Ok(present(format!("the oldest data is deleted early, so that the rest fits into {most}")))
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
            let kept = Tier::ALL.map(|tier| Keeping { retention, history, max_size: None }.of(tier).as_secs() / DAY);
            assert_eq!(kept, expected);
        }
    }
}
