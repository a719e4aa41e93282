//! Accepts connections and serves one request on each, within limits: no peer can hold the server up, whatever it sends or
//! leaves out. What is answered is in [`super::answer`].

use std::{
    io,
    net::{SocketAddr, TcpListener as StdListener},
    time::Duration,
};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::answer::{Pages, answer};

/// The longest request without its body, bytes. A scraper sends a few hundred.
const MOST_HEAD_BYTES: usize = 8 * 1024;

/// The buffer of a connection, bytes. The library requires at least 8 KiB.
const MOST_BUFFER_BYTES: usize = 16 * 1024;

/// The most headers of a request.
const MOST_HEADERS: usize = 64;

/// What is read after an answer, bytes. If unread bytes remained, the peer could lose the answer.
const MOST_LEFT_OVER_BYTES: u64 = 64 * 1024;

/// How long the peer may take to close its side after an answer.
const LEAVES_WITHIN: Duration = Duration::from_secs(1);

/// The pause after the system could not accept a connection, for example because there are no file descriptors.
const AFTER_REFUSAL: Duration = Duration::from_millis(200);

/// The limits of a server.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The most connections at the same time. Further ones are closed at once.
    pub connections: usize,
    /// How long a request may take to arrive, without its body.
    pub head_within: Duration,
    /// How long a connection may take, from the first byte of the request to the last one of the answer.
    pub all_within: Duration,
}

impl Limits {
    /// Limits for this many connections.
    #[must_use]
    pub fn of(connections: usize) -> Self {
        // Prometheus gives up after ten seconds, if it is not told otherwise.
        Self { connections, head_within: Duration::from_secs(5), all_within: Duration::from_secs(20) }
    }
}

/// A listening server.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
}

impl Server {
    /// Listens. Must be called within the runtime.
    ///
    /// # Errors
    /// The error of the operating system, for example if the address is in use or not one of this machine.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        // Connections of an earlier process that are still closing do not keep the address.
        let listener = StdListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener: TcpListener::from_std(listener)? })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// The error of the operating system.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop` is cancelled, which ends every connection.
    pub async fn run(self, pages: Pages, limits: Limits, stop: CancellationToken) {
        let mut connections: JoinSet<()> = JoinSet::new();
        let mut refused = None;
        loop {
            let accepted = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(ended) = connections.join_next(), if !connections.is_empty() => {
                    if let Err(error) = ended {
                        tracing::error!("a connection of the metrics endpoint broke: {error}");
                    }
                    continue;
                }
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => {
                    refused = None;
                    // One too many is closed by dropping it.
                    if connections.len() < limits.connections {
                        let pages = pages.clone();
                        connections.spawn(async move { serve(stream, &pages, limits).await });
                    }
                }
                Err(error) => {
                    // This may last long, so it is logged once.
                    if refused.replace(error.kind()) != Some(error.kind()) {
                        tracing::warn!("the metrics endpoint cannot be reached at the moment: {error}");
                    }
                    tokio::select! {
                        () = stop.cancelled() => break,
                        () = tokio::time::sleep(AFTER_REFUSAL) => {}
                    }
                }
            }
        }
        connections.shutdown().await;
    }
}

/// Serves one connection until it ends or its time is over.
async fn serve(mut stream: TcpStream, pages: &Pages, limits: Limits) {
    let conversation = async {
        // It is only about delay.
        let _ = stream.set_nodelay(true);
        let served = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head_within)
            .max_headers(MOST_HEADERS)
            .max_header_size(MOST_HEAD_BYTES)
            .max_buf_size(MOST_BUFFER_BYTES)
            .keep_alive(false)
            .serve_connection(TokioIo::new(&mut stream), service_fn(|request| answer(pages, request)))
            .await;
        if let Err(error) = served {
            tracing::debug!("a connection of the metrics endpoint ended: {error}");
        }
        let leaving = async {
            stream.shutdown().await?;
            let mut left_over = [0; 1024];
            let mut bytes = (&mut stream).take(MOST_LEFT_OVER_BYTES);
            while bytes.read(&mut left_over).await? > 0 {}
            Ok::<_, io::Error>(())
        };
        // A peer that has gone needs no end.
        let _ = timeout(LEAVES_WITHIN, leaving).await;
    };
    if timeout(limits.all_within, conversation).await.is_err() {
        tracing::debug!("a connection of the metrics endpoint took too long and was closed");
    }
}
