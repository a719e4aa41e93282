//! Decodes private keys in the formats of OpenSSH and OpenSSL. Pure. What cannot be used is said together with the
//! command that helps. [`crate::config::key_text`] finds the key in its file.
//!
//! A passphrase counts as wrong only if the decrypted bytes are no key. Key derivation and ciphers are those of
//! libraries; only the old way to derive a key, which consists of MD5 alone, is here.

use aes::{Aes128, Aes192, Aes256};
use base64ct::{Base64, Encoding as _};
use cbc::cipher::{BlockCipherDecrypt, BlockModeDecrypt as _, KeyInit, KeyIvInit as _, block_padding::Pkcs7};
use des::{Des, TdesEde3};
use md5::{Digest as _, Md5};
use pkcs8::{
    EncryptedPrivateKeyInfoRef, ObjectIdentifier, PrivateKeyInfoRef,
    der::{
        Decode as _, Reader as _,
        asn1::{AnyRef, OctetStringRef},
    },
    pkcs5,
    spki::AlgorithmIdentifierRef,
};
use russh::keys::{self, Algorithm, PrivateKey};
use secrecy::zeroize::Zeroizing;

use crate::config::key_text::{self, Dek, KeyFormat, NoKey};

/// Why a key file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum KeyError {
    /// It contains no private key.
    NoKey(NoKey),
    /// It is encrypted, and there is no passphrase.
    Locked,
    /// The passphrase is wrong.
    WrongPassphrase,
    /// The key is in a security token, which only an ssh-agent can use.
    NeedsAgent,
    /// `ssh-keygen -p` rewrites it in a format that is read.
    Unfamiliar(String),
    /// Its encryption is so old that only the legacy provider of OpenSSL reads it.
    Outdated(&'static str),
    /// No SSH server takes a key of this kind.
    Unusable(String),
}

impl KeyError {
    /// The sentence about the key file with this name.
    pub(super) fn words(&self, file: &str) -> String {
        match self {
            Self::NoKey(no_key) => {
                let (before, after) = no_key.fix();
                let fix = after.map_or_else(|| before.to_owned(), |after| format!("{before}{file}{after}"));
                format!("the key file {file} {}: {fix}", no_key.is())
            }
            Self::Locked => format!("the key file {file} is locked: give its `passphrase`"),
            Self::WrongPassphrase => format!("the passphrase of the key file {file} is wrong"),
            Self::NeedsAgent => format!(
                "the key file {file} belongs to a security key and needs the ssh-agent: run `ssh-add {file}` and write `key=\"{file}.pub\"`"
            ),
            Self::Unfamiliar(why) => {
                format!("the key file {file} {why}, which is not read here: `ssh-keygen -p -f {file}` rewrites it")
            }
            Self::Outdated(cipher) => format!(
                "the key file {file} is encrypted with {cipher}, which is not read here: `openssl pkcs8 -topk8 -provider legacy -provider default -in {file} -out NEW` writes a new one"
            ),
            Self::Unusable(kind) => format!(
                "the key file {file} contains {kind}, which no SSH server takes: make another one with `ssh-keygen -t ed25519`"
            ),
        }
    }
}

/// The private key in a file.
///
/// # Errors
/// Why it cannot be used.
pub(super) fn decode(bytes: &[u8], passphrase: Option<&str>) -> Result<PrivateKey, KeyError> {
    let text = key_text::parse(bytes).map_err(KeyError::NoKey)?;
    match &text.format {
        KeyFormat::OpenSsh => openssh(&text.der, passphrase),
        KeyFormat::Traditional { kind, encrypted: None } => traditional(kind, &text.der),
        KeyFormat::Traditional { kind, encrypted: Some(encrypted) } => {
            let passphrase = passphrase.ok_or(KeyError::Locked)?;
            traditional(kind, &decrypt_traditional(&text.der, encrypted, passphrase)?)
        }
        KeyFormat::Pkcs8 => pkcs8(&text.der),
        KeyFormat::EncryptedPkcs8 => {
            let passphrase = passphrase.ok_or(KeyError::Locked)?;
            pkcs8(&decrypt_pkcs8(&text.der, passphrase)?)
        }
    }
}

/// The algorithms that no server takes or that need the ssh-agent.
fn usable(algorithm: &Algorithm) -> Result<(), KeyError> {
    if matches!(algorithm, Algorithm::SkEd25519 | Algorithm::SkEcdsaSha2NistP256) {
        Err(KeyError::NeedsAgent)
    } else if matches!(algorithm, Algorithm::Ed25519 | Algorithm::Ecdsa { .. } | Algorithm::Rsa { .. }) {
        Ok(())
    } else if *algorithm == Algorithm::Dsa {
        Err(KeyError::Unusable("a DSA key".to_owned()))
    } else {
        Err(KeyError::Unusable("a key of another type".to_owned()))
    }
}

fn openssh(der: &[u8], passphrase: Option<&str>) -> Result<PrivateKey, KeyError> {
    const MAGIC: &[u8] = b"openssh-key-v1\0";
    let name_of_cipher = || {
        let (length, rest) = der.strip_prefix(MAGIC)?.split_first_chunk::<4>()?;
        let name = rest.get(..usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
        str::from_utf8(name).ok().filter(|name| name.bytes().all(|byte| byte.is_ascii_graphic()))
    };
    let key = PrivateKey::from_bytes(der).map_err(|_| match name_of_cipher() {
        Some(name) if name.parse::<ssh_cipher::Cipher>().is_err() => {
            KeyError::Unfamiliar(format!("is encrypted with {name}"))
        }
        Some(_) | None => KeyError::NoKey(NoKey::Damaged),
    })?;
    usable(&key.algorithm())?;
    if !key.is_encrypted() {
        return Ok(key);
    }
    key.decrypt(passphrase.ok_or(KeyError::Locked)?).map_err(|_| KeyError::WrongPassphrase)
}

/// A key in the traditional format, decrypted.
fn traditional(kind: &str, der: &[u8]) -> Result<PrivateKey, KeyError> {
    match kind {
        "RSA" | "EC" => by_library(kind, der),
        "DSA" => Err(KeyError::Unusable("a DSA key".to_owned())),
        // Some programs write the kind in front of PKCS#8.
        _ => pkcs8(der),
    }
}

/// A key in PKCS#8, decrypted.
fn pkcs8(der: &[u8]) -> Result<PrivateKey, KeyError> {
    if let Ok(info) = PrivateKeyInfoRef::from_der(der)
        && let Some(kind) = foreign_kind(info.algorithm.oid)
    {
        return Err(KeyError::Unusable(kind.to_owned()));
    }
    by_library("", der)
}

fn by_library(kind: &str, der: &[u8]) -> Result<PrivateKey, KeyError> {
    let label = if kind.is_empty() { "PRIVATE KEY".to_owned() } else { format!("{kind} PRIVATE KEY") };
    let data = Zeroizing::new(Base64::encode_string(der));
    let pem = Zeroizing::new(format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", data.as_str()));
    let key = keys::decode_secret_key(&pem, None).map_err(|error| {
        let keys::Error::UnknownAlgorithm(curve) = error else {
            return KeyError::Unfamiliar("is written in an unusual way".to_owned());
        };
        KeyError::Unusable(match foreign_curve(curve) {
            Some(name) => format!("a key of the curve {name}"),
            None => "a key of another kind".to_owned(),
        })
    })?;
    usable(&key.algorithm())?;
    Ok(key)
}

/// Kinds of keys that SSH does not know.
fn foreign_kind(oid: ObjectIdentifier) -> Option<&'static str> {
    Some(match oid.to_string().as_str() {
        "1.2.840.10040.4.1" => "a DSA key",
        "1.2.840.113549.1.1.10" => "a key for RSA-PSS only",
        "1.2.840.113549.1.3.1" | "1.2.840.10046.2.1" => "a Diffie-Hellman key",
        "1.3.101.110" => "an X25519 key",
        "1.3.101.111" => "an X448 key",
        "1.3.101.113" => "an Ed448 key",
        _ => return None,
    })
}

/// Curves that SSH does not know.
fn foreign_curve(oid: ObjectIdentifier) -> Option<&'static str> {
    Some(match oid.to_string().as_str() {
        "1.3.132.0.10" => "secp256k1",
        "1.3.132.0.33" => "secp224r1",
        "1.2.840.10045.3.1.1" => "prime192v1",
        "1.3.36.3.3.2.8.1.1.7" => "brainpoolP256r1",
        "1.3.36.3.3.2.8.1.1.11" => "brainpoolP384r1",
        "1.3.36.3.3.2.8.1.1.13" => "brainpoolP512r1",
        "1.2.156.10197.1.301" => "SM2",
        _ => return None,
    })
}

/// Decrypts data with an initialisation vector, a salt and a passphrase.
type Decrypt = fn(&[u8], &[u8], &[u8], &str) -> Option<Zeroizing<Vec<u8>>>;

/// Decrypts a key in the traditional format of OpenSSL.
fn decrypt_traditional(data: &[u8], dek: &Dek, passphrase: &str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let decrypt: Decrypt = match dek.cipher.as_str() {
        "AES-128-CBC" => cbc::<Aes128>,
        "AES-192-CBC" => cbc::<Aes192>,
        "AES-256-CBC" => cbc::<Aes256>,
        "DES-EDE3-CBC" => cbc::<TdesEde3>,
        "DES-CBC" => cbc::<Des>,
        "RC2-CBC" | "RC2-40-CBC" | "RC2-64-CBC" => return Err(KeyError::Outdated("RC2")),
        "BF-CBC" => return Err(KeyError::Outdated("Blowfish")),
        "CAST5-CBC" => return Err(KeyError::Outdated("CAST5")),
        "IDEA-CBC" => return Err(KeyError::Outdated("IDEA")),
        "SEED-CBC" => return Err(KeyError::Outdated("SEED")),
        other => {
            let is_name = other.len() < 40 && other.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            let name = if is_name { other } else { "an unknown cipher" };
            return Err(KeyError::Unfamiliar(format!("is encrypted with {name}")));
        }
    };
    let salt = dek.iv.get(..8).ok_or(KeyError::NoKey(NoKey::Damaged))?;
    let plain = decrypt(data, &dek.iv, salt, passphrase).ok_or(KeyError::WrongPassphrase)?;
    if key_text::is_whole(&plain) { Ok(plain) } else { Err(KeyError::WrongPassphrase) }
}

fn cbc<C: BlockCipherDecrypt + KeyInit>(
    data: &[u8],
    iv: &[u8],
    salt: &[u8],
    passphrase: &str,
) -> Option<Zeroizing<Vec<u8>>> {
    let mut key = Zeroizing::new(Vec::new());
    let mut last = Vec::new();
    while key.len() < C::key_size() {
        let hash = Md5::new().chain_update(&last).chain_update(passphrase.as_bytes()).chain_update(salt);
        last = hash.finalize().to_vec();
        key.extend_from_slice(&last);
    }
    let mut plain = Zeroizing::new(data.to_vec());
    let cipher = cbc::Decryptor::<C>::new_from_slices(key.get(..C::key_size())?, iv).ok()?;
    let length = cipher.decrypt_padded::<Pkcs7>(&mut plain).ok()?.len();
    plain.truncate(length);
    Some(plain)
}

/// Decrypts a key in PKCS#8.
fn decrypt_pkcs8(der: &[u8], passphrase: &str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let Ok(info) = EncryptedPrivateKeyInfoRef::from_der(der) else { return Err(unread_scheme(der)) };
    let plain = info.encryption_algorithm.decrypt(passphrase, info.encrypted_data.as_bytes());
    match plain.map(Zeroizing::new) {
        Ok(plain) if key_text::is_whole(&plain) => Ok(plain),
        Ok(_) | Err(pkcs5::Error::DecryptFailed) => Err(KeyError::WrongPassphrase),
        Err(_) => Err(unread_scheme(der)),
    }
}

/// The error about an encryption that is not read.
fn unread_scheme(der: &[u8]) -> KeyError {
    const UNUSUAL: &str = "is encrypted in an unusual way";
    let scheme = || {
        let whole = AnyRef::from_der(der).ok()?;
        whole
            .sequence(|reader| {
                let scheme: AlgorithmIdentifierRef<'_> = reader.decode()?;
                let _: &OctetStringRef = reader.decode()?;
                Ok::<_, pkcs8::der::Error>(scheme)
            })
            .ok()
    };
    let Some(scheme) = scheme() else { return KeyError::NoKey(NoKey::Damaged) };
    let cipher = scheme.parameters.and_then(|parameters| {
        parameters
            .sequence(|reader| {
                let _derivation: AlgorithmIdentifierRef<'_> = reader.decode()?;
                reader.decode::<AlgorithmIdentifierRef<'_>>()
            })
            .ok()
    });
    let oid = cipher.map_or(scheme.oid, |cipher| cipher.oid);
    match oid.to_string().as_str() {
        "1.2.840.113549.1.5.1" | "1.2.840.113549.1.5.3" | "1.2.840.113549.1.5.10" => KeyError::Outdated("DES"),
        "1.2.840.113549.1.5.4"
        | "1.2.840.113549.1.5.6"
        | "1.2.840.113549.1.5.11"
        | "1.2.840.113549.3.2"
        | "1.2.840.113549.1.12.1.5"
        | "1.2.840.113549.1.12.1.6" => KeyError::Outdated("RC2"),
        "1.2.840.113549.1.12.1.1" | "1.2.840.113549.1.12.1.2" => KeyError::Outdated("RC4"),
        "1.3.6.1.4.1.3029.1.2" => KeyError::Outdated("Blowfish"),
        "1.2.840.113533.7.66.10" => KeyError::Outdated("CAST5"),
        "1.3.6.1.4.1.188.7.1.1.2" => KeyError::Outdated("IDEA"),
        "1.2.410.200004.1.4" => KeyError::Outdated("SEED"),
        "1.2.840.113549.1.12.1.3" | "1.2.840.113549.1.12.1.4" => {
            KeyError::Unfamiliar("is encrypted with triple DES in the way of PKCS#12".to_owned())
        }
        _ => KeyError::Unfamiliar(UNUSUAL.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSPHRASE: &str = "pass phrase";

    /// Keys that `make-keys` made, by name.
    fn keys() -> Vec<(&'static str, &'static str)> {
        include_str!("key_format/keys.txt").split("== ").skip(1).map(|key| key.split_once('\n').unwrap()).collect()
    }

    #[test]
    fn every_key_of_the_ssh_and_openssl_tools_is_read_or_named_with_the_command_that_converts_it() {
        assert!(keys().len() > 50, "keys.txt is incomplete");
        for (name, text) in keys() {
            let given = decode(text.as_bytes(), Some(PASSPHRASE)).map(|_| ());
            let missing = decode(text.as_bytes(), None).map(|_| ());
            let words = given.clone().err().map(|error| error.words("FILE")).unwrap_or_default();
            for term in ["ASN", "DER", "PKCS#8", "tag", "OID", "1.2."] {
                assert!(!words.contains(term), "{name}: {words}");
            }
            match name.split('-').next().unwrap() {
                "open" => assert_eq!([given, missing], [Ok(()), Ok(())], "{name}"),
                "locked" => {
                    assert_eq!([given, missing], [Ok(()), Err(KeyError::Locked)], "{name}");
                    let wrong = decode(text.as_bytes(), Some("wrong")).map(|_| ());
                    assert_eq!(wrong, Err(KeyError::WrongPassphrase), "{name}");
                }
                "rewrite" => assert!(words.contains(": `ssh-keygen -p -f FILE` rewrites it"), "{name}: {words}"),
                "legacy" => assert!(words.contains("`openssl pkcs8 -topk8 -provider legacy"), "{name}: {words}"),
                "unusable" => assert!(words.contains("`ssh-keygen -t ed25519`"), "{name}: {words}"),
                other => panic!("{other}"),
            }
        }
    }

    #[test]
    fn what_is_wrong_with_a_key_file_is_said_in_plain_words() {
        let check = |name: &str, expected: &str| {
            let (_, text) = keys().into_iter().find(|(key, _)| *key == name).unwrap();
            let error = decode(text.as_bytes(), Some(PASSPHRASE)).unwrap_err();
            assert_eq!(error.words("/k"), expected, "{name}");
        };
        check(
            "rewrite-camellia",
            "the key file /k is encrypted with CAMELLIA-256-CBC, which is not read here: `ssh-keygen -p -f /k` rewrites it",
        );
        check(
            "legacy-v1-PBE-MD5-DES",
            "the key file /k is encrypted with DES, which is not read here: `openssl pkcs8 -topk8 -provider legacy -provider default -in /k -out NEW` writes a new one",
        );
        check(
            "unusable-ED448",
            "the key file /k contains an Ed448 key, which no SSH server takes: make another one with `ssh-keygen -t ed25519`",
        );
        check(
            "unusable-secp256k1",
            "the key file /k contains a key of the curve secp256k1, which no SSH server takes: make another one with `ssh-keygen -t ed25519`",
        );
        let putty = decode(b"PuTTY-User-Key-File-2: ssh-rsa\r\nEncryption: none\r\n", None).unwrap_err();
        assert_eq!(
            putty.words("x.ppk"),
            "the key file x.ppk is a PuTTY key: convert it with `puttygen x.ppk -O private-openssh -o NEW`"
        );
    }

    /// A key of a security token in OpenSSH's format.
    fn sk_key() -> Vec<u8> {
        let text = |bytes: &[u8]| [&u32::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat();
        let point = curve_point();
        let public = [text(b"sk-ssh-ed25519@openssh.com"), text(&point), text(b"ssh:")].concat();
        let private = [&[7; 8][..], &public, &[1], &text(b"handle"), &text(b""), &text(b"")].concat();
        let padding: Vec<u8> = (1..).take(private.len().next_multiple_of(8) - private.len()).collect();
        let der = [
            &b"openssh-key-v1\0"[..],
            &text(b"none"),
            &text(b"none"),
            &text(b""),
            &1_u32.to_be_bytes(),
            &text(&public),
            &text(&[private, padding].concat()),
        ];
        let data = Base64::encode_string(&der.concat());
        format!("-----BEGIN OPENSSH PRIVATE KEY-----\n{data}\n-----END OPENSSH PRIVATE KEY-----\n").into_bytes()
    }

    fn curve_point() -> [u8; 32] {
        let key = PrivateKey::random(&mut rand::rng(), Algorithm::Ed25519).unwrap();
        key.public_key().key_data().ed25519().unwrap().0
    }

    #[test]
    fn a_key_of_a_security_token_needs_the_ssh_agent() {
        let error = decode(&sk_key(), None).unwrap_err();
        assert_eq!(
            error.words("/k"),
            "the key file /k belongs to a security key and needs the ssh-agent: run `ssh-add /k` and write `key=\"/k.pub\"`"
        );
    }

    #[test]
    fn a_damaged_key_is_not_a_wrong_passphrase() {
        let (_, text) = keys().into_iter().find(|(name, _)| *name == "locked-aes256-ctr").unwrap();
        for damaged in [text.replacen("LS0t", "", 1), text.split_at(200).0.to_owned(), text.replacen('b', "", 1)] {
            let outcome = decode(damaged.as_bytes(), Some(PASSPHRASE)).map(|_| ());
            if damaged != text {
                assert_eq!(outcome, Err(KeyError::NoKey(NoKey::Damaged)), "{damaged}");
            }
        }
        let unknown = format!(
            "-----BEGIN OPENSSH PRIVATE KEY-----\n{}\n-----END OPENSSH PRIVATE KEY-----",
            Base64::encode_string(b"openssh-key-v1\0\0\0\0\x07aes-xyz\0\0\0\0")
        );
        let error = decode(unknown.as_bytes(), Some(PASSPHRASE)).unwrap_err();
        assert_eq!(
            error.words("/k"),
            "the key file /k is encrypted with aes-xyz, which is not read here: `ssh-keygen -p -f /k` rewrites it"
        );
    }
}
