//! Selects the records of a report: from the newest down to the end of the last report, or to an age, and then in the
//! gaps that earlier reports left, up to the limits. Omitted records become a gap in the new bookmark. Also detects
//! whether the log was cleared or has lost records. Pure.

use std::{collections::VecDeque, fmt, mem};

use fleetsweep_agent::report::{EventAccess, EventLog, MAX_EVENTS, SecurityEvent, Warning};

use super::place::{Bound, Gap, MAX_GAPS, Mark, Place};

/// The channel of the log.
pub(super) const CHANNEL: &str = "Security";
/// The first event of a cleared log.
const CLEARED: u32 = 1102;
/// How far back records are read without a usable bookmark.
pub(super) const A_DAY_MS: i64 = 24 * 3600 * 1000;

/// How many older records in a row end a part of the log that is bounded by an age. Fewer may come from a time at which
/// the clock was wrong, with wanted records below them.
const OLDER_IN_A_ROW: usize = 500;

/// The limits of a report. At least one event is always included, so that reports make progress.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caps {
    pub(super) events: usize,
    /// The most bytes of XML for all events.
    pub(super) bytes: usize,
}

impl Caps {
    /// The limits of every report. The rest of the largest report is for other data.
    pub(super) const REPORT: Self = Self { events: MAX_EVENTS, bytes: 3 << 20 };
    /// The limits of each further log.
    #[cfg(windows)]
    pub(super) const FURTHER: Self = Self { events: 500, bytes: 256 << 10 };
}

/// One step down the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// A readable record.
    Record { record_id: u64, event: SecurityEvent },
    /// An unreadable record, and the reason.
    Spoilt(String),
    /// Reading stops, for this reason.
    Stopped(Stop),
}

/// The reason why reading stopped before the end of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stop {
    /// The account has no permission.
    Denied(String),
    /// The time limit has passed.
    Late,
    /// Something else.
    Broken(String),
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied(why) => {
                write!(f, "this account may not read it: make it an Administrator or an Event Log Reader ({why})")
            }
            Self::Late => f.write_str("the time for it was over"),
            Self::Broken(why) => f.write_str(why),
        }
    }
}

/// How the walk through a part of the log ended.
enum End {
    /// At its lower bound.
    Reached,
    /// At the oldest record.
    Oldest,
    /// At this record, which exceeds the limits.
    Full { record_id: u64 },
    /// Before its bound.
    Stopped(Stop),
}

/// A log as a walk needs to know it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Channel<'a> {
    pub(super) name: &'a str,
    /// Whether all records are read. Otherwise the ids of records have gaps, and there may be no record at all.
    pub(super) is_whole: bool,
}

impl Channel<'static> {
    /// The security log.
    pub(super) const SECURITY: Self = Self { name: CHANNEL, is_whole: true };
}

/// Walks down the log to this bound, and then through these gaps. `open` returns the records below an id, or all of
/// them, newest first. `now_ms` is the time of this machine's clock.
pub(super) fn walk<Steps: Iterator<Item = Step>>(
    channel: Channel<'_>,
    open: impl Fn(Option<u64>) -> Steps,
    down_to: Bound,
    gaps: Vec<Gap>,
    caps: Caps,
    now_ms: i64,
) -> (EventLog, Vec<Warning>) {
    let mut walk = Walk::new(channel, gaps, caps, now_ms);
    let mut stretch = Stretch { below: None, down_to, tried: false, told: false, spoilt: 0, older: Vec::new() };
    loop {
        let end = walk.down(open(stretch.below), &mut stretch);
        let Some(newest) = walk.newest else { return walk.nothing(end) };
        if let Some(gap) = walk.left(&stretch, end) {
            walk.gaps.push_front(gap);
            return walk.end(newest);
        }
        let Some(gap) = walk.gaps.pop_front() else { return walk.end(newest) };
        stretch = gap.into();
    }
}

/// A part of the log that is being read.
struct Stretch {
    /// The id of the last record that was read, or below which the part begins; absent at the top.
    below: Option<u64>,
    down_to: Bound,
    /// Whether it failed in an earlier report and none of its records was reported since.
    tried: bool,
    /// Whether one of its records was reported now.
    told: bool,
    /// The number of unreadable records since the last readable one.
    spoilt: u64,
    /// Records that are older than the bound, and are wanted if a younger one is below them.
    older: Vec<(u64, SecurityEvent)>,
}

impl From<Gap> for Stretch {
    fn from(Gap { below, down_to, tried }: Gap) -> Self {
        Self { below: Some(below), down_to, tried, told: false, spoilt: 0, older: Vec::new() }
    }
}

struct Walk<'a> {
    channel: Channel<'a>,
    caps: Caps,
    now_ms: i64,
    newest: Option<Mark>,
    /// Newest first.
    events: Vec<SecurityEvent>,
    event_bytes: usize,
    /// The gaps that are left, newest first.
    gaps: VecDeque<Gap>,
    /// The number of unreadable records, and the error of the newest one.
    spoilt: u64,
    why_spoilt: Option<String>,
    cleared: bool,
    warnings: Vec<Warning>,
}

impl<'a> Walk<'a> {
    fn new(channel: Channel<'a>, gaps: Vec<Gap>, caps: Caps, now_ms: i64) -> Self {
        Self {
            channel,
            caps,
            now_ms,
            newest: None,
            events: Vec::new(),
            event_bytes: 0,
            gaps: gaps.into(),
            spoilt: 0,
            why_spoilt: None,
            cleared: false,
            warnings: Vec::new(),
        }
    }

    /// Walks down a part of the log.
    fn down(&mut self, steps: impl Iterator<Item = Step>, stretch: &mut Stretch) -> End {
        for step in steps {
            match step {
                Step::Record { record_id, event } => {
                    if let Some(end) = self.take(stretch, record_id, event) {
                        return end;
                    }
                }
                Step::Spoilt(why) => {
                    self.spoilt += 1;
                    stretch.spoilt += 1;
                    self.why_spoilt.get_or_insert(why);
                }
                Step::Stopped(stop) => return End::Stopped(stop),
            }
        }
        End::Oldest
    }

    /// Adds a record. Returns a value if the part ends there.
    fn take(&mut self, stretch: &mut Stretch, record_id: u64, event: SecurityEvent) -> Option<End> {
        let mark = Mark { record_id, at_ms: event.occurred_unix_ms };
        let newest = *self.newest.get_or_insert(mark);
        if let Bound::After(last) = stretch.down_to {
            // Either the newest record is below the last reported one, or another record has its id.
            if newest.record_id < last.record_id || (record_id == last.record_id && mark != last) {
                // Its id belongs to the old log.
                stretch.down_to = Bound::Since(self.now_ms.saturating_sub(A_DAY_MS));
                self.cleared = true;
                for gap in mem::take(&mut self.gaps) {
                    self.warn_lost(&gap);
                }
            } else if record_id <= last.record_id {
                return Some(End::Reached);
            }
        }
        if let Bound::Since(oldest_ms) = stretch.down_to
            && mark.at_ms < oldest_ms
        {
            stretch.older.push((record_id, event));
            return (stretch.older.len() >= OLDER_IN_A_ROW).then_some(End::Reached);
        }
        let older = mem::take(&mut stretch.older);
        older.into_iter().chain([(record_id, event)]).find_map(|(record_id, event)| self.add(stretch, record_id, event))
    }

    /// Adds a wanted record. Returns a value if it does not fit.
    fn add(&mut self, stretch: &mut Stretch, record_id: u64, event: SecurityEvent) -> Option<End> {
        let bytes = self.event_bytes.saturating_add(xml_bytes(&event));
        if !self.events.is_empty() && (self.events.len() >= self.caps.events || bytes > self.caps.bytes) {
            return Some(End::Full { record_id });
        }
        self.cleared |= event.event_id == Some(CLEARED) && self.channel.name == CHANNEL;
        self.event_bytes = bytes;
        self.events.push(event);
        stretch.below = Some(record_id);
        (stretch.tried, stretch.told, stretch.spoilt) = (false, true, 0);
        None
    }

    /// The gap that a part leaves for the next report if the walk stops.
    fn left(&mut self, stretch: &Stretch, end: End) -> Option<Gap> {
        let gap = Gap { below: stretch.below?, down_to: stretch.down_to, tried: false };
        match end {
            End::Reached => None,
            End::Oldest => {
                // Unreadable records are reported already.
                if self.channel.is_whole && gap.count().is_some_and(|count| count > stretch.spoilt) {
                    self.warn_lost(&gap);
                }
                None
            }
            End::Full { record_id } => Some(Gap { below: record_id.saturating_add(1), ..gap }),
            End::Stopped(_) if gap.count() == Some(0) => None,
            End::Stopped(stop) => self.left_by(&stop, stretch, gap),
        }
    }

    fn left_by(&mut self, stop: &Stop, stretch: &Stretch, gap: Gap) -> Option<Gap> {
        let failed = *stop != Stop::Late && !stretch.told;
        if failed && stretch.tried {
            self.warnings.push(warning(format!("{} are given up: {stop}", gap.records())));
            return None;
        }
        self.warnings.push(warning(format!("{} were not read yet: {stop}", gap.records())));
        // If there was no time to read it, this does not count as a failure of the gap.
        Some(Gap { tried: failed || stretch.tried, ..gap })
    }

    fn warn_lost(&mut self, gap: &Gap) {
        let how = if self.cleared { "went when it was cleared" } else { "were overwritten" };
        self.warnings.push(warning(format!("{} {how} before they were read", gap.records())));
    }

    fn end(mut self, newest: Mark) -> (EventLog, Vec<Warning>) {
        // The bookmarks of all logs share the length of one.
        let max_gaps = if self.channel.name == CHANNEL { MAX_GAPS } else { 1 };
        for gap in self.gaps.split_off(self.gaps.len().min(max_gaps)) {
            let why = "more parts of the log are unread than a bookmark holds";
            self.warnings.push(warning(format!("{} are given up: {why}", gap.records())));
        }
        let mut events = mem::take(&mut self.events);
        events.reverse();
        let access = if self.cleared { EventAccess::Cleared } else { EventAccess::Read };
        let truncated = !self.gaps.is_empty();
        let bookmark = Some(Place { newest, gaps: mem::take(&mut self.gaps).into() }.to_string());
        let log = EventLog { source: self.channel.name.to_owned(), access, bookmark, truncated, events };
        (log, self.warnings())
    }

    /// A log of which no record was read. The bookmark is unchanged.
    fn nothing(mut self, end: End) -> (EventLog, Vec<Warning>) {
        let stop = match end {
            End::Stopped(stop) => stop,
            // A log that has nothing else than the security log may be empty.
            _ if self.channel.name != CHANNEL && self.spoilt == 0 => {
                return (EventLog { source: self.channel.name.to_owned(), ..EventLog::default() }, self.warnings());
            }
            End::Reached | End::Oldest | End::Full { .. } => Stop::Broken(match self.spoilt {
                // A log that was never written to does not exist. Even clearing a log writes a record.
                0 => "it holds no record at all".to_owned(),
                _ => "none of its records can be read".to_owned(),
            }),
        };
        let access = match stop {
            Stop::Denied(_) => EventAccess::Denied,
            Stop::Late | Stop::Broken(_) => EventAccess::Unavailable,
        };
        self.warnings.push(warning(stop.to_string()));
        (EventLog { source: self.channel.name.to_owned(), access, ..EventLog::default() }, self.warnings())
    }

    /// All warnings.
    fn warnings(self) -> Vec<Warning> {
        let count = self.spoilt;
        let spoilt =
            self.why_spoilt.map(|why| warning(format!("{count} records cannot be read, the newest because {why}")));
        spoilt.into_iter().chain(self.warnings).collect()
    }
}

/// A warning about the log.
pub(super) fn warning(why: String) -> Warning {
    Warning { what: "security log".to_owned(), why }
}

/// The highest possible size of an event in the report's XML.
pub(super) fn xml_bytes(event: &SecurityEvent) -> usize {
    /// The names of elements and attributes, and the numbers.
    const FRAME_BYTES: usize = 200;
    const DATA_FRAME_BYTES: usize = 32;
    let text = |text: &str| -> usize {
        text.bytes()
            .map(|byte| match byte {
                // A quotation mark has the longest escape sequence.
                b'<' | b'>' | b'&' | b'"' | b'\'' | ..b' ' => 6,
                // Some of these bytes belong to characters that are invalid in XML, whose replacement has the same
                // length.
                _ => 1,
            })
            .sum()
    };
    let texts = [&event.record_id, &event.level, &event.source, &event.message];
    FRAME_BYTES
        + texts.into_iter().chain(&event.user).map(|part| text(part)).sum::<usize>()
        + event.data.iter().map(|(name, value)| DATA_FRAME_BYTES + text(name) + text(value)).sum::<usize>()
}

#[cfg(test)]
mod tests;
