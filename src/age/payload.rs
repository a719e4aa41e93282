//! What is encrypted with the file key: the payload and the MAC of the header.
//!
//! A payload is a nonce and a sequence of chunks of up to 64 KiB. Because a whole file is smaller than that, there is one
//! chunk, which is the last one.

use chacha20poly1305::{ChaCha20Poly1305, KeyInit as _, Nonce, aead::Aead as _};
use hkdf::Hkdf;
use hmac::{Hmac, Mac as _};
use secrecy::zeroize::Zeroizing;
use sha2::Sha256;

use super::error::AgeError;

/// The length of a file key, in bytes.
pub(super) const FILE_KEY_BYTES: usize = 16;
/// The length of the MAC of the header, in bytes.
pub(super) const MAC_BYTES: usize = 32;
const NONCE_BYTES: usize = 16;

/// The key of one file.
pub(super) type FileKey = Zeroizing<[u8; FILE_KEY_BYTES]>;
/// A key that is derived from it.
type Key = Zeroizing<[u8; 32]>;

/// The payload with this content; `None` if it cannot be encrypted, which does not happen.
pub(super) fn encrypt(file_key: &FileKey, content: &[u8]) -> Option<Vec<u8>> {
    let nonce: [u8; NONCE_BYTES] = rand::random();
    let chunk = cipher(file_key, &nonce)?.encrypt(&of_last_chunk(), content).ok()?;
    Some([nonce.as_slice(), &chunk].concat())
}

/// The content of a payload.
///
/// # Errors
/// [`AgeError::Payload`] if it is damaged.
pub(super) fn decrypt(file_key: &FileKey, payload: &[u8]) -> Result<Zeroizing<Vec<u8>>, AgeError> {
    // A payload without the nonce is a header that was cut.
    let (nonce, chunk) = payload.split_first_chunk().ok_or(AgeError::Header)?;
    let cipher = cipher(file_key, nonce).ok_or(AgeError::Payload)?;
    cipher.decrypt(&of_last_chunk(), chunk).map(Zeroizing::new).map_err(|_| AgeError::Payload)
}

/// The MAC of a header; `None` if it cannot be computed, which does not happen.
pub(super) fn mac(file_key: &FileKey, header: &[u8]) -> Option<[u8; MAC_BYTES]> {
    Some(authentication(file_key, header)?.finalize().into_bytes().into())
}

/// Whether this is the MAC of a header. Takes the same time for every wrong MAC.
pub(super) fn is_mac(file_key: &FileKey, header: &[u8], mac: &[u8; MAC_BYTES]) -> bool {
    authentication(file_key, header).is_some_and(|computed| computed.verify_slice(mac).is_ok())
}

fn authentication(file_key: &FileKey, header: &[u8]) -> Option<Hmac<Sha256>> {
    let key = derive(file_key, &[], b"header")?;
    let mut mac = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(key.as_slice()).ok()?;
    mac.update(header);
    Some(mac)
}

fn cipher(file_key: &FileKey, nonce: &[u8; NONCE_BYTES]) -> Option<ChaCha20Poly1305> {
    Some(ChaCha20Poly1305::new((&*derive(file_key, nonce, b"payload")?).into()))
}

/// `None` if HKDF rejects the length, which it does not.
fn derive(file_key: &FileKey, salt: &[u8], label: &[u8]) -> Option<Key> {
    let mut key = Key::default();
    Hkdf::<Sha256>::new(Some(salt), file_key.as_slice()).expand(label, key.as_mut_slice()).ok()?;
    Some(key)
}

/// The nonce of a first chunk that is the last one: eleven bytes of its number, and a mark.
fn of_last_chunk() -> Nonce {
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1].into()
}
