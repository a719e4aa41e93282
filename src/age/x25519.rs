//! Wraps a file key for an X25519 recipient, and unwraps it.
//!
//! The stanza has the public half of an ephemeral key as its argument, and as its body the file key, encrypted with a
//! key that is derived from what the ephemeral key and the recipient share.

use base64ct::{Base64Unpadded, Encoding as _};
use chacha20poly1305::{ChaCha20Poly1305, KeyInit as _, Nonce, aead::Aead as _};
use hkdf::Hkdf;
use secrecy::zeroize::Zeroizing;
use sha2::Sha256;

use super::{
    error::AgeError,
    header::Stanza,
    keys::{Identity, KEY_BYTES, Recipient},
    payload::{FILE_KEY_BYTES, FileKey},
};

/// The type of the stanza.
pub(super) const TYPE: &str = "X25519";
const LABEL: &[u8] = b"age-encryption.org/v1/X25519";
/// The length of an encrypted file key: the key and the tag.
const BODY_BYTES: usize = FILE_KEY_BYTES + 16;

/// The stanza of a recipient. `None` if the recipient is a point of low order.
pub(super) fn wrap(file_key: &FileKey, recipient: &Recipient) -> Option<Stanza> {
    let ephemeral = Identity::generate();
    let share = ephemeral.recipient();
    let shared = ephemeral.shared_with(recipient)?;
    let body = cipher(&shared, &share, recipient)?.encrypt(&Nonce::default(), file_key.as_slice()).ok()?;
    Some(Stanza { kind: TYPE.to_owned(), arguments: vec![Base64Unpadded::encode_string(&share.0)], body })
}

/// The file key in a stanza of this type; `None` if it is wrapped for another recipient.
///
/// # Errors
/// [`AgeError::Header`] if the stanza is damaged.
pub(super) fn unwrap(stanza: &Stanza, identity: &Identity) -> Result<Option<FileKey>, AgeError> {
    let [argument] = stanza.arguments.as_slice() else { return Err(AgeError::Header) };
    let mut share = [0; KEY_BYTES];
    let decoded = Base64Unpadded::decode(argument, &mut share).map_err(|_| AgeError::Header)?;
    // Longer bodies could be made to fit several keys.
    if decoded.len() != KEY_BYTES || stanza.body.len() != BODY_BYTES {
        return Err(AgeError::Header);
    }
    let share = Recipient(share);
    let shared = identity.shared_with(&share).ok_or(AgeError::Header)?;
    let cipher = cipher(&shared, &share, &identity.recipient()).ok_or(AgeError::Header)?;
    let Ok(plain) = cipher.decrypt(&Nonce::default(), stanza.body.as_slice()).map(Zeroizing::new) else {
        return Ok(None);
    };
    let mut file_key = FileKey::default();
    file_key.copy_from_slice(plain.get(..FILE_KEY_BYTES).ok_or(AgeError::Header)?);
    Ok(Some(file_key))
}

/// The cipher of a file key; `None` if HKDF rejects the length, which it does not.
fn cipher(shared: &[u8; KEY_BYTES], share: &Recipient, recipient: &Recipient) -> Option<ChaCha20Poly1305> {
    let salt = [share.0, recipient.0].concat();
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    Hkdf::<Sha256>::new(Some(&salt), shared).expand(LABEL, key.as_mut_slice()).ok()?;
    Some(ChaCha20Poly1305::new((&*key).into()))
}
