//! The fuzz target of SFTP, through our limits and the library; see [`crate::fuzzing`].
#![expect(clippy::expect_used, reason = "a panic is how a fuzzer is told of a broken promise")]

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use russh_sftp::client::RawSftpSession;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf},
    runtime::{Builder, Runtime},
};
use tokio_util::sync::CancellationToken;

use super::{BoundedStream, NEVER_S, Sftp, words};

/// The most requested entries.
const MOST: usize = 100;

/// The bytes of a client, after one byte for how they are split. Only complete packets of limited length pass, and the
/// library does not hang.
pub fn sftp(data: &[u8]) {
    thread_local! {
        static RUNTIME: Runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
    }
    let Some((piece, peer)) = data.split_first() else { return };
    let peer = ScriptedPeer { bytes: peer.to_vec(), at: 0, piece: usize::from(*piece).max(1) };
    RUNTIME.with(|runtime| runtime.block_on(hear(peer)));
}

async fn hear(peer: ScriptedPeer) {
    let mut heard = Vec::new();
    let mut bounded_stream = BoundedStream::new(peer.clone(), CancellationToken::new().drop_guard());
    bounded_stream.read_to_end(&mut heard).await.expect("a failure reads as the end");
    assert_eq!(heard, passed(&peer.bytes));

    let ended = CancellationToken::new();
    let library = RawSftpSession::new(BoundedStream::new(peer, ended.clone().drop_guard()));
    library.set_timeout(NEVER_S);
    let sftp = Sftp { library, ended };
    let visit = async {
        if let Err(error) = sftp.unless_ended(sftp.library.init()).await {
            assert!(words(&error).len() < 1 << 20);
            return;
        }
        match sftp.list(".", MOST).await {
            Ok(listed) => assert!(listed.len() <= MOST),
            Err(error) => assert!(words(&error).len() < 1 << 20),
        }
    };
    tokio::time::timeout(Duration::from_secs(5), visit).await.expect("the session ends with the stream");
}

/// The part of these bytes that passes: packets up to the first one that is too long; the last one may be incomplete.
/// There are too few bytes here to reach the total limit.
fn passed(mut bytes: &[u8]) -> &[u8] {
    let all = bytes;
    while let Some((length, rest)) = bytes.split_first_chunk() {
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        if length > 34_000 {
            break;
        }
        bytes = rest.get(length..).unwrap_or_default();
    }
    // An incomplete length is not passed on.
    all.get(..all.len() - bytes.len()).unwrap_or_default()
}

/// A peer that sends all its data in pieces and ignores what it receives.
#[derive(Clone)]
struct ScriptedPeer {
    bytes: Vec<u8>,
    at: usize,
    piece: usize,
}

impl AsyncRead for ScriptedPeer {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let piece = rest.get(..self.piece.min(buffer.remaining()).min(rest.len())).unwrap_or_default();
        buffer.put_slice(piece);
        let read = piece.len();
        self.at += read;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ScriptedPeer {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_corpus_of_sftp_is_replayed() {
        support::replay("sftp", super::sftp);
    }
}
