//! The lines of the socket protocol, each a JSON value: greetings, frames, orders and replies.

use std::{io, time::Duration};

use bytes::BytesMut;
use futures_util::StreamExt as _;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::io::AsyncRead;
use tokio_util::codec::{FramedRead, LinesCodec, LinesCodecError};

use crate::fleet::{
    order::{IssuedOrder, Reply},
    stream::Frame,
};

/// The version of the protocol. Only the greetings are common to all versions.
pub(super) const PROTOCOL: u32 = 2;

/// The longest first line.
pub(super) const LONGEST_HELLO: usize = 64 * 1024;

/// The longest line that a dashboard may send after it: an order may name every client, with up to 250 bytes each.
pub(super) const LONGEST_ORDER: usize = 4 * 1024 * 1024;

/// The longest line that a collector may send: a whole fleet is one line, with about 10 KB per client.
pub(super) const LONGEST_FRAME: usize = 512 * 1024 * 1024;

/// The interval of keepalives of a collector: an empty line if nothing happens.
pub(super) const SIGN_OF_LIFE: Duration = Duration::from_secs(5);

/// After this time without a line, a collector hangs or is stopped.
pub(super) const SILENCE: Duration = Duration::from_secs(20);

/// The size from which JSON is written and read on a separate thread, because it takes noticeable time.
const LONG: usize = 256 * 1024;

/// This program's version.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The first line of an attaching process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Hello {
    /// The version of the protocol.
    pub fleetsweep: u32,
    /// The version of the program.
    #[serde(default)]
    pub version: String,
    /// The operator's account.
    #[serde(default)]
    pub actor: String,
}

/// The collector's answer to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Welcome {
    /// The version of the protocol.
    pub fleetsweep: u32,
    /// The version of the program.
    #[serde(default)]
    pub version: String,
    /// The collector's process id.
    #[serde(default)]
    pub pid: u32,
    /// A description of the collector.
    #[serde(default)]
    pub collector: String,
    /// Why the connection is refused; `None` if it is accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// The line with an order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct OrderLine {
    /// The id of the order within the connection.
    pub id: u64,
    /// The order.
    pub order: IssuedOrder,
}

/// A line of the collector after its welcome: `{"frame":…}` or `{"id":…,"reply":…}`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct ServerLine {
    /// A frame of the stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frame: Option<Frame>,
    /// The id of the order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<u64>,
    /// The reply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply: Option<Reply>,
}

/// The message about incompatible versions, which is the same on both sides.
pub(super) fn other_version(collector: &str, attached: &str) -> String {
    format!(
        "the collector is version {collector}, this program {attached}: use the same version of fleetsweep for both"
    )
}

/// Why a line could not be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum LineError {
    /// The peer closed the connection, possibly within a line.
    #[error("the connection was closed")]
    Closed,
    /// An I/O error.
    #[error("the connection broke: {0}")]
    Broken(io::Error),
    /// The line is too long.
    #[error("a line is longer than {0} bytes")]
    TooLong(usize),
    /// The line is invalid.
    #[error("a line is not understood: {0}")]
    NotUnderstood(String),
}

/// Reads lines. Cancel-safe: no line is lost.
#[derive(Debug)]
pub(super) struct Lines<R>(FramedRead<R, WholeLines>);

impl<R: AsyncRead + Unpin> Lines<R> {
    /// Lines of at most `longest` bytes.
    pub(super) fn new(reader: R, longest: usize) -> Self {
        Self(FramedRead::new(reader, WholeLines(LinesCodec::new_with_max_length(longest))))
    }

    /// Sets another maximum length.
    pub(super) fn allow(&mut self, longest: usize) {
        self.0.decoder_mut().0 = LinesCodec::new_with_max_length(longest);
    }

    /// The next line.
    pub(super) async fn next(&mut self) -> Result<String, LineError> {
        let line = match self.0.next().await {
            None => return Err(LineError::Closed),
            Some(Ok(line)) => line,
            Some(Err(LinesCodecError::MaxLineLengthExceeded)) => {
                return Err(LineError::TooLong(self.0.decoder().0.max_length()));
            }
            Some(Err(LinesCodecError::Io(error))) if error.kind() == io::ErrorKind::InvalidData => {
                return Err(LineError::NotUnderstood("it is not UTF-8".to_owned()));
            }
            Some(Err(LinesCodecError::Io(error))) => return Err(LineError::Broken(error)),
        };
        if line.len() > LONG {
            // The buffer would otherwise keep the size of the longest line.
            let rest = BytesMut::from(self.0.read_buffer().as_ref());
            *self.0.read_buffer_mut() = rest;
        }
        Ok(line)
    }
}

/// A codec of lines that ignores an incomplete last line.
#[derive(Debug)]
struct WholeLines(LinesCodec);

impl tokio_util::codec::Decoder for WholeLines {
    type Item = String;
    type Error = LinesCodecError;

    fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<String>, LinesCodecError> {
        self.0.decode(buffer)
    }

    fn decode_eof(&mut self, buffer: &mut BytesMut) -> Result<Option<String>, LinesCodecError> {
        let line = self.0.decode(buffer)?;
        if line.is_none() {
            buffer.clear();
        }
        Ok(line)
    }
}

/// Reads a line as JSON.
pub(super) async fn parse<T: DeserializeOwned + Send + 'static>(line: String) -> Result<T, LineError> {
    let parse = |line: String| serde_json::from_str(&line).map_err(|error| LineError::NotUnderstood(error.to_string()));
    if line.len() <= LONG {
        return parse(line);
    }
    tokio::task::spawn_blocking(move || parse(line))
        .await
        .unwrap_or_else(|error| Err(LineError::NotUnderstood(error.to_string())))
}

/// Appends `value` as a line.
pub(super) fn append(buffer: &mut Vec<u8>, value: &impl Serialize) -> Result<(), serde_json::Error> {
    let before = buffer.len();
    if let Err(error) = serde_json::to_writer(&mut *buffer, value) {
        // A partial line would be taken for the start of the next one.
        buffer.truncate(before);
        return Err(error);
    }
    buffer.push(b'\n');
    Ok(())
}

/// Appends a frame as a line. A large frame is serialized on a separate thread.
pub(super) async fn append_frame(mut buffer: Vec<u8>, frame: Frame) -> Result<Vec<u8>, serde_json::Error> {
    let is_large = matches!(frame, Frame::Fleet(_) | Frame::Remembered(_));
    let line = ServerLine { frame: Some(frame), ..ServerLine::default() };
    if !is_large {
        append(&mut buffer, &line)?;
        return Ok(buffer);
    }
    let write = move || append(&mut buffer, &line).map(|()| buffer);
    tokio::task::spawn_blocking(write).await.unwrap_or_else(|error| Err(serde::ser::Error::custom(error)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::{
        fleet::{order::Order, state::Fleet},
        relay::script,
    };

    async fn all(bytes: &[u8], longest: usize) -> (Vec<String>, LineError) {
        let mut lines = Lines::new(bytes, longest);
        let mut read = Vec::new();
        loop {
            match lines.next().await {
                Ok(line) => read.push(line),
                Err(error) => return (read, error),
            }
        }
    }

    #[tokio::test]
    async fn lines_are_read_up_to_the_cut_off_last_one() {
        let (lines, error) = all(b"a\n\nbc\ncut", 10).await;
        assert_eq!(lines, ["a", "", "bc"]);
        assert!(matches!(error, LineError::Closed), "{error}");
        assert!(matches!(all(b"0123456789a\n", 10).await.1, LineError::TooLong(10)));
        assert!(matches!(all(b"a\xff\n", 10).await.1, LineError::NotUnderstood(_)));
    }

    #[tokio::test]
    async fn what_is_said_has_the_documented_form_and_survives_it() {
        let mut buffer = Vec::new();
        let issued = IssuedOrder { actor: "ops".to_owned(), order: Order::Pause };
        append(&mut buffer, &OrderLine { id: 3, order: issued }).unwrap();
        let reply = Reply::Refused { text: "no".to_owned() };
        append(&mut buffer, &ServerLine { id: Some(3), reply: Some(reply), frame: None }).unwrap();
        let buffer = append_frame(buffer, Frame::Fleet(Arc::new(Fleet::default()))).await.unwrap();
        let text = String::from_utf8(buffer).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], r#"{"id":3,"order":{"actor":"ops","order":"pause"}}"#);
        assert_eq!(lines[1], r#"{"id":3,"reply":{"reply":"refused","text":"no"}}"#);
        assert!(lines[2].starts_with(r#"{"frame":{"fleet":{"clients":[]"#), "{}", lines[2]);
        let told: ServerLine = parse(lines[2].to_owned()).await.unwrap();
        assert_eq!(told.frame, Some(Frame::Fleet(Arc::new(Fleet::default()))));
    }

    #[tokio::test]
    async fn a_whole_fleet_is_one_line_and_survives_it() {
        let fleet = Arc::new(script::whole_fleet(60));
        let bytes = append_frame(b"\n".to_vec(), Frame::Fleet(fleet.clone())).await.unwrap();
        assert!(bytes.len() > LONG, "{}", bytes.len());
        let (lines, _) = all(&bytes, LONGEST_FRAME).await;
        let [sign_of_life, line] = lines.try_into().unwrap();
        assert!(sign_of_life.is_empty());
        let told: ServerLine = parse(line).await.unwrap();
        assert_eq!(told, ServerLine { frame: Some(Frame::Fleet(fleet)), ..ServerLine::default() });
    }

    proptest! {
        #[test]
        fn garbage_is_an_error_and_never_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                let (lines, _) = all(&bytes, 100).await;
                for line in lines {
                    assert!(line.len() <= 100);
                    let _ = parse::<OrderLine>(line.clone()).await;
                    let _ = parse::<Hello>(line.clone()).await;
                    let _ = parse::<ServerLine>(line).await;
                }
            });
        }

        #[test]
        fn lines_that_look_right_never_panic(
            id in any::<i64>(),
            word in "[a-z_]{0,12}|collect|pause|once|cancel",
            rest in r#"[\[\]{}",:a-z0-9\\]{0,60}"#,
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                for line in [
                    format!(r#"{{"id":{id},"order":{{"actor":"x","order":{{"{word}":{rest}}}}}}}"#),
                    format!(r#"{{"frame":{{"{word}":{rest}}}}}"#),
                    format!(r#"{{"id":{id},"reply":{{"reply":"{word}",{rest}}}}}"#),
                ] {
                    let _ = parse::<OrderLine>(line.clone()).await;
                    let _ = parse::<ServerLine>(line).await;
                }
            });
        }
    }
}
