//! What a key file contains: recognises a private key and how it is encrypted, and says what another file is and how to
//! make a private key of it. Pure. It decrypts nothing.
//!
//! Byte-order marks, blanks, line ends of any system and text around the key are ignored.

use std::path::Path;

use base64ct::{Base64, Encoding as _};
use secrecy::zeroize::Zeroizing;

/// The largest file that is accepted as a private key, in bytes. Real ones have a few kilobytes.
pub const LARGEST_BYTES: u64 = 64 * 1024;

/// A private key that was found in a file.
pub struct KeyText {
    /// Its format.
    pub format: KeyFormat,
    /// The binary form, which may be encrypted.
    pub der: Zeroizing<Vec<u8>>,
}

/// The format of a private key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyFormat {
    /// OpenSSH's own.
    OpenSsh,
    /// That of older tools: `RSA PRIVATE KEY`, `EC PRIVATE KEY`.
    Traditional {
        /// The text between `BEGIN` and `PRIVATE KEY`.
        kind: String,
        /// How it is encrypted, if it is.
        encrypted: Option<Dek>,
    },
    /// PKCS#8.
    Pkcs8,
    /// PKCS#8, encrypted.
    EncryptedPkcs8,
}

/// The line `DEK-Info` of a key in the traditional format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dek {
    /// The cipher as OpenSSL names it, such as `AES-256-CBC`.
    pub cipher: String,
    /// The initialisation vector.
    pub iv: Vec<u8>,
}

/// What a file is that contains no usable private key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoKey {
    /// It has no text.
    Empty,
    /// A line of `authorized_keys` or a `.pub` file.
    Public,
    /// A public key in another format.
    PublicBlock,
    /// A certificate of SSH.
    Certificate,
    /// A certificate of TLS.
    TlsCertificate,
    /// A `known_hosts` file.
    KnownHosts,
    /// A key of PuTTY.
    Putty,
    /// A private key of ssh.com's program.
    SshCom,
    /// A key of GnuPG.
    Pgp,
    /// A binary private key.
    Binary,
    /// A private key whose end is missing, or whose text is not base64.
    Damaged,
    /// Anything else.
    Other,
}

impl NoKey {
    /// What the file is, after `the key file NAME`.
    #[must_use]
    pub fn is(self) -> &'static str {
        match self {
            Self::Empty => "is empty",
            Self::Public | Self::PublicBlock => "contains a public key",
            Self::Certificate => "contains a certificate and no private key",
            Self::TlsCertificate => "contains a certificate of TLS and no private key",
            Self::KnownHosts => "is a known_hosts file",
            Self::Putty => "is a PuTTY key",
            Self::SshCom => "is a key of ssh.com's program",
            Self::Pgp => "is a key of GnuPG",
            Self::Binary => "is in a binary format",
            Self::Damaged => "is damaged or cut short",
            Self::Other => "contains no private key",
        }
    }

    /// What to do: the text before the file's name, and the text after it.
    #[must_use]
    pub fn fix(self) -> (&'static str, Option<&'static str>) {
        match self {
            Self::Empty | Self::Damaged => ("copy it again from where it was made", None),
            Self::Public => (
                "name the private key, usually without `.pub`, or a file whose name ends with `.pub` to use a key of the ssh-agent",
                None,
            ),
            Self::Certificate => ("name the private key; a certificate beside it is found as NAME-cert.pub", None),
            Self::PublicBlock | Self::TlsCertificate | Self::KnownHosts | Self::Other => {
                ("write the path of a private key", None)
            }
            Self::Putty => ("convert it with `puttygen ", Some(" -O private-openssh -o NEW`")),
            Self::SshCom => ("convert it with `ssh-keygen -i -f ", Some(" > NEW`")),
            Self::Pgp => ("add it to gpg-agent as the ssh-agent, or make another key with `ssh-keygen`", None),
            Self::Binary => ("convert it with `openssl pkey -inform DER -in ", Some(" -out NEW`")),
        }
    }
}

/// Whether a file is named as a public key, which selects a key of the ssh-agent.
#[must_use]
pub fn is_public(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "pub")
}

/// The line of a public key or of a certificate in a file, without what is around it.
#[must_use]
pub fn public_line(bytes: &[u8]) -> Option<String> {
    let text = text(bytes);
    let line = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'))?;
    let (kind, rest) = line.split_once([' ', '\t'])?;
    let blob = rest.split_whitespace().next()?;
    let bytes = Base64::decode_vec(blob).ok()?;
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let named = rest.get(..usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    (named == kind.as_bytes() && rest.len() > named.len()).then(|| format!("{kind} {blob}"))
}

/// The private key in a file.
///
/// # Errors
/// What the file is instead.
pub fn parse(bytes: &[u8]) -> Result<KeyText, NoKey> {
    let text = text(bytes);
    let text = text.trim();
    if text.is_empty() {
        return Err(NoKey::Empty);
    }
    let mut other = None;
    for block in blocks(text) {
        match private(&block) {
            Ok(key) => return Ok(key),
            // A certificate or the name of the curve may come before the key.
            Err(no_key) => other = other.or(no_key),
        }
    }
    Err(other.unwrap_or_else(|| without_block(bytes, text)))
}

/// The text in UTF-8 without byte-order mark. Editors and shells of Windows also write UTF-16.
fn text(bytes: &[u8]) -> Zeroizing<String> {
    let wide = |unit: fn([u8; 2]) -> u16| {
        let units = bytes.chunks_exact(2).skip(1).filter_map(|pair| pair.try_into().ok()).map(unit);
        char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
    };
    Zeroizing::new(match bytes {
        [0xff, 0xfe, ..] => wide(u16::from_le_bytes),
        [0xfe, 0xff, ..] => wide(u16::from_be_bytes),
        _ => String::from_utf8_lossy(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)).into_owned(),
    })
}

/// A block between `BEGIN` and `END`.
struct Block<'a> {
    label: &'a str,
    /// `None` if the end is missing.
    body: Option<&'a str>,
}

fn blocks(text: &str) -> impl Iterator<Item = Block<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        // The tools of ssh.com write four dashes and a blank.
        let (_, after) = rest.split_once("---- BEGIN ").or_else(|| rest.split_once("-----BEGIN "))?;
        let (label, after) = after.split_once("----")?;
        let (body, after) = match after.split_once("----") {
            Some((body, after)) => (Some(body), after),
            None => (None, ""),
        };
        rest = after;
        Some(Block { label: label.trim(), body })
    })
}

/// The private key in a block; otherwise what it is, if that says something about the file.
fn private(block: &Block<'_>) -> Result<KeyText, Option<NoKey>> {
    let kind = match block.label {
        "OPENSSH PRIVATE KEY" | "PRIVATE KEY" | "ENCRYPTED PRIVATE KEY" => "",
        "EC PARAMETERS" | "DSA PARAMETERS" | "DH PARAMETERS" => return Err(None),
        "SSH2 ENCRYPTED PRIVATE KEY" => return Err(Some(NoKey::SshCom)),
        label if label.contains("CERTIFICATE") => return Err(Some(NoKey::TlsCertificate)),
        label if label.contains("PUBLIC KEY") => return Err(Some(NoKey::PublicBlock)),
        label if label.starts_with("PGP") => return Err(Some(NoKey::Pgp)),
        label => label.strip_suffix(" PRIVATE KEY").ok_or(Some(NoKey::Other))?,
    };
    let damaged = Some(NoKey::Damaged);
    let body = block.body.ok_or(damaged)?.trim_start_matches('-');
    let (encrypted, data) = headers(body);
    let data: Zeroizing<String> = Zeroizing::new(data.chars().filter(|c| !c.is_whitespace()).collect());
    let der = Zeroizing::new(Base64::decode_vec(&data).map_err(|_| damaged)?);
    if der.is_empty() {
        return Err(damaged);
    }
    let format = match block.label {
        "OPENSSH PRIVATE KEY" => KeyFormat::OpenSsh,
        "PRIVATE KEY" => KeyFormat::Pkcs8,
        "ENCRYPTED PRIVATE KEY" => KeyFormat::EncryptedPkcs8,
        _ => KeyFormat::Traditional { kind: kind.to_owned(), encrypted },
    };
    if format != KeyFormat::OpenSsh && !is_whole(&der) {
        let is_encrypted = matches!(&format, KeyFormat::Traditional { encrypted: Some(_), .. });
        if !is_encrypted {
            return Err(damaged);
        }
    }
    Ok(KeyText { format, der })
}

/// The encryption that the headers of a block name, and the text after them.
fn headers(body: &str) -> (Option<Dek>, &str) {
    let mut encrypted = None;
    let mut rest = body;
    while let Some((line, after)) = rest.split_once(['\n', '\r']) {
        let line = line.trim();
        if !line.is_empty() && !line.contains(':') {
            break;
        }
        if let Some((cipher, iv)) = line.strip_prefix("DEK-Info:").and_then(|info| info.split_once(',')) {
            let iv = hexadecimal(iv.trim());
            encrypted = Some(Dek { cipher: cipher.trim().to_ascii_uppercase(), iv });
        }
        rest = after;
    }
    (encrypted, rest)
}

/// Bytes written in hexadecimal digits; empty if they are not.
fn hexadecimal(text: &str) -> Vec<u8> {
    let digits: Option<Vec<u32>> = text.chars().map(|digit| digit.to_digit(16)).collect();
    let pairs = digits.unwrap_or_default();
    pairs
        .chunks_exact(2)
        .filter_map(|pair| u8::try_from(pair.iter().fold(0, |all, digit| all * 16 + digit)).ok())
        .collect()
}

/// Whether bytes are one complete sequence of ASN.1. A wrong passphrase gives other bytes.
#[must_use]
pub fn is_whole(der: &[u8]) -> bool {
    let rest = match der {
        [0x30, length, rest @ ..] if *length < 0x80 => (usize::from(*length), rest),
        [0x30, 0x81, length, rest @ ..] => (usize::from(*length), rest),
        [0x30, 0x82, high, low, rest @ ..] => (usize::from(*high) << 8 | usize::from(*low), rest),
        _ => return false,
    };
    rest.0 == rest.1.len()
}

/// What a text without a private key is.
fn without_block(bytes: &[u8], text: &str) -> NoKey {
    if text.starts_with("PuTTY-User-Key-File") {
        return NoKey::Putty;
    }
    if bytes.first() == Some(&0x30) && is_whole(bytes) {
        return NoKey::Binary;
    }
    let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let words = |line: &str| -> Vec<String> { line.split_whitespace().map(str::to_owned).collect() };
    let is_type =
        |word: &String| ["ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-"].iter().any(|kind| word.starts_with(kind));
    let Some(first) = lines().next().map(words) else { return NoKey::Other };
    match first.as_slice() {
        [kind, _, ..] if is_type(kind) && kind.contains("-cert-v01@") => NoKey::Certificate,
        [kind, _, ..] if is_type(kind) => NoKey::Public,
        [marker, ..] if marker == "@cert-authority" || marker == "@revoked" => NoKey::KnownHosts,
        [host, kind, blob, ..] if is_type(kind) && blob.starts_with("AAAA") => {
            // A hashed host begins with a bar. Options of `authorized_keys` have a value or no place in a host's name.
            let is_options = !host.starts_with('|') && (host.contains('=') || host.contains("restrict"));
            if is_options { NoKey::Public } else { NoKey::KnownHosts }
        }
        _ => NoKey::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is recognised, in words.
    fn found(bytes: &[u8]) -> String {
        match parse(bytes) {
            Ok(key) => format!("{:?} {}", key.format, key.der.len()),
            Err(no_key) => format!("{no_key:?}"),
        }
    }

    #[test]
    fn a_private_key_is_found_whatever_is_around_it() {
        let pem = "-----BEGIN PRIVATE KEY-----\nMAMCAQE=\n-----END PRIVATE KEY-----\n";
        let wide = |unit: fn(u16) -> [u8; 2]| {
            std::iter::once(0xfeff).chain(pem.encode_utf16()).flat_map(unit).collect::<Vec<u8>>()
        };
        for bytes in [
            pem.as_bytes().to_vec(),
            format!("\u{feff}{pem}").into_bytes(),
            format!("\n\n  \t{pem}\n\n").into_bytes(),
            pem.replace('\n', "\r\n").into_bytes(),
            pem.replace('\n', "\r").into_bytes(),
            pem.replace('\n', " \n   ").into_bytes(),
            pem.replace('\n', " ").into_bytes(),
            pem.trim_end().as_bytes().to_vec(),
            format!("-----BEGIN EC PARAMETERS-----\nBggq\n-----END EC PARAMETERS-----\n{pem}").into_bytes(),
            format!("-----BEGIN CERTIFICATE-----\nMAMC\n-----END CERTIFICATE-----\n{pem}").into_bytes(),
            format!("Bag Attributes\n  friendlyName: x\n{pem}").into_bytes(),
            wide(u16::to_le_bytes),
            wide(u16::to_be_bytes),
        ] {
            assert_eq!(found(&bytes), "Pkcs8 5", "{:?}", String::from_utf8_lossy(&bytes));
        }
        let dek = "-----BEGIN RSA PRIVATE KEY-----\r\nProc-Type: 4,ENCRYPTED\r\nDEK-Info: AES-128-CBC,0aFF\r\n\r\nAAAA\r\n-----END RSA PRIVATE KEY-----";
        assert_eq!(
            found(dek.as_bytes()),
            r#"Traditional { kind: "RSA", encrypted: Some(Dek { cipher: "AES-128-CBC", iv: [10, 255] }) } 3"#
        );
    }

    #[test]
    fn another_file_is_named_as_what_it_is() {
        for (text, expected) in [
            ("", NoKey::Empty),
            (" \r\n\t", NoKey::Empty),
            ("ssh-ed25519 AAAAC3Nz me@here", NoKey::Public),
            ("\u{feff}# mine\nssh-rsa AAAAB3Nz", NoKey::Public),
            ("sk-ssh-ed25519@openssh.com AAAA me", NoKey::Public),
            ("restrict,command=\"x\" ssh-rsa AAAAB3Nz", NoKey::Public),
            ("ssh-ed25519-cert-v01@openssh.com AAAA me", NoKey::Certificate),
            ("10.0.0.1 ssh-ed25519 AAAAC3Nz", NoKey::KnownHosts),
            ("|1|a=|b= ecdsa-sha2-nistp256 AAAAE2Vj", NoKey::KnownHosts),
            ("@cert-authority * ssh-rsa AAAAB3Nz", NoKey::KnownHosts),
            ("PuTTY-User-Key-File-3: ssh-ed25519\r\nEncryption: none\r\n", NoKey::Putty),
            (
                "---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\nP2/56wAAA\n---- END SSH2 ENCRYPTED PRIVATE KEY ----",
                NoKey::SshCom,
            ),
            ("---- BEGIN SSH2 PUBLIC KEY ----\nAAAA\n---- END SSH2 PUBLIC KEY ----", NoKey::PublicBlock),
            ("-----BEGIN PUBLIC KEY-----\nMAMC\n-----END PUBLIC KEY-----", NoKey::PublicBlock),
            ("-----BEGIN CERTIFICATE-----\nMAMC\n-----END CERTIFICATE-----", NoKey::TlsCertificate),
            ("-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlQ\n-----END PGP PRIVATE KEY BLOCK-----", NoKey::Pgp),
            ("-----BEGIN OPENSSH PRIVATE KEY-----\nb3Blbn", NoKey::Damaged),
            ("-----BEGIN OPENSSH PRIVATE KEY-----\nb3!!\n-----END OPENSSH PRIVATE KEY-----", NoKey::Damaged),
            ("-----BEGIN PRIVATE KEY-----\nMAkCAQE=\n-----END PRIVATE KEY-----", NoKey::Damaged),
            ("-----BEGIN MESSAGE-----\nMAkCAQE=\n-----END MESSAGE-----", NoKey::Other),
            ("geheim", NoKey::Other),
        ] {
            assert_eq!(found(text.as_bytes()), format!("{expected:?}"), "{text}");
        }
        let public = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAyP2O1ykmBJqiDn/OmCW9+JOC4FDpAQYD+Yb2TaJTDX";
        assert_eq!(public_line(format!("\u{feff}\r\n{public} me\r\n").as_bytes()).as_deref(), Some(public));
        assert_eq!(public_line(b"ssh-ed25519 AAAA me"), None);
        assert_eq!(public_line(public.replace("ed25519", "rsa").as_bytes()), None);
        assert_eq!(found(&[0x30, 3, 2, 1, 1]), "Binary");
        assert_eq!(found(&[0xff; 40]), "Other");
    }
}
