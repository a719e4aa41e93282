//! The Security log. `walk` selects the records, `place` has the bookmark, `record` parses the XML of a record, and
//! `message` makes a readable message.

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod message;
mod place;
#[cfg(windows)]
mod reader;
mod record;
mod task;
mod templates;
mod titles;
mod walk;
mod words;

use fleetsweep_agent::report::SecurityEvent;
#[cfg(windows)]
pub(super) use reader::look;

use self::{record::Record, walk::Step};

/// Parses a record for the walk.
fn step(xml: &str) -> Step {
    match Record::parse(xml) {
        Ok(record) => Step::Record { record_id: record.record_id, event: event(record) },
        Err(why) => Step::Spoilt(why.to_string()),
    }
}

fn event(record: Record) -> SecurityEvent {
    SecurityEvent {
        record_id: record.record_id.to_string(),
        event_id: Some(record.event_id),
        level: record.level().to_owned(),
        occurred_unix_ms: record.occurred_unix_ms,
        user: message::user(&record),
        message: message::message(&record),
        source: record.provider,
        data: record.fields,
    }
}

#[cfg(test)]
mod tests;
