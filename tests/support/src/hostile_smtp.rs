//! A scripted SMTP server for tests of faulty and hostile servers. It listens on a free port of 127.0.0.1 and ends when
//! it is dropped.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    },
};

use crate::TestCertificate;

/// A step of a script.
#[derive(Debug, Clone)]
pub enum Step {
    /// Sends these bytes.
    Say(Vec<u8>),
    /// Reads one line and records it.
    Hear,
    /// Reads a mail up to the line with a single dot. It is recorded as `.`.
    HearMail,
    /// Reads and answers like a correct server, with these additional lines for `EHLO`, until a line begins with this
    /// word. That line is recorded and not answered.
    ServeUntil(&'static str, &'static str),
    /// Sends these bytes repeatedly, as fast as possible.
    SayForEver(Vec<u8>),
    /// Sends these bytes repeatedly, one by one, with a pause after each.
    Trickle(Vec<u8>, Duration),
    /// Neither reads nor sends, and keeps the connection open.
    FallSilent,
    /// Performs a TLS handshake.
    StartTls,
    /// Sends this text and the last recorded line.
    Echo(&'static str),
    /// Closes the connection, including TLS.
    Close,
    /// Closes the TCP connection without ending TLS.
    Vanish,
    /// Waits.
    Pause(Duration),
}

/// A step that sends a text.
pub fn say(text: impl AsRef<[u8]>) -> Step {
    Step::Say(text.as_ref().to_vec())
}

/// For `ServeUntil`: no line begins with it, so the server answers until the connection ends.
pub const THE_END: &str = "\0";

/// A running server.
#[derive(Debug)]
pub struct HostileSmtp {
    address: SocketAddr,
    shared: Arc<Shared>,
    listener: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    /// One script per connection. The last one is repeated.
    scripts: Vec<Vec<Step>>,
    certificate: TestCertificate,
    heard: Mutex<Vec<String>>,
    sent_bytes: AtomicU64,
    connections: AtomicU64,
}

impl Shared {
    fn heard(&self) -> MutexGuard<'_, Vec<String>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HostileSmtp {
    /// Starts a server that uses this script for every connection.
    ///
    /// # Panics
    /// If it cannot listen.
    pub async fn start(script: Vec<Step>) -> Self {
        Self::with(vec![script], TestCertificate::of_names(&["localhost", "127.0.0.1"])).await
    }

    /// Starts a server with one script per connection and this certificate. The last script is repeated.
    ///
    /// # Panics
    /// If it cannot listen.
    pub async fn with(scripts: Vec<Vec<Step>>, certificate: TestCertificate) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port for an SMTP server");
        let address = listener.local_addr().expect("a port for an SMTP server");
        let shared = Arc::new(Shared {
            scripts,
            certificate,
            heard: Mutex::default(),
            sent_bytes: AtomicU64::new(0),
            connections: AtomicU64::new(0),
        });
        let listener = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self { address, shared, listener }
    }

    /// The address on which it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// All recorded lines, with `connected` for each connection and `TLS` for each handshake.
    pub fn heard(&self) -> Vec<String> {
        self.shared.heard().clone()
    }

    /// The first word of each recorded line.
    pub fn verbs(&self) -> String {
        let verbs: Vec<String> =
            self.heard().iter().map(|line| line.split([' ', ':']).next().unwrap_or_default().to_owned()).collect();
        verbs.join(" ")
    }

    /// The number of bytes that were written to sockets.
    pub fn sent_bytes(&self) -> u64 {
        self.shared.sent_bytes.load(Ordering::Relaxed)
    }

    /// Its certificate.
    pub fn certificate(&self) -> &TestCertificate {
        &self.shared.certificate
    }
}

impl Drop for HostileSmtp {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // They end with the listener.
    let mut conversations = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let number = shared.connections.fetch_add(1, Ordering::Relaxed);
        let number = usize::try_from(number).unwrap_or(usize::MAX);
        let script = shared.scripts.get(number).or(shared.scripts.last()).cloned().unwrap_or_default();
        let shared = Arc::clone(&shared);
        conversations.spawn(async move {
            shared.heard().push("connected".to_owned());
            // Many tests expect that the client closes the connection.
            let _gone = converse(stream, script, &shared).await;
        });
    }
}

async fn converse(stream: TcpStream, script: Vec<Step>, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut script = script.into_iter();
    let mut peer = Peer { stream, shared };
    if peer.follow(&mut script).await? == Then::Tls {
        let Peer { stream, shared } = peer;
        let stream = acceptor(&shared.certificate).accept(stream).await?;
        shared.heard().push("TLS".to_owned());
        let mut peer = Peer { stream, shared };
        peer.follow(&mut script).await?;
        // Also ends TLS.
        peer.stream.shutdown().await?;
    }
    Ok(())
}

fn acceptor(certificate: &TestCertificate) -> TlsAcceptor {
    let chain = CertificateDer::pem_slice_iter(certificate.certificate_pem.as_bytes());
    let chain = chain.collect::<Result<Vec<_>, _>>().expect("a certificate");
    let key = PrivateKeyDer::from_pem_slice(certificate.key_pem.as_bytes()).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions of TLS")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("a certificate with its key");
    TlsAcceptor::from(Arc::new(config))
}

/// What follows when a script pauses.
#[derive(Debug, PartialEq, Eq)]
enum Then {
    Tls,
    End,
}

struct Peer<'a, S> {
    stream: S,
    shared: &'a Shared,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Peer<'_, S> {
    async fn follow(&mut self, script: &mut std::vec::IntoIter<Step>) -> io::Result<Then> {
        for step in script {
            match step {
                Step::Say(bytes) => self.send(&bytes).await?,
                Step::Hear => drop(self.hear().await?),
                Step::HearMail => self.hear_mail().await?,
                Step::ServeUntil(word, offers) => self.serve_until(word, offers).await?,
                Step::SayForEver(bytes) => loop {
                    self.send(&bytes).await?;
                },
                Step::Trickle(bytes, pause) => loop {
                    for byte in &bytes {
                        self.send(&[*byte]).await?;
                        tokio::time::sleep(pause).await;
                    }
                },
                Step::FallSilent => std::future::pending().await,
                Step::StartTls => return Ok(Then::Tls),
                Step::Echo(words) => {
                    let last = self.shared.heard().last().cloned().unwrap_or_default();
                    self.send(format!("{words} {last}\r\n").as_bytes()).await?;
                }
                Step::Close => return Ok(Then::End),
                Step::Vanish => return Err(io::ErrorKind::ConnectionAborted.into()),
                Step::Pause(time) => tokio::time::sleep(time).await,
            }
        }
        Ok(Then::End)
    }

    async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await?;
        self.shared.sent_bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    /// The next line without its line end.
    async fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        while !line.ends_with(b"\n") {
            line.push(self.stream.read_u8().await?);
        }
        Ok(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned())
    }

    async fn hear(&mut self) -> io::Result<String> {
        let line = self.line().await?;
        self.shared.heard().push(line.clone());
        Ok(line)
    }

    async fn hear_mail(&mut self) -> io::Result<()> {
        while self.line().await? != "." {}
        self.shared.heard().push(".".to_owned());
        Ok(())
    }

    async fn serve_until(&mut self, word: &str, offers: &str) -> io::Result<()> {
        loop {
            let line = self.hear().await?;
            if line.starts_with(word) {
                return Ok(());
            }
            let verb = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
            match verb.as_str() {
                "EHLO" => {
                    let lines: String = offers.lines().map(|offer| format!("250-{offer}\r\n")).collect();
                    self.send(format!("250-hostile\r\n{lines}250 HELP\r\n").as_bytes()).await?;
                }
                "AUTH" => self.send(b"235 2.7.0 welcome\r\n").await?,
                "DATA" => {
                    self.send(b"354 go on\r\n").await?;
                    self.hear_mail().await?;
                    if word == "." {
                        return Ok(());
                    }
                    self.send(b"250 2.0.0 taken\r\n").await?;
                }
                "QUIT" => {
                    self.send(b"221 bye\r\n").await?;
                    return Ok(());
                }
                _ => self.send(b"250 2.0.0 ok\r\n").await?,
            }
        }
    }
}
