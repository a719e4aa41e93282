//! One SSH server on a loopback address: it listens, and makes each connection a session or a fault. Not who
//! may log in ([`super::session`]) and not what is executed ([`super::command`]).

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
    actor::Actor,
    behaviour::{Behaviour, Conduct, Greeting},
    command::{CommandContext, Recording},
    persona::Persona,
    session::{Account, Visit},
};

/// Connections one server serves at once; further ones are closed at once, as by sshd's `MaxStartups`.
const MAX_CONNECTIONS: usize = 64;

/// Packets of a channel that wait for a command to read them. When it is full, the session stops reading from
/// the network. Larger than any agent, because while it stands still a session carries no output either.
const CHANNEL_PACKETS: usize = 1024;

/// How long a refused password takes: long enough to be no surprise, short enough for tests.
const REFUSAL_TAKES: Duration = Duration::from_millis(100);

/// How long [`SshServer::stop`] waits for sessions and commands that were told to end.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// One SSH server in this process, which executes commands for real. It ends when it is dropped; to wait for the
/// end of everything it started, use [`SshServer::stop`].
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

/// What changes a running server; a server ends whoever holds them still.
#[derive(Debug, Clone)]
pub(super) struct ServerControl {
    behaviour: watch::Sender<Behaviour>,
    /// Cancelled and replaced to end the connections of now.
    visits: Arc<Mutex<CancellationToken>>,
    actor: Option<Arc<Actor>>,
    over: CancellationToken,
}

impl ServerControl {
    /// Changes how the server behaves, also towards those who are connected: their connections end. A session
    /// that the collector kept open would know nothing of the change.
    pub(super) fn turn(&self, behaviour: Behaviour) {
        self.behaviour.send_replace(behaviour);
        let next = self.over.child_token();
        let before = std::mem::replace(&mut *self.visits.lock().unwrap_or_else(PoisonError::into_inner), next);
        before.cancel();
    }

    /// Whether the server behaves so.
    pub(super) fn behaves(&self, behaviour: Behaviour) -> bool {
        *self.behaviour.borrow() == behaviour
    }

    /// Gives the machine that the server plays much work for so long; a server that plays none has no work.
    pub(super) fn strain(&self, lasts: Duration) {
        if let Some(actor) = &self.actor {
            actor.strain(lasts);
        }
    }

    /// Cancelled when a connection that begins now is to end.
    fn visit(&self) -> CancellationToken {
        self.visits.lock().unwrap_or_else(PoisonError::into_inner).child_token()
    }
}

/// What every connection of one server shares.
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
    /// Where the address is not a loopback address or nothing can listen there, and where the system has no
    /// random bytes for a host key.
    pub async fn start(address: IpAddr, home: PathBuf, account: Account, behaviour: Behaviour) -> io::Result<Self> {
        Self::open(address, home, account, behaviour, None).await
    }

    /// The same with a persona, whose time began then: commands are executed as ever, but what counts of an
    /// agent's answer is the persona's report, and it comes at the persona's pace.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_playing(
        address: IpAddr,
        home: PathBuf,
        account: Account,
        behaviour: Behaviour,
        (persona, began): (Persona, Instant),
    ) -> io::Result<Self> {
        Self::open(address, home, account, behaviour, Some(Arc::new(Actor::new(persona, began)))).await
    }

    async fn open(
        address: IpAddr,
        home: PathBuf,
        account: Account,
        behaviour: Behaviour,
        actor: Option<Arc<Actor>>,
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
            visits: Arc::new(Mutex::new(over.child_token())),
            actor,
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

    /// The `number`th address of the demo network 127.10.0.0/16, from 0: 250 to each 127.10.x.
    #[must_use]
    pub fn loopback(number: u16) -> IpAddr {
        let [high, low] = [number / 250, number % 250 + 1].map(|part| u8::try_from(part).unwrap_or(u8::MAX));
        IpAddr::V4(Ipv4Addr::new(127, 10, high, low))
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its host key, as `known_hosts` writes it; [`Behaviour::ChangesHostKey`] shows others.
    #[must_use]
    pub fn host_key(&self) -> &PublicKey {
        &self.host_key
    }

    /// The fingerprint of its host key, as `ssh-keygen -l` shows it.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        self.host_key.fingerprint(HashAlg::Sha256).to_string()
    }

    /// Changes how it behaves from the next connection on.
    pub fn behave(&self, behaviour: Behaviour) {
        self.control.behaviour.send_replace(behaviour);
    }

    /// What changes it while it runs.
    pub(super) fn control(&self) -> ServerControl {
        self.control.clone()
    }

    /// What its commands wrote to their clients so far, both streams: the first 8 MiB.
    #[must_use]
    pub fn written(&self) -> Vec<u8> {
        self.recording.bytes()
    }

    /// How many connections are open.
    #[must_use]
    pub fn connections(&self) -> usize {
        // One of the tracked tasks is the listener.
        self.connections.len().saturating_sub(1)
    }

    /// How many commands are under way.
    #[must_use]
    pub fn commands(&self) -> usize {
        self.commands.len()
    }

    /// Ends every session and command, and waits until none is left.
    ///
    /// # Errors
    /// Where something is still left after five seconds.
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
                // Out of descriptors, mostly: the connection stays in the queue, and trying at once would spin.
                tracing::warn!(%error, "a demo server cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// One connection, to its end.
async fn serve(mut stream: TcpStream, shared: Arc<Shared>) -> Result<(), russh::Error> {
    // In this order: whoever misses a change of behaviour is ended by it.
    let over = shared.control.visit();
    let conduct = shared.control.behaviour.borrow().conduct();
    let pace = shared.control.actor.as_ref().map(|actor| actor.pace()).unwrap_or_default();
    tokio::select! {
        () = tokio::time::sleep(conduct.delay + pace.greeting) => (),
        () = over.cancelled() => return Ok(()),
    }
    match conduct.greeting {
        Greeting::Ssh => session(stream, &shared, conduct, over).await,
        Greeting::Nothing => Ok(silence(&mut stream, &over).await?),
        Greeting::Garbage => Ok(garbage(&mut stream, &over).await?),
        Greeting::Endless => Ok(babble(&mut stream, &over).await?),
    }
}

/// Runs the SSH protocol on a connection.
async fn session(
    stream: TcpStream,
    shared: &Shared,
    conduct: Conduct,
    over: CancellationToken,
) -> Result<(), russh::Error> {
    stream.set_nodelay(true)?;
    // A second handle on the socket: cutting it ends the session wherever it waits.
    let cut = SockRef::from(&stream).try_clone()?;
    let _ends_commands = over.clone().drop_guard();
    let visit = Visit::new(
        shared.account.clone(),
        CommandContext {
            username: shared.account.username.clone(),
            home: shared.home.clone(),
            conduct,
            actor: shared.control.actor.clone(),
            recording: shared.recording.clone(),
        },
        shared.commands.clone(),
        over.clone(),
    );
    let host_key = if conduct.changes_host_key { new_host_key()? } else { shared.host_key.clone() };
    let config = Arc::new(configuration(host_key, shared.account.methods(), conduct));
    let running = async {
        let session = run_stream(config, stream, visit).await?;
        session.await
    };
    tokio::pin!(running);
    tokio::select! {
        ended = &mut running => return ended,
        () = over.cancelled() => (),
    }
    // Fails only where the client has gone already.
    if let Err(error) = cut.shutdown(Shutdown::Both) {
        tracing::trace!(%error, "a demo session had ended by itself");
    }
    running.await
}

fn configuration(host_key: PrivateKey, methods: MethodSet, conduct: Conduct) -> Config {
    let mut config = Config {
        methods,
        auth_rejection_time: REFUSAL_TAKES,
        auth_rejection_time_initial: Some(Duration::ZERO),
        keys: vec![host_key],
        channel_buffer_size: CHANNEL_PACKETS,
        nodelay: true,
        ..Config::default()
    };
    if let Some(most) = conduct.reads_at_most_bytes {
        // What the client may send ahead is then less than an agent: the upload cannot end.
        config.window_size = most;
    }
    config
}

/// Reads until the client has had enough, and says nothing.
async fn silence(stream: &mut TcpStream, over: &CancellationToken) -> io::Result<()> {
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

/// Answers as a web server does. Reads on until the client closes: closing first could reset the connection
/// before the client has read the answer.
async fn garbage(stream: &mut TcpStream, over: &CancellationToken) -> io::Result<()> {
    stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await?;
    stream.shutdown().await?;
    silence(stream, over).await
}

/// Sends lines until the client has had enough.
async fn babble(stream: &mut TcpStream, over: &CancellationToken) -> io::Result<()> {
    let lines = b"Authorised use only. Everything you do here is read by someone.\r\n".repeat(64);
    loop {
        tokio::select! {
            written = stream.write_all(&lines) => written?,
            () = over.cancelled() => return Ok(()),
        }
    }
}
