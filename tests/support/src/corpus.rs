//! The corpora of the fuzz targets, replayed without a fuzzer.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The folder with a folder of inputs for each target.
pub fn corpora() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus")
}

/// Hands every input of a target's corpus to its decoder, and none of them at all.
///
/// # Panics
/// Where the corpus is missing or empty, and where the decoder panics: the input is named on standard error.
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
