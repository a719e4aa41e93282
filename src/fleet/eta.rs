//! Estimates how long a sweep will still take from the past collections of each client.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    Phase,
    state::{ClientView, Fleet, SweepView},
};

/// The estimated time until `sweep` ends; `None` if it has ended or there are no past collections.
///
/// The estimate for a client is the median of its past collections, or for a client without a past, the median of the
/// others. The remaining work is divided by the number of running collections, and takes at least as long as the
/// slowest client.
#[must_use]
pub fn time_left(fleet: &Fleet, sweep: &SweepView, now: Timestamp) -> Option<Duration> {
    if sweep.duration_ms.is_some() {
        return None;
    }
    let unfinished: Vec<_> = sweep
        .clients
        .iter()
        .filter_map(|id| fleet.client(id))
        .filter(|client| client.running.as_ref().is_some_and(|running| running.sweep == sweep.id))
        .collect();
    if unfinished.is_empty() {
        return Some(Duration::ZERO);
    }
    let past: Vec<_> = unfinished.iter().map(|client| expected_ms(client)).collect();
    let others = median(past.iter().flatten().copied().collect())
        .or_else(|| median(sweep.clients.iter().filter_map(|id| expected_ms(fleet.client(id)?)).collect()))?;
    let (mut work_ms, mut longest_ms, mut active) = (0_u64, 0_u64, 0_u64);
    for (client, expected) in unfinished.iter().zip(past) {
        let expected = expected.unwrap_or(others);
        let left = if Phase::of(client).is_active() {
            active += 1;
            expected.saturating_sub(elapsed_ms(client, now))
        } else {
            expected
        };
        work_ms = work_ms.saturating_add(left);
        longest_ms = longest_ms.max(left);
    }
    // Before the first one has started, the concurrency is unknown.
    let side_by_side = work_ms.checked_div(active)?;
    Some(Duration::from_millis(side_by_side.max(longest_ms)))
}

/// The median duration of a client's past collections, milliseconds.
fn expected_ms(client: &ClientView) -> Option<u64> {
    median(client.recent.iter().map(|sample| sample.duration_ms).collect())
}

/// How long the running attempt has lasted, without its time in the queue.
fn elapsed_ms(client: &ClientView, now: Timestamp) -> u64 {
    let began = client.running.as_ref().and_then(|running| {
        running.stages.iter().find(|(stage, _)| Phase::of_stage(*stage).is_active()).map(|(_, at)| *at)
    });
    began.map_or(0, |began| u64::try_from(now.as_millisecond() - began.as_millisecond()).unwrap_or(0))
}

fn median(mut values: Vec<u64>) -> Option<u64> {
    let middle = values.len() / 2;
    // Unstable sorting is enough, and this runs for each client.
    (!values.is_empty()).then(|| *values.select_nth_unstable(middle).1)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::fleet::{
        ClientId, Event, EventKind, Stage, SweepId,
        event::{ClientCard, Trigger},
        history::StoredHistory,
        state::{RecentCollection, Remembered},
    };

    const SWEEP: SweepId = SweepId(Uuid::from_u128(1));

    fn at(millisecond: i64) -> Timestamp {
        Timestamp::from_millisecond(millisecond).unwrap()
    }

    /// A sweep begun at 0 over clients with these past durations, `active` of them connected at 0.
    fn check(past_ms: &[&[u64]], active: usize, now_ms: i64, expected_ms: Option<u64>) {
        let ids: Vec<_> = (0..past_ms.len()).map(|n| ClientId::new(format!("c{n}"), 22)).collect();
        let mut fleet = Fleet::default();
        let mut tell = |client: Option<&ClientId>, kind| {
            fleet.apply(&Event { at: at(0), sweep: Some(SWEEP), client: client.cloned(), kind });
        };
        let card = |id: &ClientId| ClientCard {
            id: id.clone(),
            name: id.to_string(),
            username: String::new(),
            limits: Vec::new(),
        };
        tell(None, EventKind::Configured { clients: ids.iter().map(card).collect() });
        tell(None, EventKind::SweepStarted { number: 1, trigger: Trigger::Once, clients: ids.clone() });
        for id in ids.iter().take(active) {
            tell(Some(id), EventKind::StageEntered { stage: Stage::Connect, attempt: 1 });
        }
        let sample =
            |ms: &u64| RecentCollection { at: at(-1), duration_ms: *ms, cpu_percent: None, memory_percent: None };
        let remembered = ids.iter().zip(past_ms).map(|(id, past)| Remembered {
            client: id.clone(),
            last: None,
            reading: None,
            sample: None,
            exceeded: Vec::new(),
            recent: past.iter().map(sample).collect(),
        });
        fleet.remember(StoredHistory { clients: remembered.collect(), alerts: Vec::new() });
        let sweep = fleet.newest_sweep().unwrap().clone();
        assert_eq!(time_left(&fleet, &sweep, at(now_ms)), expected_ms.map(Duration::from_millis), "{past_ms:?}");
    }

    #[test]
    fn the_time_left_is_learnt_from_each_clients_own_past() {
        check(&[&[], &[]], 1, 0, None);
        check(&[&[100], &[100]], 0, 0, None);
        check(&[&[100, 900, 200]], 1, 0, Some(200));
        check(&[&[200]], 1, 150, Some(50));
        check(&[&[200]], 1, 999, Some(0));
        // Four of 100 ms, two at a time; then one slow client decides.
        check(&[&[100], &[100], &[100], &[100]], 2, 0, Some(200));
        check(&[&[100], &[100], &[100], &[5000]], 2, 0, Some(5000));
        // A client without a past counts like the others.
        check(&[&[100], &[]], 1, 0, Some(200));
    }
}
