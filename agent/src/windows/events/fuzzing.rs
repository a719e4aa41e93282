//! The fuzz target of the security log on Windows; see [`fleetsweep_agent::fuzzing`].
#![expect(clippy::panic, reason = "a panic is how a fuzzer is told of a broken promise")]
#![cfg_attr(test, expect(unreachable_pub, reason = "a fuzzer links these, and no test does"))]

use fleetsweep_agent::report::{EventLog, Report};

use super::{place::Place, step, walk::Step};

/// A record of Windows in XML, or a bookmark.
pub fn windows_event(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    if let Some(place) = Place::parse(text) {
        assert_eq!(place.to_string(), text);
    }
    match step(text) {
        Step::Record { record_id, event } => {
            assert_eq!(event.record_id, record_id.to_string());
            assert!(event.message.len() < 5 << 10, "a message of {} bytes", event.message.len());
            assert!(event.data.len() <= 64, "{} fields", event.data.len());
            let log = EventLog { events: vec![event], ..EventLog::default() };
            let mut report = Report { events: Some(log), ..Report::default() };
            report.fit();
            assert_eq!(Report::from_xml(report.to_xml().as_bytes()), Ok(report));
        }
        Step::Spoilt(why) => assert!(why.len() < 200, "{why}"),
        other => panic!("{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_corpus_of_events_on_windows_is_replayed() {
        support::replay("windows_event", windows_event);
    }
}
