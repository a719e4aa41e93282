//! Limits what a client may send over SFTP, because the library allocates memory for any packet length. Only the
//! lengths of packets are checked.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::DropGuard;

/// No packet that we request is longer (draft-ietf-secsh-filexfer-02, section 3).
const MAX_PACKET_BYTES: u32 = 34 * 1000;
/// The most bytes of a session, enough for ten thousand names in a directory.
const MAX_TALK_BYTES: u64 = 2 << 20;
/// How many bytes of a packet are read at once. Most replies are shorter.
const READ_BYTES: usize = 1024;
/// The size of the length field of a packet. The length does not include it.
const LENGTH_BYTES: usize = 4;

/// A stream of packets that ends if a packet or all of them together are too long.
pub(super) struct BoundedStream<S> {
    inner: S,
    at: At,
    /// The number of bytes that may still be received.
    talk_left: u64,
    /// Cancels the token when the stream is dropped.
    _ended: DropGuard,
}

/// The position in the current packet.
#[derive(Debug, Clone, Copy)]
enum At {
    /// This many bytes of its length were received.
    Length { bytes: [u8; LENGTH_BYTES], come: usize },
    /// The length is accepted, and this many bytes of it were passed on.
    Admitted { bytes: [u8; LENGTH_BYTES], handed: usize },
    /// This many bytes are missing.
    Packet { left: u32 },
    /// The packet is too long, so nothing more is read.
    Refused,
}

impl At {
    const NEXT: Self = Self::Length { bytes: [0; LENGTH_BYTES], come: 0 };
}

impl<S> BoundedStream<S> {
    /// A new stream. `ended` cancels its token when the stream is dropped.
    pub(super) fn new(inner: S, ended: DropGuard) -> Self {
        Self { inner, at: At::NEXT, talk_left: MAX_TALK_BYTES, _ended: ended }
    }

    /// Checks the length of a packet and deducts it from the limit.
    fn admit(&mut self, bytes: [u8; LENGTH_BYTES]) -> At {
        let length = u32::from_be_bytes(bytes);
        match self.talk_left.checked_sub(u64::from(length) + LENGTH_BYTES as u64) {
            Some(left) if length <= MAX_PACKET_BYTES => {
                self.talk_left = left;
                At::Admitted { bytes, handed: 0 }
            }
            Some(_) | None => {
                tracing::debug!("a client's SFTP said more than it may and is read no further");
                At::Refused
            }
        }
    }
}

impl<S: AsyncRead + Unpin> BoundedStream<S> {
    /// Reads bytes and returns their number, 0 at the end. An error counts as the end, because the library would repeat
    /// the call without end.
    fn poll_inner(&mut self, context: &mut Context<'_>, space: &mut [u8]) -> Poll<usize> {
        let mut space = ReadBuf::new(space);
        let read = ready!(Pin::new(&mut self.inner).poll_read(context, &mut space));
        Poll::Ready(read.map_or(0, |()| space.filled().len()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for BoundedStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            match self.at {
                At::Refused => return Poll::Ready(Ok(())),
                At::Length { mut bytes, come } => {
                    let got = ready!(self.poll_inner(context, bytes.get_mut(come..).unwrap_or_default()));
                    if got == 0 {
                        return Poll::Ready(Ok(()));
                    }
                    let come = come + got;
                    self.at = if come < LENGTH_BYTES { At::Length { bytes, come } } else { self.admit(bytes) };
                }
                At::Admitted { bytes, handed } => {
                    let rest = bytes.get(handed..).unwrap_or_default();
                    let hand = rest.get(..rest.len().min(buffer.remaining())).unwrap_or_default();
                    buffer.put_slice(hand);
                    let handed = handed + hand.len();
                    self.at = match (handed < LENGTH_BYTES, u32::from_be_bytes(bytes)) {
                        (true, _) => At::Admitted { bytes, handed },
                        (false, 0) => At::NEXT,
                        (false, left) => At::Packet { left },
                    };
                    return Poll::Ready(Ok(()));
                }
                At::Packet { left } => {
                    let mut space = [0; READ_BYTES];
                    let most = READ_BYTES.min(buffer.remaining()).min(usize::try_from(left).unwrap_or(usize::MAX));
                    let got = ready!(self.poll_inner(context, space.get_mut(..most).unwrap_or_default()));
                    buffer.put_slice(space.get(..got).unwrap_or_default());
                    let left = left.saturating_sub(u32::try_from(got).unwrap_or(u32::MAX));
                    self.at = if left == 0 { At::NEXT } else { At::Packet { left } };
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for BoundedStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio_util::sync::CancellationToken;

    use super::*;

    /// Passes `said` through in pieces of `piece` bytes. Returns the received bytes, and whether the stream ended by
    /// itself.
    async fn through(said: &[u8], piece: usize) -> Vec<u8> {
        let (mut client, ours) = tokio::io::duplex(piece);
        let ended = CancellationToken::new();
        let mut bounded_stream = BoundedStream::new(ours, ended.clone().drop_guard());
        let said = said.to_vec();
        let saying = tokio::spawn(async move {
            // This fails when the stream stops reading.
            let _ = client.write_all(&said).await;
        });
        let mut heard = Vec::new();
        bounded_stream.read_to_end(&mut heard).await.unwrap();
        drop(bounded_stream);
        assert!(ended.is_cancelled());
        saying.await.unwrap();
        heard
    }

    fn packet(length: u32) -> Vec<u8> {
        let mut packet = length.to_be_bytes().to_vec();
        packet.extend((0..length).map(|at| u8::try_from(at % 251).unwrap()));
        packet
    }

    #[tokio::test]
    async fn packets_pass_whole_however_they_are_cut() {
        let said: Vec<u8> = [0, 1, 5, 0, 1024, 1025, 3000, MAX_PACKET_BYTES].into_iter().flat_map(packet).collect();
        for piece in [1, 3, 4, 5, 1000, 1 << 20] {
            assert!(through(&said, piece).await == said, "in pieces of {piece}");
        }
        // An incomplete packet is the end.
        let cut = said.get(..said.len() - 1).unwrap();
        assert!(through(cut, 7).await == cut);
    }

    #[tokio::test]
    async fn a_packet_that_is_too_long_ends_the_stream_before_it_is_believed() {
        for length in [MAX_PACKET_BYTES + 1, u32::MAX] {
            let mut said = packet(3);
            said.extend(length.to_be_bytes());
            said.extend([0; 100]);
            assert_eq!(through(&said, 64).await, packet(3));
        }
    }

    #[tokio::test]
    async fn a_client_that_talks_without_end_is_heard_to_a_bound() {
        let one = packet(30_000);
        let said: Vec<u8> = std::iter::repeat_n(&one, 100).flatten().copied().collect();
        let heard = through(&said, 1 << 16).await;
        assert_eq!(heard.len() % one.len(), 0);
        let most = usize::try_from(MAX_TALK_BYTES).unwrap();
        assert!(heard.len() <= most && heard.len() + one.len() > most, "{} bytes", heard.len());
    }
}
