//! The fuzz target of command output; see [`crate::fuzzing`].
#![expect(clippy::expect_used, reason = "a panic is how a fuzzer is told of a broken promise")]

use bytes::Bytes;
use russh::ChannelMsg;

use super::{
    super::{exit::Exit, remote_command::last_lines},
    CommandOutput, ScriptReply,
};
use crate::fleet::Stage;

const NONCE: &str = "0123456789abcdef0123456789abcdef";

/// The output of a command, after one byte for the size of the messages. The replies and the rest must not depend on
/// how it is split.
pub fn answer(data: &[u8]) {
    let Some((size, printed)) = data.split_first() else { return };
    let whole = words(printed, printed.len().max(1));
    assert_eq!(words(printed, usize::from(*size).max(1)), whole);
    let (_, rest) = whole;
    assert!(rest.len() <= printed.len());
    assert!(last_lines(&rest).len() <= 3);
    assert!(!Exit::Status(u32::from(*size)).words().is_empty());
}

fn words(printed: &[u8], packet: usize) -> (Vec<ScriptReply>, Vec<u8>) {
    let mut heard = CommandOutput::new(NONCE.to_owned());
    let mut words = Vec::new();
    for chunk in printed.chunks(packet) {
        let message = ChannelMsg::Data { data: Bytes::copy_from_slice(chunk) };
        heard.hear(message, Stage::Upload).expect("it is shorter than any answer may be");
        words.extend(std::iter::from_fn(|| heard.take_reply()));
    }
    (words, heard.into_output())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_corpus_of_answers_is_replayed() {
        support::replay("answer", super::answer);
    }
}
