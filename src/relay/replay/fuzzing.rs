//! A recording as a fuzzer opens and plays it: see [`crate::fuzzing`].
#![expect(clippy::expect_used, reason = "a panic is how a fuzzer is told of a broken promise")]

use std::fs;

use super::Recording;

/// The bytes of a file: where it opens, its pieces are in the order of time, and those that can be read are folded.
pub fn recording(data: &[u8]) {
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs::write(file.path(), data).expect("a file of our own");
    let recording = match Recording::open(file.path()) {
        Ok(recording) => recording,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    assert!(recording.entries.is_sorted_by_key(|entry| entry.at));
    assert!(recording.sweeps() <= recording.entries.len());
    let (first, last) = recording.span();
    assert!(first <= last);
    let _ = recording.fleet_after(recording.entries.len() - 1);
}
