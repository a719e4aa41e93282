//! A real MariaDB server with its own data directory.

use std::{
    fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use tempfile::TempDir;

use crate::{
    Access, Engine, certificate,
    database::{ADMIN_PASSWORD, SWEEPER, SWEEPER_PASSWORD},
    free_port,
    server::{Server, must},
    tool::path_of,
    wait_until,
};

/// The time limit until it accepts a login.
const READY_WITHIN: Duration = Duration::from_secs(20);

/// Settings from the first start on. Small, because most of the data directory is its log. The data of most tests need
/// not survive a power failure.
const SMALL: [&str; 7] = [
    "--innodb-log-file-size=8M",
    "--innodb-buffer-pool-size=32M",
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-flush-method=nosync",
    "--skip-innodb-doublewrite",
    "--sync-frm=OFF",
    "--debug-no-sync",
];

/// The variable that names the directory of temporary tables. A server that starts deletes all temporary tables in it, also
/// those of a server that runs. That one fails, or crashes while it creates a table.
const TEMPORARY: &str = "TMPDIR";

/// A running MariaDB. It ends when it is dropped.
#[derive(Debug)]
pub struct Mariadb {
    // Dropped before its directory. `None` while it is stopped.
    server: Option<Server>,
    command: Command,
    log: PathBuf,
    port: u16,
    access: Access,
    certificate: Option<PathBuf>,
    _directory: TempDir,
}

impl Mariadb {
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
        Self::start_with(false, &["--innodb-flush-log-at-trx-commit=1"]).await
    }

    /// Starts a server with the default settings, for benchmarks.
    ///
    /// # Panics
    /// With its log, if it does not start.
    pub async fn start_with_defaults() -> Self {
        let settings = [
            "--innodb-flush-log-at-trx-commit=1",
            "--innodb-flush-method=fsync",
            "--innodb-doublewrite=ON",
            "--debug-no-sync=OFF",
            "--innodb-buffer-pool-size=128M",
            "--innodb-log-file-size=96M",
        ];
        Self::start_with(false, &settings).await
    }

    async fn start_with(tls: bool, settings: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("a directory for MariaDB");
        let path = directory.path();
        let data = format!("--datadir={}", path.join("data").display());
        let mut install = Command::new(path_of("mariadb-install-db"));
        install.args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-name-resolve"]);
        install.env(TEMPORARY, path);
        must(as_root(&mut install).args(["--skip-test-db", &data]).args(SMALL));

        let accounts = path.join("accounts.sql");
        let text = format!(
            "CREATE USER boss IDENTIFIED BY '{ADMIN_PASSWORD}';\nGRANT ALL ON *.* TO boss WITH GRANT OPTION;\n\
             CREATE USER {SWEEPER} IDENTIFIED BY '{SWEEPER_PASSWORD}';\n"
        );
        fs::write(&accounts, text).expect("accounts");
        let port = free_port();
        let mut command = Command::new(path_of("setpriv"));
        command.args(["--pdeathsig=KILL", "--"]).arg(path_of("mariadbd")).args(["--no-defaults", &data]).args(SMALL);
        as_root(&mut command).args(["--bind-address=127.0.0.1", "--skip-name-resolve", "--max-connections=200"]);
        command.args(settings).env(TEMPORARY, path);
        command.arg(format!("--port={port}")).arg(format!("--init-file={}", accounts.display()));
        command.arg(format!("--socket={}", path.join("socket").display()));
        command.arg(format!("--pid-file={}", path.join("pid").display()));
        let certificate = tls.then(|| {
            let (certificate, key) = certificate::write(path);
            command.arg(format!("--ssl-cert={}", certificate.display())).arg(format!("--ssl-key={}", key.display()));
            certificate
        });
        let log = path.join("log");
        let server = Some(Server::start(&mut command, &log, (Ipv4Addr::LOCALHOST.into(), port)).await);
        let access = Access::new(Engine::Mariadb, port, "boss");
        wait_until("MariaDB to take logins", READY_WITHIN, async || access.answers().await).await;
        Self { server, command, log, port, access, certificate, _directory: directory }
    }

    /// Kills it. Its clients lose their connections, and it has to recover at the next start.
    pub fn stop(&mut self) {
        self.server = None;
    }

    /// Starts it again with the same address and data.
    ///
    /// # Panics
    /// With its log, if it does not start.
    pub async fn start_again(&mut self) {
        let listens_at = (Ipv4Addr::LOCALHOST.into(), self.port);
        self.server = Some(Server::start(&mut self.command, &self.log, listens_at).await);
        wait_until("MariaDB to take logins", READY_WITHIN, async || self.access.answers().await).await;
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

/// Adds the option without which MariaDB does not run as root.
fn as_root(command: &mut Command) -> &mut Command {
    if rustix::process::geteuid().is_root() { command.arg("--user=root") } else { command }
}
