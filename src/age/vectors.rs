//! The published test vectors of the format, in `tests/vectors/age`.

use std::{fs, path::Path};

use sha2::{Digest as _, Sha256};

use super::*;

/// One file and what is expected of it.
struct Vector {
    expect: String,
    payload: Option<String>,
    identities: Vec<Identity>,
    is_of_passphrase: bool,
    is_armored: bool,
    file: Vec<u8>,
}

fn read(path: &Path) -> Vector {
    let bytes = fs::read(path).unwrap();
    let end = bytes.windows(2).position(|pair| pair == b"\n\n").unwrap();
    let head = str::from_utf8(bytes.get(..end).unwrap()).unwrap();
    let values = |wanted: &str| -> Vec<&str> {
        head.lines()
            .filter_map(|line| line.split_once(": "))
            .filter(|(key, _)| *key == wanted)
            .map(|(_, v)| v)
            .collect()
    };
    Vector {
        expect: values("expect").join(""),
        payload: values("payload").first().map(|hash| (*hash).to_owned()),
        identities: values("identity").into_iter().map(|text| Identity::parse(text).unwrap()).collect(),
        is_of_passphrase: !values("passphrase").is_empty(),
        is_armored: values("armored") == ["yes"],
        file: bytes.get(end + 2..).unwrap().to_vec(),
    }
}

#[test]
fn every_published_vector_gives_what_it_must() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/age");
    let (mut read_vectors, mut wrong) = (0, Vec::new());
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let Vector { expect, payload, identities, is_of_passphrase, is_armored, file } = read(&path);
        let decrypted = decrypt(&file, &identities);
        let found = match &decrypted {
            Ok(_) => "success",
            Err(AgeError::NoMatch(_)) => "no match",
            Err(AgeError::Mac) => "HMAC failure",
            // A text that does not begin as ASCII armour does is not tried as one.
            Err(AgeError::NotAge) if is_armored && !armor::is_armored(&file) => "armor failure",
            Err(AgeError::NotAge | AgeError::Version | AgeError::Header) => "header failure",
            Err(AgeError::Armor) => "armor failure",
            Err(AgeError::Payload) => "payload failure",
            Err(AgeError::TooLarge) => "too large",
        };
        // A passphrase is never tried, so nothing more than its type is known of the stanza.
        let is_not_tried = decrypted == Err(AgeError::NoMatch(vec![RecipientKind::Passphrase]));
        if found != expect && !(is_of_passphrase && is_not_tried) {
            wrong.push(format!("{name}: {decrypted:?} instead of {expect}"));
        }
        if let (Ok(content), Some(payload)) = (&decrypted, payload) {
            let hash: String = Sha256::digest(content.as_slice()).iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(hash, payload, "{name}");
        }
        read_vectors += 1;
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(read_vectors, 104);
}
