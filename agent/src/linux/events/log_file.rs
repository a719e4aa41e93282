//! A security log in a text file of a syslog daemon, followed across log rotation. Lines are parsed in [`line`], and local
//! times are converted in [`zone`].
//!
//! [`chain`] decides which files are read, from the oldest on. Lines without a time continue the event before them, unless
//! the whole file has no times.

mod chain;
mod line;
mod zone;

use std::{
    fs::File,
    io::{self, ErrorKind, Read, Seek, SeekFrom},
    os::unix::fs::MetadataExt,
    path::Path,
};

use fleetsweep_agent::report::{MAX_MESSAGE_BYTES, SecurityEvent};

use self::{line::Line, zone::Zone};
use super::{Found, MAX_EVENTS, MAX_TEXT_BYTES, Place, Position, Trouble};

pub(super) use zone::Rules;

/// The most bytes that are read at a time.
const MAX_READ_BYTES: u64 = 1 << 20;
/// The bytes from which the time at a place in a file is taken.
const PROBE_BYTES: u64 = 64 << 10;
/// The most bytes in front of an offset that identify a file.
const FINGERPRINT_BYTES: u64 = 64;

/// The rule of the time zone of this machine.
pub(super) fn local_rules() -> Option<Rules> {
    let mut bytes = Vec::new();
    File::open("/etc/localtime").and_then(|file| file.take(PROBE_BYTES).read_to_end(&mut bytes)).ok()?;
    Rules::of_file(&bytes)
}

/// Reads the lines after `from`.
pub(super) fn read(path: &Path, from: &Place, rules: Option<Rules>) -> Result<Found, Trouble> {
    let current = Log::open(path, rules).map_err(|error| {
        if error.kind() == ErrorKind::NotFound {
            Trouble::Absent
        } else if error.kind() == ErrorKind::PermissionDenied {
            Trouble::Denied
        } else {
            Trouble::Broken(error.to_string())
        }
    })?;
    let mut found = Found { events: Vec::new(), truncated: false, cleared: false, place: from.clone(), trouble: None };
    let read = || {
        let chain = chain::chain(path, current, from, rules, &mut found)?;
        let mut after_ms = chain.after_ms;
        for (log, offset) in chain.logs {
            log.read_from(offset, &mut after_ms, &mut found)?;
            // The next report continues there.
            if found.truncated {
                break;
            }
        }
        Ok(())
    };
    read().map_err(|error: io::Error| Trouble::Broken(error.to_string()))?;
    Ok(found)
}

/// An open log file.
struct Log {
    file: File,
    inode: u64,
    size: u64,
    modified_ms: i64,
    zone: Zone,
    /// Whether its lines have times.
    is_timed: bool,
}

impl Log {
    fn open(path: &Path, rules: Option<Rules>) -> io::Result<Self> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        let modified_ms = metadata.mtime().saturating_mul(1000);
        let zone = Zone::of(rules, None, modified_ms);
        let (inode, size) = (metadata.ino(), metadata.size());
        let mut log = Self { file, inode, size, modified_ms, zone, is_timed: false };
        let tail = log.bytes(size.saturating_sub(PROBE_BYTES), PROBE_BYTES)?;
        // Behind the last line end is a line that is not complete.
        let mut lines = tail.rsplit(|byte| *byte == b'\n').skip(1);
        if let Some(time) = lines.find_map(|line| Some(Line::parse(&text(line))?.time)) {
            log.is_timed = true;
            log.zone = Zone::of(rules, time.local_ms(modified_ms), modified_ms);
        }
        Ok(log)
    }

    fn bytes(&self, offset: u64, max_bytes: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        (&self.file).seek(SeekFrom::Start(offset))?;
        (&self.file).take(max_bytes).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// A number for the bytes in front of this offset (FNV-1a).
    fn fingerprint(&self, offset: u64) -> io::Result<u32> {
        let start = offset.saturating_sub(FINGERPRINT_BYTES);
        let bytes = self.bytes(start, offset - start)?;
        Ok(bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)))
    }

    /// The start of the first complete line at or after `offset`.
    fn line_after(&self, offset: u64) -> io::Result<u64> {
        if offset == 0 {
            return Ok(0);
        }
        let line_end = self.bytes(offset, MAX_READ_BYTES)?.iter().position(|byte| *byte == b'\n');
        Ok(offset + line_end.map_or(0, |at| at as u64 + 1))
    }

    /// The latest time in the first lines from `offset` on; `None` if they have none.
    fn time_at(&self, offset: u64) -> io::Result<Option<i64>> {
        let bytes = self.bytes(offset, PROBE_BYTES / 8)?;
        let times = bytes.split(|byte| *byte == b'\n').filter_map(|line| {
            let time = Line::parse(&text(line))?.time;
            Some(time.unix_ms(self.modified_ms, &self.zone, i64::MIN))
        });
        Ok(times.max())
    }

    /// An offset in front of all lines that are later than `after_ms`, near the first of them.
    /// Of a file without times, the end.
    fn offset_after(&self, after_ms: i64) -> io::Result<u64> {
        if !self.is_timed {
            return self.line_after(self.size.saturating_sub(MAX_READ_BYTES));
        }
        let (mut low, mut high) = (0, self.size);
        while high - low > PROBE_BYTES {
            let middle = low + (high - low) / 2;
            if self.time_at(middle)?.is_none_or(|at_ms| at_ms > after_ms) {
                high = middle;
            } else {
                low = middle;
            }
        }
        self.line_after(low)
    }

    /// Adds the lines from `offset` on, without those in front of the first one that is later than `after_ms`. Only
    /// complete lines are read, because the last one may still be being written.
    fn read_from(&self, offset: u64, after_ms: &mut i64, found: &mut Found) -> io::Result<()> {
        let bytes = self.bytes(offset, MAX_READ_BYTES)?;
        let mut at = offset;
        let mut text_bytes: usize = found.events.iter().map(|event| event.message.len()).sum();
        // Whether the line before is an event of this report; `None` at the beginning.
        let mut is_taken = None;
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let is_whole = line.ends_with(b"\n");
            if !is_whole && (line.len() as u64) < MAX_READ_BYTES {
                break;
            }
            text_bytes += line.len().min(MAX_MESSAGE_BYTES);
            if found.events.len() >= MAX_EVENTS || text_bytes > MAX_TEXT_BYTES {
                found.truncated = true;
                break;
            }
            let record_id = format!("{}:{at}", self.inode);
            at += line.len() as u64;
            let line = text(line);
            if line.is_empty() {
                continue;
            }
            let parsed = Line::parse(&line);
            let at_ms = match &parsed {
                Some(parsed) => parsed.time.unix_ms(self.modified_ms, &self.zone, found.place.at_ms),
                None if self.is_timed => match (is_taken, found.events.last_mut()) {
                    (Some(true), Some(event)) => {
                        continue_message(&mut event.message, &line);
                        continue;
                    }
                    (Some(_), _) => continue,
                    // It continues an event of an earlier report.
                    (None, _) => found.place.at_ms,
                },
                None => self.modified_ms,
            };
            is_taken = Some(at_ms > *after_ms);
            if is_taken == Some(true) {
                // A later line with an older time comes from a clock that was wrong.
                *after_ms = i64::MIN;
                found.events.push(event(parsed, &line, record_id, at_ms));
            }
            found.place.at_ms = at_ms;
        }
        found.truncated |= offset + (bytes.len() as u64) < self.size;
        found.place.position =
            Position::File { inode: self.inode, offset: at, fingerprint: Some(self.fingerprint(at)?) };
        Ok(())
    }
}

/// A line without its end. It is not longer than a message in a report, so that a single line never exceeds the limits.
fn text(line: &[u8]) -> String {
    let line = String::from_utf8_lossy(line.get(..MAX_MESSAGE_BYTES).unwrap_or(line));
    line.trim_end().to_owned()
}

/// Adds a line to a message, or a mark if it does not fit.
fn continue_message(message: &mut String, line: &str) {
    const CUT: &str = "\n…";
    if message.len() + line.len() + CUT.len() < MAX_MESSAGE_BYTES {
        message.push('\n');
        message.push_str(line);
    } else if !message.ends_with(CUT) {
        message.truncate(message.floor_char_boundary(MAX_MESSAGE_BYTES - CUT.len()));
        message.push_str(CUT);
    }
}

fn event(parsed: Option<Line<'_>>, line: &str, record_id: String, occurred_unix_ms: i64) -> SecurityEvent {
    let (level, source, pid, message) = match parsed {
        Some(Line { level, source, pid, message, .. }) => (level, source, pid, message),
        None => (super::level(None), "", None, line.trim_start()),
    };
    SecurityEvent {
        record_id,
        channel: None,
        event_id: None,
        level: level.to_owned(),
        occurred_unix_ms,
        source: source.to_owned(),
        user: None,
        message: message.to_owned(),
        data: pid.map(|pid| ("pid".to_owned(), pid.to_owned())).into_iter().collect(),
    }
}

#[cfg(test)]
mod tests;
