//! The path of the attach socket of a database: the runtime directory and the file name in it. Other processes read the
//! path from the database, because their environment may differ.

use std::{
    ffi::OsString,
    fmt, fs, io,
    os::unix::{
        ffi::OsStrExt as _,
        fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _},
    },
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};

/// The longest path of a socket: `sun_path` of `sockaddr_un` has 108 bytes, including the terminating NUL.
const LONGEST_PATH: usize = 107;

/// The environment that decides the path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    /// `$RUNTIME_DIRECTORY`: systemd's `RuntimeDirectory=`, or several of them with colons between.
    pub runtime_directory: Option<OsString>,
    /// `$XDG_RUNTIME_DIR`.
    pub xdg_runtime_dir: Option<OsString>,
    /// The directory with one directory for each logged-in user: `/run/user`.
    pub users: PathBuf,
    /// The directory that everybody may write to: `/tmp`.
    pub temporary: PathBuf,
    /// The user this process runs as.
    pub user: u32,
}

impl Environment {
    /// The environment of this process.
    #[must_use]
    pub fn of_process() -> Self {
        Self {
            runtime_directory: std::env::var_os("RUNTIME_DIRECTORY"),
            xdg_runtime_dir: std::env::var_os("XDG_RUNTIME_DIR"),
            users: PathBuf::from("/run/user"),
            temporary: PathBuf::from("/tmp"),
            user: rustix::process::geteuid().as_raw(),
        }
    }

    /// The possible directories, best first.
    fn candidates(&self) -> Vec<Candidate> {
        let given = |value: &Option<OsString>| value.clone().filter(|value| !value.is_empty());
        let mut candidates = Vec::new();
        if let Some(list) = given(&self.runtime_directory) {
            let first = list.as_bytes().split(|byte| *byte == b':').next().unwrap_or_default();
            let path = PathBuf::from(std::ffi::OsStr::from_bytes(first));
            candidates.push(Candidate { path, kind: Kind::OfTheService });
        }
        if let Some(run) = given(&self.xdg_runtime_dir) {
            candidates.push(Candidate { path: Path::new(&run).join("fleetsweep"), kind: Kind::OfTheUser });
        }
        let run = self.users.join(self.user.to_string()).join("fleetsweep");
        candidates.push(Candidate { path: run, kind: Kind::OfTheUser });
        let path = self.temporary.join(format!("fleetsweep-{}", self.user));
        candidates.push(Candidate { path, kind: Kind::OfTheUser });
        candidates
    }
}

/// A possible directory.
#[derive(Debug)]
struct Candidate {
    path: PathBuf,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Created by systemd for this service. It is readable for others unless `RuntimeDirectoryMode=` says otherwise, so
    /// access for others is removed.
    OfTheService,
    /// Created here without access for others. An existing one with access for others is rejected.
    OfTheUser,
}

/// Why there is no possible path for a socket: each directory with its error.
#[derive(Debug, thiserror::Error)]
pub struct PlaceError {
    refused: Vec<(PathBuf, Refused)>,
}

impl fmt::Display for PlaceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there is no directory for the collector's socket")?;
        for (index, (path, why)) in self.refused.iter().enumerate() {
            let before = if index == 0 { ": " } else { "; " };
            write!(f, "{before}{} {why}", path.display())?;
        }
        Ok(())
    }
}

/// The error of a directory.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("is not written from the root on")]
    Relative,
    #[error("is a link: remove it")]
    Link,
    #[error("is not a directory: remove it")]
    NotADirectory,
    #[error("belongs to user {0}: have that user remove it")]
    NotOurs(u32),
    #[error("is open to others (mode {0:03o}): run `chmod 700` on it")]
    Open(u32),
    #[error(
        "makes the socket's path {0} bytes long, and {LONGEST_PATH} are possible: set XDG_RUNTIME_DIR to a shorter one"
    )]
    TooLong(usize),
    // The source is formatted here, because the list does not show sources.
    #[error("cannot be used: {0}")]
    Failed(io::Error),
}

/// The path of the attach socket of a database. Creates its directory, which belongs to this user and is closed to
/// others.
///
/// `database` identifies the database, for example `/srv/fleet.db`. The same text gives the same path.
///
/// # Errors
/// [`PlaceError`] with everything that was tried.
pub fn socket(environment: &Environment, database: &str) -> Result<PathBuf, PlaceError> {
    let name = file_name(database);
    let mut refused = Vec::new();
    for candidate in environment.candidates() {
        match usable(&candidate, &name, environment.user) {
            Ok(path) => return Ok(path),
            Err(why) => {
                match why {
                    // Another user may have created it on purpose.
                    Refused::Link | Refused::NotADirectory | Refused::NotOurs(_) | Refused::Open(_) => {
                        tracing::warn!("not used for the collector's socket: {} {why}", candidate.path.display());
                    }
                    Refused::Relative | Refused::TooLong(_) | Refused::Failed(_) => {
                        tracing::debug!("not used for the collector's socket: {} {why}", candidate.path.display());
                    }
                }
                refused.push((candidate.path, why));
            }
        }
    }
    Err(PlaceError { refused })
}

/// A short name that is unique for the database.
fn file_name(database: &str) -> String {
    let digest = Sha256::digest(database.as_bytes());
    let short = digest.iter().take(8).fold(String::new(), |name, byte| format!("{name}{byte:02x}"));
    format!("{short}.sock")
}

fn usable(candidate: &Candidate, name: &str, user: u32) -> Result<PathBuf, Refused> {
    let directory = candidate.path.as_path();
    if !directory.is_absolute() {
        return Err(Refused::Relative);
    }
    let path = directory.join(name);
    let length = path.as_os_str().len();
    if length > LONGEST_PATH {
        return Err(Refused::TooLong(length));
    }
    // The parent directory must exist; it is not created here.
    match fs::DirBuilder::new().mode(0o700).create(directory) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(Refused::Failed(error)),
    }
    // Symbolic links are not followed, because other users may be able to create one in the parent directory.
    let found = fs::symlink_metadata(directory).map_err(Refused::Failed)?;
    if found.file_type().is_symlink() {
        return Err(Refused::Link);
    }
    if !found.is_dir() {
        return Err(Refused::NotADirectory);
    }
    if found.uid() != user {
        return Err(Refused::NotOurs(found.uid()));
    }
    let mode = found.mode() & 0o777;
    if mode & 0o077 != 0 {
        match candidate.kind {
            Kind::OfTheService => {
                fs::set_permissions(directory, fs::Permissions::from_mode(0o700)).map_err(Refused::Failed)?;
            }
            Kind::OfTheUser => return Err(Refused::Open(mode)),
        }
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn environment(root: &Path) -> Environment {
        Environment {
            runtime_directory: None,
            xdg_runtime_dir: None,
            users: root.join("users"),
            temporary: root.to_owned(),
            user: rustix::process::geteuid().as_raw(),
        }
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    fn open(path: &Path) {
        fs::create_dir(path).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[test]
    fn the_first_usable_directory_is_taken_and_is_closed_to_others() {
        let root = tempfile::tempdir().unwrap();
        let mut environment = environment(root.path());
        let database = "/srv/fleet.db";
        let of = |environment: &Environment| socket(environment, database).unwrap().parent().unwrap().to_owned();

        let last = root.path().join(format!("fleetsweep-{}", environment.user));
        assert_eq!(of(&environment), last);
        assert_eq!(mode(&last), 0o700);

        let user = environment.users.join(environment.user.to_string());
        fs::create_dir_all(&user).unwrap();
        assert_eq!(of(&environment), user.join("fleetsweep"));

        let xdg = root.path().join("xdg");
        fs::create_dir(&xdg).unwrap();
        environment.xdg_runtime_dir = Some(xdg.clone().into());
        assert_eq!(of(&environment), xdg.join("fleetsweep"));
        assert_eq!(mode(&xdg.join("fleetsweep")), 0o700);

        // The directory of systemd, which is readable by default; the first of several.
        let service = root.path().join("service");
        open(&service);
        let mut list = service.clone().into_os_string();
        list.push(":/elsewhere");
        environment.runtime_directory = Some(list);
        assert_eq!(of(&environment), service);
        assert_eq!(mode(&service), 0o700);
    }

    #[test]
    fn a_database_has_its_own_name_and_always_the_same() {
        let root = tempfile::tempdir().unwrap();
        let environment = environment(root.path());
        let file = socket(&environment, "/srv/fleet.db").unwrap();
        assert_eq!(socket(&environment, "/srv/fleet.db").unwrap(), file);
        assert_ne!(socket(&environment, "postgres on db.example.com, database fleet").unwrap(), file);
        assert_eq!(file.file_name().unwrap().len(), "0123456789abcdef.sock".len());
    }

    #[test]
    fn what_somebody_else_may_have_put_there_is_refused_with_the_reason() {
        let root = tempfile::tempdir().unwrap();
        let mut environment = environment(root.path());
        let last = root.path().join(format!("fleetsweep-{}", environment.user));
        let refusal = |environment: &Environment| socket(environment, "x").unwrap_err().to_string();

        open(&last);
        assert!(refusal(&environment).contains("is open to others (mode 755): run `chmod 700`"));
        fs::remove_dir(&last).unwrap();

        symlink("/", &last).unwrap();
        assert!(refusal(&environment).contains("is a link"));
        fs::remove_file(&last).unwrap();

        fs::write(&last, "").unwrap();
        assert!(refusal(&environment).contains("is not a directory"));
        fs::remove_file(&last).unwrap();

        environment.xdg_runtime_dir = Some("relative".into());
        environment.temporary = root.path().join("absent");
        let said = refusal(&environment);
        assert!(said.contains("relative/fleetsweep is not written from the root on"), "{said}");
        assert!(said.contains("cannot be used: No such file"), "{said}");

        let foreign = Candidate { path: root.path().to_owned(), kind: Kind::OfTheUser };
        let why = usable(&foreign, "x.sock", environment.user + 1).unwrap_err();
        assert!(matches!(why, Refused::NotOurs(_)), "{why}");
    }

    #[test]
    fn a_path_that_no_socket_can_have_is_passed_over() {
        let root = tempfile::tempdir().unwrap();
        let mut environment = environment(root.path());
        let long = root.path().join("a".repeat(100));
        fs::create_dir(&long).unwrap();
        environment.xdg_runtime_dir = Some(long.clone().into());
        assert!(socket(&environment, "x").unwrap().as_os_str().len() <= LONGEST_PATH);
        environment.temporary = long;
        let said = socket(&environment, "x").unwrap_err().to_string();
        assert!(said.contains("bytes long, and 107 are possible"), "{said}");
    }
}
