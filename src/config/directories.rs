//! The directories in which this program may keep files between runs, and the names of its files there. Creates no
//! directory and opens no file.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};

/// The environment variable in which systemd names the directory of a service's credentials.
pub const CREDENTIALS_VARIABLE: &str = "CREDENTIALS_DIRECTORY";
/// The directory of the configuration of the whole system.
const SYSTEM_CONFIG: &str = "/etc/fleetsweep";

/// The environment variables that decide where files are kept. The default names no directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment {
    /// `$STATE_DIRECTORY`: systemd's `StateDirectory=`, or several of them separated by colons.
    pub state_directory: Option<OsString>,
    /// `$CREDENTIALS_DIRECTORY`: what systemd's `LoadCredential=` passes to the service.
    pub credentials_directory: Option<OsString>,
    /// `$XDG_CONFIG_HOME`.
    pub xdg_config_home: Option<OsString>,
    /// `$XDG_STATE_HOME`.
    pub xdg_state_home: Option<OsString>,
    /// `$HOME`.
    pub home: Option<OsString>,
    /// `$RUNTIME_DIRECTORY`: systemd's `RuntimeDirectory=`, or several of them separated by colons.
    pub runtime_directory: Option<OsString>,
    /// `$XDG_RUNTIME_DIR`.
    pub xdg_runtime_dir: Option<OsString>,
    /// The directory for temporary files, shared by all users.
    pub temporary: Option<OsString>,
    /// Volatile directories of this user, in memory or for temporary files, best first. They need not exist.
    pub volatile: Vec<PathBuf>,
}

impl Environment {
    /// The environment of this process.
    #[must_use]
    pub fn of_process() -> Self {
        let [state_directory, xdg_state_home, home, runtime_directory, xdg_runtime_dir] =
            ["STATE_DIRECTORY", "XDG_STATE_HOME", "HOME", "RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR"].map(std::env::var_os);
        let [credentials_directory, xdg_config_home] = [CREDENTIALS_VARIABLE, "XDG_CONFIG_HOME"].map(std::env::var_os);
        let user = rustix::process::geteuid().as_raw();
        let own = format!("fleetsweep-{user}");
        let temporary = std::env::temp_dir();
        let volatile = vec![
            Path::new("/run/user").join(user.to_string()).join("fleetsweep"),
            Path::new("/dev/shm").join(&own),
            temporary.join(&own),
        ];
        Self {
            state_directory,
            credentials_directory,
            xdg_config_home,
            xdg_state_home,
            home,
            runtime_directory,
            xdg_runtime_dir,
            temporary: Some(temporary.into()),
            volatile,
        }
    }

    /// The state directory that systemd created for the service.
    #[must_use]
    pub fn service_state(&self) -> Option<PathBuf> {
        first_absolute(self.state_directory.as_deref())
    }

    /// The directory of the credentials that systemd passes to the service.
    #[must_use]
    pub fn credentials(&self) -> Option<PathBuf> {
        first_absolute(self.credentials_directory.as_deref())
    }

    /// The configuration directory of this program for the user that it runs as.
    #[must_use]
    pub fn user_config(&self) -> Option<PathBuf> {
        let of_home = || Some(first_absolute(self.home.as_deref())?.join(".config"));
        Some(first_absolute(self.xdg_config_home.as_deref()).or_else(of_home)?.join("fleetsweep"))
    }

    /// The configuration directory of this program for all users.
    #[must_use]
    pub fn system_config() -> PathBuf {
        PathBuf::from(SYSTEM_CONFIG)
    }

    /// The state directory of this program for the user that it runs as.
    #[must_use]
    pub fn user_state(&self) -> Option<PathBuf> {
        let of_home = || Some(first_absolute(self.home.as_deref())?.join(".local/state"));
        Some(first_absolute(self.xdg_state_home.as_deref()).or_else(of_home)?.join("fleetsweep"))
    }

    /// The runtime directory that systemd created for the service.
    #[must_use]
    pub fn service_runtime(&self) -> Option<PathBuf> {
        first_absolute(self.runtime_directory.as_deref())
    }

    /// The runtime directory of this program for the user that it runs as.
    #[must_use]
    pub fn user_runtime(&self) -> Option<PathBuf> {
        Some(first_absolute(self.xdg_runtime_dir.as_deref())?.join("fleetsweep"))
    }

    /// A directory for `purpose` of this user within the directory for temporary files. Another user may have created
    /// it, so the caller must check its owner.
    #[must_use]
    pub fn user_temporary(&self, purpose: &str) -> Option<PathBuf> {
        let user = rustix::process::geteuid().as_raw();
        Some(first_absolute(self.temporary.as_deref())?.join(format!("fleetsweep-{user}-{purpose}")))
    }
}

/// The first path of a list separated by colons; `None` if it is relative, because the directory it is relative to is
/// unknown.
fn first_absolute(list: Option<&OsStr>) -> Option<PathBuf> {
    let first = list?.as_bytes().split(|byte| *byte == b':').next()?;
    Some(PathBuf::from(OsStr::from_bytes(first))).filter(|path| path.is_absolute())
}

/// The file name, without extension, for what belongs to `identity`, a database or a configuration: the first 16 hex
/// digits of its SHA-256.
#[must_use]
pub fn file_stem(identity: &[u8]) -> String {
    Sha256::digest(identity).iter().take(8).fold(String::new(), |name, byte| format!("{name}{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_absolute_path_of_a_list_counts() {
        for (list, expected) in [
            (Some("/var/lib/fleetsweep"), Some("/var/lib/fleetsweep")),
            (Some("/var/lib/fleetsweep:/elsewhere"), Some("/var/lib/fleetsweep")),
            (Some("relative:/elsewhere"), None),
            (Some(""), None),
            (None, None),
        ] {
            assert_eq!(first_absolute(list.map(OsStr::new)), expected.map(PathBuf::from), "{list:?}");
        }
    }

    #[test]
    fn the_state_of_a_user_is_below_xdg_state_home_or_home() {
        for (xdg, home, expected) in [
            (Some("/state"), Some("/home/ops"), Some("/state/fleetsweep")),
            (Some("relative"), Some("/home/ops"), Some("/home/ops/.local/state/fleetsweep")),
            (None, Some("/home/ops"), Some("/home/ops/.local/state/fleetsweep")),
            (None, None, None),
        ] {
            let environment = Environment {
                xdg_state_home: xdg.map(Into::into),
                home: home.map(Into::into),
                ..Environment::default()
            };
            assert_eq!(environment.user_state(), expected.map(PathBuf::from), "{xdg:?} {home:?}");
        }
    }
}
