//! Reads public keys and certificates from files. Not private keys: [`super::keyring`] keeps those.

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

use russh::keys::{Certificate, PrivateKey, PublicKey, ssh_key::public::KeyData};
use secrecy::zeroize::Zeroizing;

use crate::config::key_text::{self, KeyFormat};

/// The public keys of key files. A file that cannot be read has none.
pub(super) fn public_keys(files: &[PathBuf]) -> Vec<KeyData> {
    files.iter().filter_map(|file| public_key(file)).collect()
}

/// The public key of a key file: of the file beside it with `.pub`, or of the file itself.
pub(super) fn public_key(file: &Path) -> Option<KeyData> {
    let of_file = |path: &Path| {
        let bytes = read(path)?;
        if let Some(line) = key_text::public_line(&bytes) {
            let certified = || Certificate::from_openssh(&line).ok().map(|found| found.public_key().clone());
            let key = PublicKey::from_openssh(&line).ok().map(|key| key.key_data().clone());
            return key.filter(|key| !matches!(key, KeyData::Certificate(_))).or_else(certified);
        }
        // The public part is legible even if the file is encrypted.
        let text = key_text::parse(&bytes).ok().filter(|text| text.format == KeyFormat::OpenSsh)?;
        PrivateKey::from_bytes(&text.der).ok().map(|key| key.public_key().key_data().clone())
    };
    if key_text::is_public(file) {
        return of_file(file);
    }
    of_file(&file.with_added_extension("pub")).or_else(|| of_file(file))
}

/// The certificate in a file.
pub(super) fn certificate(file: &Path) -> Option<Certificate> {
    Certificate::from_openssh(&key_text::public_line(&read(file)?)?).ok()
}

/// The content, up to a bound that no key reaches. Zeroized, because it may be a private key.
fn read(path: &Path) -> Option<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::new());
    File::open(path).ok()?.take(key_text::LARGEST_BYTES).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}
