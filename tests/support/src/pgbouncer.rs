//! A real pgbouncer in front of a PostgreSQL server. It does not run as root, so root starts it as a throw-away user.

use std::{fs, net::Ipv4Addr, os::unix::fs::chown, path::Path};

use tempfile::TempDir;

use crate::{
    Access, Engine, Postgres, ThrowawayUser,
    database::{SWEEPER, SWEEPER_PASSWORD},
    free_port,
    postgres::as_user,
    server::Server,
};

/// A running pgbouncer. It ends when it is dropped.
#[derive(Debug)]
pub struct Pgbouncer {
    // Dropped before its user and its directory.
    _server: Server,
    port: u16,
    _user: Option<ThrowawayUser>,
    _directory: TempDir,
}

impl Pgbouncer {
    /// Starts one on a free port of 127.0.0.1 with this `pool_mode` and at most this many server sessions per account.
    ///
    /// # Panics
    /// With its log, if it does not start.
    pub async fn start(server: &Postgres, pool_mode: &str, sessions: u32) -> Self {
        let directory = tempfile::tempdir().expect("a directory for pgbouncer");
        let user = rustix::process::geteuid().is_root().then(|| ThrowawayUser::add(Path::new("/bin/sh")));
        let home = user.as_ref().map_or_else(|| directory.path().to_owned(), |user| user.home().to_owned());
        let port = free_port();
        let accounts = home.join("accounts");
        let settings = format!(
            "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr=127.0.0.1\nlisten_port={port}\n\
             unix_socket_dir=\nauth_type=scram-sha-256\nauth_file={}\npool_mode={pool_mode}\n\
             default_pool_size={sessions}\nreserve_pool_size=0\nquery_wait_timeout=60\n",
            server.access().port(),
            accounts.display()
        );
        let file = home.join("pgbouncer.ini");
        for (path, text) in [(&accounts, format!("\"{SWEEPER}\" \"{SWEEPER_PASSWORD}\"\n")), (&file, settings)] {
            fs::write(path, text).expect("a file of pgbouncer");
            if let Some(user) = &user {
                chown(path, Some(user.ids().0), Some(user.ids().1)).expect("its own file");
            }
        }
        let mut command = as_user("pgbouncer", user.as_ref());
        command.arg(&file).current_dir(&home);
        let server = Server::start(&mut command, &home.join("log"), (Ipv4Addr::LOCALHOST.into(), port)).await;
        Self { _server: server, port, _user: user, _directory: directory }
    }

    /// The URL of a database behind it for the account that owns it.
    pub fn url(&self, name: &str) -> String {
        Access::new(Engine::Postgres, self.port, "postgres").url_of_owner(name)
    }
}
