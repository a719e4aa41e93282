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
}

impl Environment {
    /// That of this process.
    #[must_use]
    pub fn of_process() -> Self {
        let [state_directory, xdg_state_home, home] =
            ["STATE_DIRECTORY", "XDG_STATE_HOME", "HOME"].map(std::env::var_os);
        Self { state_directory, xdg_state_home, home }
    }
}

/// A directory of our own, and the beginning of the names of the files in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) directory: PathBuf,
    pub(super) name: String,
}

/// The place of a database: `identity` in words, and its file where it is one. Makes nothing.
pub(super) fn of(environment: &Environment, identity: &str, file: Option<&Path>) -> Option<Place> {
    let given = |value: &Option<OsString>| {
        let first = value.as_ref()?.as_bytes().split(|byte| *byte == b':').next()?;
        Some(PathBuf::from(OsStr::from_bytes(first))).filter(|path| path.is_absolute())
    };
    let beside = || {
        let mut directory = file?.to_owned().into_os_string();
        directory.push(".spool");
        Some(PathBuf::from(directory))
    };
    let of_the_user = || {
        let state = given(&environment.xdg_state_home)
            .or_else(|| given(&environment.home).map(|home| home.join(".local/state")))?;
        Some(state.join("fleetsweep/spool"))
    };
    let of_the_service = given(&environment.state_directory).map(|state| state.join("spool"));
    let directory = of_the_service.or_else(beside).or_else(of_the_user)?;
    let digest = Sha256::digest(identity.as_bytes());
    let name = digest.iter().take(8).fold(String::new(), |name, byte| format!("{name}{byte:02x}"));
    Some(Place { directory, name })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_comes_first_then_beside_the_file_then_the_user() {
        let mut environment = Environment { home: Some("/home/ops".into()), ..Environment::default() };
        let server = |environment: &Environment| of(environment, "postgres://db/fleet", None).unwrap().directory;
        let file =
            |environment: &Environment| of(environment, "x", Some(Path::new("/srv/fleet.db"))).unwrap().directory;
        assert_eq!(server(&environment), Path::new("/home/ops/.local/state/fleetsweep/spool"));
        assert_eq!(file(&environment), Path::new("/srv/fleet.db.spool"));
        environment.xdg_state_home = Some("/state".into());
        assert_eq!(server(&environment), Path::new("/state/fleetsweep/spool"));
        environment.state_directory = Some("/var/lib/fleetsweep:/elsewhere".into());
        assert_eq!(server(&environment), Path::new("/var/lib/fleetsweep/spool"));
        assert_eq!(file(&environment), Path::new("/var/lib/fleetsweep/spool"));
        let nowhere = Environment { home: Some("relative".into()), ..Environment::default() };
        assert_eq!(of(&nowhere, "x", None), None);
    }

    #[test]
    fn a_database_has_its_own_name_and_always_the_same() {
        let environment = Environment { home: Some("/home/ops".into()), ..Environment::default() };
        let name = |identity: &str| of(&environment, identity, None).unwrap().name;
        assert_eq!(name("a"), name("a"));
        assert_ne!(name("a"), name("b"));
    }
}
