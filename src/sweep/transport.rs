//! The byte stream under an SSH session: a TCP connection, one that a bastion forwards, or a command. What is sent over it
//! is limited in [`super::stream`].

use std::{
    any::Any,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use russh::{ChannelStream, client::Msg};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use super::{allowance::Allowance, proxy_command::ProxyCommand};

/// The byte stream under an SSH session.
pub(super) enum Transport {
    /// From here.
    Tcp(TcpStream),
    /// From a bastion.
    Forwarded(Box<Forwarded>),
    /// By a command.
    Command(Box<ProxyCommand>),
}

/// A connection that a bastion forwards. Dropping it closes the connection there.
pub(super) struct Forwarded {
    stream: ChannelStream<Msg>,
    /// What the bastion may send. Sending to it makes it answer.
    allowance: Allowance,
    /// Keeps the bastion's session open.
    _carrier: Box<dyn Any + Send>,
}

impl Forwarded {
    /// A connection over a channel; `allowance` is that of the session that carries it, and `carrier` keeps it open.
    pub(super) fn new(stream: ChannelStream<Msg>, allowance: Allowance, carrier: impl Any + Send) -> Self {
        Self { stream, allowance, _carrier: Box::new(carrier) }
    }
}

impl Transport {
    /// Asks the kernel to acknowledge the next packet at once. Delayed acknowledgements cost 40 ms in each exchange in
    /// which the client's sshd writes twice before it reads. The kernel resets this option, so it is set before each
    /// wait. A failure is ignored.
    pub(super) fn acknowledge_at_once(&self) {
        #[cfg(target_os = "linux")]
        if let Self::Tcp(tcp) = self
            && let Err(error) = socket2::SockRef::from(tcp).set_tcp_quickack(true)
        {
            tracing::trace!(%error, "no quick acknowledgements");
        }
    }
}

impl AsyncRead for Transport {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_read(context, buffer),
            Self::Forwarded(forwarded) => Pin::new(&mut forwarded.stream).poll_read(context, buffer),
            Self::Command(command) => Pin::new(command.as_mut()).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_write(context, bytes),
            Self::Forwarded(forwarded) => {
                let written = ready!(Pin::new(&mut forwarded.stream).poll_write(context, bytes))?;
                forwarded.allowance.forwarded(written);
                Poll::Ready(Ok(written))
            }
            Self::Command(command) => Pin::new(command.as_mut()).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_flush(context),
            Self::Forwarded(forwarded) => Pin::new(&mut forwarded.stream).poll_flush(context),
            Self::Command(command) => Pin::new(command.as_mut()).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_shutdown(context),
            Self::Forwarded(forwarded) => Pin::new(&mut forwarded.stream).poll_shutdown(context),
            Self::Command(command) => Pin::new(command.as_mut()).poll_shutdown(context),
        }
    }
}
