//! A socket with a limit of received bytes, so that a server cannot exhaust memory or time.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// The most bytes that a server may send per mail, including TLS. Several times more than the longest certificates and
/// replies.
const ALLOWANCE_BYTES: usize = 1024 * 1024;

/// A socket with a limit of received bytes.
pub(super) struct Metered {
    socket: TcpStream,
    left: usize,
    /// The first bytes, which show whether the server uses TLS.
    first: Vec<u8>,
}

impl Metered {
    pub(super) fn new(socket: TcpStream) -> Self {
        Self { socket, left: ALLOWANCE_BYTES, first: Vec::new() }
    }

    pub(super) fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// Resets the limit.
    pub(super) fn renew_allowance(&mut self) {
        self.left = ALLOWANCE_BYTES;
    }

    /// The next bytes will be the first ones.
    pub(super) fn forget_first(&mut self) {
        self.first.clear();
    }

    /// The first bytes since the start of TLS.
    pub(super) fn first(&self) -> &[u8] {
        &self.first
    }
}

impl AsyncRead for Metered {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        const FIRST_BYTES: usize = 64;
        if self.left == 0 {
            return Poll::Ready(Err(io::Error::other(TooMuch)));
        }
        let wanted = buffer.remaining().min(self.left);
        let mut part = ReadBuf::new(buffer.initialize_unfilled_to(wanted));
        ready!(Pin::new(&mut self.socket).poll_read(cx, &mut part))?;
        let room = FIRST_BYTES.saturating_sub(self.first.len());
        let new = part.filled().get(..room).unwrap_or_else(|| part.filled());
        self.first.extend_from_slice(new);
        let read = part.filled().len();
        self.left -= read;
        buffer.advance(read);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Metered {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

/// The error for a server that has exceeded the limit.
#[derive(Debug, thiserror::Error)]
#[error("it sent more than {ALLOWANCE_BYTES} bytes for one mail")]
struct TooMuch;
