//! One SSH server on a loopback address: it accepts connections and starts a session or a fault on each. The login is in
//! [`super::session`] and the commands in [`super::command`].

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use russh::{
    MethodSet,
    keys::{Algorithm, HashAlg, PrivateKey, PublicKey},
    server::{Config, run_stream},
};
use socket2::SockRef;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    behaviour::{Behaviour, BehaviourSettings, Greeting},
    command::{CommandContext, Recording},
    session::{Account, SessionHandler},
    simulated_agent::SimulatedAgent,
    simulated_host::SimulatedHost,
};

/// The most connections of a server. Further ones are closed immediately, as by sshd's `MaxStartups`.
const MAX_CONNECTIONS: usize = 64;

/// The most packets of a channel that wait until a command reads them. If there are more, the session stops reading from
/// the network and also sends no output. Enough for any agent.
const CHANNEL_PACKETS: usize = 1024;

/// The delay of the answer to a wrong password.
const REFUSAL_TAKES: Duration = Duration::from_millis(100);

/// How long [`SshServer::stop`] waits for the end of sessions and commands.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// An SSH server in this process that executes real commands. It ends when it is dropped; [`SshServer::stop`] also waits
/// for the end of its sessions and commands.
#[derive(Debug)]
pub struct SshServer {
    address: SocketAddr,
    host_key: PublicKey,
    control: ServerControl,
    recording: Recording,
    connections: TaskTracker,
    commands: TaskTracker,
    over: CancellationToken,
}

/// Changes a running server. It does not keep the server running.
#[derive(Debug, Clone)]
pub(super) struct ServerControl {
    behaviour: watch::Sender<Behaviour>,
    /// Cancelled and replaced to end the current connections.
    connections_end: Arc<Mutex<CancellationToken>>,
    agent: Option<Arc<SimulatedAgent>>,
    over: CancellationToken,
}

impl ServerControl {
    /// Changes the behaviour of the server and ends all connections. Otherwise a session that the collector keeps would
    /// not notice the change.
    pub(super) fn set_behaviour(&self, behaviour: Behaviour) {
        self.behaviour.send_replace(behaviour);
        let next = self.over.child_token();
        let before = std::mem::replace(&mut *self.connections_end.lock().unwrap_or_else(PoisonError::into_inner), next);
        before.cancel();
    }

    /// Whether the server has this behaviour.
    pub(super) fn behaves(&self, behaviour: Behaviour) -> bool {
        *self.behaviour.borrow() == behaviour
    }

    /// Starts a period of high CPU usage of the simulated host, if there is one.
    pub(super) fn start_surge(&self, lasts: Duration) {
        if let Some(agent) = &self.agent {
            agent.start_surge(lasts);
        }
    }

    /// A token for a new connection. It is cancelled when the connection has to end.
    fn connection(&self) -> CancellationToken {
        self.connections_end.lock().unwrap_or_else(PoisonError::into_inner).child_token()
    }
}

/// The state that all connections of a server share.
struct Shared {
    account: Account,
    home: PathBuf,
    host_key: PrivateKey,
    control: ServerControl,
    recording: Recording,
    connections: TaskTracker,
    commands: TaskTracker,
    over: CancellationToken,
}

impl SshServer {
    /// Listens on a free port of a loopback address. Commands run in `home`, which must exist.
    ///
    /// # Errors
    /// If the address is not a loopback address, it cannot listen there, or the system has no random bytes for a host
    /// key.
    pub async fn start(address: IpAddr, home: PathBuf, account: Account, behaviour: Behaviour) -> io::Result<Self> {
        Self::open(address, home, account, behaviour, None).await
    }

    /// Starts a server with a simulated host and the start of its simulation. Commands are executed as usual, but the
    /// report of the agent is replaced by that of the simulated host, and its delays are added.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_simulated(
        address: IpAddr,
        home: PathBuf,
        account: Account,
        behaviour: Behaviour,
        (host, began): (SimulatedHost, Instant),
    ) -> io::Result<Self> {
        Self::open(address, home, account, behaviour, Some(Arc::new(SimulatedAgent::new(host, began)))).await
    }

    async fn open(
        address: IpAddr,
        home: PathBuf,
        account: Account,
        behaviour: Behaviour,
        agent: Option<Arc<SimulatedAgent>>,
    ) -> io::Result<Self> {
        if !address.is_loopback() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{address} is no loopback address: a demo server is never open to the network"),
            ));
        }
        let listener = TcpListener::bind(SocketAddr::new(address, 0)).await?;
        let host_key = new_host_key()?;
        let over = CancellationToken::new();
        let control = ServerControl {
            behaviour: watch::Sender::new(behaviour),
            connections_end: Arc::new(Mutex::new(over.child_token())),
            agent,
            over: over.clone(),
        };
        let server = Self {
            address: listener.local_addr()?,
            host_key: host_key.public_key().clone(),
            control,
            recording: Recording::default(),
            connections: TaskTracker::new(),
            commands: TaskTracker::new(),
            over,
        };
        let shared = Shared {
            account,
            home,
            host_key,
            control: server.control.clone(),
            recording: server.recording.clone(),
            connections: server.connections.clone(),
            commands: server.commands.clone(),
            over: server.over.clone(),
        };
        server.connections.spawn(accept(listener, Arc::new(shared)));
        Ok(server)
    }

    /// The `number`th address of the demo network 127.10.0.0/16, from 0. There are 250 in each 127.10.x.
    #[must_use]
    pub fn loopback(number: u16) -> IpAddr {
        let [high, low] = [number / 250, number % 250 + 1].map(|part| u8::try_from(part).unwrap_or(u8::MAX));
        IpAddr::V4(Ipv4Addr::new(127, 10, high, low))
    }

    /// The address on which it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its host key. [`Behaviour::ChangesHostKey`] uses others.
    #[must_use]
    pub fn host_key(&self) -> &PublicKey {
        &self.host_key
    }

    /// The fingerprint of its host key, as `ssh-keygen -l` shows it.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        self.host_key.fingerprint(HashAlg::Sha256).to_string()
    }

    /// Changes its behaviour from the next connection on.
    pub fn behave(&self, behaviour: Behaviour) {
        self.control.behaviour.send_replace(behaviour);
    }

    /// A handle to change it while it runs.
    pub(super) fn control(&self) -> ServerControl {
        self.control.clone()
    }

    /// The output of its commands so far, both streams, at most 8 MiB.
    #[must_use]
    pub fn written(&self) -> Vec<u8> {
        self.recording.bytes()
    }

    /// The number of open connections.
    #[must_use]
    pub fn connections(&self) -> usize {
        // One of the tracked tasks is the listener.
        self.connections.len().saturating_sub(1)
    }

    /// The number of running commands.
    #[must_use]
    pub fn commands(&self) -> usize {
        self.commands.len()
    }

    /// Ends all sessions and commands and waits for their end.
    ///
    /// # Errors
    /// If one has not ended after five seconds.
    pub async fn stop(self) -> io::Result<()> {
        self.over.cancel();
        self.connections.close();
        self.commands.close();
        let ended = async {
            self.connections.wait().await;
            self.commands.wait().await;
        };
        tokio::time::timeout(STOP_WITHIN, ended).await.map_err(|_elapsed| {
            io::Error::new(io::ErrorKind::TimedOut, format!("the demo server at {} does not end", self.address))
        })
    }
}

impl Drop for SshServer {
    fn drop(&mut self) {
        self.over.cancel();
    }
}

fn new_host_key() -> io::Result<PrivateKey> {
    PrivateKey::random(&mut rand::rng(), Algorithm::Ed25519).map_err(io::Error::other)
}

/// Accepts connections until the server ends.
async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shared.over.cancelled() => return,
        };
        match accepted {
            // The listener is one of the tracked tasks.
            Ok((stream, _)) if shared.connections.len() <= MAX_CONNECTIONS => {
                let connection = serve(stream, Arc::clone(&shared));
                shared.connections.spawn(async move {
                    if let Err(error) = connection.await {
                        tracing::debug!(%error, "a connection to a demo server ended");
                    }
                });
            }
            Ok((stream, peer)) => {
                tracing::debug!(%peer, "a demo server has too many connections");
                drop(stream);
            }
            Err(error) => {
                // Usually there are no file descriptors left. The connection stays in the queue, so without a pause
                // this would be a busy loop.
                tracing::warn!(%error, "a demo server cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// Serves one connection until it ends.
async fn serve(mut stream: TcpStream, shared: Arc<Shared>) -> Result<(), russh::Error> {
    // In this order, so that a change of behaviour after the first line ends this connection.
    let over = shared.control.connection();
    let settings = shared.control.behaviour.borrow().settings();
    let delays = shared.control.agent.as_ref().map(|agent| agent.delays()).unwrap_or_default();
    tokio::select! {
        () = tokio::time::sleep(settings.delay + delays.greeting) => (),
        () = over.cancelled() => return Ok(()),
    }
    match settings.greeting {
        Greeting::Ssh => session(stream, &shared, settings, over).await,
        Greeting::Nothing => Ok(read_and_ignore(&mut stream, &over).await?),
        Greeting::Garbage => Ok(answer_like_a_web_server(&mut stream, &over).await?),
        Greeting::Endless => Ok(send_endless_lines(&mut stream, &over).await?),
    }
}

/// Runs the SSH protocol on a connection.
async fn session(
    stream: TcpStream,
    shared: &Shared,
    settings: BehaviourSettings,
    over: CancellationToken,
) -> Result<(), russh::Error> {
    stream.set_nodelay(true)?;
    // A second handle of the socket. Shutting it down ends the session, whatever it waits for.
    let cut = SockRef::from(&stream).try_clone()?;
    let _ends_commands = over.clone().drop_guard();
    let handler = SessionHandler::new(
        shared.account.clone(),
        CommandContext {
            username: shared.account.username.clone(),
            home: shared.home.clone(),
            settings,
            agent: shared.control.agent.clone(),
            recording: shared.recording.clone(),
        },
        shared.commands.clone(),
        over.clone(),
    );
    let host_key = if settings.changes_host_key { new_host_key()? } else { shared.host_key.clone() };
    let config = Arc::new(configuration(host_key, shared.account.methods(), settings));
    let running = async {
        let session = run_stream(config, stream, handler).await?;
        session.await
    };
    tokio::pin!(running);
    tokio::select! {
        ended = &mut running => return ended,
        () = over.cancelled() => (),
    }
    // Fails only if the client has closed the connection already.
    if let Err(error) = cut.shutdown(Shutdown::Both) {
        tracing::trace!(%error, "a demo session had ended by itself");
    }
    running.await
}

fn configuration(host_key: PrivateKey, methods: MethodSet, settings: BehaviourSettings) -> Config {
    let mut config = Config {
        methods,
        auth_rejection_time: REFUSAL_TAKES,
        auth_rejection_time_initial: Some(Duration::ZERO),
        keys: vec![host_key],
        channel_buffer_size: CHANNEL_PACKETS,
        nodelay: true,
        ..Config::default()
    };
    if let Some(most) = settings.reads_at_most_bytes {
        // The window is then smaller than an agent, so the upload cannot end.
        config.window_size = most;
    }
    config
}

/// Reads until the client closes the connection, and sends nothing.
async fn read_and_ignore(stream: &mut TcpStream, over: &CancellationToken) -> io::Result<()> {
    let mut ignored = [0; 4096];
    loop {
        let read = tokio::select! {
            read = stream.read(&mut ignored) => read?,
            () = over.cancelled() => return Ok(()),
        };
        if read == 0 {
            return Ok(());
        }
    }
}

/// Answers like a web server and reads until the client closes the connection. Closing it first could reset the
/// connection before the client has read the answer.
async fn answer_like_a_web_server(stream: &mut TcpStream, over: &CancellationToken) -> io::Result<()> {
    stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await?;
    stream.shutdown().await?;
    read_and_ignore(stream, over).await
}

/// Sends lines until the client closes the connection.
async fn send_endless_lines(stream: &mut TcpStream, over: &CancellationToken) -> io::Result<()> {
    let lines = b"Authorised use only. Everything you do here is read by someone.\r\n".repeat(64);
    loop {
        tokio::select! {
            written = stream.write_all(&lines) => written?,
            () = over.cancelled() => return Ok(()),
        }
    }
}
