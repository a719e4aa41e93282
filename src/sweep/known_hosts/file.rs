//! The `known_hosts` file on disk: detects changes, reads it, appends to it and replaces it. Its content is parsed
//! elsewhere.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::Path,
    time::{Duration, SystemTime},
};

/// The largest file that is read. Enough for a hundred times the maximum number of clients.
const LARGEST_BYTES: u64 = 64 << 20;

/// The resolution of file times on coarse file systems. A second change within this time may not be visible.
pub(super) const TIMES_ARE_COARSE: Duration = Duration::from_secs(3);

/// Metadata that shows whether a file has changed: another file, other content, other permissions.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    pub(super) bytes: u64,
    /// The time of the last change of the content, in seconds and nanoseconds.
    modified: (i64, i64),
    /// The time of the last change of the inode, which cannot be set back.
    changed: (i64, i64),
    /// Whether another change right after this one would be visible.
    is_settled: bool,
}

impl Stamp {
    /// The stamp of a file at this moment.
    fn of(metadata: &fs::Metadata) -> Self {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let changed = u64::try_from(metadata.ctime()).map_or(now, Duration::from_secs);
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            is_settled: changed + TIMES_ARE_COARSE < now,
        }
    }

    /// Whether a file that had this stamp when it was read and has `now` now is certainly unchanged.
    pub(super) fn is_still(&self, now: &Self) -> bool {
        self.is_settled && self == now
    }
}

/// The current stamp of the file; `None` if it does not exist.
///
/// # Errors
/// Those of the file system.
pub(super) fn stamp(path: &Path) -> io::Result<Option<Stamp>> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(Some(Stamp::of(&metadata))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The current content of the file; empty if it does not exist.
///
/// # Errors
/// Those of the file system, and one if the file is too large.
pub(super) fn contents(path: &Path) -> io::Result<(Option<Stamp>, Vec<u8>)> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((None, Vec::new())),
        Err(error) => return Err(error),
    };
    // Taken before reading, so that a change during the read is noticed next time.
    let stamp = Stamp::of(&file.metadata()?);
    let mut bytes = Vec::new();
    if (&mut file).take(LARGEST_BYTES).read_to_end(&mut bytes)? as u64 == LARGEST_BYTES {
        return Err(io::Error::other(format!("it is larger than {} MiB", LARGEST_BYTES >> 20)));
    }
    Ok((Some(stamp), bytes))
}

/// Appends a line in one write, after a line break if the file does not end with one. Returns the new stamp and the
/// added text. It is not synced to disk: a key that is lost in a power failure is pinned again later, as in OpenSSH.
///
/// # Errors
/// Those of the file system.
pub(super) fn append(path: &Path, line: &str) -> io::Result<(Stamp, String)> {
    if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
    let mut added = String::new();
    if file.metadata()?.len() > 0 {
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            added.push('\n');
        }
    }
    added.push_str(line);
    file.write_all(added.as_bytes())?;
    Ok((Stamp::of(&file.metadata()?), added))
}

/// Replaces the content of the file in one step, with the same permissions. The old content is kept with `.old` at the
/// name of the file. If the file is a symbolic link, its target is replaced.
///
/// # Errors
/// Those of the file system; the file is then as it was.
pub(super) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let path = path.canonicalize()?;
    let directory = path.parent().ok_or_else(|| io::Error::other("it is not in a directory"))?;
    let permissions = fs::metadata(&path)?.permissions();
    fs::copy(&path, path.with_added_extension("old"))?;
    let mut temporary = tempfile::Builder::new().prefix(".known_hosts").tempfile_in(directory)?;
    temporary.write_all(content)?;
    temporary.as_file().set_permissions(permissions)?;
    temporary.as_file().sync_all()?;
    temporary.persist(&path).map_err(|error| error.error)?;
    Ok(())
}
