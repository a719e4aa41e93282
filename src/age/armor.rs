//! The text forms of a file: ASCII armour, which age writes with `-a`, and one line for an attribute of the
//! configuration.

use base64ct::{Base64, Encoding as _};

use super::error::AgeError;

const BEGIN: &str = "-----BEGIN AGE ENCRYPTED FILE-----";
const END: &str = "-----END AGE ENCRYPTED FILE-----";
/// The length of a full line, in characters.
const COLUMNS: usize = 64;

/// The text form of a file, several lines.
#[must_use]
pub fn armored(file: &[u8]) -> String {
    let base64 = Base64::encode_string(file);
    let mut text = format!("{BEGIN}\n");
    for (index, c) in base64.chars().enumerate() {
        if index > 0 && index.is_multiple_of(COLUMNS) {
            text.push('\n');
        }
        text.push(c);
    }
    text + "\n" + END + "\n"
}

/// Whether a file begins as one in ASCII armour.
pub(super) fn is_armored(file: &[u8]) -> bool {
    file.trim_ascii_start().starts_with(BEGIN.as_bytes())
}

/// The binary form of a file in either form; `None` if it is binary already.
///
/// # Errors
/// [`AgeError::Armor`] if the text is damaged.
pub(super) fn removed(file: &[u8]) -> Result<Option<Vec<u8>>, AgeError> {
    if !is_armored(file) {
        return Ok(None);
    }
    let text = str::from_utf8(file.trim_ascii()).map_err(|_| AgeError::Armor)?;
    let lines: Vec<&str> = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)).collect();
    let [BEGIN, body @ .., END] = lines.as_slice() else { return Err(AgeError::Armor) };
    if let Some((last, full)) = body.split_last() {
        let is_whole = full.iter().all(|line| line.len() == COLUMNS) && (1..=COLUMNS).contains(&last.len());
        if !is_whole {
            return Err(AgeError::Armor);
        }
    }
    Base64::decode_vec(&body.concat()).map(Some).map_err(|_| AgeError::Armor)
}

/// The binary form of a file that is in one line: in base64, or in ASCII armour, in which XML has replaced the line
/// ends by blanks. `None` if the text does not begin as one of them.
///
/// # Errors
/// [`AgeError::Armor`] if the text is damaged.
pub fn from_line(text: &str) -> Result<Option<Vec<u8>>, AgeError> {
    /// The first characters of the base64 of `age-encryption.org`.
    const BASE64: &str = "YWdlLWVuY3J5cHRpb24ub3Jn";
    let text = text.trim_ascii();
    let base64 = match text.strip_prefix(BEGIN) {
        Some(rest) => rest.strip_suffix(END).ok_or(AgeError::Armor)?,
        None if text.starts_with(BASE64) => text,
        None => return Ok(None),
    };
    let base64: String = base64.split_ascii_whitespace().collect();
    Base64::decode_vec(&base64).map(Some).map_err(|_| AgeError::Armor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_read_as_it_was_written() {
        let start = b"age-encryption.org";
        for length in [18, 47, 48, 49, 96, 1000] {
            let file: Vec<u8> = start.iter().copied().chain(0..=255).cycle().take(length).collect();
            let text = armored(&file);
            assert_eq!(removed(text.as_bytes()), Ok(Some(file.clone())), "{length}");
            assert_eq!(removed(text.replace('\n', "\r\n").as_bytes()), Ok(Some(file.clone())), "{length}");
            // As an attribute of XML, with its line ends kept and replaced.
            for line in
                [text.as_str(), &text.replace('\n', " "), &text.replace('\n', ""), &Base64::encode_string(&file)]
            {
                assert_eq!(from_line(line), Ok(Some(file.clone())), "{length}: {line}");
            }
        }
    }

    #[test]
    fn a_line_is_a_file_or_damaged_or_neither() {
        for (line, expected) in [
            ("/etc/fleetsweep/smtp.age", Ok(None)),
            ("YWdl", Ok(None)),
            ("-----BEGIN OPENSSH PRIVATE KEY-----", Ok(None)),
            ("YWdlLWVuY3J5cHRpb24ub3Jn", Ok(Some(b"age-encryption.org".to_vec()))),
            (" YWdlLWVuY3J5cHRpb24u b3Jn\t", Ok(None)),
            ("YWdlLWVuY3J5cHRpb24ub3JnL", Err(AgeError::Armor)),
            ("YWdlLWVuY3J5cHRpb24ub3JnLw", Err(AgeError::Armor)),
            ("YWdlLWVuY3J5cHRpb24ub3Jn*w==", Err(AgeError::Armor)),
            ("-----BEGIN AGE ENCRYPTED FILE-----", Err(AgeError::Armor)),
            ("-----BEGIN AGE ENCRYPTED FILE----- YWdl", Err(AgeError::Armor)),
        ] {
            assert_eq!(from_line(line), expected, "{line}");
        }
    }
}
