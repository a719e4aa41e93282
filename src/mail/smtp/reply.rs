//! Parses replies of an SMTP server (RFC 5321, 4.2) incrementally. Pure. The length of a line, the number of lines and
//! the length of a reply are limited. Takes linear time.

use crate::mail::outcome::EnhancedCode;

/// The longest line with its line end. RFC 5321 allows 512 bytes, but some servers send more.
pub const MAX_LINE_BYTES: usize = 2048;

/// The most lines of a reply. A long reply to `EHLO` has thirty.
pub const MAX_LINES: usize = 100;

/// The longest reply, bytes.
pub const MAX_REPLY_BYTES: usize = 64 * 1024;

/// A complete reply: status code and text of at least one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    code: u16,
    lines: Vec<String>,
}

/// The reason why bytes are not a reply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MalformedReply {
    /// A line does not end.
    #[error("a line of its reply is longer than {MAX_LINE_BYTES} bytes")]
    LineTooLong,
    /// There are too many lines.
    #[error("its reply has more than {MAX_LINES} lines")]
    TooManyLines,
    /// The reply is too long.
    #[error("its reply is longer than {MAX_REPLY_BYTES} bytes")]
    TooLong,
    /// A line does not begin with a status code.
    #[error("this is no SMTP reply: `{0}`")]
    NoCode(String),
    /// A line has another code than the first one.
    #[error("its reply begins with {first} and goes on with {then}")]
    CodesDiffer {
        /// The code of the first line.
        first: u16,
        /// The other code.
        then: u16,
    },
}

impl Reply {
    /// The reply at the start of `bytes` and its length; `None` if it is incomplete.
    ///
    /// # Errors
    /// [`MalformedReply`] if these bytes cannot be the start of a reply.
    pub fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, MalformedReply> {
        match ReplyParser::default().push(bytes)? {
            Progress::Done { reply, used } => Ok(Some((reply, used))),
            Progress::More => Ok(None),
        }
    }

    /// The status code, 200 to 599.
    #[must_use]
    pub fn code(&self) -> u16 {
        self.code
    }

    /// The text of each line, without status code and line end. Invalid UTF-8 is replaced.
    #[must_use]
    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    /// The enhanced status code of the first line.
    #[must_use]
    pub fn enhanced(&self) -> Option<EnhancedCode> {
        EnhancedCode::split(self.lines.first()?).0
    }

    /// The text of all lines without codes, in one line.
    #[must_use]
    pub fn text(&self) -> String {
        let enhanced = self.enhanced();
        let texts = self.lines.iter().map(|line| match EnhancedCode::split(line) {
            (code @ Some(_), text) if code == enhanced => text,
            (Some(_) | None, _) => line,
        });
        texts.collect::<Vec<_>>().join(" ")
    }

    /// The reply in one line: status code, enhanced code, text.
    #[must_use]
    pub fn words(&self) -> String {
        let enhanced = self.enhanced().map(|code| format!(" {code}")).unwrap_or_default();
        format!("{}{enhanced} {}", self.code, self.text()).trim_end().to_owned()
    }
}

/// The state of a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// All bytes were consumed, and the reply is incomplete.
    More,
    /// The reply is complete.
    Done {
        /// The reply.
        reply: Reply,
        /// How many of the bytes belong to it. The rest is unsolicited.
        used: usize,
    },
}

/// Parses one reply incrementally.
#[derive(Debug, Default)]
pub struct ReplyParser {
    /// The incomplete line.
    line: Vec<u8>,
    lines: Vec<String>,
    code: Option<u16>,
    /// The length of the complete lines.
    bytes: usize,
}

impl ReplyParser {
    /// Whether there was no data yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.line.is_empty() && self.lines.is_empty()
    }

    /// Adds the next bytes.
    ///
    /// # Errors
    /// [`MalformedReply`]. The parser cannot be used afterwards.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Progress, MalformedReply> {
        let mut used = 0;
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.line.len() + piece.len() > MAX_LINE_BYTES {
                return Err(MalformedReply::LineTooLong);
            }
            if self.bytes + self.line.len() + piece.len() > MAX_REPLY_BYTES {
                return Err(MalformedReply::TooLong);
            }
            self.line.extend_from_slice(piece);
            used += piece.len();
            if piece.ends_with(b"\n") && self.line_ends()? {
                let Self { lines, code, .. } = std::mem::take(self);
                return Ok(Progress::Done { reply: Reply { code: code.unwrap_or_default(), lines }, used });
            }
        }
        Ok(Progress::More)
    }

    /// Adds a complete line. Returns whether it was the last one.
    fn line_ends(&mut self) -> Result<bool, MalformedReply> {
        let line = std::mem::take(&mut self.line);
        self.bytes += line.len();
        let line = line.strip_suffix(b"\n").unwrap_or(&line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let (code, is_last, text) = split(line).ok_or_else(|| MalformedReply::NoCode(excerpt(line)))?;
        match self.code {
            Some(first) if first != code => return Err(MalformedReply::CodesDiffer { first, then: code }),
            Some(_) | None => self.code = Some(code),
        }
        if self.lines.len() >= MAX_LINES {
            return Err(MalformedReply::TooManyLines);
        }
        self.lines.push(String::from_utf8_lossy(text).into_owned());
        Ok(is_last)
    }
}

/// The status code of a line, whether the line is the last one of its reply, and its text.
fn split(line: &[u8]) -> Option<(u16, bool, &[u8])> {
    let (code, rest) = line.split_at_checked(3)?;
    let code: u16 = if code.iter().all(u8::is_ascii_digit) { str::from_utf8(code).ok()?.parse().ok()? } else { 0 };
    if !(200..=599).contains(&code) {
        return None;
    }
    match rest {
        [] => Some((code, true, rest)),
        [b' ', text @ ..] => Some((code, true, text)),
        [b'-', text @ ..] => Some((code, false, text)),
        _ => None,
    }
}

/// The start of a line, for error messages.
fn excerpt(line: &[u8]) -> String {
    const LONGEST: usize = 60;
    String::from_utf8_lossy(line.get(..LONGEST).unwrap_or(line)).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(reply: &Reply) -> (u16, Vec<&str>) {
        (reply.code(), reply.lines().iter().map(String::as_str).collect())
    }

    #[test]
    fn a_reply_is_read_whatever_its_shape() {
        for (bytes, code, expected, used) in [
            (&b"250 ok\r\n"[..], 250, &["ok"][..], 8),
            (b"250 ok\n", 250, &["ok"], 7),
            (b"250\r\n", 250, &[""], 5),
            (b"250 \r\n", 250, &[""], 6),
            (b"250-a\r\n250-\r\n250 c\r\n", 250, &["a", "", "c"], 20),
            (b"220 a\r\n250 injected\r\n", 220, &["a"], 7),
            (b"220 bare\rcr\r\n", 220, &["bare\rcr"], 13),
            (b"220 nul\0nul\r\n", 220, &["nul\0nul"], 13),
            (b"220 \xff\xfe\r\n", 220, &["\u{fffd}\u{fffd}"], 8),
            (b"250-a\n250 b\r\n", 250, &["a", "b"], 13),
            (b"599 new\r\n", 599, &["new"], 9),
        ] {
            let (reply, taken) = Reply::parse(bytes).unwrap().unwrap();
            assert_eq!((lines(&reply), taken), ((code, expected.to_vec()), used));
        }
        for bytes in [&b""[..], b"2", b"250 ok", b"250 ok\r", b"250-ok\r\n", b"250-ok\r\n250"] {
            assert_eq!(Reply::parse(bytes), Ok(None));
        }
    }

    #[test]
    fn what_is_no_reply_says_why() {
        let no_code = |text: &str| MalformedReply::NoCode(text.into());
        for (bytes, expected) in [
            (&b"\r\n"[..], no_code("")),
            (b"SSH-2.0-OpenSSH_9.6\r\n", no_code("SSH-2.0-OpenSSH_9.6")),
            (b"25\r\n", no_code("25")),
            (b"2500 ok\r\n", no_code("2500 ok")),
            (b"199 ok\r\n", no_code("199 ok")),
            (b"600 ok\r\n", no_code("600 ok")),
            (b"+50 ok\r\n", no_code("+50 ok")),
            (b" 250 ok\r\n", no_code(" 250 ok")),
            (b"250_ok\r\n", no_code("250_ok")),
            ("٢٥٠ ok\r\n".as_bytes(), no_code("٢٥٠ ok")),
            (b"250-a\r\n251 b\r\n", MalformedReply::CodesDiffer { first: 250, then: 251 }),
            (&[b'x'; MAX_LINE_BYTES + 1], MalformedReply::LineTooLong),
            (&[0; MAX_LINE_BYTES + 1], MalformedReply::LineTooLong),
            (&[b'\r'; MAX_LINE_BYTES + 1], MalformedReply::LineTooLong),
            (&b"250-a\r\n".repeat(MAX_LINES + 1), MalformedReply::TooManyLines),
            (&[&b"250-"[..], &[b'x'; 2000], b"\r\n"].concat().repeat(40), MalformedReply::TooLong),
        ] {
            assert_eq!(Reply::parse(bytes), Err(expected));
        }
    }

    #[test]
    fn the_longest_line_and_the_longest_reply_are_taken() {
        let line = [&b"250 "[..], &[b'x'; MAX_LINE_BYTES - 6], b"\r\n"].concat();
        assert!(matches!(Reply::parse(&line), Ok(Some((_, MAX_LINE_BYTES)))));
        let reply = [&b"250-a\r\n".repeat(MAX_LINES - 1)[..], b"250 b\r\n"].concat();
        assert_eq!(Reply::parse(&reply).unwrap().unwrap().0.lines().len(), MAX_LINES);
    }

    #[test]
    fn the_words_of_a_reply_name_each_code_once() {
        for (bytes, words, text) in [
            (&b"250 ok\r\n"[..], "250 ok", "ok"),
            (b"250\r\n", "250", ""),
            (b"550-5.1.1 no such user\r\n550 5.1.1 ask\r\n", "550 5.1.1 no such user ask", "no such user ask"),
            (b"550-5.1.1 no\r\n550 5.7.1 ask\r\n", "550 5.1.1 no 5.7.1 ask", "no 5.7.1 ask"),
            (b"250 2.0.0\r\n", "250 2.0.0", ""),
        ] {
            let (reply, _) = Reply::parse(bytes).unwrap().unwrap();
            assert_eq!((reply.words().as_str(), reply.text().as_str()), (words, text));
        }
    }

    proptest! {
        #[test]
        fn a_reply_is_the_same_however_it_is_cut(bytes in "((250|251|2x)[- ][a\u{0}é\r]{0,9}\r?\n){0,5}", at in 0_usize..60) {
            let bytes = bytes.as_bytes();
            let whole = Reply::parse(bytes);
            let (first, second) = bytes.split_at(at.min(bytes.len()));
            let mut parser = ReplyParser::default();
            let in_pieces = match parser.push(first) {
                Ok(Progress::More) => match parser.push(second) {
                    Ok(Progress::Done { reply, used }) => Ok(Some((reply, first.len() + used))),
                    Ok(Progress::More) => Ok(None),
                    Err(error) => Err(error),
                },
                Ok(Progress::Done { reply, used }) => Ok(Some((reply, used))),
                Err(error) => Err(error),
            };
            prop_assert_eq!(whole, in_pieces);
        }
    }
}
