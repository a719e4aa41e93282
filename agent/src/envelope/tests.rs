//! Which envelopes can be opened. The golden text was created by another implementation: `golden/make.py`.

use std::time::Duration;

use super::*;
use crate::{
    SysRng,
    request::{EventsWanted, Questions},
};

const GOLDEN: &str = include_str!("../../golden/envelope.txt");
const REPORT: &[u8] = include_bytes!("../../golden/report.xml");

fn secret(byte: u8) -> SecretKey {
    SecretKey::from_slice(&[byte; 32]).unwrap()
}

fn request() -> Request {
    Request {
        collection: Uuid::from_bytes([0x66; 16]),
        server_key: secret(0x11).public_key(),
        window: Duration::from_millis(250),
        deadline: Duration::from_secs(20),
        events: EventsWanted::No,
        questions: Questions::default(),
    }
}

fn fresh() -> Fresh {
    Fresh {
        secret: secret(0x22),
        data_key: Zeroizing::new([0x33; KEY_BYTES]),
        key_nonce: [0x44; NONCE_BYTES],
        report_nonce: [0x55; NONCE_BYTES],
    }
}

fn small() -> String {
    seal_with(b"<report/>", &request(), &fresh()).unwrap()
}

/// The small envelope with changed bytes, armoured again.
fn changed(change: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut bytes = unarmour(small().as_bytes()).unwrap();
    change(&mut bytes);
    armour(&bytes)
}

#[track_caller]
fn check(output: impl AsRef<[u8]>, expected: Result<&[u8], OpenError>) {
    assert_eq!(open(output.as_ref(), &request(), &secret(0x11)), expected.map(<[u8]>::to_vec));
}

#[test]
fn the_golden_envelope_of_another_implementation_is_made_and_opened() {
    assert_eq!(seal_with(REPORT, &request(), &fresh()).unwrap(), GOLDEN);
    check(GOLDEN, Ok(REPORT));
}

#[test]
fn every_envelope_has_keys_of_its_own() {
    let [first, second] = [(); 2].map(|()| seal(REPORT, &request(), &mut SysRng).unwrap());
    let [first, second] = [first, second].map(|text| unarmour(text.as_bytes()).unwrap());
    let fields = [
        ("agent's key", HEADER_BYTES - POINT_BYTES, POINT_BYTES),
        ("key nonce", HEADER_BYTES, NONCE_BYTES),
        ("wrapped key", HEADER_BYTES + NONCE_BYTES, WRAPPED_BYTES),
        ("report nonce", HEADER_BYTES + NONCE_BYTES + WRAPPED_BYTES, NONCE_BYTES),
        ("report", LEAST_BYTES - TAG_BYTES, REPORT.len() + TAG_BYTES),
    ];
    for (name, start, length) in fields {
        assert_ne!(first[start..start + length], second[start..start + length], "{name}");
    }
    assert!(!first.windows(8).any(|window| REPORT.windows(8).any(|plain| plain == window)));
}

#[test]
fn the_envelope_is_found_in_what_a_shell_prints() {
    let text = small();
    let xml: Result<&[u8], OpenError> = Ok(b"<report/>");
    check(text.trim(), xml.clone());
    check(format!("Welcome!\nuser@host$ {}", text.trim()), xml.clone());
    check(format!("{text}logout\n"), xml.clone());
    check(text.replace('\n', "\r\n"), xml.clone());
    check(text.replace('\n', "\r\r\n"), xml.clone());
    check([b"\xff\xfe\0", text.as_bytes(), b"\xff"].concat(), xml.clone());
    // The last block counts, regardless of what came before.
    check(format!("{BEGIN}\nhalf a block{text}"), xml.clone());
    check(format!("{BEGIN}\nnonsense\n{END}{text}"), xml);
    check(format!("{text}{BEGIN}\nnonsense!\n{END}\n"), Err(OpenError::Malformed("its text is not base64")));
}

#[test]
fn what_is_no_envelope_of_this_collection_is_refused_by_its_own_error() {
    let text = small();
    let other = Request { collection: Uuid::from_bytes([0x67; 16]), ..request() };
    let replayed = seal_with(b"<report/>", &other, &fresh()).unwrap();
    let other = Request { server_key: secret(0x12).public_key(), ..request() };
    let retargeted = seal_with(b"<report/>", &other, &fresh()).unwrap();
    check("", Err(OpenError::Missing));
    check("-bash: agent: command not found\n", Err(OpenError::Missing));
    check(text.trim().trim_end_matches('-'), Err(OpenError::Truncated));
    check(changed(|bytes| bytes.truncate(LEAST_BYTES - 1)), Err(OpenError::Truncated));
    check(changed(|bytes| bytes.truncate(3)), Err(OpenError::Truncated));
    check(changed(Vec::clear), Err(OpenError::Truncated));
    check(changed(|bytes| bytes[0] = b'f'), Err(OpenError::Malformed("its first bytes are not an envelope's")));
    check(changed(|bytes| bytes[4] = 2), Err(OpenError::OtherVersion(2)));
    check(replayed, Err(OpenError::OtherCollection(Uuid::from_bytes([0x67; 16]))));
    check(retargeted, Err(OpenError::OtherRecipient));
    check(
        changed(|bytes| bytes[HEADER_BYTES - POINT_BYTES] = 7),
        Err(OpenError::Malformed("the agent's key is no point of the curve")),
    );
    check(changed(|bytes| bytes.push(0)), Err(OpenError::Forged));
    check(changed(|bytes| bytes.truncate(LEAST_BYTES + 3)), Err(OpenError::Forged));
    check(changed(|bytes| bytes.resize(LEAST_BYTES + MAX_REPORT_BYTES + 1, 0)), Err(OpenError::TooLarge));
    check(vec![b'\n'; MAX_ANSWER_BYTES + 1], Err(OpenError::TooLarge));
    // The correct request with another secret.
    assert_eq!(open(text.as_bytes(), &request(), &secret(0x12)), Err(OpenError::Forged));
}

#[test]
fn the_header_of_a_replayed_envelope_cannot_be_rewritten() {
    let other = Request { collection: Uuid::from_bytes([0x67; 16]), ..request() };
    let mut bytes = unarmour(seal_with(b"<report/>", &other, &fresh()).unwrap().as_bytes()).unwrap();
    bytes[5..21].fill(0x66);
    check(armour(&bytes), Err(OpenError::Forged));
}

#[test]
fn no_envelope_with_a_flipped_bit_opens() {
    let text = small();
    let text = text.trim().as_bytes();
    for index in 0..text.len() {
        for bit in 0..8 {
            let mut flipped = text.to_vec();
            flipped[index] ^= 1 << bit;
            let opened = open(&flipped, &request(), &secret(0x11));
            assert!(opened.is_err(), "bit {bit} of character {index}");
        }
    }
    let bytes = unarmour(text).unwrap();
    for index in 0..bytes.len() {
        for bit in 0..8 {
            let opened = open(changed(|bytes| bytes[index] ^= 1 << bit).as_bytes(), &request(), &secret(0x11));
            assert!(opened.is_err(), "bit {bit} of byte {index}");
        }
    }
}

#[test]
fn no_envelope_cut_short_opens() {
    let text = small();
    let text = text.trim();
    for length in 0..text.len() {
        let opened = open(&text.as_bytes()[..length], &request(), &secret(0x11));
        assert!(matches!(opened, Err(OpenError::Missing | OpenError::Truncated)), "{length} characters");
    }
    for length in 0..unarmour(text.as_bytes()).unwrap().len() {
        let opened = open(changed(|bytes| bytes.truncate(length)).as_bytes(), &request(), &secret(0x11));
        assert!(opened.is_err(), "{length} bytes");
    }
}

#[test]
fn the_largest_report_fits_into_the_largest_answer_and_none_larger_is_sealed() {
    let largest = vec![b'x'; MAX_REPORT_BYTES];
    let text = seal_with(&largest, &request(), &fresh()).unwrap();
    assert!(text.len() < MAX_ANSWER_BYTES - (2 << 20), "{} leaves no room for noise", text.len());
    check(text, Ok(&largest));
    let bytes = MAX_REPORT_BYTES + 1;
    assert_eq!(seal_with(&vec![0; bytes], &request(), &fresh()), Err(SealError::TooLarge { bytes }));
}
