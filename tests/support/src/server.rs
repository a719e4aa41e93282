//! A server process of a test: starts it, waits until it listens, and ends it with the test.

use std::{
    fs::{self, File},
    io,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::net::TcpStream;

use crate::wait_until;

/// How long a server may take to listen.
const READY_WITHIN: Duration = crate::SOON;

/// How long a server may take to end by itself.
const ENDED_WITHIN: Duration = crate::SOON;

/// A running server process.
#[derive(Debug)]
pub(crate) struct Server {
    name: String,
    child: Child,
    log: PathBuf,
    /// The signal that ends it; `None` for `SIGKILL`.
    ends_by: Option<Signal>,
}

impl Server {
    /// Starts a server in the foreground with its output in `log`, and waits until it listens.
    ///
    /// # Panics
    /// With its log, if it does not listen in time.
    pub(crate) async fn start(command: &mut Command, log: &Path, listens_at: (IpAddr, u16)) -> Self {
        let name = command.get_program().to_string_lossy().into_owned();
        let output = File::options().create(true).append(true).open(log).expect("a server's log");
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("a server's log"))
            .stderr(output)
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        let mut server = Self { name, child, log: log.to_owned(), ends_by: None };
        wait_until(&format!("{} to listen", server.name), READY_WITHIN, async || {
            if let Some(status) = server.child.try_wait().expect("a server of ours") {
                panic!("{} ended at once: {status}\n{}", server.name, server.log());
            }
            TcpStream::connect(SocketAddr::from(listens_at)).await.is_ok()
        })
        .await;
        server
    }

    /// Ends it with this signal. A database server that is killed leaves shared memory behind.
    #[must_use]
    pub(crate) fn ending_by(mut self, signal: Signal) -> Self {
        self.ends_by = Some(signal);
        self
    }

    /// Its output so far.
    pub(crate) fn log(&self) -> String {
        fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    fn end(&mut self) -> io::Result<()> {
        if let (Some(signal), Some(pid)) = (self.ends_by, i32::try_from(self.child.id()).ok().and_then(Pid::from_raw)) {
            kill_process(pid, signal)?;
            let asked = Instant::now();
            while asked.elapsed() < ENDED_WITHIN {
                if self.child.try_wait()?.is_some() {
                    return Ok(());
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        // First the child processes, while it still is their parent. These are the sessions of an SSH server.
        let children = format!("/proc/{0}/task/{0}/children", self.child.id());
        for child in fs::read_to_string(children).unwrap_or_default().split_whitespace() {
            if let Some(child) = child.parse().ok().and_then(Pid::from_raw) {
                match kill_process(child, Signal::TERM) {
                    Ok(()) | Err(rustix::io::Errno::SRCH) => (),
                    Err(error) => return Err(error.into()),
                }
            }
        }
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            eprintln!("{} (process {}) was not ended: {error}", self.name, self.child.id());
        }
        if std::thread::panicking() {
            eprintln!("--- log of {}:\n{}---", self.name, self.log());
        }
    }
}

/// Runs a program that must succeed.
///
/// # Panics
/// With what it printed, if it fails.
pub(crate) fn must(command: &mut Command) -> String {
    let output =
        command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}
