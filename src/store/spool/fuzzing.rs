//! The fuzz target of the spool; see [`crate::fuzzing`].
#![expect(clippy::expect_used, reason = "a panic is how a fuzzer is told of a broken promise")]

use std::{
    fs::{self, DirBuilder},
    os::unix::fs::DirBuilderExt as _,
};

use super::{FORMAT, MOST_BYTES, Spool, SpoolError, SpoolPath, Waiting, line};

/// Checks for the bytes of a file that opening it twice gives the same changes, and that each line is either valid or
/// returned as it is.
pub fn spool(data: &[u8]) {
    let home = tempfile::tempdir().expect("a directory");
    // A directory that others may enter is rejected.
    let directory = home.path().join("spool");
    DirBuilder::new().mode(0o700).create(&directory).expect("a directory of our own");
    let place = || Some(SpoolPath { directory: directory.clone(), name: "fleet".to_owned() });
    let file = directory.join("fleet.jsonl");
    fs::write(&file, data).expect("a file of our own");
    let open = || Spool::open(place(), MOST_BYTES);
    let mut spool = match open() {
        Ok(spool) => spool,
        Err(SpoolError::OtherFormat { found, .. }) => return assert_ne!(found, FORMAT),
        Err(error) => unreachable!("{error}"),
    };
    let found = spool.peek(usize::MAX).expect("a file that was just read");
    assert_eq!(found.len() as u64, spool.waiting());
    assert_eq!(file.exists(), !found.is_empty());
    for Waiting { content, end } in &found {
        assert!(*end <= data.len() as u64);
        if let Ok(content) = content {
            assert_eq!(line::content(line::of(content).as_bytes()), Some(content.as_str()));
            let _ = crate::store::spooled::is_understood(content);
        }
    }
    drop(spool);
    assert_eq!(open().expect("it opened before").peek(usize::MAX).expect("likewise"), found);
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_corpus_of_spools_is_replayed() {
        support::replay("spool", super::spool);
    }
}
