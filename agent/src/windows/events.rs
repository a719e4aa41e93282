//! The Security log. `walk` selects the records, `place` has the bookmark, `record` parses the XML of a record, and
//! `message` makes a readable message.

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod message;
#[cfg(any(windows, test))]
mod names;
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

/// Parses a record of the security log for the walk.
fn step(xml: &str) -> Step {
    step_with(xml, message::message)
}

/// Parses a record of another log for the walk.
#[cfg(any(windows, test))]
fn step_of_other(xml: &str) -> Step {
    step_with(xml, message::of_other)
}

fn step_with(xml: &str, message: fn(&Record) -> String) -> Step {
    match Record::parse(xml) {
        Ok(record) => {
            let message = message(&record);
            Step::Record { record_id: record.record_id, event: event(record, message) }
        }
        Err(why) => Step::Spoilt(why.to_string()),
    }
}

fn event(record: Record, message: String) -> SecurityEvent {
    SecurityEvent {
        record_id: record.record_id.to_string(),
        channel: None,
        event_id: Some(record.event_id),
        level: record.level().to_owned(),
        occurred_unix_ms: record.occurred_unix_ms,
        user: message::user(&record),
        message,
        source: record.provider,
        data: record.fields,
    }
}

#[cfg(test)]
mod tests;
