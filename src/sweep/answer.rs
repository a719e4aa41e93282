//! The answer of an agent: opens its envelope, checks the report in it, and adds further reports of the same
//! collection.

use std::time::Duration;

use fleetsweep_agent::{
    envelope::{self, OpenError},
    report::{EventAccess, EventLog, Report},
    request::{EventsWanted, Request},
};
use jiff::Timestamp;

use super::collection::Received;
use crate::fleet::{Failure, FailureKind, Reading, Stage, counters::Counters, reading::clock_ahead_ms};

/// Opens the envelope and checks the report in it. `round_trip` is the time that a question to the client and its answer
/// take on the network.
///
/// # Errors
/// Any failure of the stage `decrypt`.
pub(super) fn open(
    output: &[u8],
    request: &Request,
    secret: &p256::SecretKey,
    received_at: Timestamp,
    round_trip: Duration,
) -> Result<Received, Failure> {
    let failed = |kind| Failure::new(Stage::Decrypt, kind);
    let xml = envelope::open(output, request, secret).map_err(|error| {
        let kind = match error {
            OpenError::Missing => FailureKind::NoAnswer,
            OpenError::TooLarge => FailureKind::AnswerTooLarge,
            OpenError::Truncated
            | OpenError::Malformed(_)
            | OpenError::OtherVersion(_)
            | OpenError::OtherCollection(_)
            | OpenError::OtherRecipient
            | OpenError::Forged => FailureKind::EnvelopeRefused,
        };
        failed(kind).because(error)
    })?;
    let report = Report::from_xml(&xml).map_err(|error| failed(FailureKind::ReportInvalid).because(error))?;
    let received_ms = received_at.as_millisecond();
    let mut reading = Reading::from_report(&report, received_ms);
    reading.clock_ahead_ms = clock_ahead_ms(&report, received_ms, round_trip);
    reading.states.keep_asked(&request.questions);
    let counters = Counters::from_report(&report).map(Box::new);
    // An event log that was not requested is ignored, so that a client cannot make us mail anything.
    let events: Option<EventLog> = report.events.filter(|_| request.events != EventsWanted::No);
    Ok(Received { reading, counters, events, received_at })
}

/// Adds the events of a further report about the same log.
pub(super) fn add_report(log: &mut EventLog, further: EventLog) {
    log.events.extend(further.events);
    // A further report may contain older events, because Windows reports the newest first.
    log.events.sort_by_key(|event| event.occurred_unix_ms);
    log.bookmark = further.bookmark;
    log.truncated = further.truncated;
    if further.access == EventAccess::Cleared {
        log.access = further.access;
    }
}
