//! The possible paths of the spool of a database. Its content is in [`super::spool`].

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

use crate::config::directories::{self, Environment};

/// The extension of a spool directory next to a database file.
const BESIDE: &str = "spool";

/// A private directory and the stem of the file names in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SpoolPath {
    pub(super) directory: PathBuf,
    pub(super) name: String,
}

impl SpoolPath {
    /// The file of waiting changes.
    pub(super) fn file(&self) -> PathBuf {
        self.directory.join(format!("{}.jsonl", self.name))
    }

    /// Whether missing parent directories are created. That of a database is not: if it is missing, somebody has moved
    /// it.
    pub(super) fn may_make_parents(&self) -> bool {
        self.directory.extension() != Some(OsStr::new(BESIDE))
    }
}

/// The possible paths for the spool of a database, best first. `identity` identifies the database; `file` is its file,
/// if it is one. The first is the normal one; the others are used if its disk is full. Creates nothing.
pub(super) fn of(environment: &Environment, identity: &str, file: Option<&Path>) -> Vec<SpoolPath> {
    let spool_in = |directory: Option<PathBuf>| directory.map(|directory| directory.join("spool"));
    let beside = file.map(|file| {
        let mut directory = file.to_owned().into_os_string();
        directory.push(".");
        directory.push(BESIDE);
        PathBuf::from(directory)
    });
    let name = directories::file_stem(identity.as_bytes());
    let candidates = [
        spool_in(environment.service_state()),
        beside,
        spool_in(environment.user_state()),
        spool_in(environment.service_runtime().or_else(|| environment.user_runtime())),
        environment.user_temporary("spool"),
    ];
    candidates.into_iter().flatten().map(|directory| SpoolPath { directory, name: name.clone() }).collect()
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
