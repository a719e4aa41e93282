//! A mail server on loopback that stores all mails, delivers none, and can be told to fail. The SMTP dialogue is in
//! [`dialogue`].

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

mod dialogue;

pub use dialogue::{ReceivedMail, Refusal, SmtpStep};

use dialogue::{Answer, Dialogue};

/// The most mails that are stored. Further ones are refused as if the disk were full.
const MAX_MAILS: usize = 10_000;

/// The longest line that is read. A longer one ends the session.
const MAX_LINE_BYTES: u64 = 64 * 1024;

/// The most sessions at the same time. Further clients wait in the listen queue.
const MAX_SESSIONS: usize = 64;

/// How long [`Sink::stop`] waits for the end of sessions.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// How a [`Sink`] fails. A change applies from the next line of every session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fault {
    /// It does not fail.
    #[default]
    None,
    /// Every reply is delayed by this time.
    Slow(Duration),
    /// Connections are accepted and lines are read, but there are no replies.
    Silent,
    /// One step of every session is refused.
    Refuses(Refusal),
    /// Every mail is stored, then the connection is closed without a reply, so the client does not know the result.
    ClosesAfterKeeping,
}

impl Fault {
    /// The disk is full: every sender is refused with 452.
    pub const FULL: Self = Self::Refuses(Refusal { at: SmtpStep::Sender, code: 452 });

    /// Refuses one step with a reply code: 4xx for a temporary failure, 5xx for a permanent one.
    #[must_use]
    pub fn refuses(at: SmtpStep, code: u16) -> Self {
        Self::Refuses(Refusal { at, code })
    }
}

/// A mail server that stores all mails. It ends when it is dropped.
#[derive(Debug)]
pub struct Sink {
    address: SocketAddr,
    shared: Arc<Shared>,
    fault: watch::Sender<Fault>,
    sessions: TaskTracker,
    over: CancellationToken,
}

#[derive(Debug)]
struct Shared {
    mails: Mutex<Vec<ReceivedMail>>,
    /// The number of stored mails.
    count: watch::Sender<usize>,
    fault: watch::Receiver<Fault>,
}

impl Shared {
    fn mails(&self) -> MutexGuard<'_, Vec<ReceivedMail>> {
        self.mails.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores a mail and returns whether there was space for it.
    fn keep(&self, mail: ReceivedMail) -> bool {
        let mut mails = self.mails();
        if mails.len() >= MAX_MAILS {
            return false;
        }
        mails.push(mail);
        self.count.send_replace(mails.len());
        true
    }
}

impl Sink {
    /// Listens on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// If it cannot listen there.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let (fault, watched) = watch::channel(Fault::None);
        let shared = Arc::new(Shared { mails: Mutex::default(), count: watch::Sender::new(0), fault: watched });
        let sink = Self {
            address: listener.local_addr()?,
            shared: Arc::clone(&shared),
            fault,
            sessions: TaskTracker::new(),
            over: CancellationToken::new(),
        };
        sink.sessions.spawn(accept(listener, shared, sink.sessions.clone(), sink.over.clone()));
        Ok(sink)
    }

    /// The address on which it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The received mails, in order.
    #[must_use]
    pub fn mails(&self) -> Vec<ReceivedMail> {
        self.shared.mails().clone()
    }

    /// Waits until it has received at least this many mails. The caller must set a deadline.
    pub async fn received(&self, at_least: usize) {
        // The sender lives as long as `self`, so waiting cannot fail.
        if self.shared.count.subscribe().wait_for(|count| *count >= at_least).await.is_err() {
            tracing::debug!("a mail sink ended while mails were awaited");
        }
    }

    /// Makes it fail, or work again.
    pub fn fail(&self, fault: Fault) {
        self.fault.send_replace(fault);
    }

    /// Ends all sessions and waits for their end.
    ///
    /// # Errors
    /// If one has not ended after five seconds.
    pub async fn stop(self) -> io::Result<()> {
        self.over.cancel();
        self.sessions.close();
        tokio::time::timeout(STOP_WITHIN, self.sessions.wait())
            .await
            .map_err(|_elapsed| io::Error::new(io::ErrorKind::TimedOut, "the demo mail sink does not end"))
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.over.cancel();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, sessions: TaskTracker, over: CancellationToken) {
    let places = Arc::new(Semaphore::new(MAX_SESSIONS));
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await.map_err(io::Error::other)?;
            Ok::<_, io::Error>((listener.accept().await?.0, place))
        };
        let accepted = tokio::select! {
            accepted = next => accepted,
            () = over.cancelled() => return,
        };
        match accepted {
            Ok((stream, place)) => {
                let (shared, over) = (Arc::clone(&shared), over.clone());
                sessions.spawn(async move {
                    let ended = tokio::select! {
                        ended = serve(stream, &shared) => ended,
                        () = over.cancelled() => Ok(()),
                    };
                    if let Err(error) = ended {
                        tracing::debug!(%error, "a session with the demo mail sink failed");
                    }
                    drop(place);
                });
            }
            Err(error) => {
                // Usually there are no file descriptors left. The connection stays in the queue, so without a pause
                // this would be a busy loop.
                tracing::warn!(%error, "the demo mail sink cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// Serves one session until it ends.
async fn serve(stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    let mut dialogue = Dialogue::default();
    let mut answer = Dialogue::greet(refusal(*shared.fault.borrow()));
    let mut line = Vec::new();
    loop {
        let fault = *shared.fault.borrow();
        let (said, last) = match answer {
            Answer::Say(said) => (said, false),
            Answer::SayAndClose(said) => (said, true),
            Answer::Keep(mail, said) => match (shared.keep(mail), fault) {
                (true, Fault::ClosesAfterKeeping) => return Ok(()),
                (true, Fault::None | Fault::Slow(_) | Fault::Silent | Fault::Refuses(_)) => (said, false),
                (false, _) => ("452 4.3.1 no room for more mails\r\n".to_owned(), false),
            },
            Answer::ReadOn => (String::new(), false),
        };
        match fault {
            Fault::Silent => (),
            Fault::Slow(delay) if !said.is_empty() => {
                tokio::time::sleep(delay).await;
                stream.write_all(said.as_bytes()).await?;
            }
            Fault::None | Fault::Slow(_) | Fault::Refuses(_) | Fault::ClosesAfterKeeping => {
                stream.write_all(said.as_bytes()).await?;
            }
        }
        if last {
            return stream.shutdown().await;
        }
        line.clear();
        let read = (&mut stream).take(MAX_LINE_BYTES).read_until(b'\n', &mut line).await?;
        if read == 0 {
            return Ok(());
        }
        answer = match line.strip_suffix(b"\n") {
            Some(whole) => dialogue.line(whole.strip_suffix(b"\r").unwrap_or(whole), refusal(*shared.fault.borrow())),
            None => Answer::SayAndClose("500 5.5.2 too long a line\r\n".to_owned()),
        };
    }
}

fn refusal(fault: Fault) -> Option<Refusal> {
    match fault {
        Fault::Refuses(refusal) => Some(refusal),
        Fault::None | Fault::Slow(_) | Fault::Silent | Fault::ClosesAfterKeeping => None,
    }
}
