//! Reads the log with the Windows API, one record after the other, within a time limit.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use fleetsweep_agent::{
    report::{EventLog, Warning},
    request::EventsWanted,
};
use windows_sys::Win32::Foundation::{ERROR_ACCESS_DENIED, ERROR_TIMEOUT};

use super::{
    place::{Bound, Place},
    step,
    walk::{A_DAY_MS, CHANNEL, Caps, Step, Stop, walk, warning},
};
use crate::windows::api::event_log::{Failure, Handle, next, query, render};

/// The number of records per request.
const BATCH: u32 = 16;
/// The error for a batch of several large records: `RPC_S_INVALID_BOUND`.
const TOO_LARGE: u32 = 1734;

/// Reads the requested part of the security log. `now_ms` is the time of this machine's clock.
pub(in crate::windows) fn look(
    wanted: &EventsWanted,
    now_ms: i64,
    patience: Duration,
) -> (Option<EventLog>, Vec<Warning>) {
    let deadline = Instant::now() + patience;
    let mut warnings = Vec::new();
    let since = |age_ms: i64| (Bound::Since(now_ms.saturating_sub(age_ms)), Vec::new());
    let (down_to, gaps) = match wanted {
        EventsWanted::No => return (None, warnings),
        EventsWanted::Within(age) => since(i64::try_from(age.as_millis()).unwrap_or(i64::MAX)),
        EventsWanted::After(bookmark) => match Place::parse(bookmark.as_str()) {
            Some(place) => (Bound::After(place.newest), place.gaps),
            None => {
                // Reporting an event twice is better than losing it.
                warnings.push(warning("the bookmark is not this agent's: a day was read again".to_owned()));
                since(A_DAY_MS)
            }
        },
    };
    let open = |below| Records::open(below, deadline);
    let (log, troubles) = walk(open, down_to, gaps, Caps::REPORT, now_ms);
    warnings.extend(troubles);
    (Some(log), warnings)
}

/// The records of the log, newest first. If reading stops, the last item is the reason.
struct Records {
    query: Option<Handle>,
    batch_size: u32,
    /// The id of the last readable record, or the id below which it begins.
    above: Option<u64>,
    /// Requested records that were not processed yet.
    batch: VecDeque<Handle>,
    /// Reused for all records.
    buffer: Vec<u16>,
    stop: Option<Stop>,
    deadline: Instant,
}

impl Records {
    /// Begins below this id, or at the newest record.
    fn open(below: Option<u64>, deadline: Instant) -> Self {
        let mut records = Self {
            query: None,
            batch_size: BATCH,
            above: below,
            batch: VecDeque::new(),
            buffer: Vec::new(),
            stop: None,
            deadline,
        };
        records.ask();
        records
    }

    /// Queries the records below the last one, or all.
    fn ask(&mut self) {
        let select = self.above.map_or_else(|| "*".to_owned(), |above| format!("*[System[EventRecordID < {above}]]"));
        match query(CHANNEL, &select) {
            Ok(query) => self.query = Some(query),
            Err(failure) => self.end(Some(reason(failure))),
        }
    }

    fn refill(&mut self) {
        while let Some(query) = &self.query
            && self.batch.is_empty()
        {
            let left = self.deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return self.end(Some(Stop::Late));
            }
            match next(query, self.batch_size, u32::try_from(left.as_millis()).unwrap_or(u32::MAX).max(1)) {
                Ok(batch) if batch.is_empty() => self.end(None),
                Ok(batch) => self.batch = batch.into(),
                // The query cannot be used afterwards.
                Err(Failure(TOO_LARGE)) if self.batch_size > 1 => {
                    self.batch_size = 1;
                    self.ask();
                }
                Err(failure) => self.end(Some(reason(failure))),
            }
        }
    }

    fn end(&mut self, stop: Option<Stop>) {
        self.query = None;
        self.stop = stop;
    }
}

impl Iterator for Records {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        self.refill();
        let Some(record) = self.batch.pop_front() else {
            return self.stop.take().map(Step::Stopped);
        };
        let step = match render(&record, &mut self.buffer) {
            Ok(xml) => step(&xml),
            Err(failure) => Step::Spoilt(failure.to_string()),
        };
        if let Step::Record { record_id, .. } = step {
            self.above = Some(record_id);
        }
        Some(step)
    }
}

fn reason(failure: Failure) -> Stop {
    match failure.0 {
        ERROR_ACCESS_DENIED => Stop::Denied(failure.to_string()),
        ERROR_TIMEOUT => Stop::Late,
        _ => Stop::Broken(failure.to_string()),
    }
}
