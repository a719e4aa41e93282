//! The file that keeps the collector's own troubles between runs, outside the database. It is in the state directory,
//! or if that disk is full or read-only, in memory that lasts until the machine is restarted.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Read as _, Write as _},
    os::unix::{
        ffi::OsStrExt as _,
        fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    },
    path::{Path, PathBuf},
};

use crate::{
    config::directories::{Environment, file_stem},
    fleet::troubles::TroubleState,
};
use serde::{Deserialize, Serialize};

/// The version of the format.
const FORMAT: u32 = 1;

/// The largest file that is read, bytes.
const MOST_BYTES: u64 = 4 << 20;

/// The possible directories of the file, best first, without duplicates.
fn directories(environment: &Environment) -> Vec<PathBuf> {
    let state = environment.service_state().or_else(|| environment.user_state());
    let candidates = [state, environment.service_runtime(), environment.user_runtime()];
    let mut directories = Vec::new();
    for directory in candidates.into_iter().flatten().chain(environment.volatile.iter().cloned()) {
        if !directories.contains(&directory) {
            directories.push(directory);
        }
    }
    directories
}

/// Why nothing can be stored.
#[derive(Debug, thiserror::Error)]
pub enum StateFileError {
    /// A directory cannot be used.
    #[error("{} cannot be used", .0.display())]
    Unusable(PathBuf, #[source] io::Error),
    /// There is no directory.
    #[error("there is no directory for it: set STATE_DIRECTORY, XDG_STATE_HOME or HOME")]
    NoPlace,
}

#[derive(Debug, Serialize, Deserialize)]
struct Content {
    fleetsweep_troubles: u32,
    /// If there are several files, the one with the highest revision counts. Clocks are not compared.
    revision: u64,
    /// The name in the file is that of earlier versions.
    #[serde(rename = "book")]
    troubles: TroubleState,
}

/// The state file of one configuration.
#[derive(Debug)]
pub struct StateFile {
    directories: Vec<PathBuf>,
    name: String,
    revision: std::sync::atomic::AtomicU64,
    /// The lock file, locked until this is dropped. `None` if no directory can hold it.
    _lock: Option<File>,
}

impl StateFile {
    /// Opens the state file of a configuration and reads it. No file if another process has it.
    #[must_use]
    pub fn open(environment: &Environment, config: &Path) -> (Option<Self>, TroubleState) {
        let config =
            fs::canonicalize(config).or_else(|_| std::path::absolute(config)).unwrap_or_else(|_| config.into());
        let name = file_stem(config.as_os_str().as_bytes());
        let directories = directories(environment);
        let lock = match lock(&directories, &name) {
            Ok(lock) => lock,
            Err(Held) => return (None, TroubleState::default()),
        };
        let mut newest = Content { fleetsweep_troubles: FORMAT, revision: 0, troubles: TroubleState::default() };
        for directory in &directories {
            let file = directory.join(format!("{name}.troubles.json"));
            match read(&file) {
                Ok(Some(content)) if content.revision > newest.revision => newest = content,
                Ok(_) => {}
                Err(error) => tracing::warn!("{} is not used: {error}", file.display()),
            }
        }
        let revision = newest.revision.into();
        (Some(Self { directories, name, revision, _lock: lock }), newest.troubles.checked())
    }

    /// Writes the state to the first directory that accepts it.
    ///
    /// # Errors
    /// The error of the best directory, if none accepts it.
    pub fn write(&self, troubles: &TroubleState) -> Result<(), StateFileError> {
        let revision = self.revision.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
        let content = Content { fleetsweep_troubles: FORMAT, revision, troubles: troubles.clone() };
        let file_name = format!("{}.troubles.json", self.name);
        let is_empty = *troubles == TroubleState::default();
        let mut first_error = None;
        let mut kept = None;
        for directory in &self.directories {
            let file = directory.join(&file_name);
            if is_empty || kept.is_some() {
                // Other files are older. If one cannot be removed, its revision shows that.
                match fs::remove_file(&file) {
                    Ok(()) => {}
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => {
                        tracing::debug!("{} stays: {error}", file.display());
                        first_error.get_or_insert(StateFileError::Unusable(directory.clone(), error));
                    }
                }
                continue;
            }
            match usable(directory).and_then(|()| write(directory, &file, &content)) {
                Ok(()) => kept = Some(directory),
                Err(error) => {
                    tracing::debug!("{} takes no state: {error}", directory.display());
                    first_error.get_or_insert(StateFileError::Unusable(directory.clone(), error));
                }
            }
        }
        match (kept, is_empty, first_error) {
            (Some(_), _, _) | (None, true, None) => Ok(()),
            (None, _, Some(error)) => Err(error),
            (None, false, None) => Err(StateFileError::NoPlace),
        }
    }
}

/// Another process has the lock.
struct Held;

/// Takes the lock of a configuration's troubles in the first directory that allows it; `None` if none does.
fn lock(directories: &[PathBuf], name: &str) -> Result<Option<File>, Held> {
    for directory in directories {
        let file = directory.join(format!("{name}.troubles.lock"));
        let opened = usable(directory).and_then(|()| {
            OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
                .open(&file)
        });
        match opened.map(|file| (file.try_lock(), file)) {
            Ok((Ok(()), file)) => return Ok(Some(file)),
            Ok((Err(TryLockError::WouldBlock), _)) => return Err(Held),
            Ok((Err(TryLockError::Error(error)), _)) | Err(error) => {
                tracing::debug!("{} cannot be locked: {error}", file.display());
            }
        }
    }
    Ok(None)
}

/// Creates a private directory if there is none, and rejects one that others can write to.
fn usable(directory: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let found = fs::symlink_metadata(directory)?;
    let refuse = |what: &str| Err(io::Error::new(io::ErrorKind::PermissionDenied, what));
    if !found.is_dir() {
        return refuse("it is no directory");
    }
    if found.uid() != rustix::process::geteuid().as_raw() {
        return refuse("it belongs to another user");
    }
    if found.mode() & 0o022 != 0 {
        return refuse("others may write in it");
    }
    Ok(())
}

fn read(file: &Path) -> io::Result<Option<Content>> {
    let found = match fs::symlink_metadata(file) {
        Ok(found) => found,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let refuse = |what: String| Err(io::Error::new(io::ErrorKind::InvalidData, what));
    if !found.is_file() || found.uid() != rustix::process::geteuid().as_raw() || found.mode() & 0o022 != 0 {
        return refuse("it is no file of ours alone".to_owned());
    }
    let mut text = String::new();
    let opened =
        OpenOptions::new().read(true).custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed()).open(file)?;
    if opened.take(MOST_BYTES + 1).read_to_string(&mut text)? as u64 > MOST_BYTES {
        return refuse(format!("it is larger than {MOST_BYTES} bytes"));
    }
    match serde_json::from_str::<Content>(&text) {
        Ok(content) if content.fleetsweep_troubles == FORMAT => Ok(Some(content)),
        Ok(content) => {
            refuse(format!("it has format {}, and this program knows {FORMAT}", content.fleetsweep_troubles))
        }
        Err(error) => refuse(format!("it is damaged: {error}")),
    }
}

/// Written atomically, readable only by its owner.
fn write(directory: &Path, file: &Path, content: &Content) -> io::Result<()> {
    let mut temporary = tempfile::Builder::new().prefix(".troubles").tempfile_in(directory)?;
    temporary.write_all(serde_json::to_string(content)?.as_bytes())?;
    temporary.as_file().sync_all()?;
    temporary.persist(file).map_err(|error| error.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use jiff::Timestamp;
    use uuid::Uuid;

    use super::*;
    use crate::fleet::troubles::{Finding, TroubleKind};

    fn troubles() -> TroubleState {
        let mut troubles = TroubleState::default();
        let finding = Finding::Present { kind: TroubleKind::Database, detail: "is full".into() };
        troubles.note(finding, Timestamp::UNIX_EPOCH, &mut Uuid::now_v7);
        troubles
    }

    fn environment(home: &Path) -> Environment {
        Environment {
            home: Some(home.join("home").into()),
            volatile: vec![home.join("run"), home.join("tmp")],
            ..Environment::default()
        }
    }

    fn files(home: &Path) -> Vec<String> {
        let mut found = Vec::new();
        for directory in ["home/.local/state/fleetsweep", "run", "tmp"] {
            for entry in fs::read_dir(home.join(directory)).into_iter().flatten() {
                let name = entry.unwrap().file_name().into_string().unwrap();
                if name.ends_with(".json") {
                    found.push(directory.to_owned());
                }
            }
        }
        found
    }

    #[test]
    fn a_book_goes_from_one_run_to_the_next_and_an_empty_one_leaves_no_file() {
        let home = tempfile::tempdir().unwrap();
        let environment = environment(home.path());
        let open = |config: &str| StateFile::open(&environment, &home.path().join(config));
        let (file, found) = open("config.xml");
        assert_eq!(found, TroubleState::default());
        file.unwrap().write(&troubles()).unwrap();
        assert!(open("config.xml").1.is_open(TroubleKind::Database));
        assert_eq!(open("other.xml").1, TroubleState::default(), "another collector has its own");
        let (file, _) = open("config.xml");
        file.unwrap().write(&TroubleState::default()).unwrap();
        assert_eq!((open("config.xml").1, files(home.path())), (TroubleState::default(), Vec::new()));
    }

    #[test]
    fn a_second_process_leaves_it_to_the_first() {
        let home = tempfile::tempdir().unwrap();
        let open = || StateFile::open(&environment(home.path()), Path::new("config.xml"));
        let (first, _) = open();
        assert!(first.is_some() && open().0.is_none());
        drop(first);
        assert!(open().0.is_some());
    }

    #[test]
    fn where_the_disk_takes_nothing_it_is_kept_in_memory_and_the_newest_counts() {
        let home = tempfile::tempdir().unwrap();
        let environment = environment(home.path());
        let open = || StateFile::open(&environment, Path::new("config.xml"));
        open().0.unwrap().write(&TroubleState::default()).unwrap();
        open().0.unwrap().write(&troubles()).unwrap();
        assert_eq!(files(home.path()), ["home/.local/state/fleetsweep"]);
        // A file in place of a directory, so that not even root can write there.
        fs::rename(home.path().join("home"), home.path().join("away")).unwrap();
        fs::write(home.path().join("home"), "").unwrap();
        let (file, found) = open();
        assert_eq!(found, TroubleState::default());
        file.unwrap().write(&troubles()).unwrap();
        assert_eq!(files(home.path()), ["run"]);
        assert!(open().1.is_open(TroubleKind::Database));
        // The state directory works again: its file is used from here on.
        fs::remove_file(home.path().join("home")).unwrap();
        open().0.unwrap().write(&troubles()).unwrap();
        assert_eq!(files(home.path()), ["home/.local/state/fleetsweep"]);
    }

    #[test]
    fn what_others_could_have_put_there_is_not_read() {
        let home = tempfile::tempdir().unwrap();
        let environment = environment(home.path());
        let open = || StateFile::open(&environment, Path::new("config.xml"));
        open().0.unwrap().write(&troubles()).unwrap();
        let directory = home.path().join("home/.local/state/fleetsweep");
        let file = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path());
        let file = file.into_iter().find(|path| path.extension().is_some_and(|end| end == "json")).unwrap();
        let whole = fs::read(&file).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
        for (text, mode) in [
            (whole.clone(), 0o666),
            (whole[..whole.len() / 2].to_vec(), 0o600),
            (b"{\"fleetsweep_troubles\":2,\"revision\":9,\"book\":{\"troubles\":{}}}".to_vec(), 0o600),
            (vec![b'x'; 5 << 20], 0o600),
            (vec![0xff; 9], 0o600),
        ] {
            fs::write(&file, text).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(open().1, TroubleState::default());
        }
        fs::remove_file(&file).unwrap();
        let elsewhere = home.path().join("elsewhere");
        fs::write(&elsewhere, whole).unwrap();
        std::os::unix::fs::symlink(&elsewhere, &file).unwrap();
        assert_eq!(open().1, TroubleState::default());
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o777)).unwrap();
        open().0.unwrap().write(&troubles()).unwrap();
        assert_eq!(files(home.path()), ["home/.local/state/fleetsweep", "run"], "the link is left alone");
    }
}
