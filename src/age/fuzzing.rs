//! The fuzz target of the format of age; see [`crate::fuzzing`].

use super::{AgeError, Identities, Identity, decrypt, encrypt, examine, from_line};

/// A file that anyone may have written: it is decrypted, or refused for a reason. What it contains can be encrypted and
/// decrypted again. The corpus is written for this identity.
pub fn age(data: &[u8]) {
    const IDENTITY: &str = "AGE-SECRET-KEY-14EZRTU4R40XSGJUMD4CVX44A09HG0VCT4ENYKFM37A49GURFXWTSM978QN";
    let Ok(identity) = Identity::parse(IDENTITY) else { return };
    let _read = Identities::parse(data);
    if let Ok(text) = str::from_utf8(data) {
        let _line = from_line(text);
    }
    match decrypt(data, std::slice::from_ref(&identity)) {
        Ok(content) => {
            assert_eq!(examine(data), Ok(()));
            if let Some(again) = encrypt(&content, &[identity.recipient()]) {
                assert_eq!(decrypt(&again, &[identity]).as_ref(), Ok(&content));
            }
        }
        Err(AgeError::NoMatch(kinds)) => {
            assert_eq!(examine(data), Ok(()));
            assert!(!kinds.is_empty());
        }
        Err(AgeError::Mac | AgeError::Payload) => assert_eq!(examine(data), Ok(())),
        // A stanza that is ours can be damaged where the header is not.
        Err(AgeError::Header) => {}
        Err(error @ (AgeError::NotAge | AgeError::TooLarge | AgeError::Version | AgeError::Armor)) => {
            assert_eq!(examine(data), Err(error));
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_corpus_of_age_files_is_replayed() {
        support::replay("age", super::age);
    }
}
