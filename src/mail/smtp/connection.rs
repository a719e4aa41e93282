//! The connection to a server, in clear text or with TLS. Reads complete replies within limits. Data from before TLS is
//! dropped, and unsolicited data is not treated as a reply.

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

/// How many bytes are read at once.
const BUFFER_BYTES: usize = 4096;

/// A connection to a server.
pub(super) struct Connection {
    transport: Transport,
    /// The read data; `unread` is the part that belongs to no reply yet.
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
    /// A connection with a socket.
    pub(super) fn new(socket: TcpStream) -> Self {
        let transport = Transport::Clear(Metered::new(socket));
        Self { transport, buffer: Zeroizing::new(vec![0; BUFFER_BYTES]), unread: 0..0 }
    }

    /// Whether nobody can eavesdrop: with TLS, or on a loopback address.
    pub(super) fn is_private(&self) -> bool {
        match &self.transport {
            Transport::Tls(_) => true,
            Transport::Clear(metered) => metered.socket().peer_addr().is_ok_and(|peer| peer.ip().is_loopback()),
            Transport::Broken => false,
        }
    }

    /// The local address.
    pub(super) fn local_address(&self) -> Option<IpAddr> {
        let metered = match &self.transport {
            Transport::Clear(metered) => metered,
            Transport::Tls(stream) => stream.get_ref().0,
            Transport::Broken => return None,
        };
        metered.socket().local_addr().ok().map(|address| address.ip())
    }

    /// Resets the limit of received bytes for another mail.
    pub(super) fn renew_allowance(&mut self) {
        match &mut self.transport {
            Transport::Clear(metered) => metered.renew_allowance(),
            Transport::Tls(stream) => stream.get_mut().0.renew_allowance(),
            Transport::Broken => {}
        }
    }

    /// Upgrades to TLS. Unread data ends the connection: an attacker in the network may have injected it to be treated
    /// as a reply after the upgrade.
    pub(super) async fn upgrade(mut self, tls: &Tls) -> Result<Self, Failure> {
        // If TLS begins immediately, nothing can be injected after a reply, and a server without TLS is detected below.
        if !tls.begins_at_once() && (!self.unread.is_empty() || self.has_more().await?) {
            return Err(Failure::Injection);
        }
        match std::mem::replace(&mut self.transport, Transport::Broken) {
            Transport::Clear(mut metered) => {
                metered.forget_first();
                self.transport = Transport::Tls(Box::new(tls.handshake(metered).await?));
                // The buffer is empty. This also overwrites its bytes.
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
                // The end of the connection without an end of TLS, possibly by an attacker.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Err(Failure::Closed { in_reply: !parser.is_empty() });
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Checks that the server has sent nothing unsolicited, except that it closes the connection.
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

    /// Whether there is more data from the server, without waiting. If so, reads it.
    async fn has_more(&mut self) -> Result<bool, Failure> {
        // Gives the runtime the chance to notice received data.
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

    /// Sends all bytes.
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

    /// Ends the sending direction, at the end of a connection.
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
