//! A real PostgreSQL with a data directory of its own. It refuses root, so root starts it as a throw-away user.

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

/// How long it may take to take its first login.
const READY_WITHIN: Duration = Duration::from_secs(20);

/// Nothing here is to survive a power failure.
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
    // Before its user and its directory. `None` while it is stopped.
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
    /// Starts one on a free port of 127.0.0.1, with or without TLS, and waits until it takes logins.
    ///
    /// # Panics
    /// With its log, where it does not.
    pub async fn start(tls: bool) -> Self {
        Self::start_with(tls, &[]).await
    }

    /// The same, but what it has committed survives its [`stop`](Self::stop).
    ///
    /// # Panics
    /// With its log, where it does not.
    pub async fn start_durable() -> Self {
        Self::start_with(false, &["synchronous_commit=on"]).await
    }

    /// The same with the settings that a server comes with: for measuring.
    ///
    /// # Panics
    /// With its log, where it does not.
    pub async fn start_customary() -> Self {
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

    /// Ends it in the middle of everything: its clients lose their connections, and it has to recover.
    pub fn stop(&mut self) {
        self.server = None;
    }

    /// Starts it again where it was, with what it had.
    ///
    /// # Panics
    /// With its log, where it does not.
    pub async fn start_again(&mut self) {
        self.server = Some(launch(&mut self.command, &self.log, self.port).await);
        wait_until("PostgreSQL to take logins", READY_WITHIN, async || self.access.answers().await).await;
    }

    /// Where it is.
    pub fn access(&self) -> Access {
        self.access.clone()
    }

    /// The certificate a client must trust.
    ///
    /// # Panics
    /// Where it runs without TLS.
    pub fn certificate(&self) -> &Path {
        self.certificate.as_deref().expect("a server with TLS")
    }
}

async fn launch(command: &mut Command, log: &Path, port: u16) -> Server {
    let server = Server::start(command, log, (Ipv4Addr::LOCALHOST.into(), port)).await;
    // The other ways to end wait for its clients, or leave its shared memory.
    server.ending_by(Signal::QUIT)
}

/// One of its programs, which ends with whoever starts it.
pub(crate) fn as_user(program: &str, user: Option<&ThrowawayUser>) -> Command {
    let mut command = Command::new(path_of("setpriv"));
    if let Some(user) = user {
        let (user, group) = user.ids();
        command.args([format!("--reuid={user}"), format!("--regid={group}"), "--clear-groups".to_owned()]);
    }
    // C: its words are not translated, its texts are compared byte by byte.
    command.args(["--pdeathsig=QUIT", "--"]).arg(path_of(program)).env("LC_ALL", "C");
    command
}
