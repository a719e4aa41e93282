//! A real PostgreSQL server with its own data directory. It does not run as root, so root starts it as a throw-away
//! user.

use std::{
    fs,
    net::Ipv4Addr,
    os::unix::fs::chown,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::{
    Access, Engine, ThrowawayUser, certificate,
    database::{ADMIN_PASSWORD, SWEEPER, SWEEPER_PASSWORD},
    free_port,
    server::{Server, must},
    tool::path_of,
    wait_until,
};

/// The time limit until it accepts a login.
const READY_WITHIN: Duration = Duration::from_secs(20);

/// Fast settings. The data of most tests need not survive a power failure.
const SETTINGS: [&str; 7] = [
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "shared_buffers=32MB",
    "max_connections=200",
];

/// A running PostgreSQL. It ends when it is dropped.
#[derive(Debug)]
pub struct Postgres {
    // Dropped before its user and its directory. `None` while it is stopped.
    server: Option<Server>,
    command: Command,
    log: PathBuf,
    port: u16,
    access: Access,
    certificate: Option<PathBuf>,
    _user: Option<ThrowawayUser>,
    _directory: TempDir,
}

impl Postgres {
    /// Starts a server on a free port of 127.0.0.1, with or without TLS, and waits until it accepts logins.
    ///
    /// # Panics
    /// With its log, if it does not start.
    pub async fn start(tls: bool) -> Self {
        Self::start_with(tls, &[]).await
    }

    /// Like [`start`](Self::start), but committed data survives [`stop`](Self::stop).
    ///
    /// # Panics
    /// With its log, if it does not start.
    pub async fn start_durable() -> Self {
        Self::start_with(false, &["synchronous_commit=on"]).await
    }

    /// Starts a server with the default settings, for benchmarks.
    ///
    /// # Panics
    /// With its log, if it does not start.
    pub async fn start_with_defaults() -> Self {
        let settings = ["fsync=on", "synchronous_commit=on", "full_page_writes=on", "shared_buffers=128MB"];
        Self::start_with(false, &settings).await
    }

    async fn start_with(tls: bool, settings: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("a directory for PostgreSQL");
        let user = rustix::process::geteuid().is_root().then(|| ThrowawayUser::add(Path::new("/bin/sh")));
        let home = user.as_ref().map_or_else(|| directory.path().to_owned(), |user| user.home().to_owned());
        let own = |path: &Path| {
            if let Some(user) = &user {
                chown(path, Some(user.ids().0), Some(user.ids().1)).expect("its own file");
            }
        };
        let password = home.join("password");
        fs::write(&password, ADMIN_PASSWORD).expect("a password's file");
        own(&password);
        let data = home.join("data");
        let mut initdb = as_user("initdb", user.as_ref());
        initdb.args(["--no-sync", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--username=postgres"]);
        must(initdb.arg("--pgdata").arg(&data).arg("--pwfile").arg(&password).current_dir(&home));

        let port = free_port();
        let mut command = as_user("postgres", user.as_ref());
        command.arg("-D").arg(&data).args(["-p", &port.to_string()]).current_dir(&home);
        command.args(SETTINGS.iter().chain(settings).flat_map(|setting| ["-c", setting]));
        let certificate = tls.then(|| {
            let (certificate, key) = certificate::write(&home);
            own(&key);
            command.args(["-c", "ssl=on", "-c", &format!("ssl_cert_file={}", certificate.display())]);
            command.args(["-c", &format!("ssl_key_file={}", key.display())]);
            certificate
        });
        let log = home.join("log");
        let server = Some(launch(&mut command, &log, port).await);
        let access = Access::new(Engine::Postgres, port, "postgres");
        wait_until("PostgreSQL to take logins", READY_WITHIN, async || access.answers().await).await;
        access.change("postgres", &format!("CREATE ROLE {SWEEPER} LOGIN PASSWORD '{SWEEPER_PASSWORD}'")).await;
        Self { server, command, log, port, access, certificate, _user: user, _directory: directory }
    }

    /// Stops it immediately. Its clients lose their connections, and it has to recover at the next start.
    pub fn stop(&mut self) {
        self.server = None;
    }

    /// Starts it again with the same address and data.
    ///
    /// # Panics
    /// With its log, if it does not start.
    pub async fn start_again(&mut self) {
        self.server = Some(launch(&mut self.command, &self.log, self.port).await);
        wait_until("PostgreSQL to take logins", READY_WITHIN, async || self.access.answers().await).await;
    }

    /// Its address and accounts.
    pub fn access(&self) -> Access {
        self.access.clone()
    }

    /// The certificate that a client must trust.
    ///
    /// # Panics
    /// If it runs without TLS.
    pub fn certificate(&self) -> &Path {
        self.certificate.as_deref().expect("a server with TLS")
    }
}

async fn launch(command: &mut Command, log: &Path, port: u16) -> Server {
    let server = Server::start(command, log, (Ipv4Addr::LOCALHOST.into(), port)).await;
    // The other shutdown modes wait for clients or leave shared memory behind.
    server.ending_by(Signal::QUIT)
}

/// A program of PostgreSQL, which ends with the thread that starts it.
pub(crate) fn as_user(program: &str, user: Option<&ThrowawayUser>) -> Command {
    let mut command = Command::new(path_of("setpriv"));
    if let Some(user) = user {
        let (user, group) = user.ids();
        command.args([format!("--reuid={user}"), format!("--regid={group}"), "--clear-groups".to_owned()]);
    }
    // The C locale: messages are not translated, and text is compared by bytes.
    command.args(["--pdeathsig=QUIT", "--"]).arg(path_of(program)).env("LC_ALL", "C");
    command
}
