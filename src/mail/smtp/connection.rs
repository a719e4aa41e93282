//! The connection to a server: bytes, in clear or through TLS. Whole replies are read within bounds, nothing that was
//! said before TLS is kept behind it, and nothing that was said unasked is taken for an answer. Not what is said.

use std::{
    io,
    net::IpAddr,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use secrecy::zeroize::Zeroizing;
use tokio::{
    io::{AsyncRead as _, AsyncReadExt as _, AsyncWriteExt as _, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;

use super::{
    failure::Failure,
    metered::Metered,
    reply::{Progress, Reply, ReplyParser},
    tls::Tls,
};

/// How much is read at once.
const BUFFER_BYTES: usize = 4096;

/// A connection to a server.
pub(super) struct Connection {
    transport: Transport,
    /// What was read: `unread` of it belongs to no reply yet.
    buffer: Zeroizing<Vec<u8>>,
    unread: std::ops::Range<usize>,
}

enum Transport {
    Clear(Metered),
    Tls(Box<TlsStream<Metered>>),
    /// The upgrade to TLS failed.
    Broken,
}

impl Connection {
    /// A connection over a socket.
    pub(super) fn new(socket: TcpStream) -> Self {
        let transport = Transport::Clear(Metered::new(socket));
        Self { transport, buffer: Zeroizing::new(vec![0; BUFFER_BYTES]), unread: 0..0 }
    }

    /// Whether nobody on the way can read what is said: by TLS, or because there is no way.
    pub(super) fn is_private(&self) -> bool {
        match &self.transport {
            Transport::Tls(_) => true,
            Transport::Clear(metered) => metered.socket().peer_addr().is_ok_and(|peer| peer.ip().is_loopback()),
            Transport::Broken => false,
        }
    }

    /// Our own address.
    pub(super) fn local_address(&self) -> Option<IpAddr> {
        let metered = match &self.transport {
            Transport::Clear(metered) => metered,
            Transport::Tls(stream) => stream.get_ref().0,
            Transport::Broken => return None,
        };
        metered.socket().local_addr().ok().map(|address| address.ip())
    }

    /// Allows the server so many bytes again: another mail begins.
    pub(super) fn renew_allowance(&mut self) {
        match &mut self.transport {
            Transport::Clear(metered) => metered.renew_allowance(),
            Transport::Tls(stream) => stream.get_mut().0.renew_allowance(),
            Transport::Broken => {}
        }
    }

    /// Upgrades to TLS. What the server has said and was not read ends the connection: it may come from somebody on the
    /// way, who would have it taken for an answer behind the upgrade.
    pub(super) async fn upgrade(mut self, tls: &Tls) -> Result<Self, Failure> {
        // Where TLS begins at once, there is no reply to inject behind: a server that speaks in clear is found out below.
        if !tls.begins_at_once() && (!self.unread.is_empty() || self.has_more().await?) {
            return Err(Failure::Injection);
        }
        match std::mem::replace(&mut self.transport, Transport::Broken) {
            Transport::Clear(mut metered) => {
                metered.forget_first();
                self.transport = Transport::Tls(Box::new(tls.handshake(metered).await?));
                // The buffer is empty; the bytes in it are gone as well.
                self.buffer.fill(0);
                self.unread = 0..0;
                Ok(self)
            }
            Transport::Tls(_) | Transport::Broken => Err(Failure::Injection),
        }
    }

    /// The next reply.
    pub(super) async fn reply(&mut self) -> Result<Reply, Failure> {
        let mut parser = ReplyParser::default();
        loop {
            let unread = self.buffer.get(self.unread.clone()).unwrap_or_default();
            match parser.push(unread)? {
                Progress::Done { reply, used } => {
                    self.unread.start += used;
                    return Ok(reply);
                }
                Progress::More => self.unread = 0..0,
            }
            let read = match &mut self.transport {
                Transport::Clear(metered) => metered.read(&mut self.buffer).await,
                Transport::Tls(stream) => stream.read(&mut self.buffer).await,
                Transport::Broken => Ok(0),
            };
            match read {
                Ok(0) => return Err(Failure::Closed { in_reply: !parser.is_empty() }),
                Ok(read) => self.unread = 0..read,
                // TLS that was not ended by the server: cut off, by whomever.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Err(Failure::Closed { in_reply: !parser.is_empty() });
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Sees to it that the server has said nothing unasked, as it may only to say that it closes.
    pub(super) async fn expect_silence(&mut self) -> Result<(), Failure> {
        if self.unread.is_empty() && !self.has_more().await? {
            return Ok(());
        }
        let said = self.buffer.get(self.unread.clone()).unwrap_or_default();
        if said.starts_with(b"421") {
            return Err(Failure::Refused(self.reply().await?));
        }
        Err(Failure::TalksUnasked)
    }

    /// Whether the server has said more than was read, which is read then. Waits for nothing.
    async fn has_more(&mut self) -> Result<bool, Failure> {
        // Has the runtime learn what has arrived.
        tokio::task::yield_now().await;
        let mut buffer = ReadBuf::new(&mut self.buffer);
        let mut context = Context::from_waker(Waker::noop());
        let polled = match &mut self.transport {
            Transport::Clear(metered) => Pin::new(metered).poll_read(&mut context, &mut buffer),
            Transport::Tls(stream) => Pin::new(stream).poll_read(&mut context, &mut buffer),
            Transport::Broken => Poll::Pending,
        };
        let read = buffer.filled().len();
        match polled {
            Poll::Pending => Ok(false),
            Poll::Ready(Ok(())) if read == 0 => Err(Failure::Closed { in_reply: false }),
            Poll::Ready(Ok(())) => {
                self.unread = 0..read;
                Ok(true)
            }
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(Failure::Closed { in_reply: false })
            }
            Poll::Ready(Err(error)) => Err(error.into()),
        }
    }

    /// Sends bytes to the last one.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        match &mut self.transport {
            Transport::Clear(metered) => metered.write_all(bytes).await?,
            Transport::Tls(stream) => {
                stream.write_all(bytes).await?;
                stream.flush().await?;
            }
            Transport::Broken => return Err(Failure::Closed { in_reply: false }),
        }
        Ok(())
    }

    /// Tells the server that nothing more comes. For the end of a connection.
    pub(super) async fn close(mut self) {
        let closed = match &mut self.transport {
            Transport::Clear(metered) => metered.shutdown().await,
            Transport::Tls(stream) => stream.shutdown().await,
            Transport::Broken => Ok(()),
        };
        if let Err(error) = closed {
            tracing::debug!("the connection to the SMTP server was closed already: {error}");
        }
    }
}
