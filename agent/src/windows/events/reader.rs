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
use crate::windows::api::event_log::{Failure, Handle, next, query, render, seek};

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
    /// The most records of the next batch.
    batch_size: u32,
    /// How many records are still requested one by one, because a batch of several was too large.
    singles: u32,
    /// The id of the last readable record, or the id below which it begins.
    above: Option<u64>,
    /// What is known of the place in the log after a seek.
    sought: Sought,
    /// Requested records that were not processed yet.
    batch: VecDeque<Handle>,
    /// Reused for all records.
    buffer: Vec<u16>,
    stop: Option<Stop>,
    deadline: Instant,
}

/// Whether the query is at the wanted place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sought {
    /// It begins at the top, or only has wanted records.
    Exactly,
    /// It was moved to a record. The first one that follows shows whether this worked.
    Perhaps,
}

impl Records {
    /// Begins below this id, or at the newest record.
    fn open(below: Option<u64>, deadline: Instant) -> Self {
        let mut records = Self {
            query: None,
            batch_size: BATCH,
            singles: 0,
            above: below,
            sought: Sought::Exactly,
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
        self.sought = Sought::Exactly;
        let query = query(CHANNEL, "*").and_then(|query| {
            if let Some(above) = self.above {
                seek(&query, CHANNEL, above)?;
                self.sought = Sought::Perhaps;
            }
            Ok(query)
        });
        match query {
            Ok(query) => self.query = Some(query),
            Err(failure) if self.above.is_none() => self.end(Some(reason(failure))),
            // It cannot be moved there.
            Err(_) => self.ask_by_id(),
        }
    }

    /// Queries the records below the last one by their ids. For this, the log is searched from the newest record on, which
    /// takes long if there are many.
    fn ask_by_id(&mut self) {
        self.sought = Sought::Exactly;
        self.batch.clear();
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
                // Nothing is below the place. If the query was moved, this may be wrong.
                Ok(batch) if batch.is_empty() && self.sought == Sought::Perhaps => self.ask_by_id(),
                Ok(batch) if batch.is_empty() => self.end(None),
                Ok(batch) => {
                    self.batch = batch.into();
                    self.singles = self.singles.saturating_sub(1);
                    if self.singles == 0 {
                        self.batch_size = BATCH;
                    }
                }
                // The query cannot be used afterwards.
                Err(Failure(TOO_LARGE)) if self.batch_size > 1 => {
                    (self.batch_size, self.singles) = (1, BATCH);
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
        loop {
            self.refill();
            let Some(record) = self.batch.pop_front() else {
                return self.stop.take().map(Step::Stopped);
            };
            let step = match render(&record, &mut self.buffer) {
                Ok(xml) => step(&xml),
                Err(failure) => Step::Spoilt(failure.to_string()),
            };
            if let Step::Record { record_id, .. } = step {
                if let (Sought::Perhaps, Some(above)) = (self.sought, self.above) {
                    // It begins with the record that was reported last, or with the one below it if that is gone.
                    match above.checked_sub(record_id) {
                        Some(0) => {
                            self.sought = Sought::Exactly;
                            continue;
                        }
                        Some(1) => self.sought = Sought::Exactly,
                        Some(_) | None => {
                            self.ask_by_id();
                            continue;
                        }
                    }
                }
                self.above = Some(record_id);
            } else if self.sought == Sought::Perhaps {
                self.ask_by_id();
                continue;
            }
            return Some(step);
        }
    }
}

fn reason(failure: Failure) -> Stop {
    match failure.0 {
        ERROR_ACCESS_DENIED => Stop::Denied(failure.to_string()),
        ERROR_TIMEOUT => Stop::Late,
        _ => Stop::Broken(failure.to_string()),
    }
}
