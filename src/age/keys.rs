//! X25519 keys of age in their text form: `age1…` is a public key, the recipient, and `AGE-SECRET-KEY-1…` a private key,
//! the identity. Files of identities are read elsewhere.

use std::{fmt, str::FromStr};

use bech32::{Bech32, ByteIterExt as _, Fe32IterExt as _, Hrp, primitives::decode::CheckedHrpstring};
use curve25519_dalek::MontgomeryPoint;
use secrecy::{SecretString, zeroize::Zeroizing};

/// The length of a key, in bytes.
pub(super) const KEY_BYTES: usize = 32;

/// The prefix of recipients.
const RECIPIENT: Hrp = Hrp::parse_unchecked("age");
/// The prefix of identities.
const IDENTITY: Hrp = Hrp::parse_unchecked("age-secret-key-");
/// The text before the data of an identity.
pub(super) const IDENTITY_START: &str = "AGE-SECRET-KEY-1";

/// Why a text is not a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It has a wrong checksum, a wrong length, wrong characters or another prefix.
    #[error("this is not a valid key of age")]
    Invalid,
    /// It is a recipient of a type that is not supported.
    #[error("this type of key is not supported")]
    Unsupported,
}

/// A public key, to which secrets are encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recipient(pub(super) [u8; KEY_BYTES]);

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.iter().copied().bytes_to_fes().with_checksum::<Bech32>(&RECIPIENT);
        text.chars().try_for_each(|c| fmt::Write::write_char(f, c))
    }
}

impl FromStr for Recipient {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        // Other types have a name after `age1`, followed by another `1`, which cannot be in the data.
        let is_other = text.starts_with("ssh-") || text.strip_prefix("age1").is_some_and(|data| data.contains('1'));
        if is_other {
            return Err(KeyError::Unsupported);
        }
        // Upper case is valid bech32, but age does not write it.
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(KeyError::Invalid);
        }
        decode(text, RECIPIENT).map(|key| Self(*key))
    }
}

/// A private key, with which secrets are decrypted.
#[derive(Clone)]
pub struct Identity {
    secret: Zeroizing<[u8; KEY_BYTES]>,
    recipient: Recipient,
}

/// Shows the public key.
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.recipient)
    }
}

impl Identity {
    /// A new random key.
    #[must_use]
    pub fn generate() -> Self {
        Self::of(Zeroizing::new(rand::random()))
    }

    fn of(secret: Zeroizing<[u8; KEY_BYTES]>) -> Self {
        let recipient = Recipient(MontgomeryPoint::mul_base_clamped(*secret).to_bytes());
        Self { secret, recipient }
    }

    /// Parses `AGE-SECRET-KEY-1…`.
    ///
    /// # Errors
    /// [`KeyError::Invalid`].
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        // Lower case is valid bech32, but age does not read it.
        if !text.starts_with(IDENTITY_START) {
            return Err(KeyError::Invalid);
        }
        decode(text, IDENTITY).map(Self::of)
    }

    /// The public key.
    #[must_use]
    pub fn recipient(&self) -> Recipient {
        self.recipient
    }

    /// The text form.
    #[must_use]
    pub fn to_text(&self) -> SecretString {
        // Allocated at full size, because growing would leave copies in memory.
        let mut text = String::with_capacity(96);
        let characters = self.secret.iter().copied().bytes_to_fes().with_checksum::<Bech32>(&IDENTITY).chars();
        text.extend(characters.map(|c| c.to_ascii_uppercase()));
        text.into()
    }

    /// The secret that this key shares with another one; `None` if the other one is a point of low order, with which
    /// everyone shares the same secret.
    pub(super) fn shared_with(&self, other: &Recipient) -> Option<Zeroizing<[u8; KEY_BYTES]>> {
        let shared = Zeroizing::new(MontgomeryPoint(other.0).mul_clamped(*self.secret).to_bytes());
        (*shared != [0; KEY_BYTES]).then_some(shared)
    }
}

/// The data of a text in bech32 with this prefix.
fn decode(text: &str, prefix: Hrp) -> Result<Zeroizing<[u8; KEY_BYTES]>, KeyError> {
    let checked = CheckedHrpstring::new::<Bech32>(text).map_err(|_| KeyError::Invalid)?;
    // Also rejects padding that is not zero.
    checked.validate_segwit_padding().map_err(|_| KeyError::Invalid)?;
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    let mut bytes = checked.byte_iter();
    for byte in key.iter_mut() {
        *byte = bytes.next().ok_or(KeyError::Invalid)?;
    }
    if checked.hrp() == prefix && bytes.next().is_none() { Ok(key) } else { Err(KeyError::Invalid) }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    // Written by age-keygen 1.1.1.
    const SECRET: &str = "AGE-SECRET-KEY-14EZRTU4R40XSGJUMD4CVX44A09HG0VCT4ENYKFM37A49GURFXWTSM978QN";
    const PUBLIC: &str = "age1wm2my0qgujwn4qpwk57etrtgjhd6wcpaugyg2qpdycesh7slp4uqpvav3t";

    #[test]
    fn keys_are_read_and_written_as_age_does() {
        let identity = Identity::parse(SECRET).unwrap();
        assert_eq!(identity.recipient().to_string(), PUBLIC);
        assert_eq!(identity.to_text().expose_secret(), SECRET);
        assert_eq!(PUBLIC.parse(), Ok(identity.recipient()));
        assert_eq!(format!("{identity:?}"), format!("Identity({PUBLIC})"));
        let new = Identity::generate();
        assert_eq!(Identity::parse(new.to_text().expose_secret()).unwrap().recipient(), new.recipient());
        assert_ne!(new.recipient(), Identity::generate().recipient());
    }

    #[test]
    fn a_text_that_is_no_key_is_refused() {
        for text in [
            "",
            "AGE-SECRET-KEY-1",
            PUBLIC,
            &SECRET.to_lowercase(),
            &SECRET.replace("RTU", "rtu"),
            &SECRET.replace("EZRT", "EZRS"),
            SECRET.get(..SECRET.len() - 1).unwrap(),
            &format!("{SECRET} "),
            &format!("{SECRET}Q"),
        ] {
            assert_eq!(Identity::parse(text).err(), Some(KeyError::Invalid), "{text}");
        }
        for (text, expected) in [
            ("", KeyError::Invalid),
            (SECRET, KeyError::Invalid),
            ("age1", KeyError::Invalid),
            (&PUBLIC.to_uppercase(), KeyError::Invalid),
            (&PUBLIC.replace("wm2m", "wm2q"), KeyError::Invalid),
            ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", KeyError::Invalid),
            ("age1yubikey1qwt50d05nh5vutpdzmlg5wn80xq5negm4uj9ghv0snvdd3yysf5yw3rhl3t", KeyError::Unsupported),
            ("age1pq1qqqqqq", KeyError::Unsupported),
            ("ssh-ed25519 AAAA", KeyError::Unsupported),
        ] {
            assert_eq!(text.parse::<Recipient>(), Err(expected), "{text}");
        }
    }
}
