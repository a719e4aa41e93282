//! A real ssh-agent with one key.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use tempfile::TempDir;

use crate::{server::must, tool::path_of, wait_until};

/// The time limit until it listens.
const READY_WITHIN: Duration = Duration::from_secs(20);

/// A running ssh-agent. It ends when it is dropped.
#[derive(Debug)]
pub struct SshAgent {
    child: Child,
    directory: TempDir,
}

impl SshAgent {
    /// Starts one and adds the key in a file, which must have no passphrase.
    ///
    /// # Panics
    /// If it does not start or does not accept the key.
    pub async fn start(key: &Path) -> Self {
        let directory = tempfile::tempdir().expect("a directory for an ssh-agent");
        let mut command = Command::new(path_of("ssh-agent"));
        command.arg("-D").arg("-a").arg(directory.path().join("socket")).stdin(Stdio::null()).stdout(Stdio::null());
        let agent = Self { child: command.spawn().expect("ssh-agent starts"), directory };
        wait_until("ssh-agent to listen", READY_WITHIN, async || agent.socket().exists()).await;
        must(Command::new(path_of("ssh-add")).arg("-q").arg(key).env("SSH_AUTH_SOCK", agent.socket()));
        agent
    }

    /// Its socket: `SSH_AUTH_SOCK`.
    pub fn socket(&self) -> PathBuf {
        self.directory.path().join("socket")
    }
}

impl Drop for SshAgent {
    fn drop(&mut self) {
        if let Err(error) = self.child.kill().and_then(|()| self.child.wait()) {
            eprintln!("the ssh-agent (process {}) was not ended: {error}", self.child.id());
        }
    }
}
