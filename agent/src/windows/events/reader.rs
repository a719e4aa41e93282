//! Reads the log through the system's interface, one record after the other, for as long as there is patience.

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

/// How many records are asked for at a time.
const BATCH: u32 = 16;
/// The error by which several large records at a time are refused: `RPC_S_INVALID_BOUND`.
const TOO_LARGE: u32 = 1734;

/// Reads what is wanted of the security log. `now_ms` is this machine's clock.
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
                // Rather twice than not at all.
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

/// The records of the log, newest first; a reason to stop is the last of them.
struct Records {
    query: Option<Handle>,
    batch_size: u32,
    /// The last record that could be read, or the one that it begins below.
    above: Option<u64>,
    /// Those that were asked for and not looked at yet.
    batch: VecDeque<Handle>,
    /// Kept between records.
    buffer: Vec<u16>,
    stop: Option<Stop>,
    deadline: Instant,
}

impl Records {
    /// Those with smaller ids than this, or all.
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

    /// Asks for what lies below the last record, or for all.
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
                // The query is of no use afterwards.
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
