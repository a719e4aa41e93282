//! Checks whether a SQLite file is still the one that was opened. If it was removed, moved or replaced, the open file
//! still accepts writes, but nobody would find the data. [`super::connection`] reacts to that.
//!
//! The file is never opened here, only its metadata is read: closing it would release every lock that SQLite has on it
//! in this process.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use super::error::StoreErrorKind;

/// The identity of a file, independent of its path: device and inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    /// The identity of the file at a path.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        fs::metadata(path).map(|found| Self::from(&found))
    }
}

impl From<&fs::Metadata> for Identity {
    fn from(found: &fs::Metadata) -> Self {
        Self { device: found.dev(), inode: found.ino() }
    }
}

/// A file that was opened.
#[derive(Debug)]
pub(super) struct OpenFile {
    path: PathBuf,
    seen: Identity,
    /// The files that SQLite creates next to it, once they have been seen. If they are missing, other programs do not
    /// see new data.
    companions: [(PathBuf, Option<Identity>); 2],
}

/// How a file has changed since it was opened.
#[derive(Debug, thiserror::Error)]
pub(super) enum Changed {
    #[error("it no longer exists")]
    Gone(#[source] io::Error),
    #[error("its metadata cannot be read")]
    Unknown(#[source] io::Error),
    #[error("another file is in its place")]
    Replaced,
    #[error("what is in its place is not a file")]
    NoFile,
    #[error("it was emptied")]
    Emptied,
    #[error("{} was removed or replaced while it was in use", .0.display())]
    Companion(PathBuf),
}

impl Changed {
    pub(super) fn kind(&self) -> StoreErrorKind {
        match self {
            Self::Gone(_) => StoreErrorKind::Missing,
            Self::Unknown(_) => StoreErrorKind::Unreachable,
            Self::Replaced | Self::NoFile | Self::Emptied | Self::Companion(_) => StoreErrorKind::Replaced,
        }
    }

    /// Whether the main file is the same, and only a file next to it has changed.
    pub(super) fn is_same_file(&self) -> bool {
        matches!(self, Self::Companion(_))
    }
}

impl OpenFile {
    /// The file of a database that was just opened.
    pub(super) fn new(path: &Path) -> io::Result<Self> {
        let companions = ["-wal", "-shm"].map(|end| {
            let mut name = path.as_os_str().to_owned();
            name.push(end);
            (PathBuf::from(name), None)
        });
        Ok(Self { path: path.to_owned(), seen: Identity::of(path)?, companions })
    }

    /// Checks that nothing has changed.
    pub(super) fn check(&mut self) -> Result<(), Changed> {
        let found = fs::metadata(&self.path)
            .map_err(|error| if is_gone(&error) { Changed::Gone(error) } else { Changed::Unknown(error) })?;
        if !found.is_file() {
            return Err(Changed::NoFile);
        }
        if Identity::from(&found) != self.seen {
            return Err(Changed::Replaced);
        }
        // In WAL mode the file contains its first page from the start.
        if found.len() == 0 {
            return Err(Changed::Emptied);
        }
        for (path, seen) in &mut self.companions {
            let found = Identity::of(path).ok();
            match (*seen, found) {
                (None, found) => *seen = found,
                (Some(seen), Some(found)) if seen == found => {}
                (Some(_), _) => return Err(Changed::Companion(path.clone())),
            }
        }
        Ok(())
    }

    /// The connections were closed, so SQLite creates the files next to it again.
    pub(super) fn expect_new_companions(&mut self) {
        for (_, seen) in &mut self.companions {
            *seen = None;
        }
    }

    /// The write-ahead log of this database, if another file has replaced the database and the log is not empty. The
    /// other file must not be opened then: SQLite would write the pages of the log into it.
    pub(super) fn orphaned_log(&self) -> Option<PathBuf> {
        let [(log, seen), _] = &self.companions;
        let found = fs::metadata(log).ok()?;
        (found.len() > 0 && Some(Identity::from(&found)) == *seen).then(|| log.clone())
    }
}

/// Whether the error means that there is no file, and not that its metadata cannot be read.
pub(super) fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The result of a check in one word.
    fn word(file: &mut OpenFile) -> &'static str {
        match file.check() {
            Ok(()) => "same",
            Err(Changed::Gone(_)) => "gone",
            Err(Changed::Unknown(_)) => "unknown",
            Err(Changed::Replaced) => "replaced",
            Err(Changed::NoFile) => "no file",
            Err(Changed::Emptied) => "emptied",
            Err(Changed::Companion(_)) => "companion",
        }
    }

    #[test]
    fn every_way_to_lose_a_file_is_noticed() {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join("data");
        fs::create_dir(&directory).unwrap();
        let [path, away, log] = ["f.db", "away.db", "f.db-wal"].map(|name| directory.join(name));
        fs::write(&path, "x").unwrap();
        let mut file = OpenFile::new(&path).unwrap();
        assert_eq!(word(&mut file), "same");
        fs::rename(&path, &away).unwrap();
        assert_eq!(word(&mut file), "gone");
        fs::write(&path, "y").unwrap();
        assert_eq!(word(&mut file), "replaced");
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert_eq!(word(&mut file), "no file");
        fs::remove_dir(&path).unwrap();
        // A symbolic link leads to the same file.
        std::os::unix::fs::symlink(&away, &path).unwrap();
        assert_eq!(word(&mut file), "same");
        fs::write(&away, "").unwrap();
        assert_eq!(word(&mut file), "emptied");
        fs::write(&away, "x").unwrap();
        fs::write(&log, "").unwrap();
        assert_eq!(word(&mut file), "same");
        assert_eq!(file.orphaned_log(), None);
        fs::write(&log, "x").unwrap();
        assert_eq!(file.orphaned_log(), Some(log.clone()));
        fs::rename(&log, &away).unwrap();
        assert_eq!(word(&mut file), "replaced");
        fs::rename(&directory, home.path().join("elsewhere")).unwrap();
        assert_eq!(word(&mut file), "gone");
        fs::write(&directory, "").unwrap();
        assert_eq!(word(&mut file), "gone");
    }

    #[test]
    fn a_log_that_was_seen_has_to_stay() {
        let home = tempfile::tempdir().unwrap();
        let [path, log, other] = ["f.db", "f.db-wal", "other"].map(|name| home.path().join(name));
        for file in [&path, &log, &other] {
            fs::write(file, "x").unwrap();
        }
        let mut file = OpenFile::new(&path).unwrap();
        assert_eq!(word(&mut file), "same");
        fs::rename(&other, &log).unwrap();
        assert_eq!(word(&mut file), "companion");
        file.expect_new_companions();
        assert_eq!(word(&mut file), "same");
        fs::remove_file(&log).unwrap();
        assert_eq!(word(&mut file), "companion");
    }
}
