//! The fuzz target of recordings; see [`crate::fuzzing`].
#![expect(clippy::expect_used, reason = "a panic is how a fuzzer is told of a broken promise")]

use std::fs;

use super::Recording;

/// Checks for the bytes of a file that, if it opens, its frames are in order of time and can be folded if they can be
/// read.
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
