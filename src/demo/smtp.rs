//! A mail server on loopback that keeps what it receives and fails when it is told to: the sockets around
//! [`dialogue`]. It delivers nothing to anyone.

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

pub use dialogue::{Moment, ReceivedMail, Refusal};

use dialogue::{Answer, Dialogue};

/// How many mails are kept. When as many are there, further ones are refused as by a full disk.
const MAX_MAILS: usize = 10_000;

/// The longest line that is read; a longer one ends the conversation.
const MAX_LINE_BYTES: u64 = 64 * 1024;

/// Conversations at once. Further clients wait in the listen queue.
const MAX_CONVERSATIONS: usize = 64;

/// How long [`Sink::stop`] waits for conversations that were told to end.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// In which way a [`Sink`] fails. It holds from the next line of every conversation on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fault {
    /// In none.
    #[default]
    None,
    /// Every answer comes late by this much.
    Slow(Duration),
    /// Connections are accepted, lines are read, nothing is answered.
    Silent,
    /// One moment of every conversation is refused.
    Refuses(Refusal),
    /// Every mail is kept, then the connection is closed without a word: the client cannot know.
    ClosesAfterKeeping,
}

impl Fault {
    /// The disk is full: every sender is put off with 452.
    pub const FULL: Self = Self::Refuses(Refusal { at: Moment::Sender, code: 452 });

    /// Refuses one moment with a reply code: 4xx for later, 5xx for ever.
    #[must_use]
    pub fn refuses(at: Moment, code: u16) -> Self {
        Self::Refuses(Refusal { at, code })
    }
}

/// A mail server that keeps what it receives. It ends when it is dropped.
#[derive(Debug)]
pub struct Sink {
    address: SocketAddr,
    shared: Arc<Shared>,
    fault: watch::Sender<Fault>,
    conversations: TaskTracker,
    over: CancellationToken,
}

#[derive(Debug)]
struct Shared {
    mails: Mutex<Vec<ReceivedMail>>,
    /// Tells how many mails are kept.
    count: watch::Sender<usize>,
    fault: watch::Receiver<Fault>,
}

impl Shared {
    fn mails(&self) -> MutexGuard<'_, Vec<ReceivedMail>> {
        self.mails.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a mail; whether there was room.
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
    /// Where nothing can listen there.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let (fault, watched) = watch::channel(Fault::None);
        let shared = Arc::new(Shared { mails: Mutex::default(), count: watch::Sender::new(0), fault: watched });
        let sink = Self {
            address: listener.local_addr()?,
            shared: Arc::clone(&shared),
            fault,
            conversations: TaskTracker::new(),
            over: CancellationToken::new(),
        };
        sink.conversations.spawn(accept(listener, shared, sink.conversations.clone(), sink.over.clone()));
        Ok(sink)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it has received, in order.
    #[must_use]
    pub fn mails(&self) -> Vec<ReceivedMail> {
        self.shared.mails().clone()
    }

    /// Waits until it has received at least so many mails. Give it a deadline.
    pub async fn received(&self, at_least: usize) {
        // The sender lives as long as `self`, so waiting ends with the number alone.
        if self.shared.count.subscribe().wait_for(|count| *count >= at_least).await.is_err() {
            tracing::debug!("a mail sink ended while mails were awaited");
        }
    }

    /// Makes it fail, or work again, from now on.
    pub fn fail(&self, fault: Fault) {
        self.fault.send_replace(fault);
    }

    /// Ends every conversation and waits until none is left.
    ///
    /// # Errors
    /// Where one is still left after five seconds.
    pub async fn stop(self) -> io::Result<()> {
        self.over.cancel();
        self.conversations.close();
        tokio::time::timeout(STOP_WITHIN, self.conversations.wait())
            .await
            .map_err(|_elapsed| io::Error::new(io::ErrorKind::TimedOut, "the demo mail sink does not end"))
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.over.cancel();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, conversations: TaskTracker, over: CancellationToken) {
    let places = Arc::new(Semaphore::new(MAX_CONVERSATIONS));
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
                conversations.spawn(async move {
                    let ended = tokio::select! {
                        ended = converse(stream, &shared) => ended,
                        () = over.cancelled() => Ok(()),
                    };
                    if let Err(error) = ended {
                        tracing::debug!(%error, "a conversation with the demo mail sink broke");
                    }
                    drop(place);
                });
            }
            Err(error) => {
                // Out of descriptors, mostly: the connection stays in the queue, and trying at once would spin.
                tracing::warn!(%error, "the demo mail sink cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// One conversation, to its end.
async fn converse(stream: TcpStream, shared: &Shared) -> io::Result<()> {
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
