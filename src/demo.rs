//! A demo fleet inside this process: SSH servers on loopback addresses that really execute what they are told,
//! a mail sink, and a configuration that names them. For `--demo`, tests and benchmarks.
//!
//! It is not a simulation of the pipeline: what sweeps it is the program as it always is, configured by the
//! `config.xml` that [`Demo::start`] writes. Nothing here is open to the network.

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

pub mod actor;
pub mod behaviour;
mod chance;
mod command;
mod director;
pub mod persona;
pub mod plan;
pub mod server;
pub mod session;
pub mod smtp;

pub use behaviour::Behaviour;
pub use persona::Persona;
pub use plan::{Expectation, Role};
pub use server::SshServer;
pub use session::{Account, Asks};
pub use smtp::{Fault, Moment, ReceivedMail, Sink};

use director::{Director, Script};
use plan::{MAX_CLIENTS, Places, Planned};

/// The clients of a demo when no number is given.
pub const DEFAULT_CLIENTS: usize = 12;

/// What the director's script is written from: any number, and always the same one.
const SEED: u64 = 1;

/// The account of every demo client.
const USERNAME: &str = "demo";

/// A running demo fleet. Dropping it ends it; [`Demo::stop`] also waits for the end and says what went wrong.
#[derive(Debug)]
pub struct Demo {
    /// Before the servers, so that nobody turns them once they end.
    director: Option<Director>,
    servers: Vec<SshServer>,
    roles: HashMap<ClientId, Role>,
    sink: Sink,
    legend: String,
    config_path: PathBuf,
    /// Last, so that it is removed after the servers were told to end.
    directory: TempDir,
}

impl Demo {
    /// Starts a fleet of so many clients and writes its configuration.
    ///
    /// # Errors
    /// Where the number is not from 1 to 10,000, or the machine denies addresses, descriptors or a temporary
    /// directory.
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
        let places = Places {
            directory: directory.path(),
            smtp: sink.address(),
            username: USERNAME,
            password: password.expose_secret(),
        };
        let config_path = directory.path().join("config.xml");
        write_private(&config_path, &plan::configuration(&places, &placed))?;
        let legend = plan::legend(&planned, sink.address(), directory.path()).map_err(io::Error::other)?;
        Ok(Self { director: None, servers, roles, sink, legend, config_path, directory })
    }

    /// Has clients that were healthy so far fail, slow down or work hard for a sweep or two and recover, a few at
    /// a time, for as long as the demo lasts. The first one does a while after this call, so that a first sweep
    /// goes as planned. The legend has a line more from now on. A second call changes nothing.
    ///
    /// It must be called within a runtime.
    pub fn enliven(&mut self) {
        if self.director.is_some() {
            return;
        }
        let cast: Vec<_> = self
            .servers
            .iter()
            .filter(|server| self.roles.get(&identity(server)) == Some(&Role::Healthy))
            .map(SshServer::control)
            .collect();
        self.legend.push_str(plan::ENLIVENED);
        self.director = Some(Director::start(Script::new(SEED, cast.len()), cast));
    }

    /// The configuration of this fleet.
    #[must_use]
    pub fn config_path(&self) -> &Path {
        &self.config_path
    }

    /// The directory that holds everything the demo writes. It is removed when the demo ends.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// What a first sweep makes of a client, if all goes as planned; `None` for a client of another fleet.
    #[must_use]
    pub fn expectation(&self, client: &ClientId) -> Option<Expectation> {
        self.roles.get(client).map(|role| role.expectation())
    }

    /// Every client's server, in the order of the configuration.
    #[must_use]
    pub fn servers(&self) -> &[SshServer] {
        &self.servers
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

    /// Which clients misbehave on purpose, and how: lines for people, the last one ended.
    #[must_use]
    pub fn legend(&self) -> &str {
        &self.legend
    }

    /// Ends the fleet, waits for everything it started, and removes its directory.
    ///
    /// # Errors
    /// Where a server does not end in time, or the directory cannot be removed.
    pub async fn stop(self) -> io::Result<()> {
        if let Some(director) = self.director {
            director.stop().await;
        }
        let ended = try_join_all(self.servers.into_iter().map(SshServer::stop)).await;
        let sink = self.sink.stop().await;
        self.directory.close()?;
        ended?;
        sink
    }
}

/// The client that a server is in the configuration.
fn identity(server: &SshServer) -> ClientId {
    let address = server.address();
    ClientId::new(address.ip().to_string(), address.port())
}

/// Starts one client with a home and a persona of its own.
async fn start(
    directory: &Path,
    index: usize,
    client: &Planned,
    password: SecretString,
    began: Instant,
) -> io::Result<SshServer> {
    let home = directory.join(&client.name);
    fs::DirBuilder::new().mode(0o700).create(&home)?;
    let account = Account {
        username: USERNAME.to_owned(),
        password: Some((Asks::Directly, password)),
        authorized_keys: Vec::new(),
    };
    let start = async |address| {
        let played = (Persona::new(&client.name, index), began);
        SshServer::start_playing(address, home.clone(), account.clone(), client.role.behaviour(), played).await
    };
    match start(SshServer::loopback(u16::try_from(index).unwrap_or(u16::MAX))).await {
        // Only Linux answers on all of 127.0.0.0/8 by itself; the port alone tells the clients apart elsewhere.
        Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => start(Ipv4Addr::LOCALHOST.into()).await,
        started => started,
    }
}

fn write_private(path: &Path, text: &str) -> io::Result<()> {
    fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(text.as_bytes())
}

/// Raises the soft limit of open descriptors to the hard one: a thousand listeners need more than the usual 1024.
fn allow_descriptors() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
}
