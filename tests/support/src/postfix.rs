//! A real Postfix with its own configuration, which accepts mails and discards them. Debian's package conflicts with
//! that of Exim, so it is unpacked into a directory and not installed. Needs root, like any Postfix.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
    process::Command,
};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::{free_port, server::Server};

/// An account and group that every Debian has and that is not used: Postfix runs as it.
const ACCOUNT: &str = "daemon";
const GROUP: &str = "games";

/// The directory of the unpacked package, if there is one. `tests/run` unpacks it.
pub(crate) fn unpacked() -> Option<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target");
    let folder = target.unwrap_or(beside).join("postfix");
    folder.join("usr/lib/postfix/sbin/master").is_file().then_some(folder)
}

/// A running Postfix for `example.com`. It ends when it is dropped.
#[derive(Debug)]
pub struct Postfix {
    _server: Server,
    port: u16,
    directory: TempDir,
}

impl Postfix {
    /// Starts a server on a free port of 127.0.0.1 with additional lines of `main.cf`, and waits until it listens.
    ///
    /// # Panics
    /// With what it said, if it does not start.
    pub async fn start(config: &[&str]) -> Self {
        let program = unpacked().expect("Postfix: name its tool in `needs(…)` of the test");
        let program = fs::canonicalize(program).expect("the folder of Postfix");
        let directory = tempfile::tempdir().expect("a directory for Postfix");
        let path = directory.path();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("rights of a directory");
        let (user, _) = id_of(ACCOUNT);
        for name in ["etc", "queue", "data", "queue/pid"] {
            fs::create_dir(path.join(name)).expect("a directory for Postfix");
        }
        let queues = ["active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private"];
        for name in queues.into_iter().chain(["saved", "trace", "maildrop", "public"]) {
            fs::create_dir(path.join("queue").join(name)).expect("a directory for Postfix");
            chown(path.join("queue").join(name), Some(user), None).expect("the owner of a queue");
        }
        chown(path.join("data"), Some(user), None).expect("the owner of a directory");
        let port = free_port();
        let [folder, here] = [&program, path].map(|path| path.display().to_string());
        fs::write(path.join("etc/main.cf"), main_cf(&folder, &here, config)).expect("Postfix's configuration");
        fs::write(path.join("etc/master.cf"), master_cf(port)).expect("Postfix's configuration");
        let mut command = Command::new(program.join("usr/lib/postfix/sbin/master"));
        command.env("LD_LIBRARY_PATH", program.join("usr/lib/postfix"));
        command.env("MAIL_CONFIG", path.join("etc")).arg("-c").arg(path.join("etc")).arg("-d");
        let server = Server::start(&mut command, &path.join("output"), (Ipv4Addr::LOCALHOST.into(), port)).await;
        Self { _server: server.ending_by(Signal::TERM), port, directory }
    }

    /// The address on which it listens.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Its log.
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }
}

/// The user id and group id of an account.
fn id_of(account: &str) -> (u32, u32) {
    let accounts = fs::read_to_string("/etc/passwd").expect("the accounts");
    let line = accounts.lines().find(|line| line.split(':').next() == Some(account));
    let fields: Vec<&str> = line.unwrap_or_else(|| panic!("no account {account}")).split(':').collect();
    (fields[2].parse().expect("a number"), fields[3].parse().expect("a number"))
}

fn main_cf(folder: &str, here: &str, further: &[&str]) -> String {
    format!(
        "compatibility_level = 3.6
queue_directory = {here}/queue
data_directory = {here}/data
daemon_directory = {folder}/usr/lib/postfix/sbin
command_directory = {folder}/usr/sbin
mail_owner = {ACCOUNT}
setgid_group = {GROUP}
default_privs = nobody
myhostname = mail.example.com
mydestination = example.com
alias_maps =
alias_database =
local_recipient_maps =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.2/32
smtpd_relay_restrictions = reject_unauth_destination
smtpd_helo_required = yes
smtpd_peername_lookup = no
maillog_file = {here}/log
maillog_file_prefixes = {here}
import_environment = MAIL_CONFIG MAIL_LOGTAG TZ LD_LIBRARY_PATH
export_environment = MAIL_CONFIG TZ LD_LIBRARY_PATH
local_transport = discard:
default_transport = discard:
{}
",
        further.join("\n")
    )
}

fn master_cf(port: u16) -> String {
    format!(
        "127.0.0.1:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
anvil unix - - n - 1 anvil
tlsmgr unix - - n 1000? 1 tlsmgr
discard unix - - n - - discard
error unix - - n - - error
retry unix - - n - - error
postlog unix-dgram n - n - 1 postlogd
"
    )
}
