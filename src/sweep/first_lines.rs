//! The first lines of a peer, up to the identification of an SSH server. They distinguish an SSH server from other
//! services. Pure.

/// An SSH identification line has at most 255 bytes (RFC 4253, section 4.2).
const LINE_BYTES: usize = 255;

/// The lines received so far.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct FirstLines {
    /// The first complete line that is not empty.
    first: Option<Vec<u8>>,
    /// The incomplete line, up to the longest length of a line.
    current: Vec<u8>,
    /// The identification.
    identification: Option<Vec<u8>>,
}

impl FirstLines {
    /// The first line, if it is not from an SSH server: it is complete, or too long.
    pub(super) fn foreign(&self) -> Option<String> {
        if self.identification.is_some() {
            return None;
        }
        let too_long = (self.current.len() >= LINE_BYTES).then_some(&self.current);
        let line = self.first.as_ref().or(too_long)?;
        (!line.starts_with(b"SSH-")).then(|| words(line))
    }

    /// An incomplete line.
    pub(super) fn begun(&self) -> Option<String> {
        (self.identification.is_none() && !self.current.is_empty()).then(|| words(&self.current))
    }

    /// The identification of an SSH server.
    pub(super) fn identification(&self) -> Option<&[u8]> {
        self.identification.as_deref()
    }

    /// Takes bytes up to the end of the identification. Returns how many, and whether the identification is complete.
    pub(super) fn take(&mut self, bytes: &[u8]) -> (usize, bool) {
        for (at, byte) in bytes.iter().enumerate() {
            if *byte != b'\n' {
                if self.current.len() < LINE_BYTES {
                    self.current.push(*byte);
                }
                continue;
            }
            let mut line = std::mem::take(&mut self.current);
            if line.last() == Some(&b'\r') {
                line.pop();
            }
            if line.starts_with(b"SSH-2.0-") || line.starts_with(b"SSH-1.99-") {
                self.identification = Some(line);
                return (at + 1, true);
            }
            if self.first.is_none() && !line.trim_ascii().is_empty() {
                self.first = Some(line);
            }
        }
        (bytes.len(), false)
    }
}

fn words(line: &[u8]) -> String {
    String::from_utf8_lossy(line).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_foreign_when_it_is_whole_and_no_line_of_ssh() {
        let (line, long) = ("x".repeat(255), "x".repeat(300));
        for (said, foreign, begun, identification) in [
            ("SSH-2.0-OpenSSH_9.2\r\n", None, None, Some("SSH-2.0-OpenSSH_9.2")),
            ("SSH-1.99-old\n", None, None, Some("SSH-1.99-old")),
            ("", None, None, None),
            ("SSH", None, Some("SSH"), None),
            ("SSH-2.0-Ope", None, Some("SSH-2.0-Ope"), None),
            ("HTT", None, Some("HTT"), None),
            ("HTTP/1.1 400 Bad Request\r\nServer: x\r\n", Some("HTTP/1.1 400 Bad Request"), None, None),
            ("\r\nExceeded MaxStartups\r\n", Some("Exceeded MaxStartups"), None, None),
            ("Welcome\r\nSSH-2.0-x\r\n", None, None, Some("SSH-2.0-x")),
            ("Welcome\r\nSSH-2.", Some("Welcome"), Some("SSH-2."), None),
            ("SSH-1.5-ancient\r\n", None, None, None),
            (&long, Some(line.as_str()), Some(line.as_str()), None),
        ] {
            for piece in [1, 7, 1000] {
                let mut lines = FirstLines::default();
                for piece in said.as_bytes().chunks(piece) {
                    lines.take(piece);
                }
                assert_eq!(lines.foreign().as_deref(), foreign, "{said:?}");
                assert_eq!(lines.begun().as_deref(), begun, "{said:?}");
                assert_eq!(lines.identification(), identification.map(str::as_bytes), "{said:?}");
            }
        }
    }
}
