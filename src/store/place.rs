//! Where the spool of a database lies: in the program's state. Not what is in it ([`super::spool`]).

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};

/// What the place depends on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment {
    /// `$STATE_DIRECTORY`: systemd's `StateDirectory=`, or several of them with colons between.
    pub state_directory: Option<OsString>,
    /// `$XDG_STATE_HOME`.
    pub xdg_state_home: Option<OsString>,
    /// `$HOME`.
    pub home: Option<OsString>,
    /// `$RUNTIME_DIRECTORY`: systemd's `RuntimeDirectory=`, likewise.
    pub runtime_directory: Option<OsString>,
    /// `$XDG_RUNTIME_DIR`.
    pub xdg_runtime_dir: Option<OsString>,
    /// The directory for temporary files.
    pub temporary: Option<OsString>,
}

impl Environment {
    /// That of this process.
    #[must_use]
    pub fn of_process() -> Self {
        let [state_directory, xdg_state_home, home, runtime_directory, xdg_runtime_dir] =
            ["STATE_DIRECTORY", "XDG_STATE_HOME", "HOME", "RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR"].map(std::env::var_os);
        let temporary = Some(std::env::temp_dir().into_os_string());
        Self { state_directory, xdg_state_home, home, runtime_directory, xdg_runtime_dir, temporary }
    }
}

/// The end of the name of a spool's directory that lies beside a file.
const BESIDE: &str = "spool";

/// A directory of our own, and the beginning of the names of the files in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) directory: PathBuf,
    pub(super) name: String,
}

impl Place {
    /// The file in which changes wait.
    pub(super) fn file(&self) -> PathBuf {
        self.directory.join(format!("{}.jsonl", self.name))
    }

    /// Whether the directories above it are made with it. That of a database is not: somebody moved it away.
    pub(super) fn may_make_parents(&self) -> bool {
        self.directory.extension() != Some(OsStr::new(BESIDE))
    }
}

/// The places of a database, best first: `identity` in words, and its file where it is one. The first is the place; the
/// others are for when its disk takes nothing. Makes nothing.
pub(super) fn of(environment: &Environment, identity: &str, file: Option<&Path>) -> Vec<Place> {
    let given = |value: &Option<OsString>| {
        let first = value.as_ref()?.as_bytes().split(|byte| *byte == b':').next()?;
        Some(PathBuf::from(OsStr::from_bytes(first))).filter(|path| path.is_absolute())
    };
    let of_the_service = given(&environment.state_directory).map(|state| state.join("spool"));
    let beside = file.map(|file| {
        let mut directory = file.to_owned().into_os_string();
        directory.push(".");
        directory.push(BESIDE);
        PathBuf::from(directory)
    });
    let of_the_user = given(&environment.xdg_state_home)
        .or_else(|| given(&environment.home).map(|home| home.join(".local/state")))
        .map(|state| state.join("fleetsweep/spool"));
    let at_run_time = given(&environment.runtime_directory)
        .or_else(|| given(&environment.xdg_runtime_dir).map(|directory| directory.join("fleetsweep")))
        .map(|directory| directory.join("spool"));
    // In a directory of everybody's the name tells whose it is; whether it is, is checked.
    let temporary = given(&environment.temporary)
        .map(|directory| directory.join(format!("fleetsweep-{}-spool", rustix::process::geteuid().as_raw())));
    let digest = Sha256::digest(identity.as_bytes());
    let name = digest.iter().take(8).fold(String::new(), |name, byte| format!("{name}{byte:02x}"));
    let directories = [of_the_service, beside, of_the_user, at_run_time, temporary];
    directories.into_iter().flatten().map(|directory| Place { directory, name: name.clone() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_comes_first_then_beside_the_file_then_the_user() {
        let mut environment = Environment { home: Some("/home/ops".into()), ..Environment::default() };
        let server = |environment: &Environment| of(environment, "postgres://db/fleet", None).remove(0).directory;
        let file =
            |environment: &Environment| of(environment, "x", Some(Path::new("/srv/fleet.db"))).remove(0).directory;
        assert_eq!(server(&environment), Path::new("/home/ops/.local/state/fleetsweep/spool"));
        assert_eq!(file(&environment), Path::new("/srv/fleet.db.spool"));
        environment.xdg_state_home = Some("/state".into());
        assert_eq!(server(&environment), Path::new("/state/fleetsweep/spool"));
        environment.state_directory = Some("/var/lib/fleetsweep:/elsewhere".into());
        assert_eq!(server(&environment), Path::new("/var/lib/fleetsweep/spool"));
        assert_eq!(file(&environment), Path::new("/var/lib/fleetsweep/spool"));
        let nowhere = Environment { home: Some("relative".into()), ..Environment::default() };
        assert_eq!(of(&nowhere, "x", None), []);
    }

    #[test]
    fn a_database_has_its_own_name_and_always_the_same() {
        let environment = Environment { home: Some("/home/ops".into()), ..Environment::default() };
        let name = |identity: &str| of(&environment, identity, None).remove(0).name;
        assert_eq!(name("a"), name("a"));
        assert_ne!(name("a"), name("b"));
    }

    #[test]
    fn where_a_disk_takes_nothing_the_next_place_does() {
        let environment = Environment {
            home: Some("/home/ops".into()),
            xdg_runtime_dir: Some("/run/user/7".into()),
            temporary: Some("/tmp".into()),
            ..Environment::default()
        };
        let found: Vec<PathBuf> =
            of(&environment, "x", Some(Path::new("/srv/fleet.db"))).into_iter().map(|place| place.directory).collect();
        let temporary = format!("/tmp/fleetsweep-{}-spool", rustix::process::geteuid().as_raw());
        let expected = [
            "/srv/fleet.db.spool",
            "/home/ops/.local/state/fleetsweep/spool",
            "/run/user/7/fleetsweep/spool",
            &temporary,
        ];
        assert_eq!(found, expected.map(PathBuf::from));
    }
}
