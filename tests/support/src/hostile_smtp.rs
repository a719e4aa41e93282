//! An SMTP server that does what its script says, whatever the protocol says: for the faults of servers, those that
//! attack among them. It listens on a free port of 127.0.0.1 and ends when it is dropped.

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

/// What the server does next.
#[derive(Debug, Clone)]
pub enum Step {
    /// Sends these bytes.
    Say(Vec<u8>),
    /// Reads one line, which is kept.
    Hear,
    /// Reads a mail to the line with a dot alone, which is kept as `.`.
    HearMail,
    /// Hears and answers as a server in health does, `EHLO` with these further lines, to the line that begins with this
    /// word; that one is kept, and not answered.
    ServeUntil(&'static str, &'static str),
    /// Sends these bytes again and again, as fast as they are taken.
    SayForEver(Vec<u8>),
    /// Sends these bytes one by one, with a pause after each, from the start again at their end.
    Trickle(Vec<u8>, Duration),
    /// Neither reads nor says anything, and keeps the connection.
    FallSilent,
    /// Goes on over TLS.
    StartTls,
    /// Says these words, then what it heard last.
    Echo(&'static str),
    /// Closes the connection as the protocol wants it.
    Close,
    /// Is gone: TLS is not ended.
    Vanish,
    /// Waits.
    Pause(Duration),
}

/// Says a text.
pub fn say(text: impl AsRef<[u8]>) -> Step {
    Step::Say(text.as_ref().to_vec())
}

/// A word with which no line begins: serves to the end.
pub const THE_END: &str = "\0";

/// A server that follows a script.
#[derive(Debug)]
pub struct HostileSmtp {
    address: SocketAddr,
    shared: Arc<Shared>,
    listener: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    /// One for each connection, the last one for all further ones.
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
    /// Starts one that follows this script in every connection.
    ///
    /// # Panics
    /// Where it cannot listen.
    pub async fn start(script: Vec<Step>) -> Self {
        Self::with(vec![script], TestCertificate::of_names(&["localhost", "127.0.0.1"])).await
    }

    /// Starts one that follows one script after the other, the last one again and again, with this certificate.
    ///
    /// # Panics
    /// Where it cannot listen.
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

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Every line it heard, `connected` for each connection and `TLS` for each upgrade.
    pub fn heard(&self) -> Vec<String> {
        self.shared.heard().clone()
    }

    /// The first word of every line it heard.
    pub fn verbs(&self) -> String {
        let verbs: Vec<String> =
            self.heard().iter().map(|line| line.split([' ', ':']).next().unwrap_or_default().to_owned()).collect();
        verbs.join(" ")
    }

    /// How many bytes its clients and the system have taken from it.
    pub fn sent_bytes(&self) -> u64 {
        self.shared.sent_bytes.load(Ordering::Relaxed)
    }

    /// The certificate with which it speaks TLS.
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
            // A client that has gone is what many tests wait for.
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
        // Says goodbye in TLS as well.
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

    /// The next line without its end.
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
