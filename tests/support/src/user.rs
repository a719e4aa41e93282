//! A system user that exists for one test. Needs root.

use std::{
    fs,
    io::Write,
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use uuid::Uuid;

use crate::{kept::remove_kept, server::must};

/// `useradd` and `userdel` need a system-wide lock and do not wait for it.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// The number of users of this process, so that no two have the same name.
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// A user with a password and an empty home directory. It is removed when it is dropped.
#[derive(Debug)]
pub struct ThrowawayUser {
    name: String,
    password: String,
    home: PathBuf,
    ids: (u32, u32),
    /// The home directory. It is removed after the user.
    _directory: tempfile::TempDir,
}

impl ThrowawayUser {
    /// Adds a user with this login shell.
    ///
    /// # Panics
    /// If the process is not root or the system refuses.
    pub fn add(shell: &Path) -> Self {
        Self::add_below(shell, &std::env::temp_dir())
    }

    /// Adds a user with this login shell and a home below this directory.
    ///
    /// # Panics
    /// If the process is not root or the system refuses.
    pub(crate) fn add_below(shell: &Path, parent: &Path) -> Self {
        let directory = tempfile::tempdir_in(parent).expect("a directory for a home");
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).expect("rights of a directory");
        let home = directory.path().join("home");
        let name = format!("sweep{}x{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let password = Uuid::new_v4().simple().to_string();
        let _lock = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        must(
            Command::new("useradd")
                .args(["--create-home", "--home-dir"])
                .arg(&home)
                .arg("--shell")
                .arg(shell)
                .arg(&name),
        );
        let id = |which: &str| must(Command::new("id").args([which, &name])).trim().parse().expect("a number of `id`");
        let user = Self { ids: (id("-u"), id("-g")), name, password, home, _directory: directory };
        user.set_password();
        user
    }

    /// Few rounds of hashing, so that a login is cheap.
    fn set_password(&self) {
        let mut chpasswd = Command::new("chpasswd")
            .args(["--crypt-method", "SHA512", "--sha-rounds", "1000"])
            .stdin(Stdio::piped())
            .spawn()
            .expect("chpasswd");
        let line = format!("{}:{}\n", self.name, self.password);
        chpasswd.stdin.take().expect("a pipe").write_all(line.as_bytes()).expect("chpasswd reads");
        assert!(chpasswd.wait().expect("chpasswd").success(), "chpasswd refuses the password of {}", self.name);
    }

    /// Sets the dates of its account and its password with these arguments of `chage`.
    ///
    /// # Panics
    /// If the system refuses.
    pub fn chage<const N: usize>(&self, arguments: [&str; N]) {
        let _lock = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        must(Command::new("chage").args(arguments).arg(&self.name));
    }

    /// Its login name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its password.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// Its home directory.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Its user id and group id.
    pub fn ids(&self) -> (u32, u32) {
        self.ids
    }

    /// Writes a file that it owns to its home directory, for example a login script.
    ///
    /// # Panics
    /// If that fails.
    pub fn write(&self, path: impl AsRef<Path>, text: &str) {
        let path = self.home.join(path);
        let folder = path.parent().expect("a file in a home");
        fs::create_dir_all(folder).expect("a directory in a home");
        fs::write(&path, text).expect("a file in a home");
        for path in path.ancestors().take_while(|path| *path != self.home) {
            chown(path, Some(self.ids.0), Some(self.ids.1)).expect("its own file");
        }
    }
}

impl Drop for ThrowawayUser {
    fn drop(&mut self) {
        remove_kept(&self.name);
        let _lock = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        // `--force`, because one of its sessions may still be ending.
        match Command::new("userdel").arg("--force").arg(&self.name).stderr(Stdio::null()).status() {
            Ok(status) if status.success() => (),
            failed => eprintln!("the user {} was not removed: {failed:?}", self.name),
        }
    }
}
