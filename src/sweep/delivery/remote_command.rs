//! A command that runs on a client: starts it, sends to its standard input, and reads its output, which is kept in
//! [`super::command_output`].

use bytes::Bytes;
use russh::{Channel, ChannelReadHalf, ChannelWriteHalf, client::Msg};

use super::{
    super::{sent_secrets::SentSecrets, session::Session},
    command_output::CommandOutput,
    exit::Exit,
    script::{Command, ScriptReply},
};
use crate::fleet::{Failure, Stage};

/// How many lines of output are quoted in a failure.
const LINES_SHOWN: usize = 3;
/// How much of the end of the output is searched for these lines, bytes.
const SHOWN_FROM_BYTES: usize = 64 * 1024;

/// The last lines of output, in order.
pub(super) fn last_lines(bytes: &[u8]) -> Vec<String> {
    let end = bytes.get(bytes.len().saturating_sub(SHOWN_FROM_BYTES)..).unwrap_or_default();
    let text = String::from_utf8_lossy(end);
    let mut lines: Vec<String> =
        text.lines().rev().filter(|line| !line.trim().is_empty()).take(LINES_SHOWN).map(str::to_owned).collect();
    lines.reverse();
    lines
}

/// A command that runs on a client.
pub(super) struct RemoteCommand {
    read: ChannelReadHalf,
    write: ChannelWriteHalf<Msg>,
    heard: Box<CommandOutput>,
    /// A hostile client could print them.
    secrets: SentSecrets,
}

impl RemoteCommand {
    /// Starts a command on a channel.
    ///
    /// # Errors
    /// [`FailureKind::ConnectionLost`](crate::fleet::FailureKind::ConnectionLost).
    pub(super) async fn start(
        channel: Channel<Msg>,
        session: &Session,
        stage: Stage,
        command: Command,
    ) -> Result<Self, Failure> {
        let (read, write) = channel.split();
        // Does not wait for the server's reply: a refusal arrives before any script reply.
        if write.exec(true, command.line).await.is_err() {
            return Err(session.lost(stage).await);
        }
        let heard = Box::new(CommandOutput::new(command.nonce));
        Ok(Self { read, write, heard, secrets: session.secrets().clone() })
    }

    /// Receives one message. Cancel-safe.
    async fn hear(&mut self, session: &Session, stage: Stage) -> Result<(), Failure> {
        match self.read.wait().await {
            Some(message) => self.heard.hear(message, stage),
            None => Err(session.lost(stage).await),
        }
    }

    /// The next script reply; `None` if the command ended without one.
    ///
    /// # Errors
    /// [`FailureKind::ConnectionLost`](crate::fleet::FailureKind::ConnectionLost), [`FailureKind::CommandRefused`](crate::fleet::FailureKind::CommandRefused), [`FailureKind::AnswerTooLarge`](crate::fleet::FailureKind::AnswerTooLarge).
    pub(super) async fn reply(&mut self, session: &Session, stage: Stage) -> Result<Option<ScriptReply>, Failure> {
        loop {
            if let Some(word) = self.heard.next.take().or_else(|| self.heard.take_reply()) {
                return Ok(Some(word));
            }
            if self.heard.ended {
                return Ok(None);
            }
            self.hear(session, stage).await?;
        }
    }

    /// Sends bytes to the command's standard input and reads its output meanwhile, because a server with a small window
    /// only continues after its output was read. Stops when the command sends a reply or ends.
    ///
    /// # Errors
    /// As [`reply`](Self::reply).
    pub(super) async fn send(&mut self, bytes: Bytes, session: &Session, stage: Stage) -> Result<(), Failure> {
        let Self { read, write, heard, .. } = self;
        let sending = write.data_bytes(bytes);
        tokio::pin!(sending);
        loop {
            tokio::select! {
                sent = &mut sending => return match sent {
                    Ok(()) => Ok(()),
                    Err(_) => Err(session.lost(stage).await),
                },
                message = read.wait() => match message {
                    Some(message) => heard.hear(message, stage)?,
                    None => return Err(session.lost(stage).await),
                },
            }
            heard.next = heard.take_reply();
            if heard.ended || heard.next.is_some() {
                return Ok(());
            }
        }
    }

    /// Closes the command's standard input.
    ///
    /// # Errors
    /// [`FailureKind::ConnectionLost`](crate::fleet::FailureKind::ConnectionLost).
    pub(super) async fn end_input(&self, session: &Session, stage: Stage) -> Result<(), Failure> {
        match self.write.eof().await {
            Ok(()) => Ok(()),
            Err(_) => Err(session.lost(stage).await),
        }
    }

    /// Reads everything until the command ends.
    ///
    /// # Errors
    /// As [`reply`](Self::reply).
    pub(super) async fn finish(&mut self, session: &Session, stage: Stage) -> Result<(), Failure> {
        while !self.heard.ended {
            self.hear(session, stage).await?;
        }
        // Has no effect if the server has closed it already.
        match self.write.close().await {
            Ok(()) => Ok(()),
            Err(_) => Err(session.lost(stage).await),
        }
    }

    /// The exit status of the command; `None` if the server did not send it.
    pub(super) fn exit(&self) -> Option<&Exit> {
        self.heard.exit.as_ref()
    }

    /// Whether standard output contains a line.
    pub(super) fn holds(&self, line: &str) -> bool {
        memchr::memmem::find(self.heard.output(), line.as_bytes()).is_some()
    }

    /// Standard output since the last script reply.
    pub(super) fn into_output(self) -> Vec<u8> {
        self.heard.into_output()
    }

    /// The end of standard error. The script sets the language of the messages.
    pub(super) fn errors(&self) -> String {
        String::from_utf8_lossy(&self.heard.errors()).into_owned()
    }

    /// The end of standard output since the last script reply.
    pub(super) fn printed(&self) -> String {
        last_lines(self.heard.output()).join("\n")
    }

    /// How much both streams have since the last script reply, as far as it is kept.
    pub(super) fn printed_bytes(&self) -> usize {
        self.heard.output().len() + self.heard.errors().len()
    }

    /// The last lines of both streams.
    pub(super) fn said(&self) -> String {
        [last_lines(&self.heard.errors()), last_lines(self.heard.output())].concat().join("\n")
    }

    /// Whether the command reported a full disk or quota. The last message is that of dash if its `echo` cannot
    /// write.
    pub(super) fn says_disk_full(&self) -> bool {
        let errors = self.errors();
        ["No space left on device", "Disk quota exceeded", "echo: I/O error"].iter().any(|words| errors.contains(words))
    }

    /// Adds the exit status and the end of standard error to a failure.
    pub(super) fn explain(&self, failure: Failure) -> Failure {
        let failure = match &self.heard.exit {
            None | Some(Exit::Status(0)) => failure,
            Some(exit) => failure.because(self.secrets.hide_in(&exit.words())),
        };
        self.quote(&self.heard.errors(), failure)
    }

    /// Adds the exit status and the end of both streams to a failure.
    pub(super) fn explain_with_output(&self, failure: Failure) -> Failure {
        self.quote(self.heard.output(), self.explain(failure))
    }

    /// Adds the last lines of output to a failure.
    fn quote(&self, output: &[u8], failure: Failure) -> Failure {
        last_lines(output).iter().fold(failure, |failure, line| failure.because(self.secrets.hide_in(line)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_keep_their_order() {
        assert_eq!(last_lines(b"one\ntwo\n\nthree\nfour\n\n"), ["two", "three", "four"]);
        assert_eq!(last_lines(b""), [""; 0]);
    }
}
