//! The stream under an SSH session. It can be cut from outside, it limits how much the peer may send, and it delays
//! expensive steps of the key exchange until a slot for them is free. The SSH protocol itself is in the library.
//!
//! The library runs a session as a separate task, and dropping its handle does not end that task during a key exchange
//! or a write. A client that stops responding at that point would keep a task and a file descriptor forever. Therefore
//! the stream fails as soon as its [`CancellationToken`] is cancelled, which ends the task. The owner of the session
//! owns the token's guard.
//!
//! A packet that causes much work is passed on when a slot is free. The slot is released when the library reads or
//! writes again, because then it has done the work.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Instant,
};

use tokio::{
    io::{AsyncBufRead, AsyncRead, AsyncWrite, BufReader, ReadBuf},
    sync::OwnedSemaphorePermit,
};
use tokio_util::sync::{CancellationToken, PollSemaphore, WaitForCancellationFutureOwned};

use super::{
    abuse::Abuse,
    algorithms::AlgorithmSet,
    allowance::Allowance,
    first_lines::FirstLines,
    handshake::{Handshake, Portion},
    threads,
    transport::Transport,
};

/// Most packets of a session fit into this buffer, which saves a system call for each.
const READ_BUFFER_BYTES: usize = 8 * 1024;

/// The name of Microsoft's SSH server in its identification.
const WINDOWS: &[u8] = b"OpenSSH_for_Windows";

/// The first lines from the peer, which show whether it is an SSH server.
#[derive(Debug, Default, Clone)]
pub(super) struct PeerIdentification(Arc<Mutex<FirstLines>>);

impl PeerIdentification {
    fn lock(&self) -> std::sync::MutexGuard<'_, FirstLines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first line, if there is one and it is not from an SSH server.
    pub(super) fn foreign_line(&self) -> Option<String> {
        self.lock().foreign()
    }

    /// The part of an incomplete line that was received, if no SSH server has identified itself.
    pub(super) fn begun_line(&self) -> Option<String> {
        self.lock().begun()
    }

    /// Whether the identification names Microsoft's OpenSSH.
    pub(super) fn names_windows(&self) -> bool {
        let lines = self.lock();
        let identification = lines.identification().unwrap_or_default();
        identification.windows(WINDOWS.len()).any(|part| part == WINDOWS)
    }
}

/// A transport that deducts the bytes it reads from an allowance.
struct Counted {
    transport: Transport,
    allowance: Allowance,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.transport).poll_read(context, buffer))?;
        let bytes = buffer.filled().len() - before;
        if bytes > 0 {
            self.allowance.read(bytes, Instant::now()).map_err(io::Error::other)?;
        }
        Poll::Ready(Ok(()))
    }
}

/// A transport with a read buffer. It fails once it is cut.
pub(super) struct CuttableStream {
    inner: BufReader<Counted>,
    cut: CancellationToken,
    /// Wakes the session's task when the stream is cut. One waker is enough, because one task reads and writes.
    on_cut: Pin<Box<WaitForCancellationFutureOwned>>,
    identification: PeerIdentification,
    handshake: Handshake,
    /// How many bytes of the buffer wait for a slot, and the semaphore they wait for.
    waiting: Option<(usize, PollSemaphore)>,
    /// How many bytes of the buffer may be passed on.
    granted_bytes: usize,
    /// The slot for the packet that the library is processing.
    place: Option<OwnedSemaphorePermit>,
}

impl CuttableStream {
    /// A stream that fails as soon as `cut` is cancelled or the peer sends more than allowed. It stores the first lines
    /// of the peer in `identification`.
    pub(super) fn new(
        transport: Transport,
        cut: CancellationToken,
        identification: PeerIdentification,
        allowance: Allowance,
        offered: AlgorithmSet,
    ) -> Self {
        let on_cut = Box::pin(cut.clone().cancelled_owned());
        Self {
            inner: BufReader::with_capacity(READ_BUFFER_BYTES, Counted { transport, allowance }),
            cut,
            on_cut,
            identification,
            handshake: Handshake::new(offered),
            waiting: None,
            granted_bytes: 0,
            place: None,
        }
    }

    fn check(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if self.cut.is_cancelled() || self.on_cut.as_mut().poll(context).is_ready() {
            return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "cut by the collector"));
        }
        Ok(())
    }

    /// The library has processed the packet, if all of it was passed on.
    fn work_is_done(&mut self) {
        if self.granted_bytes == 0 {
            self.place = None;
        }
    }

    /// Passes on the unencrypted packets one by one, each when a slot for its work is free.
    fn poll_handshake(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Self { inner, identification, handshake, waiting, granted_bytes, place, .. } = self;
        let mut inner = Pin::new(inner);
        let come = ready!(inner.as_mut().poll_fill_buf(context))?;
        if *granted_bytes == 0 && !come.is_empty() {
            let (portion_bytes, places) = match waiting.take() {
                Some((bytes, places)) => (bytes, Some(places)),
                None => {
                    let Portion { bytes, effort } =
                        handshake.take(come, &mut identification.lock()).map_err(io::Error::other)?;
                    (bytes, threads::places(effort).map(PollSemaphore::new))
                }
            };
            if let Some(mut places) = places {
                match places.poll_acquire(context) {
                    Poll::Pending => {
                        *waiting = Some((portion_bytes, places));
                        return Poll::Pending;
                    }
                    Poll::Ready(permit) => *place = permit,
                }
            }
            *granted_bytes = portion_bytes;
        }
        let bytes = (*granted_bytes).min(buffer.remaining());
        buffer.put_slice(come.get(..bytes).unwrap_or_default());
        inner.consume(bytes);
        *granted_bytes -= bytes;
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for CuttableStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(context)?;
        self.work_is_done();
        let polled = if self.handshake.is_over() {
            Pin::new(&mut self.inner).poll_read(context, buffer)
        } else {
            self.poll_handshake(context, buffer)
        };
        if polled.is_pending() {
            self.inner.get_ref().transport.acknowledge_at_once();
        }
        polled
    }
}

impl AsyncWrite for CuttableStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.check(context)?;
        self.work_is_done();
        match ready!(Pin::new(&mut self.inner.get_mut().transport).poll_write(context, bytes)) {
            Err(error) if has_closed(&error) => Poll::Ready(Ok(bytes.len())),
            written => Poll::Ready(written),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(context)?;
        match ready!(Pin::new(&mut self.inner.get_mut().transport).poll_flush(context)) {
            Err(error) if has_closed(&error) => Poll::Ready(Ok(())),
            flushed => Poll::Ready(flushed),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner.get_mut().transport).poll_shutdown(context)
    }
}

/// Whether the peer reads nothing more. What it sent before may not be read yet, and a failed write would end the session
/// at once. TinySSH closes the connection as soon as a command has ended. The end is noticed when the rest has been read.
fn has_closed(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

/// The abuse by the client that made the stream fail, if that was the reason.
pub(super) fn abuse(error: &io::Error) -> Option<&Abuse> {
    error.get_ref()?.downcast_ref()
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, TcpStream},
    };

    use super::{super::algorithms::Effort, *};

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (near, far) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
        (near.unwrap(), far.unwrap().0)
    }

    fn stream(near: TcpStream, cut: &CancellationToken, identification: &PeerIdentification) -> CuttableStream {
        CuttableStream::new(
            Transport::Tcp(near),
            cut.clone(),
            identification.clone(),
            Allowance::new(Instant::now()),
            AlgorithmSet::Sound,
        )
    }

    /// TinySSH closes the connection when a command has ended, while we still write.
    #[tokio::test]
    async fn what_a_peer_sent_before_it_closed_is_read_although_nothing_can_be_written() {
        let (near, mut far) = pair().await;
        let mut stream = stream(near, &CancellationToken::new(), &PeerIdentification::default());
        far.write_all(b"SSH-2.0-x\r\n").await.unwrap();
        drop(far);
        // The first write makes the peer reset the connection, and later ones fail.
        for _ in 0..20 {
            stream.write_all(b"unwanted").await.unwrap();
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        let mut read = Vec::new();
        // The end may be an error.
        let _ = stream.read_to_end(&mut read).await;
        assert_eq!(read, b"SSH-2.0-x\r\n");
    }

    #[tokio::test]
    async fn a_read_that_waits_fails_when_the_stream_is_cut() {
        let (near, _far) = pair().await;
        let cut = CancellationToken::new();
        let mut stream = stream(near, &cut, &PeerIdentification::default());
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
            let identification = PeerIdentification::default();
            Handshake::new(AlgorithmSet::Sound).take(said.as_bytes(), &mut identification.lock()).unwrap();
            assert_eq!(identification.names_windows(), expected, "{said:?}");
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
            let identification = PeerIdentification::default();
            let mut stream = stream(near, &CancellationToken::new(), &identification);
            far.write_all(sent.as_bytes()).await.unwrap();
            drop(far);
            let mut heard = Vec::new();
            stream.read_to_end(&mut heard).await.unwrap();
            assert_eq!(heard, sent.as_bytes());
            assert_eq!(identification.foreign_line().as_deref(), expected);
        }
    }

    #[tokio::test]
    async fn more_than_is_allowed_is_not_read() {
        let (near, mut far) = pair().await;
        let mut stream = stream(near, &CancellationToken::new(), &PeerIdentification::default());
        let talking = tokio::spawn(async move { far.write_all(&[b'x'; 1 << 20]).await });
        let error = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await.unwrap_err();
        let abuse = abuse(&error).unwrap().to_string();
        assert_eq!(abuse, "it sent more than 64 KiB before the key exchange was done");
        talking.abort();
    }

    /// A packet that requires work in a large group, after the packets before it.
    fn costly() -> Vec<u8> {
        let names = b"diffie-hellman-group16-sha512";
        let body = [&[0, 20][..], &[0; 16], &u32::try_from(names.len()).unwrap().to_be_bytes(), names].concat();
        [&b"SSH-2.0-x\r\n"[..], &u32::try_from(body.len()).unwrap().to_be_bytes(), &body].concat()
    }

    #[tokio::test]
    async fn a_costly_step_waits_for_its_place_and_gives_it_up_when_it_is_done() {
        let places = threads::places(Effort::LargeGroup).unwrap();
        let (near, mut far) = pair().await;
        let mut stream = stream(near, &CancellationToken::new(), &PeerIdentification::default());
        far.write_all(&costly()).await.unwrap();
        let all = u32::try_from(places.available_permits()).unwrap();
        let taken = Arc::clone(&places).acquire_many_owned(all).await.unwrap();
        let mut heard = vec![0; costly().len()];
        let reading = stream.read_exact(&mut heard);
        tokio::pin!(reading);
        let early = tokio::time::timeout(std::time::Duration::from_millis(100), &mut reading).await;
        assert!(early.is_err());
        drop(taken);
        reading.await.unwrap();
        assert_eq!(heard, costly());
        assert_eq!(places.available_permits() + 1, usize::try_from(all).unwrap());
        far.write_all(&[0]).await.unwrap();
        stream.read_u8().await.unwrap();
        assert_eq!(places.available_permits(), usize::try_from(all).unwrap());
    }
}
