//! Files that were written here, and what becomes of them when they are changed.

use proptest::prelude::*;
use secrecy::zeroize::Zeroizing;

use super::*;

fn two() -> (Identity, Identity) {
    (Identity::generate(), Identity::generate())
}

#[test]
fn every_recipient_reads_a_file_and_nobody_else() {
    let (one, other) = two();
    let stranger = Identity::generate();
    let file = encrypt(b"geheim\n", &[one.recipient(), other.recipient()]).unwrap();
    for file in [file.clone(), armored(&file).into_bytes()] {
        for identities in [[one.clone(), stranger.clone()], [stranger.clone(), other.clone()]] {
            assert_eq!(decrypt(&file, &identities).unwrap().as_slice(), b"geheim\n");
        }
        let refused = AgeError::NoMatch(vec![RecipientKind::X25519]);
        assert_eq!(decrypt(&file, std::slice::from_ref(&stranger)), Err(refused.clone()));
        assert_eq!(decrypt(&file, &[]), Err(refused));
    }
    assert_ne!(file, encrypt(b"geheim\n", &[one.recipient(), other.recipient()]).unwrap());
}

#[test]
fn the_type_of_the_recipients_is_named() {
    let (identity, _) = two();
    let mac = "A".repeat(43);
    for (stanzas, expected) in [
        ("-> scrypt AAAA 18\n\n", vec![RecipientKind::Passphrase]),
        ("-> ssh-ed25519 AAAA BBBB\n\n-> ssh-rsa CCCC\n\n", vec![RecipientKind::Ssh]),
        ("-> piv-p256 AAAA\n\n-> mlkem768x25519 BBBB\n\n", vec![RecipientKind::PostQuantum, RecipientKind::Other]),
    ] {
        let file = format!("age-encryption.org/v1\n{stanzas}--- {mac}\n0123456789abcdef0123456789abcdef");
        assert_eq!(decrypt(file.as_bytes(), std::slice::from_ref(&identity)), Err(AgeError::NoMatch(expected)));
        assert_eq!(examine(file.as_bytes()), Ok(()));
    }
    let check = |file: &str, expected| assert_eq!(examine(file.as_bytes()), Err(expected), "{file}");
    check("hunter2", AgeError::NotAge);
    check("", AgeError::NotAge);
    check("age-encryption.org/v2\n", AgeError::Version);
    check("age-encryption.org/v1\n", AgeError::Header);
    check(&format!("age-encryption.org/v1\n{}--- {mac}\n", "-> a\n\n".repeat(101)), AgeError::Header);
    check("-----BEGIN AGE ENCRYPTED FILE-----\n", AgeError::Armor);
    check(&"x".repeat(LARGEST_BYTES + 1), AgeError::TooLarge);
}

#[test]
fn what_could_not_be_read_is_not_written() {
    let (identity, _) = two();
    let to = [identity.recipient()];
    assert!(encrypt(b"", &to).is_some());
    assert!(encrypt(&[0; 4096], &to).is_some());
    assert_eq!(encrypt(&[0; LARGEST_BYTES], &to), None);
    assert_eq!(encrypt(b"x", &[]), None);
    assert_eq!(encrypt(b"x", &[identity.recipient(); 101]), None);
    // A key with which everyone shares the same secret.
    assert_eq!(encrypt(b"x", &[identity.recipient(), Recipient([0; 32])]), None);
}

proptest! {
    #[test]
    fn a_file_is_read_as_it_was_written(content in prop::collection::vec(any::<u8>(), 0..5000)) {
        let (identity, other) = two();
        let file = encrypt(&content, &[other.recipient(), identity.recipient()]).unwrap();
        let identities = [identity];
        let content = Ok(Zeroizing::new(content));
        prop_assert_eq!(&decrypt(&file, &identities), &content);
        prop_assert_eq!(&decrypt(armored(&file).as_bytes(), &identities), &content);
        prop_assert_eq!(from_line(&armored(&file)), Ok(Some(file)));
    }

    #[test]
    fn a_file_that_was_changed_is_refused(at in any::<prop::sample::Index>(), bit in 0..8_u32, is_cut in any::<bool>()) {
        let (identity, other) = two();
        let file = encrypt(b"a secret", &[identity.recipient(), other.recipient()]).unwrap();
        let mut changed = file.clone();
        let at = at.index(changed.len());
        if is_cut {
            changed.truncate(at);
        } else if let Some(byte) = changed.get_mut(at) {
            *byte ^= 1 << bit;
        }
        prop_assert!(decrypt(&changed, &[identity]).is_err());
        prop_assert!(decrypt(&changed, &[other]).is_err());
    }
}
