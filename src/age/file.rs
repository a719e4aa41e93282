//! Whole files: encryption to recipients and decryption with identities.

use secrecy::zeroize::Zeroizing;

use super::{
    LARGEST_BYTES, armor,
    error::{AgeError, RecipientKind},
    header::{self, Header, Stanza},
    keys::{Identity, Recipient},
    payload::{self, FileKey},
    x25519,
};

/// The content of a file, in either form.
///
/// # Errors
/// [`AgeError`].
pub fn decrypt(file: &[u8], identities: &[Identity]) -> Result<Zeroizing<Vec<u8>>, AgeError> {
    let binary = binary(file)?;
    let file = binary.as_deref().unwrap_or(file);
    let (Header { stanzas, signed, mac }, payload) = header::parse(file)?;
    let file_key = file_key(&stanzas, identities)?;
    if !payload::is_mac(&file_key, signed, &mac) {
        return Err(AgeError::Mac);
    }
    payload::decrypt(&file_key, payload)
}

/// Checks what can be checked without an identity.
///
/// # Errors
/// [`AgeError`], but none about the recipients.
pub fn examine(file: &[u8]) -> Result<(), AgeError> {
    let binary = binary(file)?;
    header::parse(binary.as_deref().unwrap_or(file)).map(drop)
}

fn binary(file: &[u8]) -> Result<Option<Vec<u8>>, AgeError> {
    if file.len() > LARGEST_BYTES { Err(AgeError::TooLarge) } else { armor::removed(file) }
}

/// Unwraps the file key.
fn file_key(stanzas: &[Stanza], identities: &[Identity]) -> Result<FileKey, AgeError> {
    let mut kinds: Vec<RecipientKind> = stanzas.iter().map(|stanza| RecipientKind::of(&stanza.kind)).collect();
    if kinds.contains(&RecipientKind::Passphrase) && kinds.len() > 1 {
        // Otherwise who knows the passphrase could write a file in the name of somebody else.
        return Err(AgeError::Header);
    }
    for stanza in stanzas.iter().filter(|stanza| stanza.kind == x25519::TYPE) {
        for identity in identities {
            if let Some(file_key) = x25519::unwrap(stanza, identity)? {
                return Ok(file_key);
            }
        }
    }
    kinds.sort_unstable();
    kinds.dedup();
    Err(AgeError::NoMatch(kinds))
}

/// A file in binary form that each of the recipients can decrypt. `None` if there is no recipient, if one of them is a
/// point of low order, or if the content is so large that the file could not be read.
#[must_use]
pub fn encrypt(content: &[u8], recipients: &[Recipient]) -> Option<Vec<u8>> {
    let file_key = FileKey::new(rand::random());
    let stanzas: Vec<Stanza> =
        recipients.iter().map(|recipient| x25519::wrap(&file_key, recipient)).collect::<Option<_>>()?;
    let mut file = header::unsigned(&stanzas);
    let mac = payload::mac(&file_key, &file)?;
    file.extend_from_slice(header::signature(&mac).as_bytes());
    file.extend_from_slice(&payload::encrypt(&file_key, content)?);
    // Its text form is a third larger, and has line ends.
    let is_small = armor::armored(&file).len() <= LARGEST_BYTES;
    (is_small && header::parse(&file).is_ok()).then_some(file)
}
