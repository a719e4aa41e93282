//! Shared by the tests in this directory: a demo server with its own home directory, and checks that nothing of it is
//! left.

use std::{fs, net::SocketAddr, time::Duration};

use async_ssh2_tokio::{
    Error,
    client::{AuthMethod, Client, ServerCheckMethod},
};
use fleetsweep::demo::{Account, Behaviour, PasswordMethod, SshServer};
use support::{SOON, wait_until};
use tempfile::TempDir;
use tokio::time::timeout;

/// The time without progress after which a transfer counts as stalled.
pub(crate) const STALLED: Duration = Duration::from_millis(300);

pub(crate) const USER: &str = "someone";
pub(crate) const PASSWORD: &str = "correct horse";

/// A server with its own home directory.
pub(crate) struct Fixture {
    pub(crate) server: SshServer,
    pub(crate) home: TempDir,
}

impl Fixture {
    pub(crate) async fn start(behaviour: Behaviour) -> Self {
        Self::with(Account { password: Some((PasswordMethod::Password, PASSWORD.into())), ..account() }, behaviour)
            .await
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

    /// Waits until nothing of any session is left: no command, task or socket.
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

/// The number of open sockets of a server according to the kernel, without those that this side has closed.
pub(crate) fn open_sockets(address: SocketAddr) -> usize {
    const CLOSING: [&str; 2] = ["06", "0A"];
    let local = format!(":{:04X}", address.port());
    fs::read_to_string("/proc/net/tcp")
        .unwrap()
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|fields| fields.get(1).is_some_and(|at| at.ends_with(&local)))
        // The inode is 0 if no process has the socket.
        .filter(|fields| fields.get(3).is_some_and(|state| !CLOSING.contains(state)) && fields.get(9) != Some(&"0"))
        .count()
}

pub(crate) fn is_alive(pid: &str) -> bool {
    // A process that has ended but was not waited for has the state Z.
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or_default().trim_start().starts_with('Z'))
}
