//! Replays the corpora of the fuzz targets without a fuzzer.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The directory with the corpora of all targets.
pub fn corpora() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus")
}

/// Calls the decoder of a target with each input of its corpus and with an empty input.
///
/// # Panics
/// If the corpus is missing or empty, or if the decoder panics. The input is printed on standard error.
pub fn replay(target: &str, decode: impl Fn(&[u8])) {
    struct Named<'a>(&'a Path);
    impl Drop for Named<'_> {
        fn drop(&mut self) {
            if std::thread::panicking() {
                eprintln!("the input was {}", self.0.display());
            }
        }
    }
    let folder = corpora().join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut inputs: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry of the corpus").path()).collect();
    inputs.sort();
    assert!(!inputs.is_empty(), "{} is empty", folder.display());
    decode(&[]);
    for path in &inputs {
        let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let _named = Named(path);
        decode(&bytes);
    }
}
