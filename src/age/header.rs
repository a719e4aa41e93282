//! The header of a file: its stanzas and its MAC, in text. Which stanza can be unwrapped is decided elsewhere.

use base64ct::{Base64Unpadded, Encoding as _};

use super::{error::AgeError, payload::MAC_BYTES};

/// The first line.
const VERSION: &[u8] = b"age-encryption.org/v1\n";
/// The start of the first line of all versions.
const FAMILY: &[u8] = b"age-encryption.org/v";
const STANZA: &str = "-> ";
const MAC: &str = "---";
/// The length of a full line of a body, in characters.
const COLUMNS: usize = 64;
/// The most stanzas that are read, because each one that could be ours costs two multiplications on the curve.
const MOST_STANZAS: usize = 100;

/// What is needed to unwrap the file key for one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stanza {
    /// The type of the recipient.
    pub kind: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Its decoded body.
    pub body: Vec<u8>,
}

/// A header.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header<'a> {
    /// One for each recipient, at least one.
    pub stanzas: Vec<Stanza>,
    /// The bytes of which the MAC is made.
    pub signed: &'a [u8],
    /// The MAC.
    pub mac: [u8; MAC_BYTES],
}

/// Splits a file into its header and payload.
///
/// # Errors
/// [`AgeError::NotAge`], [`AgeError::Version`] or [`AgeError::Header`].
pub(super) fn parse(file: &[u8]) -> Result<(Header<'_>, &[u8]), AgeError> {
    let Some(mut rest) = file.strip_prefix(VERSION) else {
        return Err(if is_age(file) { AgeError::Version } else { AgeError::NotAge });
    };
    let mut stanzas = Vec::new();
    loop {
        let (line, behind) = line(rest)?;
        if let Some(mac) = line.strip_prefix(MAC) {
            let signed = file.get(..file.len() - rest.len() + MAC.len()).ok_or(AgeError::Header)?;
            let mac = decode(mac.strip_prefix(' ').ok_or(AgeError::Header)?)?;
            let mac = mac.try_into().map_err(|_| AgeError::Header)?;
            return if stanzas.is_empty() {
                Err(AgeError::Header)
            } else {
                Ok((Header { stanzas, signed, mac }, behind))
            };
        }
        if stanzas.len() == MOST_STANZAS {
            return Err(AgeError::Header);
        }
        let mut words = line.strip_prefix(STANZA).ok_or(AgeError::Header)?.split(' ');
        let is_word = |word: &&str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_graphic());
        let kind = words.next().filter(is_word).ok_or(AgeError::Header)?.to_owned();
        let arguments: Option<Vec<String>> = words.map(|word| is_word(&word).then(|| word.to_owned())).collect();
        let (body, behind) = body(behind)?;
        stanzas.push(Stanza { kind, arguments: arguments.ok_or(AgeError::Header)?, body });
        rest = behind;
    }
}

/// Whether a file in binary form begins as one of age, of any version.
pub(super) fn is_age(file: &[u8]) -> bool {
    file.starts_with(FAMILY)
}

/// The body at the start of `rest`, and what follows it. It ends with the first line that is not full.
fn body(mut rest: &[u8]) -> Result<(Vec<u8>, &[u8]), AgeError> {
    let mut text = String::new();
    loop {
        let (part, behind) = line(rest)?;
        text.push_str(part);
        rest = behind;
        match part.len() {
            COLUMNS => {}
            0..COLUMNS => return Ok((decode(&text)?, rest)),
            _ => return Err(AgeError::Header),
        }
    }
}

/// The first line without its end, and what follows it.
fn line(bytes: &[u8]) -> Result<(&str, &[u8]), AgeError> {
    let end = bytes.iter().position(|byte| *byte == b'\n').ok_or(AgeError::Header)?;
    let (line, behind) = bytes.split_at_checked(end).ok_or(AgeError::Header)?;
    Ok((str::from_utf8(line).map_err(|_| AgeError::Header)?, behind.get(1..).unwrap_or_default()))
}

fn decode(text: &str) -> Result<Vec<u8>, AgeError> {
    Base64Unpadded::decode_vec(text).map_err(|_| AgeError::Header)
}

/// The start of a file with these stanzas, up to the MAC: the bytes of which it is made.
pub(super) fn unsigned(stanzas: &[Stanza]) -> Vec<u8> {
    let mut out = VERSION.to_vec();
    for Stanza { kind, arguments, body } in stanzas {
        out.extend_from_slice(STANZA.as_bytes());
        out.extend_from_slice(kind.as_bytes());
        for argument in arguments {
            out.push(b' ');
            out.extend_from_slice(argument.as_bytes());
        }
        out.push(b'\n');
        let text = Base64Unpadded::encode_string(body);
        // The last line is not full, even if it is then empty.
        for line in text.as_bytes().chunks(COLUMNS) {
            out.extend_from_slice(line);
            out.push(b'\n');
        }
        if text.len().is_multiple_of(COLUMNS) {
            out.push(b'\n');
        }
    }
    out.extend_from_slice(MAC.as_bytes());
    out
}

/// The end of the header, after the bytes of which the MAC is made.
pub(super) fn signature(mac: &[u8; MAC_BYTES]) -> String {
    format!(" {}\n", Base64Unpadded::encode_string(mac))
}
