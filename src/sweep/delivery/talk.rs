//! The talk with a script on a client: its words, found in whatever else is printed; its end; and the
//! bounds of what it may say. Not what the words mean.

use bytes::Bytes;
use fleetsweep_agent::{
    envelope::{END, MAX_ANSWER_BYTES},
    exit,
};
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Sig, client::Msg};

use super::{
    super::session::Session,
    script::{Command, Word},
};
use crate::fleet::{Failure, FailureKind, Stage};

#[cfg(any(test, fuzzing))]
pub(super) mod fuzzing;

/// How much of standard error is kept: its end.
const ERRORS_BYTES: usize = 64 * 1024;
/// How many lines of what was printed go into a failure.
const LINES_SHOWN: usize = 3;

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Exit {
    /// By itself, with this status.
    Status(u32),
    /// By a signal, named without `SIG`.
    Signal(String),
}

impl Exit {
    /// In words. A shell reports a command that a signal killed as 128 and the signal's number.
    fn words(&self) -> String {
        match self {
            Self::Signal(name) => killed(name),
            Self::Status(126) => "exit status 126: the agent cannot be executed".to_owned(),
            Self::Status(127) => "exit status 127: the command was not found".to_owned(),
            // What Windows ends a program with, e.g. for a library that is missing, is known by its digits.
            Self::Status(status @ 0xC000_0000..) => format!("exit status 0x{status:08X}"),
            Self::Status(status) => {
                let signal = status.checked_sub(128).and_then(signal_name);
                let words = u8::try_from(*status).ok().and_then(exit::words);
                match (signal, words) {
                    (Some(signal), _) => killed(signal),
                    (None, Some(words)) => format!("exit status {status}: {words}"),
                    (None, None) => format!("exit status {status}"),
                }
            }
        }
    }
}

/// The signals that have the same number on every Unix and that end an agent.
fn signal_name(number: u32) -> Option<&'static str> {
    Some(match number {
        1 => "HUP",
        4 => "ILL",
        6 => "ABRT",
        8 => "FPE",
        9 => "KILL",
        11 => "SEGV",
        13 => "PIPE",
        14 => "ALRM",
        15 => "TERM",
        _ => return None,
    })
}

fn killed(signal: &str) -> String {
    match signal {
        "KILL" => "killed by SIGKILL (out of memory?)".to_owned(),
        other => format!("killed by SIG{other}"),
    }
}

/// What a command has printed so far.
#[derive(Debug, Default)]
struct Heard {
    nonce: Vec<u8>,
    /// Standard output, without what was taken as words or came before one.
    output: Vec<u8>,
    /// Where in `output` the search for the nonce goes on.
    searched: usize,
    /// The end of standard error.
    errors: Vec<u8>,
    /// A word that came while something was sent.
    next: Option<Word>,
    exit: Option<Exit>,
    /// The channel is closed, or all has been said.
    ended: bool,
}

impl Heard {
    /// Takes the next word, if it is there whole. What was printed before it is noise.
    fn take_word(&mut self) -> Option<Word> {
        loop {
            let unsearched = self.output.get(self.searched..)?;
            let Some(found) = unsearched.windows(self.nonce.len()).position(|window| window == self.nonce) else {
                // The nonce may be cut in two by the packets.
                self.searched = (self.output.len() + 1).saturating_sub(self.nonce.len()).max(self.searched);
                return None;
            };
            self.searched += found;
            let after = self.output.get(self.searched + self.nonce.len()..)?;
            let length = after.iter().position(|byte| *byte == b'\n')?;
            let word = after.get(..length).and_then(|text| Word::parse(&String::from_utf8_lossy(text)));
            self.output.drain(..=self.searched + self.nonce.len() + length);
            self.searched = 0;
            if word.is_some() {
                return word;
            }
        }
    }

    /// Takes in one message of the channel.
    fn hear(&mut self, message: ChannelMsg, stage: Stage) -> Result<(), Failure> {
        #[expect(clippy::wildcard_enum_match_arm, reason = "the library's list grows; the rest is not for a client")]
        match message {
            ChannelMsg::Data { data } => {
                if self.output.len() + data.len() > MAX_ANSWER_BYTES {
                    return Err(Failure::new(stage, FailureKind::AnswerTooLarge)
                        .because(format!("more than {MAX_ANSWER_BYTES} bytes")));
                }
                self.output.extend_from_slice(&data);
            }
            ChannelMsg::ExtendedData { data, .. } => {
                self.errors.extend_from_slice(&data);
                let superfluous = self.errors.len().saturating_sub(ERRORS_BYTES);
                self.errors.drain(..superfluous);
            }
            ChannelMsg::ExitStatus { exit_status } => self.exit = Some(Exit::Status(exit_status)),
            ChannelMsg::ExitSignal { signal_name, .. } => self.exit = Some(Exit::Signal(name(signal_name))),
            ChannelMsg::Failure => {
                return Err(
                    Failure::new(stage, FailureKind::CommandRefused).because("the server does not execute the command")
                );
            }
            ChannelMsg::Close => self.ended = true,
            _ => {}
        }
        // Something that a login script left in the background can hold the channel open after the agent
        // has ended; nothing that matters comes after its last line.
        if self.exit.is_some() && self.output.trim_ascii_end().ends_with(END.as_bytes()) {
            self.ended = true;
        }
        Ok(())
    }
}

fn name(signal: Sig) -> String {
    match signal {
        Sig::Custom(name) => name,
        named @ (Sig::ABRT
        | Sig::ALRM
        | Sig::FPE
        | Sig::HUP
        | Sig::ILL
        | Sig::INT
        | Sig::KILL
        | Sig::PIPE
        | Sig::QUIT
        | Sig::SEGV
        | Sig::TERM
        | Sig::USR1) => format!("{named:?}"),
    }
}

/// The last lines of what was printed, in their order.
fn last_lines(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let mut lines: Vec<String> =
        text.lines().rev().filter(|line| !line.trim().is_empty()).take(LINES_SHOWN).map(str::to_owned).collect();
    lines.reverse();
    lines
}

/// A command that runs on a client, and the talk with it.
pub(super) struct Talk {
    read: ChannelReadHalf,
    write: ChannelWriteHalf<Msg>,
    heard: Heard,
}

impl Talk {
    /// Starts a command on a channel.
    ///
    /// # Errors
    /// [`FailureKind::ConnectionLost`].
    pub(super) async fn start(
        channel: Channel<Msg>,
        session: &Session,
        stage: Stage,
        command: Command,
    ) -> Result<Self, Failure> {
        let (read, write) = channel.split();
        // No round trip for the reply: where the server refuses, that is heard before any word.
        write.exec(true, command.line).await.map_err(|_| session.lost(stage))?;
        Ok(Self { read, write, heard: Heard { nonce: command.nonce.into_bytes(), ..Heard::default() } })
    }

    /// Hears one message. Nothing is lost where this is dropped half-way.
    async fn hear(&mut self, session: &Session, stage: Stage) -> Result<(), Failure> {
        match self.read.wait().await {
            Some(message) => self.heard.hear(message, stage),
            None => Err(session.lost(stage)),
        }
    }

    /// The next word; `None` where the command ended without one.
    ///
    /// # Errors
    /// [`FailureKind::ConnectionLost`], [`FailureKind::CommandRefused`], [`FailureKind::AnswerTooLarge`].
    pub(super) async fn word(&mut self, session: &Session, stage: Stage) -> Result<Option<Word>, Failure> {
        loop {
            if let Some(word) = self.heard.next.take().or_else(|| self.heard.take_word()) {
                return Ok(Some(word));
            }
            if self.heard.ended {
                return Ok(None);
            }
            self.hear(session, stage).await?;
        }
    }

    /// Sends bytes to the command's standard input, and hears meanwhile what it says: a server with a
    /// small window reads on only after it was read. Stops when the command says a word or ends: it then
    /// wants no more.
    ///
    /// # Errors
    /// As [`word`](Self::word).
    pub(super) async fn send(&mut self, bytes: Bytes, session: &Session, stage: Stage) -> Result<(), Failure> {
        let Self { read, write, heard } = self;
        let sending = write.data_bytes(bytes);
        tokio::pin!(sending);
        loop {
            tokio::select! {
                sent = &mut sending => return sent.map_err(|_| session.lost(stage)),
                message = read.wait() => match message {
                    Some(message) => heard.hear(message, stage)?,
                    None => return Err(session.lost(stage)),
                },
            }
            heard.next = heard.take_word();
            if heard.ended || heard.next.is_some() {
                return Ok(());
            }
        }
    }

    /// Hears everything to the end of the command.
    ///
    /// # Errors
    /// As [`word`](Self::word).
    pub(super) async fn finish(&mut self, session: &Session, stage: Stage) -> Result<(), Failure> {
        while !self.heard.ended {
            self.hear(session, stage).await?;
        }
        // Where the server has closed it already this changes nothing.
        self.write.close().await.map_err(|_| session.lost(stage))
    }

    /// How the command ended, where the server said so.
    pub(super) fn exit(&self) -> Option<&Exit> {
        self.heard.exit.as_ref()
    }

    /// Whether standard output holds a line.
    pub(super) fn holds(&self, line: &str) -> bool {
        self.heard.output.windows(line.len()).any(|window| window == line.as_bytes())
    }

    /// Standard output since the last word.
    pub(super) fn into_output(self) -> Vec<u8> {
        self.heard.output
    }

    /// Whether the command's tools complained of a full disk or quota. The script sets the language in
    /// which they do. The last are the words of dash where its `echo` cannot write.
    pub(super) fn says_disk_full(&self) -> bool {
        let errors = String::from_utf8_lossy(&self.heard.errors);
        ["No space left on device", "Disk quota exceeded", "echo: I/O error"].iter().any(|words| errors.contains(words))
    }

    /// A failure with how the command ended and the last it said on standard error.
    pub(super) fn explain(&self, failure: Failure) -> Failure {
        let failure = match &self.heard.exit {
            None | Some(Exit::Status(0)) => failure,
            Some(exit) => failure.because(exit.words()),
        };
        last_lines(&self.heard.errors).into_iter().fold(failure, Failure::because)
    }

    /// The same with the last it said on standard output too.
    pub(super) fn explain_with_output(&self, failure: Failure) -> Failure {
        last_lines(&self.heard.output).into_iter().fold(self.explain(failure), Failure::because)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Place, *};

    const NONCE: &str = "0123456789abcdef0123456789abcdef";

    /// Feeds what a client prints, cut into packets of `packet` bytes, and takes the words as they come.
    fn words(printed: &str, packet: usize) -> (Vec<Word>, String) {
        let mut heard = Heard { nonce: NONCE.into(), ..Heard::default() };
        let mut words = Vec::new();
        for chunk in printed.as_bytes().chunks(packet) {
            heard.hear(ChannelMsg::Data { data: Bytes::copy_from_slice(chunk) }, Stage::Upload).unwrap();
            words.extend(std::iter::from_fn(|| heard.take_word()));
        }
        (words, String::from_utf8(heard.output).unwrap())
    }

    #[test]
    fn words_are_found_in_any_noise_however_it_is_cut_into_packets() {
        let need = || vec![Word::Need, Word::Ok(Place(2))];
        for (printed, expected, rest) in [
            (format!("{NONCE} need\n{NONCE} ok 2\n"), need(), ""),
            (format!("Welcome!\nno newline here{NONCE} need\nmore{NONCE} ok 2\nanswer"), need(), "answer"),
            (format!("{NONCE} nonsense\n{NONCE} need\r\n{NONCE} ok 2\r\n"), need(), ""),
            (format!("{}{NONCE} need\n{NONCE} ok 2\n", NONCE.get(..20).unwrap()), need(), ""),
            (format!("{NONCE}{NONCE} need\n"), vec![], ""),
            (
                "This account is currently not available.\n".to_owned(),
                vec![],
                "This account is currently not available.\n",
            ),
            (format!("{NONCE} need"), vec![], &format!("{NONCE} need")),
        ] {
            for packet in [1, 2, 7, 31, 32, 33, 1000] {
                assert_eq!(words(&printed, packet), (expected.clone(), rest.to_owned()), "{printed:?} by {packet}");
            }
        }
    }

    #[test]
    fn a_flood_is_refused_and_only_the_end_of_standard_error_is_kept() {
        let mut heard = Heard::default();
        let chunk = Bytes::from(vec![b'x'; 1 << 20]);
        for _ in 0..100 {
            heard.hear(ChannelMsg::ExtendedData { data: chunk.clone(), ext: 1 }, Stage::Execute).unwrap();
        }
        assert_eq!(heard.errors.len(), ERRORS_BYTES);
        let flood = || heard.hear(ChannelMsg::Data { data: chunk.clone() }, Stage::Execute);
        let failure = std::iter::repeat_with(flood).take(100).find_map(Result::err).unwrap();
        assert_eq!(failure.kind, FailureKind::AnswerTooLarge);
    }

    #[test]
    fn an_end_is_told_in_words() {
        for (exit, expected) in [
            (Exit::Status(1), "exit status 1"),
            (Exit::Status(67), "exit status 67: the agent ran into its deadline"),
            (Exit::Status(126), "exit status 126: the agent cannot be executed"),
            (Exit::Status(137), "killed by SIGKILL (out of memory?)"),
            (Exit::Status(139), "killed by SIGSEGV"),
            (Exit::Status(255), "exit status 255"),
            (Exit::Status(0xC000_0135), "exit status 0xC0000135"),
            (Exit::Signal(name(Sig::KILL)), "killed by SIGKILL (out of memory?)"),
            (Exit::Signal(name(Sig::SEGV)), "killed by SIGSEGV"),
            (Exit::Signal(name(Sig::Custom("XCPU".to_owned()))), "killed by SIGXCPU"),
        ] {
            assert_eq!(exit.words(), expected);
        }
    }

    #[test]
    fn the_last_lines_keep_their_order() {
        assert_eq!(last_lines(b"one\ntwo\n\nthree\nfour\n\n"), ["two", "three", "four"]);
        assert_eq!(last_lines(b""), [""; 0]);
    }
}
