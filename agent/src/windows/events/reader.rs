//! Reads the log with the Windows API, one record after the other, within a time limit.

use std::{
    collections::VecDeque,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use fleetsweep_agent::{
    report::{EventAccess, EventLog, SecurityEvent, Warning},
    request::{EventsWanted, FurtherLog},
};
use windows_sys::Win32::Foundation::{ERROR_ACCESS_DENIED, ERROR_EVT_CHANNEL_NOT_FOUND, ERROR_TIMEOUT};

use super::{
    names::name_identities,
    place::{Bound, Place},
    step, step_of_other,
    walk::{A_DAY_MS, CHANNEL, Caps, Channel, Step, Stop, walk, warning, xml_bytes},
};
use crate::places::{ABSENT, Places};
use crate::windows::api::{
    accounts,
    event_log::{Failure, Handle, next, query, render, seek},
};

/// The number of records per request.
const BATCH: u32 = 16;
/// The error for a batch of several large records: `RPC_S_INVALID_BOUND`.
const TOO_LARGE: u32 = 1734;

/// Reads the requested part of the security log and of further logs. `now_ms` is the time of this machine's clock.
pub(in crate::windows) fn look(
    wanted: &EventsWanted,
    logs: &[FurtherLog],
    now_ms: i64,
    patience: Duration,
) -> (Option<EventLog>, Vec<Warning>) {
    let deadline = Instant::now() + patience;
    let mut warnings = Vec::new();
    let mut known = Places::default();
    let since = |age_ms: i64| (Bound::Since(now_ms.saturating_sub(age_ms)), Vec::new());
    let (down_to, gaps) = match wanted {
        EventsWanted::No => return (None, warnings),
        EventsWanted::Within(age) => since(i64::try_from(age.as_millis()).unwrap_or(i64::MAX)),
        EventsWanted::After(bookmark) => {
            known = Places::parse(bookmark.as_str());
            match known.security.as_deref().map(Place::parse) {
                Some(Some(place)) => (Bound::After(place.newest), place.gaps),
                // The security log could not be read yet.
                None => since(A_DAY_MS),
                Some(None) => {
                    // Reporting an event twice is better than losing it.
                    warnings.push(warning("the bookmark is not this agent's: a day was read again".to_owned()));
                    since(A_DAY_MS)
                }
            }
        }
    };
    let mut further = Further { places: Vec::new(), events: Vec::new(), bytes: 0, truncated: false };
    for log in logs {
        further.read(log, known.of(log.channel()), now_ms, deadline, &mut warnings);
    }
    let caps = Caps {
        events: Caps::REPORT.events.saturating_sub(further.events.len()),
        bytes: Caps::REPORT.bytes.saturating_sub(further.bytes),
    };
    let open = |below| Records::open(CHANNEL, &[], below, deadline);
    let (mut log, troubles) = walk(Channel::SECURITY, open, down_to, gaps, caps, now_ms);
    warnings.extend(troubles);
    // Not by their times: the order of the records shows when a clock was set.
    log.events.append(&mut further.events);
    log.truncated |= further.truncated;
    name_identities(&mut log.events, account_names());
    log.bookmark = Places { security: log.bookmark.or(known.security), further: further.places }.to_text();
    (Some(log), warnings)
}

/// How long all names of accounts may take together. They may come from a domain controller that does not answer.
const NAMES_WITHIN: Duration = Duration::from_secs(2);

/// Looks up the names of identities in a thread of its own, because a lookup has no time limit. It ends with the process.
fn account_names() -> impl FnMut(&str) -> Option<String> {
    let deadline = Instant::now() + NAMES_WITHIN;
    // One question at a time: nothing waits in them.
    let (ask, questions) = mpsc::sync_channel::<String>(1);
    let (answer, answers) = mpsc::sync_channel::<Option<String>>(1);
    let thread = thread::Builder::new().spawn(move || {
        for identity in questions {
            if answer.send(accounts::name_of(&identity).ok()).is_err() {
                break;
            }
        }
    });
    let mut is_late = thread.is_err();
    move |identity| {
        if is_late {
            return None;
        }
        // After a late answer, the next one would be that of another question.
        let asked = ask.send(identity.to_owned()).ok();
        let left = deadline.saturating_duration_since(Instant::now());
        match asked.and_then(|()| answers.recv_timeout(left).ok()) {
            Some(name) => name,
            None => {
                is_late = true;
                None
            }
        }
    }
}

/// What was read from the further logs.
struct Further {
    /// Their new bookmarks.
    places: Vec<(String, String)>,
    events: Vec<SecurityEvent>,
    bytes: usize,
    truncated: bool,
}

impl Further {
    /// Once there are this many bytes, the rest comes with the next report.
    const ENOUGH_BYTES: usize = 1 << 20;

    fn read(
        &mut self,
        log: &FurtherLog,
        place: Option<&str>,
        now_ms: i64,
        deadline: Instant,
        warnings: &mut Vec<Warning>,
    ) {
        let channel = log.channel();
        let mut warn = |why: String| warnings.push(Warning { what: format!("log {channel}"), why });
        let mut keep = |place: Option<String>| self.places.extend(place.map(|place| (channel.to_owned(), place)));
        if self.bytes > Self::ENOUGH_BYTES {
            self.truncated = true;
            return keep(place.map(str::to_owned));
        }
        if let Err(Failure(ERROR_EVT_CHANNEL_NOT_FOUND)) = query(channel, "*") {
            if place != Some(ABSENT) {
                warn("this machine has no such log".to_owned());
            }
            return keep(Some(ABSENT.to_owned()));
        }
        let (down_to, gaps) = match place.and_then(Place::parse) {
            Some(place) => (Bound::After(place.newest), place.gaps),
            None => (Bound::Since(now_ms.saturating_sub(A_DAY_MS)), Vec::new()),
        };
        let open = |below| Records::open(channel, log.ids(), below, deadline);
        let part = Channel { name: channel, is_whole: log.ids().is_empty() };
        let (read, troubles) = walk(part, open, down_to, gaps, Caps::FURTHER, now_ms);
        if read.access == EventAccess::Cleared {
            warn("it was cleared".to_owned());
        }
        for trouble in troubles {
            warn(trouble.why);
        }
        keep(read.bookmark.or_else(|| place.filter(|place| *place != ABSENT).map(str::to_owned)));
        self.truncated |= read.truncated;
        self.bytes += read.events.iter().map(xml_bytes).sum::<usize>();
        let events = read.events.into_iter();
        self.events.extend(events.map(|event| SecurityEvent { channel: Some(channel.to_owned()), ..event }));
    }
}

/// The records of the log, newest first. If reading stops, the last item is the reason.
struct Records<'a> {
    channel: &'a str,
    /// The ids of the wanted events; empty for all.
    ids: &'a [u32],
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

impl<'a> Records<'a> {
    /// Begins below this id, or at the newest record.
    fn open(channel: &'a str, ids: &'a [u32], below: Option<u64>, deadline: Instant) -> Self {
        let mut records = Self {
            channel,
            ids,
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
        let query = query(self.channel, &self.select(None)).and_then(|query| {
            if let Some(above) = self.above {
                seek(&query, self.channel, above)?;
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
        match query(self.channel, &self.select(self.above)) {
            Ok(query) => self.query = Some(query),
            Err(failure) => self.end(Some(reason(failure))),
        }
    }

    /// The expression for the wanted records, below this id or all.
    fn select(&self, below: Option<u64>) -> String {
        let ids = self.ids.iter().map(|id| format!("EventID={id}")).collect::<Vec<_>>().join(" or ");
        match (ids.is_empty(), below) {
            (true, None) => "*".to_owned(),
            (true, Some(below)) => format!("*[System[EventRecordID < {below}]]"),
            (false, None) => format!("*[System[({ids})]]"),
            (false, Some(below)) => format!("*[System[({ids}) and EventRecordID < {below}]]"),
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

impl Iterator for Records<'_> {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        loop {
            self.refill();
            let Some(record) = self.batch.pop_front() else {
                return self.stop.take().map(Step::Stopped);
            };
            let step = match render(&record, &mut self.buffer) {
                Ok(xml) if self.channel == CHANNEL => step(&xml),
                Ok(xml) => step_of_other(&xml),
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
