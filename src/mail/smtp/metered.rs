//! A socket from which no more than an allowance is read, so that no server can exhaust memory or time. Not the
//! lines and replies in what is read.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// How many bytes a server may send while one mail is handed over, those of TLS included: several times what the
/// longest certificates and replies take.
const ALLOWANCE_BYTES: usize = 1024 * 1024;

/// A socket from which only so much is read.
pub(super) struct Metered {
    socket: TcpStream,
    left: usize,
    /// The first bytes read: they tell a server that does not speak TLS.
    first: Vec<u8>,
}

impl Metered {
    pub(super) fn new(socket: TcpStream) -> Self {
        Self { socket, left: ALLOWANCE_BYTES, first: Vec::new() }
    }

    pub(super) fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// Allows the server the whole number of bytes again.
    pub(super) fn renew_allowance(&mut self) {
        self.left = ALLOWANCE_BYTES;
    }

    /// Takes what comes from now on for the first bytes.
    pub(super) fn forget_first(&mut self) {
        self.first.clear();
    }

    /// The first bytes that came since TLS began.
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

/// A server has sent more than its allowance.
#[derive(Debug, thiserror::Error)]
#[error("it sent more than {ALLOWANCE_BYTES} bytes for one mail")]
struct TooMuch;
