//! A line of the spool: JSON with the length and the checksum of its content, so that a partly written line is
//! detected. The meaning of the content is elsewhere.

use crc::{CRC_32_ISO_HDLC, Crc};

/// The version of the format.
pub(super) const FORMAT: u32 = 1;

const CHECKSUM: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// The line for a content, including the line end. The content must be JSON without line breaks.
pub(super) fn of(content: &str) -> String {
    format!("{{\"bytes\":{},\"crc32\":\"{:08x}\",\"content\":{content}}}\n", content.len(), sum(content))
}

/// The content of a line, with or without its line end; `None` if the line is damaged.
pub(super) fn content(line: &[u8]) -> Option<&str> {
    let line = std::str::from_utf8(line).ok()?;
    let rest = line.trim_end_matches('\n').strip_prefix("{\"bytes\":")?;
    let (bytes, rest) = rest.split_once(",\"crc32\":\"")?;
    let (checksum, rest) = rest.split_once("\",\"content\":")?;
    let content = rest.strip_suffix('}')?;
    let whole = bytes.parse() == Ok(content.len()) && u32::from_str_radix(checksum, 16) == Ok(sum(content));
    whole.then_some(content)
}

fn sum(content: &str) -> u32 {
    CHECKSUM.checksum(content.as_bytes())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_line_is_whole_or_recognised(text in ".*", cut in any::<prop::sample::Index>(), bit in 0_u32..8) {
            let json = serde_json::to_string(&text).unwrap();
            let line = of(&json);
            prop_assert_eq!(content(line.as_bytes()), Some(json.as_str()));
            prop_assert!(serde_json::from_str::<serde_json::Value>(&line).is_ok());
            prop_assert_eq!(line.matches('\n').count(), 1);
            let kept = cut.index(line.len() - 1);
            prop_assert_eq!(content(&line.as_bytes()[..kept]), None);
            let mut damaged = line.into_bytes();
            damaged[kept] ^= 1 << bit;
            // In the digits of the checksum, a changed bit may turn `a` into `A`, which has the same value.
            prop_assert!(content(&damaged).is_none_or(|found| found == json));
        }
    }
}
