//! The output of a command so far, and the replies of its script in it. Pure. Messages may arrive in any pieces, and
//! each byte is processed a bounded number of times.

use std::collections::VecDeque;

use fleetsweep_agent::envelope::{END, MAX_ANSWER_BYTES};
use memchr::{memchr, memmem};
use russh::ChannelMsg;

use super::{exit::Exit, script::ScriptReply};
use crate::fleet::{Failure, FailureKind, Stage};

#[cfg(any(test, fuzzing))]
pub(super) mod fuzzing;

/// How much of the end of standard error is kept, bytes.
pub(super) const ERRORS_BYTES: usize = 64 * 1024;
/// The longest reply, from the end of the nonce to the end of its line. No path is longer.
const WORD_BYTES: usize = 8 * 1024;
/// Processed output is removed when it has this many bytes, or more than is left.
const SUPERFLUOUS_BYTES: usize = 64 * 1024;

/// What a command has printed so far.
#[derive(Debug, Default)]
pub(super) struct CommandOutput {
    nonce: Vec<u8>,
    /// Standard output.
    output: Vec<u8>,
    /// The offset of the first byte after the last reply.
    begin: usize,
    /// The offset at which the search for the nonce continues.
    searched: usize,
    /// The offset of a nonce whose line is incomplete.
    found: Option<usize>,
    /// The offset at which the search for the end of that line continues.
    line_searched: usize,
    /// The offset after the last byte that is not white space.
    end: usize,
    /// The end of standard error.
    errors: VecDeque<u8>,
    /// A reply that arrived while something was sent.
    pub(super) next: Option<ScriptReply>,
    pub(super) exit: Option<Exit>,
    /// The server said that there is no more output.
    output_ended: bool,
    /// The channel is closed, or the output is complete.
    pub(super) ended: bool,
}

impl CommandOutput {
    /// No output yet. The replies begin with this nonce.
    pub(super) fn new(nonce: String) -> Self {
        Self { nonce: nonce.into_bytes(), ..Self::default() }
    }

    /// Removes and returns the next reply if it is complete. Output before it is ignored.
    pub(super) fn take_reply(&mut self) -> Option<ScriptReply> {
        let word = self.find_reply();
        if self.begin >= SUPERFLUOUS_BYTES && self.begin >= self.output.len() - self.begin {
            self.output.drain(..self.begin);
            self.searched -= self.begin;
            self.line_searched = self.line_searched.saturating_sub(self.begin);
            self.end = self.end.saturating_sub(self.begin);
            self.found = self.found.map(|found| found - self.begin);
            self.begin = 0;
        }
        word
    }

    fn find_reply(&mut self) -> Option<ScriptReply> {
        loop {
            let found = match self.found {
                Some(found) => found,
                None => {
                    let Some(found) = memmem::find(self.output.get(self.searched..)?, &self.nonce) else {
                        // The nonce may be split between two messages.
                        self.searched = (self.output.len() + 1).saturating_sub(self.nonce.len()).max(self.searched);
                        return None;
                    };
                    let found = self.searched + found;
                    self.searched = found + self.nonce.len();
                    *self.found.insert(found)
                }
            };
            let after = found + self.nonce.len();
            let from = after.max(self.line_searched);
            let line_end = memchr(b'\n', self.output.get(from..)?).map(|length| from + length);
            self.line_searched = line_end.unwrap_or(self.output.len());
            if self.line_searched - after > WORD_BYTES {
                // No reply is so long. Another one may begin within it.
                self.found = None;
                continue;
            }
            let line_end = line_end?;
            let word = self.output.get(after..line_end);
            let word = word.and_then(|text| ScriptReply::parse(&String::from_utf8_lossy(text)));
            self.found = None;
            self.searched = line_end + 1;
            self.begin = self.searched;
            if word.is_some() {
                return word;
            }
        }
    }

    /// Adds one message of the channel.
    ///
    /// # Errors
    /// [`FailureKind::AnswerTooLarge`], [`FailureKind::CommandRefused`].
    pub(super) fn hear(&mut self, message: ChannelMsg, stage: Stage) -> Result<(), Failure> {
        #[expect(clippy::wildcard_enum_match_arm, reason = "the library's list grows; the rest is not for a client")]
        match message {
            ChannelMsg::Data { data } => {
                if self.output.len() - self.begin + data.len() > MAX_ANSWER_BYTES {
                    return Err(Failure::new(stage, FailureKind::AnswerTooLarge)
                        .because(format!("more than {MAX_ANSWER_BYTES} bytes")));
                }
                let visible = data.trim_ascii_end().len();
                if visible > 0 {
                    self.end = self.output.len() + visible;
                }
                self.output.extend_from_slice(&data);
            }
            ChannelMsg::ExtendedData { data, .. } => {
                let kept = data.get(data.len().saturating_sub(ERRORS_BYTES)..).unwrap_or_default();
                let superfluous = (self.errors.len() + kept.len()).saturating_sub(ERRORS_BYTES);
                self.errors.drain(..superfluous);
                self.errors.extend(kept);
            }
            ChannelMsg::ExitStatus { exit_status } => self.exit = Some(Exit::Status(exit_status)),
            ChannelMsg::ExitSignal { signal_name, .. } => self.exit = Some(Exit::of_signal(signal_name)),
            ChannelMsg::Failure => {
                return Err(
                    Failure::new(stage, FailureKind::CommandRefused).because("the server does not execute the command")
                );
            }
            ChannelMsg::Eof => self.output_ended = true,
            ChannelMsg::Close => self.ended = true,
            _ => {}
        }
        // A background process of a login script can keep the channel open after the agent has ended. An agent of which
        // a thread waits for a dead file system has no exit status until that file system answers. In both cases there
        // is nothing relevant after the last line of the answer.
        if (self.exit.is_some() || self.output_ended) && self.visible().ends_with(END.as_bytes()) {
            self.ended = true;
        }
        Ok(())
    }

    /// Standard output since the last reply.
    pub(super) fn output(&self) -> &[u8] {
        self.output.get(self.begin..).unwrap_or_default()
    }

    /// Standard output since the last reply, without trailing white space.
    fn visible(&self) -> &[u8] {
        self.output.get(self.begin..self.end).unwrap_or_default()
    }

    /// Standard output since the last reply.
    pub(super) fn into_output(mut self) -> Vec<u8> {
        self.output.drain(..self.begin);
        self.output
    }

    /// The end of standard error.
    pub(super) fn errors(&self) -> Vec<u8> {
        self.errors.iter().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;

    use super::{super::Directory, *};

    const NONCE: &str = "0123456789abcdef0123456789abcdef";

    fn data(bytes: &[u8]) -> ChannelMsg {
        ChannelMsg::Data { data: Bytes::copy_from_slice(bytes) }
    }

    fn error(bytes: &[u8]) -> ChannelMsg {
        ChannelMsg::ExtendedData { data: Bytes::copy_from_slice(bytes), ext: 1 }
    }

    /// Adds output in messages of `packet` bytes, and takes the replies as they come.
    fn words(printed: &[u8], packet: usize) -> (Vec<ScriptReply>, Vec<u8>) {
        let mut heard = CommandOutput::new(NONCE.to_owned());
        let mut words = Vec::new();
        for chunk in printed.chunks(packet) {
            heard.hear(data(chunk), Stage::Upload).unwrap();
            words.extend(std::iter::from_fn(|| heard.take_reply()));
        }
        (words, heard.into_output())
    }

    #[test]
    fn words_are_found_in_any_noise_however_it_is_cut_into_packets() {
        let need = || vec![ScriptReply::Need, ScriptReply::Ok(Directory(2))];
        let long = "x".repeat(WORD_BYTES);
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
            (format!("{NONCE} other {long}\n{NONCE} need\n{NONCE} ok 2\nanswer"), need(), "answer"),
            (format!("{}{NONCE} need\n{NONCE} ok 2\nanswer\n", "noise\n".repeat(20_000)), need(), "answer\n"),
        ] {
            for packet in [1, 2, 7, 31, 32, 33, 1000, 1 << 20] {
                let (found, output) = words(printed.as_bytes(), packet);
                assert_eq!(
                    (found, output),
                    (expected.clone(), rest.as_bytes().to_vec()),
                    "{printed:.200?} by {packet}"
                );
            }
        }
    }

    #[test]
    fn a_flood_is_refused_and_only_the_end_of_standard_error_is_kept() {
        let mut heard = CommandOutput::default();
        let chunk = Bytes::from(vec![b'x'; 1 << 20]);
        for _ in 0..100 {
            heard.hear(ChannelMsg::ExtendedData { data: chunk.clone(), ext: 1 }, Stage::Execute).unwrap();
        }
        assert_eq!(heard.errors.len(), ERRORS_BYTES);
        heard.hear(error(b"the end"), Stage::Execute).unwrap();
        assert_eq!(heard.errors().len(), ERRORS_BYTES);
        assert!(heard.errors().ends_with(b"xthe end"));
        let flood = || heard.hear(ChannelMsg::Data { data: chunk.clone() }, Stage::Execute);
        let failure = std::iter::repeat_with(flood).take(100).find_map(Result::err).unwrap();
        assert_eq!(failure.kind, FailureKind::AnswerTooLarge);
    }

    #[test]
    fn an_answer_is_whole_at_its_last_line_whatever_blank_space_follows() {
        for blank in ["", "\n", "\r\n", " \t\r\n \n"] {
            let mut heard = CommandOutput::default();
            for piece in ["answer\n", END, blank] {
                heard.hear(data(piece.as_bytes()), Stage::Execute).unwrap();
            }
            assert!(!heard.ended, "it has not exited");
            heard.hear(ChannelMsg::ExitStatus { exit_status: 0 }, Stage::Execute).unwrap();
            assert!(heard.ended, "{blank:?}");
        }
        let mut heard = CommandOutput::default();
        heard.hear(ChannelMsg::ExitStatus { exit_status: 0 }, Stage::Execute).unwrap();
        for piece in ["answer\n", END, "\n", "more"] {
            assert!(!std::mem::take(&mut heard.ended));
            heard.hear(data(piece.as_bytes()), Stage::Execute).unwrap();
            assert_eq!(heard.ended, piece == END || piece == "\n", "{piece}");
            heard.ended = false;
        }
    }

    /// A thread of the agent waited for a file system that did not answer: sshd sent the end of the output, and neither an
    /// exit status nor the end of the channel.
    #[test]
    fn a_whole_answer_needs_no_exit_status_if_its_output_has_ended() {
        let end = format!("answer\n{END}\n");
        for (printed, exit, expected) in [
            (&*end, None, true),
            (&*end, Some(0), true),
            // The reason arrives later, as an exit status.
            ("", None, false),
            ("answer\n", None, false),
            ("answer\n", Some(67), false),
            (&*format!("{end}more"), None, false),
        ] {
            let mut heard = CommandOutput::default();
            heard.hear(data(printed.as_bytes()), Stage::Execute).unwrap();
            assert!(!heard.ended, "{printed}");
            for message in [Some(ChannelMsg::Eof), exit.map(|exit_status| ChannelMsg::ExitStatus { exit_status })] {
                message.into_iter().for_each(|message| heard.hear(message, Stage::Execute).unwrap());
            }
            assert_eq!(heard.ended, expected, "{printed} {exit:?}");
            heard.hear(ChannelMsg::Close, Stage::Execute).unwrap();
            assert!(heard.ended);
        }
    }

    /// The CPU time of this thread. On a busy machine, the time of a clock is mostly that of others.
    fn cpu_time() -> Duration {
        let spent = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        Duration::new(spent.tv_sec.try_into().unwrap(), spent.tv_nsec.try_into().unwrap())
    }

    /// The CPU time for this many one-byte messages after `before`.
    fn time(before: &[u8], message: impl Fn() -> ChannelMsg, messages: usize) -> Duration {
        let mut heard = CommandOutput::new(NONCE.to_owned());
        heard.exit = Some(Exit::Status(0));
        heard.hear(data(before), Stage::Upload).unwrap();
        let begun = cpu_time();
        for _ in 0..messages {
            heard.hear(message(), Stage::Upload).unwrap();
            while heard.take_reply().is_some() {}
        }
        cpu_time() - begun
    }

    /// A regression would take a hundred times as long, and more with each byte.
    #[test]
    fn the_work_for_a_message_does_not_grow_with_what_came_before_it() {
        const MESSAGES: usize = 20_000;
        let large = |text: &str| text.repeat((4 << 20) / text.len()).into_bytes();
        let unfinished = format!("{NONCE} {}", "x".repeat(4 << 20)).into_bytes();
        type Message = fn() -> ChannelMsg;
        let (byte, stderr, space): (Message, Message, Message) = (|| data(b"x"), || error(b"x"), || data(b" "));
        for (what, before, message) in [
            ("an unfinished word", unfinished, byte),
            ("half a nonce, again and again", large(NONCE.get(..31).unwrap()), byte),
            ("a nonce, again and again", large(NONCE), byte),
            ("words that are none", large(&format!("{NONCE} nonsense\n")), byte),
            ("white space", large(" "), space),
            ("white space and standard error", large("\n"), stderr),
        ] {
            let with = time(&before, message, MESSAGES);
            let without = time(b"", message, MESSAGES);
            assert!(with < 20 * without + Duration::from_millis(500), "{what}: {with:?}, and alone {without:?}");
        }
    }

    #[test]
    fn many_words_in_one_message_are_taken_in_one_pass() {
        let many = format!("{NONCE} nonsense\n").repeat(160_000);
        let begun = cpu_time();
        assert_eq!(words(many.as_bytes(), many.len()), (vec![], vec![]));
        let spent = cpu_time() - begun;
        assert!(spent < Duration::from_secs(5), "{spent:?}");
    }
}
