//! One entry of the journal in the export format of `journalctl`: lines `NAME=value`, or for values with line ends the
//! name, a length of eight bytes and the value. An empty line ends an entry. Unlike the JSON format, it needs no
//! library and can contain any bytes.

use fleetsweep_agent::{
    report::{MAX_MESSAGE_BYTES, SecurityEvent},
    request::FurtherLog,
};

use super::FACILITIES;
use crate::linux::events::level;

/// The longest name of a program. Users can choose it, and a report contains one per event. RFC 5424 allows 48.
const MAX_NAME_BYTES: usize = 64;

/// The fields of an entry.
#[derive(Default)]
pub(super) struct Entry {
    pub(super) cursor: String,
    realtime_us: Option<i64>,
    message: String,
    priority: String,
    identifier: String,
    facility: String,
    pid: String,
    unit: String,
    transport: String,
}

impl Entry {
    /// Removes and returns a complete entry; `None` if there is none.
    pub(super) fn take(rest: &mut &[u8]) -> Option<Self> {
        let mut entry = Self::default();
        let mut left = *rest;
        let mut some = false;
        loop {
            let (name, value) = take_field(&mut left)?;
            if !name.is_empty() {
                some = true;
                entry.set(name, value);
            } else if some {
                *rest = left;
                return Some(entry);
            }
            // Empty lines between entries are ignored.
        }
    }

    /// The beginning of an entry: its complete fields, and the beginning of the next one.
    pub(super) fn cut(mut bytes: &[u8]) -> Self {
        let mut entry = Self::default();
        while let Some((name, value)) = take_field(&mut bytes) {
            entry.set(name, value);
        }
        let at = bytes.iter().position(|byte| matches!(byte, b'=' | b'\n')).unwrap_or(bytes.len());
        let (name, value) = bytes.split_at(at);
        // The end of the name, and the length if there is one.
        let begin = if value.starts_with(b"\n") { 1 + size_of::<u64>() } else { 1 };
        entry.set(name, value.get(begin..).unwrap_or_default());
        entry
    }

    fn set(&mut self, name: &[u8], value: &[u8]) {
        // Not longer than a text in a report, so that a single entry never exceeds the limits.
        let max_bytes = match name {
            b"MESSAGE" | b"__CURSOR" => MAX_MESSAGE_BYTES,
            _ => MAX_NAME_BYTES,
        };
        let value = String::from_utf8_lossy(value.get(..max_bytes).unwrap_or(value));
        let field = match name {
            b"__CURSOR" => &mut self.cursor,
            b"MESSAGE" => &mut self.message,
            b"PRIORITY" => &mut self.priority,
            b"SYSLOG_IDENTIFIER" => &mut self.identifier,
            b"SYSLOG_FACILITY" => &mut self.facility,
            b"_PID" => &mut self.pid,
            b"_SYSTEMD_UNIT" => &mut self.unit,
            b"_TRANSPORT" => &mut self.transport,
            b"__REALTIME_TIMESTAMP" => {
                self.realtime_us = value.parse().ok();
                return;
            }
            _ => return,
        };
        *field = value.into_owned();
    }

    /// The requested log that it belongs to, if it is not about authentication and not of the audit of the kernel.
    fn channel(&self, logs: &[FurtherLog]) -> Option<String> {
        let facility = self.facility.parse().ok().and_then(|facility: usize| FACILITIES.get(facility));
        if self.transport == "audit" || matches!(facility, Some(&("auth" | "authpriv"))) {
            return None;
        }
        let name = |log: &&FurtherLog| log.channel() == self.unit || Some(&log.channel()) == facility;
        logs.iter().find(name).map(|log| log.channel().to_owned())
    }

    /// The event and its cursor; `None` for an entry without a time or cursor.
    pub(super) fn into_event(self, logs: &[FurtherLog]) -> Option<(SecurityEvent, String)> {
        if self.cursor.is_empty() {
            return None;
        }
        let channel = self.channel(logs);
        let data = if self.pid.is_empty() { Vec::new() } else { vec![("pid".to_owned(), self.pid)] };
        let event = SecurityEvent {
            record_id: self.cursor.clone(),
            channel,
            event_id: None,
            level: level(self.priority.parse().ok()).to_owned(),
            occurred_unix_ms: self.realtime_us?.div_euclid(1000),
            source: if self.identifier.is_empty() { self.transport } else { self.identifier },
            user: None,
            message: self.message,
            data,
        };
        Some((event, self.cursor))
    }
}

/// Removes one field and returns its name and value. Both are empty at the end of an entry. `None` if there is no
/// complete field.
fn take_field<'a>(rest: &mut &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    let (line, after) = split_line(rest)?;
    let (name, value, after) = match line.iter().position(|byte| *byte == b'=') {
        Some(at) => (line.get(..at)?, line.get(at + 1..)?, after),
        None if line.is_empty() => (line, line, after),
        None => {
            let (length, after) = after.split_first_chunk::<8>()?;
            let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
            (line, after.get(..length)?, after.get(length..)?.strip_prefix(b"\n")?)
        }
    };
    *rest = after;
    Some((name, value))
}

fn split_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    Some((bytes.get(..end)?, bytes.get(end + 1..)?))
}
