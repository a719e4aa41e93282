//! A self-signed certificate for this machine, which is its own authority.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// Writes `certificate.pem` and `key.pem` into a directory; where they are. The key is for its owner alone.
pub(crate) fn write(directory: &Path) -> (PathBuf, PathBuf) {
    let made =
        rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).expect("a certificate");
    let [certificate, key] = ["certificate.pem", "key.pem"].map(|name| directory.join(name));
    fs::write(&certificate, made.cert.pem()).expect("a certificate's file");
    fs::write(&key, made.signing_key.serialize_pem()).expect("a key's file");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("rights of a key");
    (certificate, key)
}
