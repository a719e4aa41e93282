//! The security log of a client after validation.
//!
//! [`digest`] summarizes it in a few lines by [`class`], [`redaction`] removes what must not be stored, [`allowance`] limits how
//! much is stored per day, and [`gathering`] decides when it is mailed.

use fleetsweep_agent::report;
pub use fleetsweep_agent::{
    report::EventAccess,
    request::{FurtherLog, FurtherLogError},
};
use serde::{Deserialize, Serialize};

use super::reading::clean;
use redaction::Redaction;

pub mod account;
pub mod allowance;
pub mod class;
mod common;
pub mod digest;
pub mod gathering;
mod judged;
pub mod noise;
mod numbered;
mod powerful;
pub mod redaction;
pub mod routine;
mod shape;
mod syslog;
pub mod tally;

/// The longest message that is accepted from a client, in characters.
const MESSAGE_CHARS: usize = 8_000;
/// The longest value of a data field that is accepted from a client, in characters. The agent sends 4 KiB at most.
const FIELD_CHARS: usize = 4_096;
/// The longest other text, in characters.
const TEXT_CHARS: usize = 256;
/// Marks a text that was cut.
const CUT: &str = "…";

/// The part of a client's security log that one collection read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecurityLog {
    /// The log that was read, for example `journal` or `Security`.
    pub channel: String,
    /// Whether it could be read.
    #[serde(with = "AccessWords")]
    pub access: EventAccess,
    /// Where the next collection continues. Only the agent understands it; it is passed back unchanged.
    pub bookmark: Option<String>,
    /// Whether there were more events than fit into a report.
    pub truncated: bool,
    /// The events, oldest first.
    pub events: Vec<SecurityEvent>,
}

/// The serialized form of [`EventAccess`], which differs from that in the wire format.
#[derive(Serialize, Deserialize)]
#[serde(remote = "EventAccess", rename_all = "snake_case")]
enum AccessWords {
    Read,
    Denied,
    Unavailable,
    Cleared,
}

/// One security event. Every text is cleaned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecurityEvent {
    /// The number or cursor of the record in the log.
    pub record_id: String,
    /// The log that it comes from, if it is not the security log.
    #[serde(default)]
    pub channel: Option<String>,
    /// The event id, for example `4625`; `None` if the log has no event ids.
    pub event_id: Option<u32>,
    /// Its level in words, e.g. `warning`, `audit failure`.
    pub level: String,
    /// When, by the client's clock, milliseconds since the Unix epoch.
    pub occurred_unix_ms: i64,
    /// The program or provider that wrote it.
    pub source: String,
    /// The account concerned.
    pub user: Option<String>,
    /// The message, in one line.
    pub message: String,
    /// Further fields, name and value.
    pub data: Vec<(String, String)>,
}

/// The short name of a program or provider, without the prefix that all of Windows' own providers have.
#[must_use]
pub fn short_source(source: &str) -> &str {
    source.strip_prefix("Microsoft-Windows-").unwrap_or(source)
}

impl SecurityLog {
    /// Converts and cleans the log of a report.
    #[must_use]
    pub fn from_report(log: &report::EventLog) -> Self {
        let text = |text: &str| clean(text, TEXT_CHARS);
        let event = |event: &report::SecurityEvent| SecurityEvent {
            record_id: text(&event.record_id),
            channel: event.channel.as_deref().map(text).filter(|channel| !channel.is_empty()),
            event_id: event.event_id,
            level: text(&event.level),
            occurred_unix_ms: event.occurred_unix_ms,
            source: text(&event.source),
            user: event.user.as_deref().map(text).filter(|user| !user.is_empty()),
            message: marked(&event.message, MESSAGE_CHARS),
            data: event.data.iter().map(|(name, value)| (text(name), marked(value, FIELD_CHARS))).collect(),
        };
        Self {
            channel: text(&log.source),
            access: log.access,
            // A bookmark must not be changed by cleaning. One with a NUL character is dropped, because PostgreSQL would
            // reject the collection.
            bookmark: log.bookmark.clone().filter(|bookmark| !bookmark.contains('\0')),
            truncated: log.truncated,
            events: log.events.iter().map(event).collect(),
        }
    }

    /// Redacts messages, data fields and accounts of the events. The id, the time and the program of a record stay.
    pub fn redact(&mut self, redaction: &Redaction) {
        for event in &mut self.events {
            let values = event.data.iter_mut().map(|(_, value)| value);
            for text in values.chain([&mut event.message]).chain(event.user.as_mut()) {
                redaction.apply(text);
            }
        }
    }
}

/// A cleaned text of at most this many characters, with a mark if it was longer.
fn marked(text: &str, max_chars: usize) -> String {
    let mut cleaned = clean(text, max_chars + 1);
    if cleaned.chars().count() > max_chars {
        let at = cleaned.char_indices().nth(max_chars - 1).map_or(cleaned.len(), |(at, _)| at);
        cleaned.truncate(at);
        cleaned.push_str(CUT);
    }
    cleaned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_redacted_is_gone_from_all_that_events_say() {
        let event = SecurityEvent {
            record_id: "secret".into(),
            channel: None,
            event_id: None,
            level: "secret".into(),
            occurred_unix_ms: 0,
            source: "secret".into(),
            user: Some("secret".into()),
            message: "the secret".into(),
            data: vec![("secret".into(), "a secret".into())],
        };
        let mut log = SecurityLog {
            channel: "secret".into(),
            access: EventAccess::Read,
            bookmark: Some("secret".into()),
            truncated: false,
            events: vec![event.clone()],
        };
        log.redact(&Redaction::new("secret").unwrap());
        let redacted = SecurityEvent {
            user: Some("[redacted]".into()),
            message: "the [redacted]".into(),
            data: vec![("secret".into(), "a [redacted]".into())],
            ..event
        };
        assert_eq!((log.events, log.channel.as_str()), (vec![redacted], "secret"));
    }

    #[test]
    fn a_text_is_kept_whole_up_to_its_bound_and_a_cut_is_marked() {
        for (length, expected) in [(0, 0), (10, 10), (11, 10), (50, 10)] {
            let text = marked(&"ä".repeat(length), 10);
            assert_eq!((text.chars().count(), text.ends_with('…')), (expected, length > 10), "{length}");
        }
    }

    #[test]
    fn what_could_move_a_terminal_or_a_mail_header_is_gone() {
        let log = report::EventLog {
            source: "jour\x1bnal".into(),
            bookmark: Some("s=1;i=2".into()),
            events: vec![report::SecurityEvent {
                record_id: "1\n".into(),
                channel: None,
                event_id: None,
                level: "warning".into(),
                occurred_unix_ms: 5,
                source: "sshd\r\nBcc: x@y".into(),
                user: Some("\x07".into()),
                message: "Failed\u{202e} password".into(),
                data: vec![("a\tb".into(), "\x1b[2J".into())],
            }],
            ..report::EventLog::default()
        };
        let zero = report::EventLog { bookmark: Some("s=1\0".into()), ..log.clone() };
        assert_eq!(SecurityLog::from_report(&zero).bookmark, None);
        let cleaned = SecurityLog::from_report(&log);
        assert_eq!(cleaned.channel, "journal");
        assert_eq!(cleaned.bookmark.as_deref(), Some("s=1;i=2"));
        let event = &cleaned.events[0];
        assert_eq!((event.record_id.as_str(), event.source.as_str()), ("1", "sshd Bcc: x@y"));
        assert_eq!((event.message.as_str(), &event.user), ("Failed password", &None));
        assert_eq!(event.data, [("a b".to_owned(), "[2J".to_owned())]);
    }
}
