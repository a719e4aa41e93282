//! The few things that are done to the files of a client by SFTP: write one, list a directory, remove. Not
//! which files those are.
//!
//! The protocol is the library's. Between it and the client stands a [`Narrow`] reader, for the library
//! sets no bound of its own to what a server may have it allocate.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use russh::{Channel, ChannelMsg, client::Msg};
use russh_sftp::{
    client::{RawSftpSession, error::Error, rawsession::SftpResult},
    protocol::{FileAttributes, OpenFlags, StatusCode},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::super::session::Session;
use crate::fleet::{Failure, FailureKind, Stage};

/// What a server must take in one piece (draft-ietf-secsh-filexfer-02, section 3).
const CHUNK_BYTES: usize = 32 * 1024;
/// How many pieces are under way at once: enough to fill a link of 100 ms and 20 Mbit/s.
const CHUNKS_AT_ONCE: usize = 8;
/// No packet that we ask for is longer (same source, section 3).
const MAX_PACKET_BYTES: u32 = 34 * 1000;
/// All that a client may say in one visit: ten thousand names in its directory, and then some.
const MAX_TALK_BYTES: u64 = 2 << 20;
/// How much is read at once of a packet: most answers are shorter.
const READ_BYTES: usize = 1024;
/// The library wants a patience of its own; the stage's deadline is always sooner.
const NEVER_S: u64 = 24 * 3600;

/// A file in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    /// Its name, as the client says it.
    pub(super) name: String,
    /// When it was last written, seconds since the Unix epoch by the client's clock; 0 where it does not say.
    pub(super) written_unix_s: u32,
}

/// An SFTP session. Dropping it ends it.
pub(super) struct Sftp {
    library: RawSftpSession,
    /// The client has ended it: the library lets whoever waits then wait on.
    ended: CancellationToken,
}

impl Sftp {
    /// Starts the server's SFTP on a channel.
    ///
    /// # Errors
    /// [`FailureKind::CommandRefused`] where it offers none, [`FailureKind::ConnectionLost`].
    pub(super) async fn start(mut channel: Channel<Msg>, session: &Session, stage: Stage) -> Result<Self, Failure> {
        let refused = |why: &str| Failure::new(stage, FailureKind::CommandRefused).because(why);
        channel.request_subsystem(true, "sftp").await.map_err(|_| session.lost(stage))?;
        loop {
            match channel.wait().await {
                Some(ChannelMsg::Success) => break,
                Some(ChannelMsg::Failure) => return Err(refused("the server offers no SFTP")),
                Some(_) => {}
                None => return Err(session.lost(stage)),
            }
        }
        let ended = CancellationToken::new();
        let library = RawSftpSession::new(Narrow::new(channel.into_stream(), ended.clone().drop_guard()));
        library.set_timeout(NEVER_S);
        let sftp = Self { library, ended };
        match sftp.unless_ended(sftp.library.init()).await {
            Ok(_) => Ok(sftp),
            Err(error) => Err(refused("the server's SFTP does not start").because(words(&error))),
        }
    }

    async fn unless_ended<T>(&self, work: impl Future<Output = SftpResult<T>>) -> SftpResult<T> {
        tokio::select! {
            biased;
            done = work => done,
            () = self.ended.cancelled() => Err(Error::IO("the client ended the SFTP session".to_owned())),
        }
    }

    /// Writes a new file.
    ///
    /// # Errors
    /// What the client said of it.
    pub(super) async fn write(&self, path: &str, content: &Bytes) -> SftpResult<()> {
        let flags = OpenFlags::CREATE | OpenFlags::WRITE | OpenFlags::EXCLUDE;
        let handle = self.unless_ended(self.library.open(path, flags, FileAttributes::empty())).await?.handle;
        let chunks = (0..content.len()).step_by(CHUNK_BYTES).map(|from| {
            let chunk = content.slice(from..content.len().min(from + CHUNK_BYTES));
            (u64::try_from(from).unwrap_or(u64::MAX), chunk)
        });
        let writing = stream::iter(chunks)
            .map(|(offset, chunk)| self.library.write(handle.as_str(), offset, chunk.to_vec()))
            .buffer_unordered(CHUNKS_AT_ONCE)
            .try_for_each(|_| async { Ok(()) });
        let written = self.unless_ended(writing).await;
        // Closed in any case: an open file cannot be removed.
        let closed = self.unless_ended(self.library.close(handle.as_str())).await;
        written?;
        closed.map(drop)
    }

    /// Makes a directory; that it is there already is told as any other failure.
    ///
    /// # Errors
    /// What the client said of it.
    pub(super) async fn make_directory(&self, path: &str) -> SftpResult<()> {
        self.unless_ended(self.library.mkdir(path, FileAttributes::empty())).await.map(drop)
    }

    /// The entries of a directory, at most `most` of them.
    ///
    /// # Errors
    /// What the client said of it.
    pub(super) async fn list(&self, path: &str, most: usize) -> SftpResult<Vec<Listed>> {
        let handle = self.unless_ended(self.library.opendir(path)).await?.handle;
        let mut listed = Vec::new();
        let end = loop {
            match self.unless_ended(self.library.readdir(handle.as_str())).await {
                Ok(names) if names.files.is_empty() => break Ok(()),
                Ok(names) => listed.extend(
                    names
                        .files
                        .into_iter()
                        .map(|file| Listed { name: file.filename, written_unix_s: file.attrs.mtime.unwrap_or(0) }),
                ),
                Err(Error::Status(status)) if status.status_code == StatusCode::Eof => break Ok(()),
                Err(error) => break Err(error),
            }
            if listed.len() >= most {
                break Ok(());
            }
        };
        let closed = self.unless_ended(self.library.close(handle.as_str())).await;
        end?;
        closed?;
        listed.truncate(most);
        Ok(listed)
    }

    /// Removes a file.
    ///
    /// # Errors
    /// What the client said of it.
    pub(super) async fn remove(&self, path: &str) -> SftpResult<()> {
        self.unless_ended(self.library.remove(path)).await.map(drop)
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    /// What the client said of it.
    pub(super) async fn remove_directory(&self, path: &str) -> SftpResult<()> {
        self.unless_ended(self.library.rmdir(path)).await.map(drop)
    }
}

/// Whether a path is not there.
pub(super) fn is_absent(error: &Error) -> bool {
    matches!(error, Error::Status(status) if status.status_code == StatusCode::NoSuchFile)
}

/// What the client said, or what became of the session.
pub(super) fn words(error: &Error) -> String {
    match error {
        Error::Status(status) if status.error_message.is_empty() => status.status_code.to_string(),
        Error::Status(status) => status.error_message.clone(),
        Error::IO(_) | Error::Timeout | Error::Limited(_) | Error::UnexpectedPacket | Error::UnexpectedBehavior(_) => {
            error.to_string()
        }
    }
}

/// A stream of SFTP packets that ends where a packet is longer than any we ask for, or where all of them
/// together are: the library would take any length for true and make room for it.
struct Narrow<S> {
    inner: S,
    /// A packet's length, as far as it was read.
    length: [u8; 4],
    read: usize,
    /// How much of `length` was handed on.
    handed: usize,
    /// What is still to come of the packet.
    packet_left: u32,
    /// What may still be said at all.
    talk_left: u64,
    /// Says that the stream is gone.
    _ended: DropGuard,
}

impl<S> Narrow<S> {
    fn new(inner: S, ended: DropGuard) -> Self {
        let talk_left = MAX_TALK_BYTES;
        Self { inner, length: [0; 4], read: 0, handed: 0, packet_left: 0, talk_left, _ended: ended }
    }

    /// Whether the packet that begins may be as long as it says. Takes it off what may be said.
    fn admit(&mut self) -> bool {
        let length = u32::from_be_bytes(self.length);
        match self.talk_left.checked_sub(u64::from(length) + 4) {
            Some(left) if length <= MAX_PACKET_BYTES => {
                (self.talk_left, self.packet_left, self.handed) = (left, length, 0);
                true
            }
            Some(_) | None => false,
        }
    }
}

impl<S: AsyncRead + Unpin> Narrow<S> {
    /// Reads on. A failure reads as the end: the library would ask again and again.
    fn poll_inner(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<()> {
        Pin::new(&mut self.inner).poll_read(context, buffer).map(drop)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Narrow<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let this = &mut *self;
        if this.read == 4 && this.handed == 4 && this.packet_left == 0 {
            this.read = 0;
        }
        while this.read < 4 {
            let mut rest = ReadBuf::new(this.length.get_mut(this.read..).unwrap_or_default());
            // Not `poll_inner`: `rest` is a part of it.
            if ready!(Pin::new(&mut this.inner).poll_read(context, &mut rest)).is_err() {
                return Poll::Ready(Ok(()));
            }
            let got = rest.filled().len();
            if got == 0 {
                return Poll::Ready(Ok(()));
            }
            this.read += got;
            // What follows reads as the end of the stream, for ever: `read` stays as it is.
            if this.read == 4 && !this.admit() {
                tracing::debug!("a client's SFTP said more than it may and is read no further");
                this.read = 5;
            }
        }
        if this.read > 4 {
            return Poll::Ready(Ok(()));
        }
        if this.handed < 4 {
            let rest = this.length.get(this.handed..).unwrap_or_default();
            let hand = rest.get(..rest.len().min(buffer.remaining())).unwrap_or_default();
            buffer.put_slice(hand);
            this.handed += hand.len();
            return Poll::Ready(Ok(()));
        }
        let mut space = [0; READ_BYTES];
        let most = READ_BYTES.min(buffer.remaining()).min(usize::try_from(this.packet_left).unwrap_or(usize::MAX));
        let mut part = ReadBuf::new(space.get_mut(..most).unwrap_or_default());
        ready!(this.poll_inner(context, &mut part));
        buffer.put_slice(part.filled());
        this.packet_left = this.packet_left.saturating_sub(u32::try_from(part.filled().len()).unwrap_or(u32::MAX));
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Narrow<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// Hands `said` through in pieces of `piece` bytes; gives what came and whether the stream ended by itself.
    async fn through(said: &[u8], piece: usize) -> Vec<u8> {
        let (mut client, ours) = tokio::io::duplex(piece);
        let ended = CancellationToken::new();
        let mut narrow = Narrow::new(ours, ended.clone().drop_guard());
        let said = said.to_vec();
        let saying = tokio::spawn(async move {
            // It fails where we read no further.
            let _ = client.write_all(&said).await;
        });
        let mut heard = Vec::new();
        narrow.read_to_end(&mut heard).await.unwrap();
        drop(narrow);
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
        // One that is cut short ends where it is cut.
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
