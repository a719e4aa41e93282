//! Reads a small file that contains a secret. What is in it is decided elsewhere.

use std::{
    fs::OpenOptions,
    io::{self, Read as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use secrecy::zeroize::Zeroizing;

/// Why a file cannot be read.
#[derive(Debug)]
pub(super) enum SmallFileError {
    /// The error of the operating system.
    Io(io::Error),
    /// The path (links followed) is a pipe, a device or a socket, which cannot be read repeatedly.
    NotRegular,
}

/// The first `limit` bytes of a regular file, and one more if it is longer. A pipe is rejected: reading it would block,
/// and each secret in it could be read only once.
///
/// # Errors
/// [`SmallFileError`].
pub(super) fn read(path: &Path, limit: usize) -> Result<Zeroizing<Vec<u8>>, SmallFileError> {
    let metadata = std::fs::metadata(path).map_err(SmallFileError::Io)?;
    if !metadata.is_file() && !metadata.is_dir() {
        return Err(SmallFileError::NotRegular);
    }
    // If a pipe has replaced the file since, opening it does not block.
    let not_waiting = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(not_waiting).open(path).map_err(SmallFileError::Io)?;
    // Allocated at full size, because growing would leave copies of the secret in memory.
    let limit = limit + 1;
    let mut bytes = Zeroizing::new(Vec::with_capacity(limit));
    file.take(limit as u64).read_to_end(&mut bytes).map_err(SmallFileError::Io)?;
    Ok(bytes)
}
