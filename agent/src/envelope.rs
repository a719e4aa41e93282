//! Seals a report for one request, and opens it again. It does not authenticate the client; the host key of the SSH
//! session does.
//!
//! # Format
//!
//! | field | bytes |
//! | --- | --- |
//! | magic `FSWP` | 4 |
//! | version | 1 |
//! | collection id | 16 |
//! | server's ephemeral public key, compressed P-256 point | 33 |
//! | agent's ephemeral public key, compressed P-256 point | 33 |
//! | nonce of the wrapped key | 12 |
//! | data key, wrapped: AES-256-GCM under the key-encryption key | 32 + 16 |
//! | nonce of the report | 12 |
//! | report XML: AES-256-GCM under the data key | its length + 16 |
//!
//! The first five fields are the header. It is the associated data of both encryptions. The key-encryption key is
//! HKDF-SHA-256 of the ECDH secret, without salt, with the label `fleetsweep 1 key-encryption key` and the header as
//! info. Data key, nonces and the agent's key pair are new for every envelope.
//!
//! # Armour
//!
//! The bytes are encoded as lines of base64 between [`BEGIN`] and [`END`]. A login shell may print any text around
//! them, even before [`BEGIN`] in the same line, and line ends may be LF or CRLF. If several blocks begin, **the last
//! one counts**: the agent's answer is the last output of a command, and if all of them were tried, a client could
//! determine how much work the collector does.

use aes_gcm::{Aes256Gcm, KeyInit, Nonce, aead::AeadInOut};
use base64ct::{Base64, Encoding};
use hkdf::Hkdf;
use p256::{
    PublicKey, SecretKey,
    elliptic_curve::{Generate, rand_core::TryCryptoRng, sec1::ToSec1Point},
};
use sha2::Sha256;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::{VERSION, request::Request};

/// The first line of an envelope.
pub const BEGIN: &str = "-----BEGIN FLEETSWEEP REPORT-----";
/// The last line of an envelope.
pub const END: &str = "-----END FLEETSWEEP REPORT-----";
/// The largest report XML that is sealed or opened, bytes.
pub const MAX_REPORT_BYTES: usize = 4 << 20;
/// The largest output of a command in which an envelope is searched, bytes, including other text. The largest envelope
/// takes 5.7 MB of it. The collector reads no more than this.
pub const MAX_ANSWER_BYTES: usize = 8 << 20;

const MAGIC: &[u8; 4] = b"FSWP";
const LABEL: &[u8] = b"fleetsweep 1 key-encryption key";
const POINT_BYTES: usize = 33;
const HEADER_BYTES: usize = MAGIC.len() + 1 + 16 + 2 * POINT_BYTES;
const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;
const WRAPPED_BYTES: usize = KEY_BYTES + TAG_BYTES;
const LEAST_BYTES: usize = HEADER_BYTES + NONCE_BYTES + WRAPPED_BYTES + NONCE_BYTES + TAG_BYTES;
/// The number of base64 characters in a line, a multiple of four.
const LINE_CHARS: usize = 76;

/// Why a report cannot be sealed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The report is larger than the limit.
    #[error("the report has {bytes} bytes, more than {MAX_REPORT_BYTES}")]
    TooLarge {
        /// The size of the report.
        bytes: usize,
    },
    /// No random bytes are available, with the error of the source.
    #[error("no random bytes: {0}")]
    NoRandomBytes(String),
    /// The cipher failed, which cannot happen at these sizes.
    #[error("the cipher refused the report")]
    Cipher,
}

/// Why an answer is rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The output contains no envelope.
    #[error("the output holds no envelope")]
    Missing,
    /// The envelope begins but does not end, or is shorter than any envelope.
    #[error("the envelope is truncated")]
    Truncated,
    /// One part cannot be decoded; its name.
    #[error("the envelope is malformed: {0}")]
    Malformed(&'static str),
    /// It has another version of the wire format.
    #[error("the envelope has version {0}, this program reads version {VERSION}")]
    OtherVersion(u8),
    /// It belongs to another collection: it was replayed, or is meant for another request.
    #[error("the envelope answers collection {0}, not this one")]
    OtherCollection(Uuid),
    /// It names this collection, but was sealed for another key.
    #[error("the envelope is sealed for another key than this collection's")]
    OtherRecipient,
    /// The output or the report in it is larger than allowed.
    #[error("the answer is larger than a report can be")]
    TooLarge,
    /// The authentication failed: it is forged or was altered.
    #[error("the envelope does not authenticate: it was forged or altered")]
    Forged,
}

/// A new ephemeral secret. Its public key is sent in the request, and the secret opens the answer.
///
/// # Errors
/// [`SealError::NoRandomBytes`]
pub fn fresh_secret<R: TryCryptoRng + ?Sized>(random: &mut R) -> Result<SecretKey, SealError> {
    SecretKey::try_generate_from_rng(random).map_err(|error| SealError::NoRandomBytes(error.to_string()))
}

/// Seals a report for a request. Returns the armoured text with a line end before and after it.
///
/// # Errors
/// [`SealError`]
pub fn seal<R: TryCryptoRng + ?Sized>(
    report_xml: &[u8],
    request: &Request,
    random: &mut R,
) -> Result<String, SealError> {
    let secret = fresh_secret(random)?;
    let mut fill =
        |bytes: &mut [u8]| random.try_fill_bytes(bytes).map_err(|error| SealError::NoRandomBytes(error.to_string()));
    let mut fresh = Fresh {
        secret,
        data_key: Zeroizing::new([0; KEY_BYTES]),
        key_nonce: [0; NONCE_BYTES],
        report_nonce: [0; NONCE_BYTES],
    };
    fill(fresh.data_key.as_mut_slice())?;
    fill(&mut fresh.key_nonce)?;
    fill(&mut fresh.report_nonce)?;
    seal_with(report_xml, request, &fresh)
}

/// Finds the armoured envelope in the output of a command and opens it. Returns the report's XML. `secret` belongs to
/// the request's public key.
///
/// # Errors
/// [`OpenError`]
pub fn open(output: &[u8], request: &Request, secret: &SecretKey) -> Result<Vec<u8>, OpenError> {
    if output.len() > MAX_ANSWER_BYTES {
        return Err(OpenError::TooLarge);
    }
    let envelope = unarmour(output)?;
    let (magic, rest) = envelope.split_first_chunk().ok_or(OpenError::Truncated)?;
    if magic != MAGIC {
        return Err(OpenError::Malformed("its first bytes are not an envelope's"));
    }
    match rest.first() {
        None => return Err(OpenError::Truncated),
        Some(&VERSION) => {}
        Some(&other) => return Err(OpenError::OtherVersion(other)),
    }
    if envelope.len() < LEAST_BYTES {
        return Err(OpenError::Truncated);
    }
    if envelope.len() > LEAST_BYTES + MAX_REPORT_BYTES {
        return Err(OpenError::TooLarge);
    }
    let header: &[u8; HEADER_BYTES] = envelope.first_chunk().ok_or(OpenError::Truncated)?;
    let mut fields = Fields(envelope.get(MAGIC.len() + 1..).unwrap_or_default());
    let collection = Uuid::from_bytes(*fields.take()?);
    if collection != request.collection {
        return Err(OpenError::OtherCollection(collection));
    }
    if fields.take::<POINT_BYTES>()?.as_slice() != request.server_key_bytes() {
        return Err(OpenError::OtherRecipient);
    }
    let agent_key = PublicKey::from_sec1_bytes(fields.take::<POINT_BYTES>()?)
        .map_err(|_| OpenError::Malformed("the agent's key is no point of the curve"))?;
    let key_nonce = fields.take::<NONCE_BYTES>()?;
    let wrapped = fields.take::<WRAPPED_BYTES>()?;
    let report_nonce = fields.take::<NONCE_BYTES>()?;

    let key_encryption_key = derive(secret, &agent_key, header).ok_or(OpenError::Forged)?;
    let data_key = Zeroizing::new(decrypt(&key_encryption_key, key_nonce, header, wrapped)?);
    let data_key: &[u8; KEY_BYTES] = data_key.first_chunk().ok_or(OpenError::Forged)?;
    decrypt(data_key, report_nonce, header, fields.0)
}

/// The random keys and nonces of an envelope.
struct Fresh {
    secret: SecretKey,
    data_key: Zeroizing<[u8; KEY_BYTES]>,
    key_nonce: [u8; NONCE_BYTES],
    report_nonce: [u8; NONCE_BYTES],
}

/// [`seal`] without randomness.
fn seal_with(report_xml: &[u8], request: &Request, fresh: &Fresh) -> Result<String, SealError> {
    if report_xml.len() > MAX_REPORT_BYTES {
        return Err(SealError::TooLarge { bytes: report_xml.len() });
    }
    let mut envelope = Vec::with_capacity(LEAST_BYTES + report_xml.len());
    envelope.extend_from_slice(MAGIC);
    envelope.push(VERSION);
    envelope.extend_from_slice(request.collection.as_bytes());
    envelope.extend_from_slice(&request.server_key_bytes());
    envelope.extend_from_slice(fresh.secret.public_key().to_sec1_point(true).as_bytes());
    let header = envelope.clone();

    let key_encryption_key = derive(&fresh.secret, &request.server_key, &header).ok_or(SealError::Cipher)?;
    envelope.extend_from_slice(&fresh.key_nonce);
    encrypt(&key_encryption_key, &fresh.key_nonce, &header, fresh.data_key.as_slice(), &mut envelope)?;
    envelope.extend_from_slice(&fresh.report_nonce);
    encrypt(&fresh.data_key, &fresh.report_nonce, &header, report_xml, &mut envelope)?;
    Ok(armour(&envelope))
}

/// The key-encryption key for either side; `None` if HKDF rejects the length, which it does not.
fn derive(secret: &SecretKey, other: &PublicKey, header: &[u8]) -> Option<Zeroizing<[u8; KEY_BYTES]>> {
    let shared = secret.diffie_hellman(other);
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    Hkdf::<Sha256>::new(None, shared.raw_secret_bytes())
        .expand_multi_info(&[LABEL, header], key.as_mut_slice())
        .ok()?;
    Some(key)
}

/// Appends the ciphertext and the tag of `plain` to `out`.
fn encrypt(
    key: &[u8; KEY_BYTES],
    nonce: &[u8; NONCE_BYTES],
    header: &[u8],
    plain: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), SealError> {
    let start = out.len();
    // Not reallocated until the encryption, so that no copy of the data key is left in memory.
    out.reserve(plain.len() + TAG_BYTES);
    out.extend_from_slice(plain);
    let target = out.get_mut(start..).unwrap_or_default();
    let tag = Aes256Gcm::new(key.into())
        .encrypt_inout_detached(&Nonce::from(*nonce), header, target.into())
        .map_err(|_| SealError::Cipher)?;
    out.extend_from_slice(&tag);
    Ok(())
}

fn decrypt(
    key: &[u8; KEY_BYTES],
    nonce: &[u8; NONCE_BYTES],
    header: &[u8],
    sealed: &[u8],
) -> Result<Vec<u8>, OpenError> {
    let (sealed, tag) = sealed.split_last_chunk::<TAG_BYTES>().ok_or(OpenError::Truncated)?;
    let mut plain = sealed.to_vec();
    Aes256Gcm::new(key.into())
        .decrypt_inout_detached(&Nonce::from(*nonce), header, plain.as_mut_slice().into(), tag.into())
        .map_err(|_| OpenError::Forged)?;
    Ok(plain)
}

fn armour(envelope: &[u8]) -> String {
    let base64 = Base64::encode_string(envelope);
    let mut text = String::with_capacity(base64.len() + base64.len() / LINE_CHARS + BEGIN.len() + END.len() + 4);
    // A prompt or a message of the day may not end with a line end.
    text.push('\n');
    text.push_str(BEGIN);
    for (index, character) in base64.char_indices() {
        if index % LINE_CHARS == 0 {
            text.push('\n');
        }
        text.push(character);
    }
    text.push('\n');
    text.push_str(END);
    text.push('\n');
    text
}

/// The bytes of the last block that begins in `output`.
fn unarmour(output: &[u8]) -> Result<Vec<u8>, OpenError> {
    let begin = output.windows(BEGIN.len()).rposition(|window| window == BEGIN.as_bytes()).ok_or(OpenError::Missing)?;
    let body = output.get(begin + BEGIN.len()..).unwrap_or_default();
    let end = body.windows(END.len()).position(|window| window == END.as_bytes()).ok_or(OpenError::Truncated)?;
    let base64: Vec<u8> = body.iter().take(end).copied().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
    let base64 = str::from_utf8(&base64).map_err(|_| OpenError::Malformed("its text is not base64"))?;
    Base64::decode_vec(base64).map_err(|_| OpenError::Malformed("its text is not base64"))
}

/// Reads fields of fixed length from the front.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take<const N: usize>(&mut self) -> Result<&'a [u8; N], OpenError> {
        let (field, rest) = self.0.split_first_chunk().ok_or(OpenError::Truncated)?;
        self.0 = rest;
        Ok(field)
    }
}

#[cfg(test)]
mod tests;
