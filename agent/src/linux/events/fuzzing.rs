//! The fuzz targets of the security log on Linux; see [`fleetsweep_agent::fuzzing`].
#![expect(clippy::unwrap_used, clippy::panic, reason = "a panic is how a fuzzer is told of a broken promise")]
#![cfg_attr(test, expect(unreachable_pub, reason = "a fuzzer links these, and no test does"))]

use std::{
    env,
    fs::{self, File},
    process,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime},
};

use fleetsweep_agent::{
    envelope::MAX_REPORT_BYTES,
    report::{EventLog, Report},
};

use super::{Found, MAX_EVENTS, Place, Position, journal, log_file};

const EARLIER: Place = Place { at_ms: 1_600_000_000_000, position: Position::Time };

/// The output of `journalctl --output=export`.
pub fn journal(data: &[u8]) {
    bookmark(data);
    for is_full in [false, true] {
        check(journal::found_in(data, is_full, &EARLIER));
    }
}

/// The content of `auth.log`, after eight bytes for the modification time of the file.
pub fn auth_log(data: &[u8]) {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let Some((seconds, text)) = data.split_first_chunk() else { return };
    let name = format!("fleetsweep-log-{}-{}", process::id(), COUNTER.fetch_add(1, Ordering::Relaxed));
    let path = env::temp_dir().join(name);
    fs::write(&path, text).unwrap();
    // File systems store times with different resolutions.
    let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::from_be_bytes(*seconds) >> 24);
    let _ = File::options().write(true).open(&path).and_then(|file| file.set_modified(modified));
    let found = log_file::read(&path, &EARLIER, None);
    let again = found.as_ref().ok().map(|found| log_file::read(&path, &found.place, None));
    fs::remove_file(&path).unwrap();
    let found = found.unwrap_or_else(|trouble| panic!("{trouble:?}"));
    if let Some(Ok(again)) = again.filter(|_| !found.truncated) {
        assert!(again.events.is_empty(), "an event was reported twice: {:?}", again.events);
    }
    check(found);
}

/// The result fits into a report, and the next collection understands the bookmark.
pub(super) fn check(found: Found) {
    assert!(found.events.len() <= MAX_EVENTS);
    let bookmark = found.place.to_string();
    if !matches!(&found.place.position, Position::Cursor(cursor) if cursor.contains(' ')) {
        assert_eq!(Place::parse(&bookmark), Some(found.place));
    }
    let log = EventLog { bookmark: Some(bookmark), events: found.events, ..EventLog::default() };
    let mut report = Report { events: Some(log), ..Report::default() };
    report.fit();
    let xml = report.to_xml();
    assert!(xml.len() < MAX_REPORT_BYTES / 10 * 9, "{} bytes", xml.len());
    assert_eq!(Report::from_xml(xml.as_bytes()), Ok(report));
}

/// A valid bookmark always has the same meaning, however its numbers are written.
fn bookmark(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    if let Some(place) = Place::parse(text) {
        assert_eq!(Place::parse(&place.to_string()), Some(place));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_corpora_of_logs_on_linux_are_replayed() {
        support::replay("journal", journal);
        support::replay("auth_log", auth_log);
    }
}
