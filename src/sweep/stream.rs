//! The socket beneath an SSH session, which can be cut from outside. Not the protocol on it.
//!
//! The library runs a session as a task of its own, and dropping its handle does not end that task while
//! a key exchange or a write is under way: a client that falls silent then would keep a task and a file
//! descriptor for ever. So the stream fails as soon as its [`CancellationToken`] is cancelled, the task
//! ends with it, and whoever owns the session owns the token's guard.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, BufReader, ReadBuf},
    net::TcpStream,
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// What most packets of a session fit in; saves a system call on each.
const READ_BUFFER_BYTES: usize = 8 * 1024;
/// The longest beginning that is remembered: an SSH identification line is at most 255 bytes.
const OPENING_BYTES: usize = 255;

/// How the identification of a Windows machine's own SSH server names it.
const WINDOWS: &[u8] = b"OpenSSH_for_Windows";

/// The first bytes that came from the other side: they tell an SSH server from anything else.
#[derive(Debug, Default, Clone)]
pub(super) struct Opening(Arc<Mutex<Vec<u8>>>);

impl Opening {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first line, if there was any and it is not of an SSH server.
    pub(super) fn foreign_line(&self) -> Option<String> {
        let bytes = self.lock();
        let first = bytes.split(|byte| *byte == b'\n').find(|line| !line.trim_ascii().is_empty())?;
        (!first.starts_with(b"SSH-")).then(|| String::from_utf8_lossy(first).trim().to_owned())
    }

    /// Whether the identification names Microsoft's OpenSSH.
    pub(super) fn names_windows(&self) -> bool {
        let bytes = self.lock();
        let mut lines = bytes.split(|byte| *byte == b'\n');
        let identification = lines.find(|line| line.starts_with(b"SSH-")).unwrap_or_default();
        identification.windows(WINDOWS.len()).any(|part| part == WINDOWS)
    }
}

/// A TCP stream with a read buffer that fails once it is cut.
pub(super) struct CuttableStream {
    tcp: BufReader<TcpStream>,
    cut: CancellationToken,
    /// Wakes the session's task when the stream is cut. One waker is enough: one task reads and writes.
    on_cut: Pin<Box<WaitForCancellationFutureOwned>>,
    opening: Opening,
    /// How many bytes of the opening were taken.
    heard: usize,
}

impl CuttableStream {
    /// A stream that fails as soon as `cut` is cancelled. It notes the other side's first bytes in `opening`.
    pub(super) fn new(tcp: TcpStream, cut: CancellationToken, opening: Opening) -> Self {
        let on_cut = Box::pin(cut.clone().cancelled_owned());
        Self { tcp: BufReader::with_capacity(READ_BUFFER_BYTES, tcp), cut, on_cut, opening, heard: 0 }
    }

    fn check(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if self.cut.is_cancelled() || self.on_cut.as_mut().poll(context).is_ready() {
            return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "given up by the collector"));
        }
        Ok(())
    }

    /// Asks the kernel to acknowledge at once what comes next: delayed acknowledgements cost 40 ms in
    /// each of the exchanges in which the client's sshd writes twice before it reads. It is a hint that
    /// the kernel forgets again, so it is given before each wait, and its failure changes nothing.
    fn acknowledge_at_once(&self) {
        #[cfg(target_os = "linux")]
        if let Err(error) = socket2::SockRef::from(self.tcp.get_ref()).set_tcp_quickack(true) {
            tracing::trace!(%error, "no quick acknowledgements");
        }
    }
}

impl AsyncRead for CuttableStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(context)?;
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.tcp).poll_read(context, buffer);
        if polled.is_pending() {
            self.acknowledge_at_once();
        }
        ready!(polled)?;
        if self.heard < OPENING_BYTES {
            let new = buffer.filled().get(before..).unwrap_or_default();
            let wanted = new.get(..OPENING_BYTES - self.heard).unwrap_or(new);
            self.opening.lock().extend_from_slice(wanted);
            self.heard += wanted.len();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for CuttableStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.check(context)?;
        Pin::new(&mut self.tcp).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(context)?;
        Pin::new(&mut self.tcp).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (near, far) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
        (near.unwrap(), far.unwrap().0)
    }

    #[tokio::test]
    async fn a_read_that_waits_fails_when_the_stream_is_cut() {
        let (near, _far) = pair().await;
        let cut = CancellationToken::new();
        let mut stream = CuttableStream::new(near, cut.clone(), Opening::default());
        let reading = tokio::spawn(async move { stream.read_u8().await });
        tokio::task::yield_now().await;
        drop(cut.drop_guard());
        assert_eq!(reading.await.unwrap().unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
    }

    #[test]
    fn microsofts_server_names_itself() {
        for (said, expected) in [
            ("SSH-2.0-OpenSSH_for_Windows_9.5\r\n", true),
            ("Welcome\r\nSSH-2.0-OpenSSH_for_Windows_8.6\r\n\0\0", true),
            ("SSH-2.0-OpenSSH_9.2p1 OpenSSH_for_Windows\r\n", true),
            ("SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", false),
            ("not OpenSSH_for_Windows\r\nSSH-2.0-dropbear\r\n", false),
            ("", false),
        ] {
            let opening = Opening(Arc::new(Mutex::new(said.as_bytes().to_vec())));
            assert_eq!(opening.names_windows(), expected, "{said:?}");
        }
    }

    #[tokio::test]
    async fn the_first_line_of_something_else_than_ssh_is_remembered() {
        for (sent, expected) in [
            ("SSH-2.0-OpenSSH_9.2\r\n", None),
            ("", None),
            ("HTTP/1.1 400 Bad Request\r\nServer: x\r\n", Some("HTTP/1.1 400 Bad Request")),
            ("\r\nExceeded MaxStartups\r\n", Some("Exceeded MaxStartups")),
        ] {
            let (near, mut far) = pair().await;
            let opening = Opening::default();
            let mut stream = CuttableStream::new(near, CancellationToken::new(), opening.clone());
            far.write_all(sent.as_bytes()).await.unwrap();
            drop(far);
            stream.read_to_end(&mut Vec::new()).await.unwrap();
            assert_eq!(opening.foreign_line().as_deref(), expected);
        }
    }
}
