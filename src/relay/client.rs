//! The attach client: keeps a connection to the collector of a database, passes on its frames and sends orders to it.
//! Finding the collector is up to the caller.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{
    io::AsyncWriteExt as _,
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::mpsc,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

use super::line::{self, Hello, LONGEST_FRAME, LineError, Lines, PROTOCOL, VERSION, Welcome};
use crate::{
    bus::Request,
    fleet::{order::Reply, reading::clean},
};

mod conversation;
mod incoming;

pub use incoming::Incoming;

/// How long finding the collector may take, which may query a database server.
const FIND_WITHIN: Duration = Duration::from_secs(10);

/// How long connecting and the greeting may take.
const GREET_WITHIN: Duration = Duration::from_secs(5);

/// The first and the longest pause between attempts.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// The longest text that is accepted from a collector's greeting, characters.
const MOST_WORDS: usize = 300;

/// Why there is no connection to the collector.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// The collector was not found.
    #[error("no collector found: {0}")]
    NotFound(String),
    /// Nobody listens at the socket.
    #[error("the collector at {} does not answer: it has ended, or belongs to another user", path.display())]
    Connect {
        /// The file or socket.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The collector does not answer.
    #[error("the collector at {} does not answer in time: it hangs or is suspended", .0.display())]
    Silent(PathBuf),
    /// The peer is not a collector.
    #[error("the process at {} is not a collector: {problem}", path.display())]
    NotACollector {
        /// The file or socket.
        path: PathBuf,
        /// What it did.
        problem: String,
    },
    /// The collector refuses, with the reason.
    #[error("the collector refused: {0}")]
    Refused(String),
    /// Connecting was cancelled.
    #[error("cancelled before connecting to the collector")]
    Cancelled,
}

/// A connection after the greeting.
#[derive(Debug)]
pub struct Connection {
    lines: Lines<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    to: String,
}

impl Connection {
    /// Connects once.
    ///
    /// # Errors
    /// [`AttachError`] if that fails, after at most five seconds.
    pub async fn open(path: &Path, actor: &str) -> Result<Self, AttachError> {
        timeout(GREET_WITHIN, Self::greet(path, actor))
            .await
            .unwrap_or_else(|_| Err(AttachError::Silent(path.to_owned())))
    }

    /// Connects, with several attempts if necessary, because the collector may be starting. `find` is called for every
    /// attempt and returns the socket, or why there is none.
    ///
    /// # Errors
    /// The [`AttachError`] of the last attempt, if there is no connection in time.
    pub async fn within<F, W>(
        mut find: F,
        actor: &str,
        time: Duration,
        stop: &CancellationToken,
    ) -> Result<Self, AttachError>
    where
        F: FnMut() -> W,
        W: Future<Output = Result<PathBuf, String>>,
    {
        let end = Instant::now() + time;
        let mut pause = FIRST_PAUSE;
        let mut failed = AttachError::NotFound("it could not be located in time".to_owned());
        let tries = async {
            loop {
                match locate_and_open(&mut find, actor).await {
                    Ok(connection) => return connection,
                    Err(error) => failed = error,
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        };
        let connected = tokio::select! {
            biased;
            () = stop.cancelled() => return Err(AttachError::Cancelled),
            connected = tokio::time::timeout_at(end, tries) => connected,
        };
        connected.map_err(|_| failed)
    }

    /// A description of the collector.
    #[must_use]
    pub fn to(&self) -> &str {
        &self.to
    }

    /// Passes on the collector's frames and sends orders to it until the connection is lost, `out` is closed or `stop`
    /// is cancelled. Returns why it ended. Every received order is answered by then.
    ///
    /// While `out` is full, nothing is read. A collector that cannot write for 20 s closes the connection.
    pub async fn run(
        self,
        orders: &mut mpsc::Receiver<Request>,
        out: &mpsc::Sender<Incoming>,
        stop: &CancellationToken,
    ) -> String {
        tokio::select! {
            biased;
            () = stop.cancelled() => "the connection was closed here".to_owned(),
            why = conversation::run(self.lines, self.writer, orders, out) => why,
        }
    }

    async fn greet(path: &Path, actor: &str) -> Result<Self, AttachError> {
        let connect = |source| AttachError::Connect { path: path.to_owned(), source };
        let (reader, mut writer) = UnixStream::connect(path).await.map_err(connect)?.into_split();
        let hello = Hello { fleetsweep: PROTOCOL, version: VERSION.to_owned(), actor: actor.to_owned() };
        let mut line = Vec::new();
        line::append(&mut line, &hello).map_err(|error| connect(error.into()))?;
        // A collector that refuses may have closed its end already. Its message is read anyway.
        let said = writer.write_all(&line).await;
        let mut lines = Lines::new(reader, LONGEST_FRAME);
        let other = |error: LineError| AttachError::NotACollector { path: path.to_owned(), problem: error.to_string() };
        let line = match (lines.next().await, said) {
            (Err(_), Err(error)) => return Err(connect(error)),
            (line, _) => line.map_err(other)?,
        };
        let welcome: Welcome = line::parse(line).await.map_err(other)?;
        if let Some(why) = welcome.refused {
            return Err(AttachError::Refused(clean(&why, MOST_WORDS)));
        }
        if welcome.fleetsweep != PROTOCOL {
            return Err(AttachError::Refused(line::other_version(&clean(&welcome.version, 40), VERSION)));
        }
        Ok(Self { lines, writer, to: clean(&welcome.collector, MOST_WORDS) })
    }
}

async fn locate_and_open<F, W>(find: &mut F, actor: &str) -> Result<Connection, AttachError>
where
    F: FnMut() -> W,
    W: Future<Output = Result<PathBuf, String>>,
{
    let found = timeout(FIND_WITHIN, find()).await;
    let path = found
        .unwrap_or_else(|_| Err(format!("this takes longer than {} s", FIND_WITHIN.as_secs())))
        .map_err(AttachError::NotFound)?;
    Connection::open(&path, actor).await
}

/// Keeps a connection to the collector until `stop` is cancelled or `out` is closed. `find` is called for every
/// attempt, because a restarted collector may use another socket. `rest` runs between two attempts for about the given
/// time; its second argument is whether a new reason for the missing connection was just sent to `out`. If it returns
/// `true`, this process becomes the collector itself and gets the orders from then on. Orders are refused while there
/// is no connection.
pub async fn attach<F, W, R, V>(
    mut find: F,
    mut rest: R,
    actor: String,
    mut orders: mpsc::Receiver<Request>,
    out: mpsc::Sender<Incoming>,
    stop: CancellationToken,
) -> Option<mpsc::Receiver<Request>>
where
    F: FnMut() -> W,
    W: Future<Output = Result<PathBuf, String>>,
    R: FnMut(Duration, bool) -> V,
    V: Future<Output = bool>,
{
    let keep = async {
        let mut pause = FIRST_PAUSE;
        let mut told: Option<String> = None;
        let mut gone = "not connected yet".to_owned();
        loop {
            match refusing(&mut orders, &gone, locate_and_open(&mut find, &actor)).await {
                Ok(connection) => {
                    let to = connection.to().to_owned();
                    if out.send(Incoming::Connected { to }).await.is_err() {
                        return false;
                    }
                    told = None;
                    let began = Instant::now();
                    gone = connection.run(&mut orders, &out, &stop).await;
                    // A connection that breaks at once must not be retried five times a second.
                    if began.elapsed() >= LONGEST_PAUSE {
                        pause = FIRST_PAUSE;
                    }
                }
                Err(error) => gone = with_source(&error),
            }
            let is_news = told.as_ref() != Some(&gone);
            if is_news {
                if out.send(Incoming::Missing { why: gone.clone(), is_gone: false }).await.is_err() {
                    return false;
                }
                told = Some(gone.clone());
            }
            if refusing(&mut orders, &gone, rest(pause, is_news)).await {
                return true;
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    };
    let succeeds = tokio::select! {
        biased;
        () = stop.cancelled() => false,
        () = out.closed() => false,
        succeeds = keep => succeeds,
    };
    if succeeds {
        return Some(orders);
    }
    orders.close();
    while let Some(request) = orders.recv().await {
        request.answer(Reply::Refused { text: "this program is quitting: the order was not sent".to_owned() });
    }
    None
}

/// Runs something without a connection and refuses orders meanwhile.
async fn refusing<T>(orders: &mut mpsc::Receiver<Request>, why: &str, work: impl Future<Output = T>) -> T {
    let refuse = async {
        while let Some(request) = orders.recv().await {
            let text = format!("not connected to the collector, the order was not sent: {why}");
            request.answer(Reply::Refused { text });
        }
        // The sender of orders is gone; the work continues.
        std::future::pending().await
    };
    tokio::select! {
        biased;
        done = work => done,
        never = refuse => never,
    }
}

fn with_source(error: &AttachError) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
