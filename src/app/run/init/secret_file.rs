//! A file for a secret that was typed. It is there while the hosts are tried, and is removed again unless the configuration
//! that names it is written.

use std::{
    fs,
    path::{Path, PathBuf},
};

use secrecy::{ExposeSecret as _, SecretString};

use crate::app::run::output_file::{Audience, Output, OutputError};

/// A new file, which only its owner can read.
#[derive(Debug)]
pub(super) struct SecretFile {
    path: PathBuf,
    is_kept: bool,
}

impl SecretFile {
    /// Whether a file could be created, before anybody types what belongs into it.
    pub(super) fn check(path: &Path) -> Result<(), OutputError> {
        if path.symlink_metadata().is_ok() {
            return Err(OutputError::Exists { file: path.display().to_string() });
        }
        Output::create(path, Audience::Owner).map(drop)
    }

    /// Writes a secret into a new file.
    pub(super) fn create(path: &Path, secret: &SecretString) -> Result<Self, OutputError> {
        let mut file = Output::create(path, Audience::Owner)?;
        file.write(secret.expose_secret().as_bytes())?;
        file.write(b"\n")?;
        file.finish_new()?;
        Ok(Self { path: path.to_owned(), is_kept: false })
    }

    /// Leaves it where it is.
    pub(super) fn keep(mut self) {
        self.is_kept = true;
    }
}

impl Drop for SecretFile {
    fn drop(&mut self) {
        if !self.is_kept
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!("{} contains a secret and cannot be removed: {error}", self.path.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_secret_stays_only_if_it_is_kept() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("secret");
        let secret = SecretString::from("open sesame");
        SecretFile::check(&path).unwrap();
        let file = SecretFile::create(&path, &secret).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "open sesame\n");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        drop(file);
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
        SecretFile::create(&path, &secret).unwrap().keep();
        assert!(path.exists());
        // A file that was there before is neither replaced nor removed.
        assert!(matches!(SecretFile::check(&path), Err(OutputError::Exists { .. })));
        assert!(matches!(SecretFile::create(&path, &secret), Err(OutputError::Exists { .. })));
        assert!(path.exists());
        let nowhere = SecretFile::check(&home.path().join("no/where"));
        assert!(matches!(nowhere, Err(OutputError::NotBegun { .. })));
    }
}
