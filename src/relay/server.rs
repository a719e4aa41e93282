//! The attach server of a collector: it greets attaching processes, sends them the stream and accepts their orders.
//! Orders are executed elsewhere.

use std::{
    fs, io,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{
    io::AsyncWriteExt as _,
    net::{UnixListener, UnixStream, unix::OwnedWriteHalf},
    task::JoinSet,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::line::{self, Hello, LONGEST_HELLO, LineError, Lines, PROTOCOL, VERSION, Welcome};
use crate::{
    bus::{BusHandle, Orders},
    fleet::reading::clean,
};

mod connection;

use connection::WRITE_WITHIN;

/// How many more connections get an answer that there are too many. Further ones are closed without an answer.
const MOST_REFUSALS: usize = 32;

/// How long a client may take to send its greeting.
const HELLO_WITHIN: Duration = Duration::from_secs(5);

/// The pause after the system could not accept a connection, for example because there are no file descriptors.
const AFTER_REFUSAL: Duration = Duration::from_millis(200);

/// Why the server cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// Another kind of file has the socket's name.
    #[error("{} exists and is not a socket: remove it", .0.display())]
    InTheWay(PathBuf),
    /// The socket cannot be created.
    #[error("cannot listen on {}: check that its directory is writable", path.display())]
    Listen {
        /// The file or socket.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
}

/// A listening socket. Its file is removed when this is dropped.
#[derive(Debug)]
pub struct Server {
    listener: UnixListener,
    file: SocketFile,
}

/// What all connections share.
#[derive(Debug, Clone)]
pub struct Service {
    /// The source of the stream.
    pub bus: BusHandle,
    /// The receiver of orders.
    pub orders: Orders,
    /// A description of the collector, for example `fleetsweep --headless (pid 4711)`.
    pub collector: String,
    /// The maximum number of connections. Further ones are told so and closed.
    pub most_connections: usize,
}

impl Server {
    /// Listens. An existing socket belongs to a dead collector, because the lock of the database allows only one. Only
    /// its owner and root may connect. Must be called within the runtime.
    ///
    /// # Errors
    /// [`ServerError`] if the socket cannot be created.
    pub fn bind(path: &Path) -> Result<Self, ServerError> {
        let failed = |source| ServerError::Listen { path: path.to_owned(), source };
        match fs::symlink_metadata(path) {
            Ok(found) if found.file_type().is_socket() => fs::remove_file(path).map_err(failed)?,
            Ok(_) => return Err(ServerError::InTheWay(path.to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
        let listener = UnixListener::bind(path).map_err(failed)?;
        let made = fs::symlink_metadata(path).map_err(failed)?;
        let file = SocketFile { path: path.to_owned(), identity: (made.dev(), made.ino()) };
        // Its directory is closed to others, so nobody could connect before this.
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(failed)?;
        Ok(Self { listener, file })
    }

    /// The path of the socket.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.file.path
    }

    /// Accepts connections until `stop` is cancelled, which ends every connection. If the bus ends first, each
    /// connection ends when all events were sent.
    pub async fn run(self, service: Service, stop: CancellationToken) {
        let service = Arc::new(service);
        let most = service.most_connections;
        let mut refused = None;
        let mut connections: JoinSet<()> = JoinSet::new();
        let mut refusals: JoinSet<()> = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(ended) = connections.join_next(), if !connections.is_empty() => {
                    note_broken(ended);
                    continue;
                }
                Some(ended) = refusals.join_next(), if !refusals.is_empty() => {
                    note_broken(ended);
                    continue;
                }
                accepted = self.listener.accept() => accepted,
            };
            let stream = match accepted {
                Ok((stream, _)) => {
                    refused = None;
                    stream
                }
                Err(error) => {
                    // This may last long, so it is logged once.
                    if refused.replace(error.kind()) != Some(error.kind()) {
                        tracing::warn!("nobody can attach at the moment: {error}");
                    }
                    tokio::select! {
                        () = stop.cancelled() => break,
                        () = tokio::time::sleep(AFTER_REFUSAL) => continue,
                    }
                }
            };
            if !is_trusted(&stream) {
                continue;
            }
            let stop = stop.child_token();
            if connections.len() < most {
                let service = service.clone();
                connections.spawn(async move { serve(stream, &service, &stop).await });
            } else if refusals.len() < MOST_REFUSALS {
                let why = format!("{most} are attached already: end one of them");
                refusals.spawn(async move { refuse(stream, why, &stop).await });
            }
        }
        connections.shutdown().await;
        refusals.shutdown().await;
    }
}

fn note_broken(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!("a connection on the collector's socket broke: {error}");
    }
}

/// The file of a socket. Removed when this is dropped, unless another file has replaced it.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let is_ours = |found: fs::Metadata| (found.dev(), found.ino()) == self.identity;
        if fs::symlink_metadata(&self.path).is_ok_and(is_ours)
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::debug!("{} stays: {error}", self.path.display());
        }
    }
}

fn is_trusted(stream: &UnixStream) -> bool {
    match stream.peer_cred() {
        Ok(peer) if may_attach(peer.uid(), rustix::process::geteuid().as_raw()) => true,
        Ok(peer) => {
            tracing::warn!(
                "user {} tried to attach and was refused: only the collector's own may, and root",
                peer.uid()
            );
            false
        }
        Err(error) => {
            tracing::warn!("somebody tried to attach who cannot be told: {error}");
            false
        }
    }
}

fn may_attach(peer: u32, own: u32) -> bool {
    peer == own || peer == 0
}

fn welcome(collector: &str, refused: Option<String>) -> Welcome {
    Welcome {
        fleetsweep: PROTOCOL,
        version: VERSION.to_owned(),
        pid: std::process::id(),
        collector: collector.to_owned(),
        refused,
    }
}

/// Tells a client why its connection is closed.
async fn refuse(stream: UnixStream, why: String, stop: &CancellationToken) {
    let (reader, mut writer) = stream.into_split();
    let tell = async {
        // Its greeting is read first, as for an accepted connection.
        let _ = timeout(HELLO_WITHIN, Lines::new(reader, LONGEST_HELLO).next()).await;
        say(&mut writer, &welcome("", Some(why))).await
    };
    tokio::select! {
        () = stop.cancelled() => {}
        told = tell => if let Err(error) = told {
            tracing::debug!("one too many left before it was told so: {error}");
        },
    }
}

async fn say(writer: &mut OwnedWriteHalf, welcome: &Welcome) -> Result<(), String> {
    let mut line = Vec::new();
    line::append(&mut line, welcome).map_err(|error| error.to_string())?;
    match timeout(WRITE_WITHIN, writer.write_all(&line)).await {
        Ok(written) => written.map_err(|error| error.to_string()),
        Err(_) => Err("did not read its welcome".to_owned()),
    }
}

/// Serves one connection until it ends.
async fn serve(stream: UnixStream, service: &Service, stop: &CancellationToken) {
    let (reader, mut writer) = stream.into_split();
    let mut lines = Lines::new(reader, LONGEST_HELLO);
    let conversation = async {
        let line = timeout(HELLO_WITHIN, lines.next()).await.map_err(|_| "it said no hello in time".to_owned())?;
        let hello: Hello = line::parse(line.map_err(words)?).await.map_err(words)?;
        if hello.fleetsweep != PROTOCOL {
            let version = clean(&hello.version, 40);
            let why = line::other_version(VERSION, &version);
            say(&mut writer, &welcome(&service.collector, Some(why))).await?;
            return Err(format!("it is of another version, {version}"));
        }
        let Some(subscriber) = service.bus.subscribe() else {
            return say(&mut writer, &welcome(&service.collector, Some("the collector is ending".to_owned()))).await;
        };
        say(&mut writer, &welcome(&service.collector, None)).await?;
        tracing::debug!("{} attached", clean(&hello.actor, 64));
        connection::run(lines, writer, subscriber, &service.orders).await
    };
    let ended = tokio::select! {
        biased;
        () = stop.cancelled() => return,
        ended = conversation => ended,
    };
    match ended {
        Ok(()) => tracing::debug!("one who was attached has left"),
        Err(why) => tracing::warn!("one who was attached is dropped: {why}"),
    }
}

/// The end of a connection as a log message.
fn words(error: LineError) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_collectors_own_user_and_root_may_attach() {
        assert!(may_attach(1000, 1000) && may_attach(0, 1000) && may_attach(0, 0));
        assert!(!may_attach(1001, 1000) && !may_attach(1000, 0));
    }
}
