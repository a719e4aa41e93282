//! Shared by the tests in this directory: configurations, a sweep and its document, and demo clients with their own
//! accounts.

use std::{
    collections::BTreeMap,
    fs,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    process::Command,
    time::Duration,
};

use fleetsweep::demo::{Account, Behaviour, PasswordMethod, SshServer};
use serde::Deserialize;
pub(crate) use support::SOON;
use support::{Fleetsweep, Outcome, Sshd, SshdOptions, remove_kept};
use tempfile::TempDir;
use uuid::Uuid;

/// For sweeps without failures. It allows enough time on a machine that runs other tests.
pub(crate) const PATIENT: &str = r#"<collector timeout="120s" retries="0"/>"#;

/// The program with these elements in its configuration and its own file of host keys.
pub(crate) fn program(settings: &str, clients: &[String]) -> Fleetsweep {
    let program = Fleetsweep::new(env!("CARGO_BIN_EXE_fleetsweep"));
    program.with_config(&format!("<config>\n{settings}\n{}\n</config>\n", clients.join("\n")))
}

/// A `<client>` element; `login` contains its other attributes.
pub(crate) fn client(name: &str, (ip, port): (IpAddr, u16), login: &str) -> String {
    format!(r#"<client name="{name}" ip="{ip}" port="{port}" {login}/>"#)
}

pub(crate) fn password_login(username: &str, password: &str) -> String {
    format!(r#"username="{username}" password="{password}""#)
}

/// The attributes that log in to an sshd by key.
pub(crate) fn key_login(sshd: &Sshd) -> String {
    format!(r#"username="{}" key="{}""#, sshd.username(), sshd.key().display())
}

/// A copy of the key of an sshd, encrypted with this passphrase.
pub(crate) fn locked_key(sshd: &Sshd, passphrase: &str) -> PathBuf {
    let locked = sshd.key().with_file_name("locked");
    fs::copy(sshd.key(), &locked).unwrap();
    let output = Command::new("ssh-keygen").args(["-p", "-N", passphrase, "-f"]).arg(&locked).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    locked
}

/// An address of an sshd, by its number.
pub(crate) fn at(sshd: &Sshd, number: usize) -> (IpAddr, u16) {
    (*sshd.addresses().get(number).unwrap(), sshd.port())
}

/// An sshd with its own user, who has this login shell.
pub(crate) async fn sshd_with(shell: &str, options: SshdOptions) -> Sshd {
    Sshd::start(SshdOptions { login: support::Login::Throwaway { shell: PathBuf::from(shell) }, ..options }).await
}

/// A client in the document.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) ip: String,
    pub(crate) port: u16,
    pub(crate) status: String,
    pub(crate) stage: Option<String>,
    pub(crate) error: Option<String>,
    pub(crate) duration_ms: u64,
    pub(crate) attempts: u32,
    pub(crate) cpu_percent: Option<f64>,
    pub(crate) memory_percent: Option<f64>,
    pub(crate) uptime_seconds: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Document {
    duration_ms: u64,
    clients: Vec<Row>,
}

/// The result of a sweep.
#[derive(Debug)]
pub(crate) struct Swept {
    pub(crate) outcome: Outcome,
    pub(crate) duration: Duration,
    pub(crate) clients: BTreeMap<String, Row>,
}

/// Sweeps once.
pub(crate) async fn sweep(program: &Fleetsweep) -> Swept {
    Swept::of(program.run(["--once", "--format", "json"]).await)
}

impl Swept {
    /// Parses the document that a run has printed.
    pub(crate) fn of(outcome: Outcome) -> Self {
        let document: Document = serde_json::from_str(&outcome.stdout)
            .unwrap_or_else(|error| panic!("{error}\n{}\n{}", outcome.stdout, outcome.stderr));
        let clients = document.clients.into_iter().map(|row| (row.name.clone(), row)).collect();
        Self { outcome, duration: Duration::from_millis(document.duration_ms), clients }
    }

    /// A client in the document.
    pub(crate) fn client(&self, name: &str) -> &Row {
        self.clients.get(name).unwrap_or_else(|| panic!("{name} is missing: {self:?}"))
    }

    /// The failure of a client: stage and message.
    pub(crate) fn failure(&self, name: &str) -> (&str, &str) {
        let row = self.client(name);
        assert_eq!(row.status, "failed", "{row:?}");
        (row.stage.as_deref().unwrap_or_default(), row.error.as_deref().unwrap_or_default())
    }

    /// Checks that every client was collected.
    pub(crate) fn is_complete(&self) {
        let failed: Vec<_> = self.clients.values().filter(|row| row.status != "ok").collect();
        assert!(failed.is_empty(), "{failed:#?}\n{}", self.outcome.stderr);
        assert_eq!(self.outcome.code, Some(0), "{}", self.outcome.stderr);
    }
}

/// A demo server with an account of its own, so that its agent is kept separately.
pub(crate) struct DemoClient {
    pub(crate) server: SshServer,
    pub(crate) username: String,
    password: String,
    _home: TempDir,
}

impl DemoClient {
    pub(crate) async fn start(behaviour: Behaviour) -> Self {
        Self::asking(PasswordMethod::Password, behaviour).await
    }

    pub(crate) async fn asking(asks: PasswordMethod, behaviour: Behaviour) -> Self {
        Self::at(SshServer::loopback(0), asks, behaviour).await
    }

    pub(crate) async fn at(address: IpAddr, asks: PasswordMethod, behaviour: Behaviour) -> Self {
        let home = tempfile::tempdir().unwrap();
        let [username, password] = [(); 2].map(|()| Uuid::new_v4().simple().to_string());
        let account = Account {
            username: username.clone(),
            password: Some((asks, password.clone().into())),
            authorized_keys: Vec::new(),
        };
        let server = SshServer::start(address, home.path().to_owned(), account, behaviour).await.unwrap();
        Self { server, username, password, _home: home }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    pub(crate) fn password(&self) -> &str {
        &self.password
    }

    pub(crate) fn login(&self) -> String {
        password_login(&self.username, &self.password)
    }

    /// Its `<client>` element.
    pub(crate) fn named(&self, name: &str) -> String {
        client(name, (self.address().ip(), self.address().port()), &self.login())
    }

    /// Its line of `known_hosts`.
    pub(crate) fn known_host(&self) -> String {
        known_host((self.address().ip(), self.address().port()), &self.server.host_key().to_openssh().unwrap())
    }
}

impl Drop for DemoClient {
    fn drop(&mut self) {
        remove_kept(&self.username);
    }
}

/// A line of `known_hosts`.
pub(crate) fn known_host((ip, port): (IpAddr, u16), key: &str) -> String {
    let key: Vec<&str> = key.split_whitespace().take(2).collect();
    format!("[{ip}]:{port} {}\n", key.join(" "))
}
