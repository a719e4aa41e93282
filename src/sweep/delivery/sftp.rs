//! The SFTP operations on a client: write a file, list a directory, remove.
//!
//! The library implements the protocol, and its input goes through [`BoundedStream`].

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use russh::{Channel, ChannelMsg, client::Msg};
use russh_sftp::{
    client::{RawSftpSession, error::Error},
    protocol::{FileAttributes, OpenFlags, StatusCode},
};
use tokio_util::sync::CancellationToken;

use super::{super::session::Session, bounded_stream::BoundedStream};
use crate::fleet::{Failure, FailureKind, Stage};

#[cfg(any(test, fuzzing))]
pub(super) mod fuzzing;

/// The size of a write, which every server must accept (draft-ietf-secsh-filexfer-02, section 3).
const CHUNK_BYTES: usize = 32 * 1024;
/// The number of concurrent writes, enough to use a link with 100 ms and 20 Mbit/s.
const CHUNKS_AT_ONCE: usize = 8;
/// The library needs a timeout. The deadline of the stage is always earlier.
const NEVER_S: u64 = 24 * 3600;

/// The result of an operation.
pub(super) type SftpResult<T> = Result<T, Error>;

/// An entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    /// Its name.
    pub(super) name: String,
    /// The time of its last change by the client's clock, seconds since the Unix epoch; 0 if unknown.
    pub(super) written_unix_s: u32,
}

/// An SFTP session. Dropping it ends it.
pub(super) struct Sftp {
    library: RawSftpSession,
    /// Cancelled when the client ends the session, because pending calls of the library would then wait for ever.
    ended: CancellationToken,
}

impl Sftp {
    /// Starts the SFTP subsystem on a channel.
    ///
    /// # Errors
    /// [`FailureKind::CommandRefused`] if the server does not offer it, [`FailureKind::ConnectionLost`].
    pub(super) async fn start(mut channel: Channel<Msg>, session: &Session, stage: Stage) -> Result<Self, Failure> {
        let refused = |why: &str| Failure::new(stage, FailureKind::CommandRefused).because(why);
        if channel.request_subsystem(true, "sftp").await.is_err() {
            return Err(session.lost(stage).await);
        }
        loop {
            match channel.wait().await {
                Some(ChannelMsg::Success) => break,
                Some(ChannelMsg::Failure) => return Err(refused("the server offers no SFTP")),
                Some(_) => {}
                None => return Err(session.lost(stage).await),
            }
        }
        let ended = CancellationToken::new();
        let library = RawSftpSession::new(BoundedStream::new(channel.into_stream(), ended.clone().drop_guard()));
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
    /// The client's error.
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
        // Closed in any case, because an open file cannot be removed.
        let closed = self.unless_ended(self.library.close(handle.as_str())).await;
        written?;
        closed.map(drop)
    }

    /// Creates a directory. It is an error if it exists.
    ///
    /// # Errors
    /// The client's error.
    pub(super) async fn make_directory(&self, path: &str) -> SftpResult<()> {
        self.unless_ended(self.library.mkdir(path, FileAttributes::empty())).await.map(drop)
    }

    /// The entries of a directory, at most `most` of them.
    ///
    /// # Errors
    /// The client's error.
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
    /// The client's error.
    pub(super) async fn remove(&self, path: &str) -> SftpResult<()> {
        self.unless_ended(self.library.remove(path)).await.map(drop)
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    /// The client's error.
    pub(super) async fn remove_directory(&self, path: &str) -> SftpResult<()> {
        self.unless_ended(self.library.rmdir(path)).await.map(drop)
    }
}

/// Whether the error means that a path does not exist.
pub(super) fn is_absent(error: &Error) -> bool {
    matches!(error, Error::Status(status) if status.status_code == StatusCode::NoSuchFile)
}

/// The client's error, or the reason for the end of the session.
pub(super) fn words(error: &Error) -> String {
    match error {
        Error::Status(status) if status.error_message.is_empty() => status.status_code.to_string(),
        Error::Status(status) => status.error_message.clone(),
        Error::IO(_) | Error::Timeout | Error::Limited(_) | Error::UnexpectedPacket | Error::UnexpectedBehavior(_) => {
            error.to_string()
        }
    }
}
