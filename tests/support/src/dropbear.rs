//! A real Dropbear, the SSH server of many routers, with a small window. Needs root for its throw-away user.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    process::Command,
};

use tempfile::TempDir;

use crate::{
    ThrowawayUser, free_port,
    server::{Server, must},
    tool::path_of,
};

/// A running Dropbear with one user. It ends when it is dropped, with its user.
#[derive(Debug)]
pub struct Dropbear {
    server: Server,
    port: u16,
    user: ThrowawayUser,
    _directory: TempDir,
}

impl Dropbear {
    /// Starts a server on a free port of 127.0.0.1 with a user with this login shell, who logs in by password.
    ///
    /// # Panics
    /// With its log, if it does not listen.
    pub async fn start(shell: impl Into<PathBuf>) -> Self {
        let directory = tempfile::tempdir().expect("a directory for dropbear");
        let user = ThrowawayUser::add(&shell.into());
        let host_key = directory.path().join("host_key");
        must(Command::new(path_of("dropbearkey")).args(["-t", "ed25519", "-f"]).arg(&host_key));
        let port = free_port();
        let mut command = Command::new(path_of("dropbear"));
        command.args(["-F", "-E", "-p", &format!("127.0.0.1:{port}"), "-r"]).arg(&host_key);
        command.arg("-P").arg(directory.path().join("pid"));
        let log = directory.path().join("log");
        fs::write(&log, "").expect("a log");
        let server = Server::start(&mut command, &log, (Ipv4Addr::LOCALHOST.into(), port)).await;
        Self { server, port, user, _directory: directory }
    }

    /// The address on which it listens.
    pub fn address(&self) -> IpAddr {
        Ipv4Addr::LOCALHOST.into()
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The user.
    pub fn user(&self) -> &ThrowawayUser {
        &self.user
    }

    /// Its log.
    pub fn log(&self) -> String {
        self.server.log()
    }
}
