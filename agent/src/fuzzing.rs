//! The fuzz targets: one function per decoder, which takes any bytes and panics if a guarantee is broken. Compiled only
//! for tests and with `--cfg fuzzing`.
//!
//! How to fuzz is in `tests/fuzz/README.md`.
#![expect(clippy::expect_used, reason = "a panic is how a fuzzer is told of a broken promise")]

use uuid::Uuid;

use crate::{
    SysRng,
    envelope::{BEGIN, MAX_REPORT_BYTES, OpenError, open, seal},
    report::{MAX_CORES, MAX_DISKS, MAX_EVENTS, MAX_FILE_SYSTEMS, MAX_INTERFACES, MAX_PROCESSES, MAX_WARNINGS, Report},
    request::{EventsWanted, Questions, Request},
};
#[cfg(all(fuzzing, feature = "collect"))]
pub use crate::{
    linux::events::fuzzing::{auth_log, journal},
    windows::events::fuzzing::windows_event,
};

/// The argument of the agent. A valid request has only one spelling, with characters that need no quoting in any shell.
pub fn request(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    if let Ok(request) = Request::parse(text) {
        assert_eq!(request.to_argument(), text);
        assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)), "{text}");
    }
}

/// The report's XML. A valid report is within its limits and survives encoding.
pub fn report(data: &[u8]) {
    let Ok(mut report) = Report::from_xml(data) else { return };
    let events = report.events.as_ref().map_or(0, |log| log.events.len());
    let cores = report.cpu.as_ref().map_or(0, |cpu| cpu.core_percent.len());
    for (length, max) in [
        (report.warnings.len(), MAX_WARNINGS),
        (report.file_systems.len(), MAX_FILE_SYSTEMS),
        (report.interfaces.len(), MAX_INTERFACES),
        (report.top_cpu.len(), MAX_PROCESSES),
        (report.top_memory.len(), MAX_PROCESSES),
        (events, MAX_EVENTS),
        (cores, MAX_CORES),
        (report.counters.as_ref().map_or(0, |counters| counters.cores.len()), MAX_CORES),
        (report.counters.as_ref().map_or(0, |counters| counters.disks.len()), MAX_DISKS),
    ] {
        assert!(length <= max, "{length} are more than {max}");
    }
    // A character reference may name a character that is invalid in XML; `fit` replaces it.
    report.fit();
    let written = report.to_xml();
    if written.len() <= MAX_REPORT_BYTES {
        assert_eq!(Report::from_xml(written.as_bytes()), Ok(report));
    }
}

/// The answer with the envelope. The first byte determines how the rest is used: as the complete output, as damage to a
/// valid envelope, or as a report to seal.
pub fn envelope(data: &[u8]) {
    const GOOD: &str = include_str!("../golden/envelope.txt");
    const REPORT: &[u8] = include_bytes!("../golden/report.xml");
    let secret = p256::SecretKey::from_slice(&[0x11; 32]).expect("a scalar in range");
    let request = Request {
        collection: Uuid::from_bytes([0x66; 16]),
        server_key: secret.public_key(),
        window: *Request::WINDOW.start(),
        deadline: *Request::DEADLINE.start(),
        events: EventsWanted::No,
        questions: Questions::default(),
    };
    let Some((how, data)) = data.split_first() else { return };
    match how % 4 {
        // Only the report that was sealed for this request and key can be opened.
        0 => {
            if let Ok(opened) = open(data, &request, &secret) {
                assert_eq!(opened, REPORT);
            }
        }
        1 => {
            let Some(([high, low, byte], around)) = data.split_first_chunk() else { return };
            let mut text = GOOD.as_bytes().to_vec();
            let at = usize::from(u16::from_be_bytes([*high, *low])) % text.len();
            let is_damage = text.get(at).is_some_and(|before| before != byte);
            text.get_mut(at..=at).unwrap_or_default().fill(*byte);
            let output = [around, &text].concat();
            match open(&output, &request, &secret) {
                // Line ends may be missing or added, and text outside of the block is ignored.
                Ok(opened) => assert_eq!(opened, REPORT),
                Err(error) => assert!(is_damage, "{error}"),
            }
        }
        // Other text on both sides.
        2 => {
            let (before, after) = data.split_at(data.len() / 2);
            let begins_anew = after.windows(BEGIN.len()).any(|window| window == BEGIN.as_bytes());
            match open(&[before, GOOD.as_bytes(), after].concat(), &request, &secret) {
                Ok(opened) => assert_eq!(opened, REPORT),
                Err(error) => assert!(begins_anew, "{error}"),
            }
        }
        _ => {
            let sealed = seal(data, &request, &mut SysRng).expect("a small report is sealed");
            assert_eq!(open(sealed.as_bytes(), &request, &secret).as_deref(), Ok(data));
            let other = p256::SecretKey::from_slice(&[0x12; 32]).expect("a scalar in range");
            assert_eq!(open(sealed.as_bytes(), &request, &other), Err(OpenError::Forged));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_corpora_of_the_wire_are_replayed() {
        for (target, decode) in [("request", request as fn(&[u8])), ("report", report), ("envelope", envelope)] {
            support::replay(target, decode);
        }
    }
}
