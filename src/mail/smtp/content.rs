//! The content of a mail as it is sent after `DATA`: lines end with CR LF, a dot at the start of a line is doubled (RFC
//! 5321, 4.5.2), and a line with a single dot is the end. Pure. The content is produced in pieces, so that there is no
//! second copy of a large mail.

/// The size of a piece, bytes.
const PIECE_BYTES: usize = 32 * 1024;

/// The content of a mail and the position in it.
#[derive(Debug)]
pub(super) struct DotStuffed<'a> {
    rest: &'a [u8],
    /// The last byte written, initially a line feed.
    last: u8,
    ended: bool,
}

impl<'a> DotStuffed<'a> {
    pub(super) fn new(content: &'a [u8]) -> Self {
        Self { rest: content, last: b'\n', ended: false }
    }

    /// Replaces `piece` with the next piece and returns whether there was one. The end is in the same piece as the text
    /// before it, because sending it separately could wait for an acknowledgement.
    pub(super) fn next_piece(&mut self, piece: &mut Vec<u8>) -> bool {
        piece.clear();
        if self.ended {
            return false;
        }
        while piece.len() < PIECE_BYTES {
            let Some((&byte, rest)) = self.rest.split_first() else {
                self.end_line(piece);
                piece.extend_from_slice(b".\r\n");
                self.ended = true;
                return true;
            };
            self.rest = rest;
            match byte {
                b'\r' => {
                    self.rest = rest.strip_prefix(b"\n").unwrap_or(rest);
                    self.new_line(piece);
                }
                b'\n' => self.new_line(piece),
                b'.' if self.last == b'\n' => {
                    piece.extend_from_slice(b"..");
                    self.last = byte;
                }
                _ => {
                    piece.push(byte);
                    self.last = byte;
                }
            }
        }
        true
    }

    fn new_line(&mut self, piece: &mut Vec<u8>) {
        piece.extend_from_slice(b"\r\n");
        self.last = b'\n';
    }

    fn end_line(&mut self, piece: &mut Vec<u8>) {
        if self.last != b'\n' {
            self.new_line(piece);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn whole(content: &[u8]) -> Vec<u8> {
        let (mut stuffed, mut piece, mut all) = (DotStuffed::new(content), Vec::new(), Vec::new());
        while stuffed.next_piece(&mut piece) {
            assert!(piece.len() < PIECE_BYTES + 8);
            all.extend_from_slice(&piece);
        }
        all
    }

    /// The content that a server receives.
    fn received(data: &[u8]) -> Vec<u8> {
        let text = str::from_utf8(data).unwrap();
        let mut lines: Vec<&str> = text.strip_suffix("\r\n").unwrap().split("\r\n").collect();
        assert_eq!(lines.pop(), Some("."));
        assert!(lines.iter().all(|line| *line != "." && !line.contains(['\r', '\n'])), "{text:?}");
        let lines = lines.iter().map(|line| line.strip_prefix('.').unwrap_or(line));
        lines.fold(String::new(), |whole, line| whole + line + "\r\n").into_bytes()
    }

    #[test]
    fn no_line_of_a_content_ends_it_early() {
        for (content, expected) in [
            ("", ".\r\n"),
            (".", "..\r\n.\r\n"),
            ("a", "a\r\n.\r\n"),
            ("a\r\n.\r\nQUIT\r\n", "a\r\n..\r\nQUIT\r\n.\r\n"),
            // Line ends that only some servers accept.
            ("a\n.\nQUIT\n", "a\r\n..\r\nQUIT\r\n.\r\n"),
            ("a\r.\rQUIT\r", "a\r\n..\r\nQUIT\r\n.\r\n"),
            ("a\n.\r\nb", "a\r\n..\r\nb\r\n.\r\n"),
            ("a\r\n.\rb", "a\r\n..\r\nb\r\n.\r\n"),
            ("..a\r\n...", "...a\r\n....\r\n.\r\n"),
            ("a.b\r\n", "a.b\r\n.\r\n"),
        ] {
            assert_eq!(String::from_utf8(whole(content.as_bytes())).unwrap(), expected, "{content:?}");
        }
    }

    #[test]
    fn a_large_content_arrives_as_it_was() {
        for line in ["....\r\n", "x\r\n", "é.\r\n"] {
            let content = line.repeat(3 * PIECE_BYTES / line.len() + 1);
            assert_eq!(received(&whole(content.as_bytes())), content.as_bytes());
        }
    }

    proptest! {
        #[test]
        fn every_content_arrives_with_whole_lines(content in "[.a\r\n]{0,40}") {
            let expected = content.replace("\r\n", "\n").replace('\r', "\n").replace('\n', "\r\n");
            let ended = expected.is_empty() || expected.ends_with("\r\n");
            let expected = if ended { expected } else { expected + "\r\n" };
            prop_assert_eq!(received(&whole(content.as_bytes())), expected.into_bytes());
        }
    }
}
