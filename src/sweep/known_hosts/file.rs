//! The `known_hosts` file on the disk: whether it changed, reading it, and appending to it. Not what stands in it.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::Path,
    time::{Duration, SystemTime},
};

/// Room for a hundred times the hosts that can be configured.
const LARGEST_BYTES: u64 = 64 << 20;

/// After a change, a file can change once more without showing it: so coarse are the times of some file systems.
pub(super) const TIMES_ARE_COARSE: Duration = Duration::from_secs(3);

/// What shows that a file has changed: another file in its place, other bytes, other rights.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    pub(super) bytes: u64,
    /// Seconds and nanoseconds.
    modified: (i64, i64),
    /// The same of whatever else was changed; nobody can set it back.
    changed: (i64, i64),
    /// Whether another change right after this one would show.
    is_settled: bool,
}

impl Stamp {
    /// Of a file that is looked at now.
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

    /// Whether a file that had this stamp when it was read, and has that one now, is unchanged for certain.
    pub(super) fn is_still(&self, now: &Self) -> bool {
        self.is_settled && self == now
    }
}

/// The stamp of the file as it is now; `None` where there is none.
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

/// The file as it is now; nothing where there is none.
///
/// # Errors
/// Those of the file system, and for a file that is too large.
pub(super) fn contents(path: &Path) -> io::Result<(Option<Stamp>, Vec<u8>)> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((None, Vec::new())),
        Err(error) => return Err(error),
    };
    // Taken before reading: what is written meanwhile shows at the next look.
    let stamp = Stamp::of(&file.metadata()?);
    let mut bytes = Vec::new();
    if (&mut file).take(LARGEST_BYTES).read_to_end(&mut bytes)? as u64 == LARGEST_BYTES {
        return Err(io::Error::other(format!("it is larger than {} MiB", LARGEST_BYTES >> 20)));
    }
    Ok((Some(stamp), bytes))
}

/// Appends a line in one write, after a line break where the file lacks one at its end. Gives the file's
/// stamp afterwards and what was added. Not synced to the disk: what a power failure takes is
/// pinned again at the next sight, as with OpenSSH.
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
