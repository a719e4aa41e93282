//! Which records a report tells of: from the newest down to where the last report ended, or to an age, or as many as
//! fit. Whether the log was cleared or lost records. Pure; the records come in one after the other.

use std::fmt;

use fleetsweep_agent::report::{EventAccess, EventLog, MAX_EVENTS, SecurityEvent, Warning};

/// Where the log is read.
pub(super) const CHANNEL: &str = "Security";
/// The most room for events in a report, bytes of XML: the rest of the largest report is for everything else.
const MAX_EVENT_BYTES: usize = 3 << 20;
/// The event that a cleared log begins with.
const CLEARED: u32 = 1102;
/// How far back is read what the bookmark does not tell.
pub(super) const A_DAY_MS: i64 = 24 * 3600 * 1000;

/// The newest record that a report told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) record_id: u64,
    /// Its time: a log that was cleared counts from one again, and then another record has this id.
    pub(super) at_ms: i64,
}

impl Place {
    pub(super) fn parse(bookmark: &str) -> Option<Self> {
        let mut words = bookmark.split(' ');
        let place = match (words.next()?, words.next()?.parse(), words.next()?.parse()) {
            ("record", Ok(record_id), Ok(at_ms)) => Self { record_id, at_ms },
            _ => return None,
        };
        words.next().is_none().then_some(place)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "record {} {}", self.record_id, self.at_ms)
    }
}

/// Down to where the log is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// What is not older than this.
    Time(i64),
    /// What came after this.
    Place(Place),
}

/// One step down the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// A record that can be read.
    Record { record_id: u64, event: SecurityEvent },
    /// A record that cannot be, and why.
    Spoilt(String),
    /// There is no going on, for this reason.
    Stopped(Stop),
}

/// Why there is no going on before the log's end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stop {
    /// This account may not read it.
    Denied(String),
    /// The time for it is over.
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

/// How the walk ended.
enum End {
    /// Where it should.
    Reached,
    /// At the oldest record there is.
    Oldest,
    /// At this record, which is not told of, or below those that are.
    Short { from_record_id: u64, why: String },
}

/// Walks down the log. `now_ms` is this machine's clock.
pub(super) fn walk(steps: impl Iterator<Item = Step>, until: Until, now_ms: i64) -> (EventLog, Vec<Warning>) {
    let mut walk = Walk::new(until, now_ms);
    let mut end = End::Oldest;
    for step in steps {
        match step {
            Step::Record { record_id, event } => {
                if let Some(ended) = walk.take(record_id, event) {
                    end = ended;
                    break;
                }
            }
            Step::Spoilt(why) => {
                walk.spoilt += 1;
                walk.why_spoilt.get_or_insert(why);
            }
            Step::Stopped(stop) if walk.newest.is_none() => return walk.nothing(&stop),
            Step::Stopped(stop) => {
                end = End::Short { from_record_id: walk.lowest.saturating_sub(1), why: stop.to_string() };
                break;
            }
        }
    }
    walk.end(end)
}

struct Walk {
    until: Until,
    now_ms: i64,
    newest: Option<Place>,
    /// The lowest record id that was told of.
    lowest: u64,
    /// Newest first.
    events: Vec<SecurityEvent>,
    event_bytes: usize,
    /// How many records cannot be read, and why the newest of them.
    spoilt: u64,
    why_spoilt: Option<String>,
    cleared: bool,
}

impl Walk {
    fn new(until: Until, now_ms: i64) -> Self {
        Self {
            until,
            now_ms,
            newest: None,
            lowest: u64::MAX,
            events: Vec::new(),
            event_bytes: 0,
            spoilt: 0,
            why_spoilt: None,
            cleared: false,
        }
    }

    /// Takes in one record, or says why the walk ends there.
    fn take(&mut self, record_id: u64, event: SecurityEvent) -> Option<End> {
        let place = Place { record_id, at_ms: event.occurred_unix_ms };
        let newest = *self.newest.get_or_insert(place);
        if let Until::Place(last) = self.until {
            // Either its newest record is below the bookmark, or another record has the bookmark's id.
            if newest.record_id < last.record_id || (record_id == last.record_id && place.at_ms != last.at_ms) {
                self.cleared = true;
                // The bookmark's id is one of the old log, and says nothing of this one.
                self.until = Until::Time(self.now_ms.saturating_sub(A_DAY_MS));
            } else if record_id <= last.record_id {
                return Some(End::Reached);
            }
        }
        if let Until::Time(oldest_ms) = self.until
            && place.at_ms < oldest_ms
        {
            return Some(End::Reached);
        }
        self.event_bytes += xml_bytes(&event);
        if self.events.len() >= MAX_EVENTS || self.event_bytes > MAX_EVENT_BYTES {
            let why = "there are more than a report carries".to_owned();
            return Some(End::Short { from_record_id: record_id, why });
        }
        self.cleared |= event.event_id == Some(CLEARED);
        self.lowest = record_id;
        self.events.push(event);
        None
    }

    fn end(mut self, end: End) -> (EventLog, Vec<Warning>) {
        let Some(newest) = self.newest else {
            return match self.why_spoilt {
                // A log that was never written to does not exist: even clearing it writes a record.
                None => self.nothing(&Stop::Broken("it holds no record at all".to_owned())),
                Some(_) => self.nothing(&Stop::Broken("none of its records can be read".to_owned())),
            };
        };
        let mut warnings = self.spoilt_warning();
        let mut truncated = false;
        match end {
            End::Reached => {}
            End::Oldest => {
                if let Some((lost, count)) = self.lost() {
                    truncated = !self.cleared;
                    let how = if self.cleared { "went when it was cleared" } else { "were overwritten" };
                    warnings.push(warning(format!("{lost} ({count}) {how} before they were read")));
                }
            }
            End::Short { from_record_id, why } => {
                truncated = true;
                warnings.push(warning(format!("{} not read: {why}", self.unread(from_record_id))));
            }
        }
        self.events.reverse();
        let access = if self.cleared { EventAccess::Cleared } else { EventAccess::Read };
        let bookmark = Some(newest.to_string());
        (EventLog { source: CHANNEL.to_owned(), access, bookmark, truncated, events: self.events }, warnings)
    }

    /// The records between the bookmark and the oldest that there is, beyond those that cannot be read.
    fn lost(&self) -> Option<(String, u64)> {
        let Until::Place(last) = self.until else { return None };
        let count = self.lowest.checked_sub(last.record_id.checked_add(1)?)?;
        let range = format!("records {} to {}", last.record_id + 1, self.lowest - 1);
        (count > self.spoilt).then_some((range, count))
    }

    /// What was left out, from this record down.
    fn unread(&self, from_record_id: u64) -> String {
        match self.until {
            Until::Place(last) => {
                let first = last.record_id.saturating_add(1);
                let count = from_record_id.saturating_add(1).saturating_sub(first);
                format!("records {first} to {from_record_id} ({count}) were")
            }
            Until::Time(_) => format!("records up to {from_record_id} were"),
        }
    }

    fn spoilt_warning(&self) -> Vec<Warning> {
        let count = self.spoilt;
        let why = self.why_spoilt.iter();
        why.map(|why| warning(format!("{count} records cannot be read, the newest because {why}"))).collect()
    }

    /// A log of which no record was read. The bookmark stays what it was.
    fn nothing(self, stop: &Stop) -> (EventLog, Vec<Warning>) {
        let access = match stop {
            Stop::Denied(_) => EventAccess::Denied,
            Stop::Late | Stop::Broken(_) => EventAccess::Unavailable,
        };
        let mut warnings = self.spoilt_warning();
        warnings.push(warning(stop.to_string()));
        (EventLog { source: CHANNEL.to_owned(), access, ..EventLog::default() }, warnings)
    }
}

/// A warning about the log.
pub(super) fn warning(why: String) -> Warning {
    Warning { what: "security log".to_owned(), why }
}

/// How much room an event takes in a report's XML, at most.
fn xml_bytes(event: &SecurityEvent) -> usize {
    /// Names of elements and attributes, and the numbers.
    const FRAME_BYTES: usize = 200;
    const DATA_FRAME_BYTES: usize = 32;
    let text = |text: &str| -> usize {
        text.bytes()
            .map(|byte| match byte {
                // The longest spelling is that of a quotation mark.
                b'<' | b'>' | b'&' | b'"' | b'\'' | ..b' ' => 6,
                // Some of these bytes are of characters that XML cannot carry, whose replacement is as long.
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
