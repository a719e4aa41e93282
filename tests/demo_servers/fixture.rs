//! A demo server with a home of its own, and what is left of it: what the tests of this folder share.

use std::{fs, net::SocketAddr, time::Duration};

use async_ssh2_tokio::{
    Error,
    client::{AuthMethod, Client, ServerCheckMethod},
};
use fleetsweep::demo::{Account, Asks, Behaviour, SshServer};
use support::{SOON, wait_until};
use tempfile::TempDir;
use tokio::time::timeout;

/// How long a stall is watched before it counts as one.
pub(crate) const STALLED: Duration = Duration::from_millis(300);

pub(crate) const USER: &str = "someone";
pub(crate) const PASSWORD: &str = "correct horse";

/// A server with a home of its own.
pub(crate) struct Fixture {
    pub(crate) server: SshServer,
    pub(crate) home: TempDir,
}

impl Fixture {
    pub(crate) async fn start(behaviour: Behaviour) -> Self {
        Self::with(Account { password: Some((Asks::Directly, PASSWORD.into())), ..account() }, behaviour).await
    }

    pub(crate) async fn with(account: Account, behaviour: Behaviour) -> Self {
        let home = tempfile::tempdir().unwrap();
        let server =
            SshServer::start(SshServer::loopback(0), home.path().to_owned(), account, behaviour).await.unwrap();
        Self { server, home }
    }

    pub(crate) async fn visit(&self, auth: AuthMethod) -> Result<Client, Error> {
        let check = ServerCheckMethod::NoCheck;
        timeout(SOON, Client::connect(self.server.address(), USER, auth, check)).await.expect("a visit ends soon")
    }

    pub(crate) async fn enter(&self) -> Client {
        self.visit(AuthMethod::with_password(PASSWORD)).await.unwrap()
    }

    /// Waits until nothing of any visit is left: no command, no task, no socket.
    pub(crate) async fn is_empty(&self) {
        wait_until("the server to be empty", SOON, async || {
            self.server.commands() == 0 && self.server.connections() == 0 && open_sockets(self.server.address()) == 0
        })
        .await;
    }
}

pub(crate) fn account() -> Account {
    Account { username: USER.to_owned(), password: None, authorized_keys: Vec::new() }
}

/// The connected sockets of a server, as the kernel lists them; those already closed on our side are not.
pub(crate) fn open_sockets(address: SocketAddr) -> usize {
    const CLOSING: [&str; 2] = ["06", "0A"];
    let local = format!(":{:04X}", address.port());
    fs::read_to_string("/proc/net/tcp")
        .unwrap()
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|fields| fields.get(1).is_some_and(|at| at.ends_with(&local)))
        // An inode of 0 is a socket that no process holds.
        .filter(|fields| fields.get(3).is_some_and(|state| !CLOSING.contains(state)) && fields.get(9) != Some(&"0"))
        .count()
}

pub(crate) fn is_alive(pid: &str) -> bool {
    // A process that has ended and is not yet waited for is a zombie: Z.
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or_default().trim_start().starts_with('Z'))
}
