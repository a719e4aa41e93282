//! A demo fleet inside this process: SSH servers on loopback addresses that execute real commands, a mail sink, and a
//! configuration for them. Used by `--demo`, tests and benchmarks.
//!
//! The fleet is swept by the unmodified program, with the `config.xml` that [`Demo::start`] writes. All servers listen
//! on loopback addresses only.

use std::{
    collections::HashMap,
    fs,
    io::{self, Write as _},
    net::Ipv4Addr,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Instant,
};

use futures_util::future::try_join_all;
use secrecy::{ExposeSecret, SecretString};
use tempfile::TempDir;
use uuid::Uuid;

use crate::fleet::ClientId;

pub mod behaviour;
mod command;
pub mod plan;
mod pseudorandom;
mod schedule;
pub mod server;
pub mod session;
pub mod simulated_agent;
pub mod simulated_host;
pub mod smtp;

pub use behaviour::Behaviour;
pub use plan::{Expectation, Role};
pub use server::SshServer;
pub use session::{Account, PasswordMethod};
pub use simulated_host::SimulatedHost;
pub use smtp::{Fault, ReceivedMail, Sink, SmtpStep};

use plan::{Locations, MAX_CLIENTS, PlannedClient};
use schedule::{Schedule, ScheduleRunner};

/// The clients of a demo when no number is given.
pub const DEFAULT_CLIENTS: usize = 12;

/// The seed of the schedule of incidents. It is constant, so that every demo is the same.
const SEED: u64 = 1;

/// The account of every demo client.
const USERNAME: &str = "demo";

/// How many clients have a past. With more, the demo would start slowly.
const CLIENTS_WITH_PAST: usize = 100;

/// How long the past of a client is, days.
const PAST_DAYS: u32 = 30;

/// How many values it has.
const PAST_VALUES_A_DAY: u32 = 6;

/// The used space of the file systems of a client before the demo.
#[derive(Debug)]
pub struct DiskPast {
    /// The client.
    pub client: ClientId,
    /// Its name.
    pub name: String,
    /// Days before the demo, mount, bytes.
    pub used: Vec<(f64, &'static str, u64)>,
}

/// A running demo fleet. Dropping it ends it; [`Demo::stop`] also waits for the end and returns errors.
#[derive(Debug)]
pub struct Demo {
    /// Dropped before the servers, so that it does not change them while they end.
    incidents: Option<ScheduleRunner>,
    servers: Vec<SshServer>,
    roles: HashMap<ClientId, Role>,
    /// The name of each client, in the order of the configuration.
    names: Vec<String>,
    sink: Sink,
    legend: String,
    config_path: PathBuf,
    /// Dropped last, so that it is removed after the servers were told to end.
    directory: TempDir,
}

impl Demo {
    /// Starts a fleet with this number of clients and writes its configuration.
    ///
    /// # Errors
    /// If the number is not from 1 to 10,000, or there are no addresses, file descriptors or temporary directory.
    pub async fn start(clients: usize) -> io::Result<Self> {
        if !(1..=MAX_CLIENTS).contains(&clients) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("a demo has 1 to {MAX_CLIENTS} clients, not {clients}"),
            ));
        }
        allow_descriptors();
        let directory = tempfile::Builder::new()
            .prefix("fleetsweep-demo-")
            .permissions(fs::Permissions::from_mode(0o700))
            .tempdir()?;
        let sink = Sink::start().await?;
        let password = SecretString::from(Uuid::new_v4().simple().to_string());
        let planned = plan::clients(clients);
        let began = Instant::now();
        let servers = try_join_all(
            planned
                .iter()
                .enumerate()
                .map(|(index, client)| start(directory.path(), index, client, password.clone(), began)),
        )
        .await?;
        let placed: Vec<_> = planned.iter().cloned().zip(servers.iter().map(SshServer::address)).collect();
        let roles = servers.iter().map(identity).zip(planned.iter().map(|client| client.role)).collect();
        let places = Locations {
            directory: directory.path(),
            smtp: sink.address(),
            username: USERNAME,
            password: password.expose_secret(),
        };
        let config_path = directory.path().join("config.xml");
        write_private(&config_path, &plan::configuration(&places, &placed))?;
        let legend = plan::legend(&planned, sink.address(), directory.path()).map_err(io::Error::other)?;
        let names = planned.into_iter().map(|client| client.name).collect();
        Ok(Self { incidents: None, servers, roles, names, sink, legend, config_path, directory })
    }

    /// Makes a few healthy clients at a time fail, slow down or exceed the CPU limit for a sweep or two, until the demo
    /// ends. The first incident begins after the time of a first sweep. Adds a line to the legend. A second call has no
    /// effect.
    ///
    /// It must be called within a Tokio runtime.
    pub fn start_incidents(&mut self) {
        if self.incidents.is_some() {
            return;
        }
        let healthy: Vec<_> = self
            .servers
            .iter()
            .filter(|server| self.roles.get(&identity(server)) == Some(&Role::Healthy))
            .map(SshServer::control)
            .collect();
        self.legend.push_str(plan::INCIDENTS_LEGEND);
        self.incidents = Some(ScheduleRunner::start(Schedule::new(SEED, healthy.len()), healthy));
    }

    /// The configuration of this fleet.
    #[must_use]
    pub fn config_path(&self) -> &Path {
        &self.config_path
    }

    /// The directory with all files of the demo. It is removed when the demo ends.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The expected result of a client in the first sweep; `None` for a client of another fleet.
    #[must_use]
    pub fn expectation(&self, client: &ClientId) -> Option<Expectation> {
        self.roles.get(client).map(|role| role.expectation())
    }

    /// Every client's server, in the order of the configuration.
    #[must_use]
    pub fn servers(&self) -> &[SshServer] {
        &self.servers
    }

    /// The used space of the file systems of a client in the last weeks, as if it had been collected: client, name, and
    /// for each mount the days before now and the bytes. Only the first clients have a past.
    pub fn past(&self) -> impl Iterator<Item = DiskPast> {
        let clients = self.servers.iter().zip(&self.names).enumerate().take(CLIENTS_WITH_PAST);
        clients.map(|(index, (server, name))| {
            let host = SimulatedHost::new(name, index);
            let days =
                (1..=PAST_DAYS * PAST_VALUES_A_DAY).map(|number| f64::from(number) / f64::from(PAST_VALUES_A_DAY));
            let used = days
                .flat_map(|days| host.used_before(days).into_iter().map(move |(mount, bytes)| (days, mount, bytes)));
            DiskPast { client: identity(server), name: name.clone(), used: used.collect() }
        })
    }

    /// The mail server.
    #[must_use]
    pub fn sink(&self) -> &Sink {
        &self.sink
    }

    /// The mails it has received.
    #[must_use]
    pub fn mails(&self) -> Vec<ReceivedMail> {
        self.sink.mails()
    }

    /// Text for people: which clients misbehave intentionally, and how. It ends with a newline.
    #[must_use]
    pub fn legend(&self) -> &str {
        &self.legend
    }

    /// Ends the fleet, waits for all its tasks and processes, and removes its directory.
    ///
    /// # Errors
    /// If a server does not end in time or the directory cannot be removed.
    pub async fn stop(self) -> io::Result<()> {
        if let Some(incidents) = self.incidents {
            incidents.stop().await;
        }
        let ended = try_join_all(self.servers.into_iter().map(SshServer::stop)).await;
        let sink = self.sink.stop().await;
        self.directory.close()?;
        ended?;
        sink
    }
}

/// The identity of a server's client in the configuration.
fn identity(server: &SshServer) -> ClientId {
    let address = server.address();
    ClientId::new(address.ip().to_string(), address.port())
}

/// Starts one client with its own home directory and simulated host.
async fn start(
    directory: &Path,
    index: usize,
    client: &PlannedClient,
    password: SecretString,
    began: Instant,
) -> io::Result<SshServer> {
    let home = directory.join(&client.name);
    fs::DirBuilder::new().mode(0o700).create(&home)?;
    let account = Account {
        username: USERNAME.to_owned(),
        password: Some((PasswordMethod::Password, password)),
        authorized_keys: Vec::new(),
    };
    let start = async |address| {
        let simulated = (SimulatedHost::new(&client.name, index), began);
        SshServer::start_simulated(address, home.clone(), account.clone(), client.role.behaviour(), simulated).await
    };
    match start(SshServer::loopback(u16::try_from(index).unwrap_or(u16::MAX))).await {
        // Only Linux has all of 127.0.0.0/8 by default. Elsewhere, only the ports of the clients differ.
        Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => start(Ipv4Addr::LOCALHOST.into()).await,
        started => started,
    }
}

fn write_private(path: &Path, text: &str) -> io::Result<()> {
    fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(text.as_bytes())
}

/// Raises the soft limit of open files to the hard one. A thousand listeners need more than the usual 1024.
fn allow_descriptors() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
}
