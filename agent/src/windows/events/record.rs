//! Parses one record of the event log from XML with the published schema. Fields are kept unchanged. Pure. A record may
//! contain any text that somebody has typed as a user name.
//!
//! Parsed are: provider, id, level, keywords, time and record id in `System`; the named and unnamed `Data` in
//! `EventData`; the innermost elements of `UserData` and their attributes.

use fleetsweep_agent::report::MAX_TEXT_BYTES;
use quick_xml::{
    Reader, XmlVersion,
    events::{BytesStart, Event},
};

use super::task;
use crate::calendar::rfc3339;

/// The deepest accepted nesting. Records of the security log have five levels.
const MAX_DEPTH: usize = 16;
/// The most data fields.
const MAX_FIELDS: usize = 64;
/// Marks a truncated value.
const CUT: &str = "…";
/// The longest value without its mark, bytes. With it, it is the longest text of a report. Most command lines and
/// definitions of scheduled tasks fit.
const MAX_VALUE_BYTES: usize = MAX_TEXT_BYTES - CUT.len();
/// The longest name of a value, bytes.
const MAX_NAME_BYTES: usize = 256;
/// The fields with the definition of a scheduled task.
const TASKS: [&str; 2] = ["TaskContent", "TaskContentNew"];

/// Keyword bits of failed and successful audits.
const AUDIT_FAILURE: u64 = 0x0010_0000_0000_0000;
const AUDIT_SUCCESS: u64 = 0x0020_0000_0000_0000;

/// The reason why XML is not a valid record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum RecordError {
    /// It is not well formed.
    #[error("it is not well-formed XML")]
    Malformed,
    /// Elements are nested too deeply.
    #[error("it nests deeper than {MAX_DEPTH} elements")]
    TooDeep,
    /// A required part is missing.
    #[error("it has no {0}")]
    Missing(&'static str),
}

/// A record of the log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Record {
    pub(super) record_id: u64,
    pub(super) event_id: u32,
    level: u8,
    keywords: u64,
    pub(super) occurred_unix_ms: i64,
    pub(super) provider: String,
    /// Names and values in order. The name of an unnamed value is its number, from 1.
    pub(super) fields: Vec<(String, String)>,
    /// What the scheduled task does that it is about. It is made from the whole definition, which may be too long for a
    /// field.
    pub(super) task: Option<String>,
}

impl Record {
    /// Parses one `Event` element.
    pub(super) fn parse(xml: &str) -> Result<Self, RecordError> {
        let mut reader = Reader::from_str(xml);
        let mut reading = Reading::default();
        loop {
            match reader.read_event().map_err(|_| RecordError::Malformed)? {
                Event::Start(start) => reading.enter(&start)?,
                Event::Empty(start) => {
                    reading.enter(&start)?;
                    reading.leave();
                }
                Event::End(_) => reading.leave(),
                Event::Text(text) => reading.text.push_str(&text),
                Event::CData(text) => reading.text.push_str(&text),
                Event::GeneralRef(reference) => match reference.resolve_char_ref() {
                    Ok(Some(character)) => reading.text.push(character),
                    Ok(None) => match quick_xml::escape::resolve_predefined_entity(&reference) {
                        Some(text) => reading.text.push_str(text),
                        // There is no document type that could declare other entities.
                        None => return Err(RecordError::Malformed),
                    },
                    // A character that is invalid in XML, in a value that somebody has typed.
                    Err(_) => reading.text.push(char::REPLACEMENT_CHARACTER),
                },
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
                Event::Eof => return reading.end(),
            }
        }
    }

    /// A field that is not empty. Windows writes `-` for empty ones.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        let (_, value) = self.fields.iter().find(|(field, _)| field == name)?;
        let value = value.trim();
        (!value.is_empty() && value != "-").then_some(value)
    }

    /// Whether the event was refused or failed.
    pub(super) fn is_failure(&self) -> bool {
        self.keywords & AUDIT_FAILURE != 0
    }

    /// Its level as text.
    pub(super) fn level(&self) -> &'static str {
        if self.is_failure() {
            return "audit failure";
        }
        if self.keywords & AUDIT_SUCCESS != 0 {
            return "audit success";
        }
        match self.level {
            1 => "critical",
            2 => "error",
            3 => "warning",
            5 => "verbose",
            // 4 is information, and 0 is for events that are always written.
            _ => "information",
        }
    }

    fn add(&mut self, name: &str, value: &str) {
        if self.fields.len() >= MAX_FIELDS {
            return;
        }
        if TASKS.contains(&name) {
            self.task = task::summary(value);
        }
        let name = match name {
            "" => (self.fields.len() + 1).to_string(),
            name => short(name, MAX_NAME_BYTES),
        };
        self.fields.push((name, short(value, MAX_VALUE_BYTES)));
    }
}

fn short(text: &str, max_bytes: usize) -> String {
    match text.get(..text.floor_char_boundary(max_bytes)) {
        Some(start) if start.len() < text.len() => format!("{start}{CUT}"),
        Some(_) | None => text.to_owned(),
    }
}

/// The state of the parser.
#[derive(Default)]
struct Reading {
    record: Record,
    /// The names of the open elements, without prefixes.
    open: Vec<String>,
    /// The text since the last start or end tag.
    text: String,
    /// The `Name` of the open `Data`.
    name: String,
    /// Whether the last start tag is still open, which makes it an innermost element.
    innermost: bool,
    seen: Seen,
}

/// The required parts that were found.
#[derive(Default)]
struct Seen {
    record_id: bool,
    event_id: bool,
    time: bool,
}

impl Reading {
    fn enter(&mut self, start: &BytesStart<'_>) -> Result<(), RecordError> {
        if self.open.len() >= MAX_DEPTH {
            return Err(RecordError::TooDeep);
        }
        self.open.push(start.local_name().as_ref().to_owned());
        self.text.clear();
        self.name.clear();
        self.innermost = true;
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|_| RecordError::Malformed)?;
            let value = attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|_| RecordError::Malformed)?;
            self.attribute(attribute.key.as_ref(), &value);
        }
        Ok(())
    }

    fn path(&self) -> Vec<&str> {
        self.open.iter().map(String::as_str).collect()
    }

    fn attribute(&mut self, name: &str, value: &str) {
        match (self.path().as_slice(), name) {
            (["Event", "System", "Provider"], "Name") => self.record.provider = short(value, MAX_NAME_BYTES),
            (["Event", "System", "TimeCreated"], "SystemTime") => {
                if let Some(ms) = rfc3339(value) {
                    self.record.occurred_unix_ms = ms;
                    self.seen.time = true;
                }
            }
            (["Event", "EventData", "Data"], "Name") => self.name = value.to_owned(),
            (["Event", "UserData", _, .., element], name) if !name.starts_with("xmlns") => {
                let field = format!("{element}{name}");
                self.record.add(&field, value);
            }
            _ => {}
        }
    }

    fn leave(&mut self) {
        let (text, innermost) = (std::mem::take(&mut self.text), self.innermost);
        self.innermost = false;
        let value = text.trim();
        match self.path().as_slice() {
            ["Event", "System", "EventID"] => {
                self.seen.event_id = value.parse().map(|id| self.record.event_id = id).is_ok();
            }
            ["Event", "System", "EventRecordID"] => {
                self.seen.record_id = value.parse().map(|id| self.record.record_id = id).is_ok();
            }
            ["Event", "System", "Level"] => self.record.level = value.parse().unwrap_or_default(),
            ["Event", "System", "Keywords"] => {
                let digits = value.strip_prefix("0x").unwrap_or_default();
                self.record.keywords = u64::from_str_radix(digits, 16).unwrap_or_default();
            }
            ["Event", "EventData", "Data"] => {
                let name = std::mem::take(&mut self.name);
                self.record.add(&name, value);
            }
            ["Event", "UserData", _, .., element] if innermost && !value.is_empty() => {
                let name = (*element).to_owned();
                self.record.add(&name, value);
            }
            _ => {}
        }
        self.open.pop();
    }

    fn end(self) -> Result<Record, RecordError> {
        let Seen { record_id, event_id, time } = self.seen;
        for (seen, part) in [(record_id, "EventRecordID"), (event_id, "EventID"), (time, "TimeCreated")] {
            if !seen {
                return Err(RecordError::Missing(part));
            }
        }
        if self.open.is_empty() { Ok(self.record) } else { Err(RecordError::Malformed) }
    }
}

#[cfg(test)]
mod tests;
