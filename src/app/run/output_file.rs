//! An output file that is written atomically: under its name there is either the complete file or none.

use std::{
    fs::{self, File, Permissions},
    io::{self, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use tempfile::{Builder, NamedTempFile};

/// Who may read the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// Only its owner, because it contains host names, addresses and mails.
    Owner,
    /// Everyone, because the collector of metrics files runs as another user.
    Everyone,
    /// Everyone, and everyone may execute it.
    EveryoneToExecute,
}

/// Why the file could not be written.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// It could not be created.
    #[error("cannot write {file}: choose a directory in which you may create files")]
    NotBegun {
        /// Its name.
        file: String,
        /// The error of the operating system.
        source: io::Error,
    },
    /// There is a file of this name, which must not be replaced.
    #[error("{file} exists already: choose another name, or remove it first")]
    Exists {
        /// Its name.
        file: String,
    },
    /// It could not be finished.
    #[error("cannot write {file}; its old content is unchanged")]
    NotFinished {
        /// Its name.
        file: String,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The operator cancelled it.
    #[error("interrupted: {file} was not written; its old content is unchanged")]
    Stopped {
        /// Its name.
        file: String,
    },
}

/// A file that is being written under a temporary name next to its own. It is removed if this is dropped before the
/// end.
#[derive(Debug)]
pub struct Output {
    file: NamedTempFile,
    target: PathBuf,
}

impl Output {
    /// Creates a file.
    ///
    /// # Errors
    /// [`OutputError::NotBegun`].
    pub fn create(target: &Path, audience: Audience) -> Result<Self, OutputError> {
        Self::begin(target, audience)
            .map_err(|source| OutputError::NotBegun { file: target.display().to_string(), source })
    }

    fn begin(target: &Path, audience: Audience) -> io::Result<Self> {
        let target = match fs::canonicalize(target) {
            // The target of a symbolic link is replaced, and the link stays.
            Ok(there) if there.is_file() => there,
            // Otherwise a device or a pipe would be replaced by a file.
            Ok(_) => return Err(io::Error::other("not a regular file")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => target.to_owned(),
            Err(error) => return Err(error),
        };
        if target.file_name().is_none() {
            return Err(io::Error::other("not the name of a file"));
        }
        // The temporary name must not have the same extension: a collector that reads every `*.prom` would read it.
        let file = Builder::new().prefix(".fleetsweep-").suffix(".part").tempfile_in(directory(&target))?;
        let mode = match audience {
            Audience::Owner => 0o600,
            Audience::Everyone => 0o644,
            Audience::EveryoneToExecute => 0o755,
        };
        // Regardless of the umask.
        file.as_file().set_permissions(Permissions::from_mode(mode))?;
        Ok(Self { file, target })
    }

    /// Appends to it.
    ///
    /// # Errors
    /// [`OutputError::NotFinished`].
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), OutputError> {
        self.file.write_all(bytes).map_err(|source| self.not_finished(source))
    }

    /// Renames it to its final name and replaces an existing file. It is then synced to disk.
    ///
    /// # Errors
    /// [`OutputError::NotFinished`].
    pub fn finish(self) -> Result<(), OutputError> {
        self.file.as_file().sync_all().map_err(|source| self.not_finished(source))?;
        let Self { file, target } = self;
        file.persist(&target)
            .map_err(|error| OutputError::NotFinished { file: target.display().to_string(), source: error.error })?;
        sync_directory(&target);
        Ok(())
    }

    /// Renames it to its final name, unless there is a file of this name. It is then synced to disk.
    ///
    /// # Errors
    /// [`OutputError::Exists`] or [`OutputError::NotFinished`].
    pub fn finish_new(self) -> Result<(), OutputError> {
        self.file.as_file().sync_all().map_err(|source| self.not_finished(source))?;
        let Self { file, target } = self;
        let name = target.display().to_string();
        file.persist_noclobber(&target).map_err(|error| {
            if error.error.kind() == io::ErrorKind::AlreadyExists {
                OutputError::Exists { file: name.clone() }
            } else {
                OutputError::NotFinished { file: name.clone(), source: error.error }
            }
        })?;
        sync_directory(&target);
        Ok(())
    }

    /// The error that the operator cancelled it.
    #[must_use]
    pub fn stopped(&self) -> OutputError {
        OutputError::Stopped { file: self.target.display().to_string() }
    }

    fn not_finished(&self, source: io::Error) -> OutputError {
        OutputError::NotFinished { file: self.target.display().to_string(), source }
    }
}

/// Syncs the directory of a file. If the file system does not support that, it happens a little later.
fn sync_directory(target: &Path) {
    if let Err(error) = File::open(directory(target)).and_then(|directory| directory.sync_all()) {
        tracing::debug!("{} could not be synchronised: {error}", target.display());
    }
}

fn directory(target: &Path) -> &Path {
    match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_there_whole_or_not_at_all() {
        let home = tempfile::tempdir().unwrap();
        let target = home.path().join("a.prom");
        for (audience, mode) in
            [(Audience::Owner, 0o600), (Audience::Everyone, 0o644), (Audience::EveryoneToExecute, 0o755)]
        {
            fs::write(&target, "before").unwrap();
            let mut output = Output::create(&target, audience).unwrap();
            output.write(b"af").unwrap();
            assert_eq!(fs::read_to_string(&target).unwrap(), "before");
            drop(output);
            assert_eq!(
                (names(home.path()), fs::read_to_string(&target).unwrap()),
                (vec!["a.prom".into()], "before".into())
            );

            let mut output = Output::create(&target, audience).unwrap();
            assert!(names(home.path()).iter().all(|name| name == "a.prom" || !name.ends_with(".prom")));
            output.write(b"after").unwrap();
            output.finish().unwrap();
            assert_eq!(
                (names(home.path()), fs::read_to_string(&target).unwrap()),
                (vec!["a.prom".into()], "after".into())
            );
            assert_eq!(fs::metadata(&target).unwrap().permissions().mode() & 0o777, mode);
        }
    }

    #[test]
    fn a_link_stays_and_what_is_no_file_is_not_replaced() {
        let home = tempfile::tempdir().unwrap();
        let (target, link) = (home.path().join("target"), home.path().join("link"));
        fs::write(&target, "before").unwrap();
        symlink(&target, &link).unwrap();
        let mut output = Output::create(&link, Audience::Owner).unwrap();
        output.write(b"after").unwrap();
        output.finish().unwrap();
        assert_eq!((fs::read_to_string(&target).unwrap().as_str(), fs::read_link(&link).unwrap()), ("after", target));
        for wrong in [Path::new("/dev/null"), home.path(), &home.path().join("no/where"), Path::new("")] {
            let error = Output::create(wrong, Audience::Owner).unwrap_err();
            assert!(matches!(error, OutputError::NotBegun { .. }), "{wrong:?}: {error:?}");
        }
    }
}
