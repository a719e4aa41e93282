//! A real TinySSH, a small SSH server that is started for each connection. Needs root for its throw-away user.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, TcpListener, TcpStream},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use tempfile::TempDir;

use crate::{ThrowawayUser, server::must, sshd::generate_key, tool::path_of};

/// A listener that starts TinySSH for each connection, as inetd does. It ends when it is dropped, with its user.
#[derive(Debug)]
pub struct Tinyssh {
    port: u16,
    is_over: Arc<AtomicBool>,
    sessions: Arc<Mutex<Vec<Child>>>,
    accepting: Option<JoinHandle<()>>,
    user: ThrowawayUser,
    directory: TempDir,
}

impl Tinyssh {
    /// Listens on a free port of 127.0.0.1. Its user logs in with [`key`](Self::key).
    ///
    /// # Panics
    /// If there is no free port, or a key cannot be made.
    pub fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory for TinySSH");
        let keys = directory.path().join("host_keys");
        must(Command::new(path_of("tinysshd-makekey")).arg(&keys));
        let user = ThrowawayUser::add_below(Path::new("/bin/sh"), Path::new(HOMES));
        let key = directory.path().join(KEY);
        generate_key("ed25519", &key);
        user.write(".ssh/authorized_keys", &fs::read_to_string(key.with_extension("pub")).expect("a public key"));

        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let (is_over, sessions) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::default()));
        let accepting = Some(thread::spawn({
            let (is_over, sessions) = (Arc::clone(&is_over), Arc::clone(&sessions));
            let log = directory.path().join("log");
            move || accept(&listener, &keys, &log, &is_over, &sessions)
        }));
        Self { port, is_over, sessions, accepting, user, directory }
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

    /// The private key that logs in.
    pub fn key(&self) -> PathBuf {
        self.directory.path().join(KEY)
    }

    /// What its processes printed.
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }
}

/// TinySSH accepts no key below a directory that others may write to, such as `/tmp`.
const HOMES: &str = "/home";

/// The name of the file with the key of the user.
const KEY: &str = "key";

/// Starts a server for each connection until the listener is over.
fn accept(listener: &TcpListener, keys: &Path, log: &Path, is_over: &AtomicBool, sessions: &Mutex<Vec<Child>>) {
    for connection in listener.incoming() {
        if is_over.load(Ordering::SeqCst) {
            return;
        }
        let connection: OwnedFd = connection.expect("a connection").into();
        let input = connection.try_clone().expect("a second descriptor");
        let log = fs::File::options().create(true).append(true).open(log).expect("a log");
        let mut command = Command::new(path_of("tinysshd"));
        command.arg("-v").arg(keys).stdin(Stdio::from(input)).stdout(Stdio::from(connection)).stderr(log);
        let mut sessions = sessions.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that have ended are waited for.
        sessions.retain_mut(|session| matches!(session.try_wait(), Ok(None)));
        sessions.push(command.spawn().expect("tinysshd"));
    }
}

impl Drop for Tinyssh {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        if let Err(error) = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)) {
            eprintln!("TinySSH on port {} was not ended: {error}", self.port);
        } else if let Some(thread) = self.accepting.take()
            && thread.join().is_err()
        {
            eprintln!("TinySSH on port {} ended early", self.port);
        }
        for session in self.sessions.lock().unwrap_or_else(PoisonError::into_inner).iter_mut() {
            if let Err(error) = session.kill().and_then(|()| session.wait().map(drop)) {
                eprintln!("a session of TinySSH was not ended: {error}");
            }
        }
        if thread::panicking() {
            eprintln!("--- log of TinySSH:\n{}---", self.log());
        }
    }
}
