//! A real Prometheus that scrapes one target, and its tool that checks metrics.

use std::{
    fs,
    io::Write,
    net::{Ipv4Addr, SocketAddr},
    process::{Command, Stdio},
};

use tempfile::TempDir;

use crate::{free_port, http::http_get, server::Server, tool::path_of};

/// A running Prometheus. It ends when it is dropped.
#[derive(Debug)]
pub struct Prometheus {
    // Dropped before its directory.
    _server: Server,
    address: SocketAddr,
    _directory: TempDir,
}

impl Prometheus {
    /// Starts it on a free port of 127.0.0.1. It scrapes the target every second.
    ///
    /// # Panics
    /// With its log, if it does not start.
    pub async fn start(target: SocketAddr) -> Self {
        let directory = tempfile::tempdir().expect("a directory for Prometheus");
        let configuration = directory.path().join("prometheus.yml");
        let text = format!(
            "global: {{ scrape_interval: 1s, scrape_timeout: 1s }}\n\
             scrape_configs: [ {{ job_name: fleetsweep, static_configs: [ {{ targets: ['{target}'] }} ] }} ]\n"
        );
        fs::write(&configuration, text).expect("prometheus.yml");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let mut command = Command::new(path_of("setpriv"));
        command.args(["--pdeathsig=KILL", "--"]).arg(path_of("prometheus"));
        command.arg(format!("--config.file={}", configuration.display()));
        command.arg(format!("--storage.tsdb.path={}", directory.path().join("data").display()));
        command.arg(format!("--web.listen-address={address}"));
        let log = directory.path().join("log");
        let server = Server::start(&mut command, &log, (address.ip(), address.port())).await;
        Self { _server: server, address, _directory: directory }
    }

    /// What its interface answers to a path with a query, as JSON; `None` if it is not ready.
    pub async fn ask(&self, path: &str) -> Option<String> {
        http_get(self.address, path, "application/json").await.filter(|answer| answer.status == 200).map(|it| it.body)
    }
}

/// What `promtool check metrics` has to say about a text; nothing if everything is in order.
///
/// # Panics
/// If it cannot be started.
pub fn promtool_check(text: &str) -> String {
    let mut command = Command::new(path_of("promtool"));
    command.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("promtool");
    child.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("promtool reads");
    let output = child.wait_with_output().expect("promtool ends");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    if output.status.success() { said } else { format!("{}: {said}", output.status) }
}
