//! Certificates of our own keys: files beside a key or named with `CertificateFile`. Which one belongs to a key and can
//! be used. Not the certificates of hosts, and not those in the ssh-agent.

use std::{
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use russh::keys::{
    Certificate,
    ssh_key::{certificate::CertType, public::KeyData},
};

use super::key_files;
use crate::config::{KeyFile, Login, key_text, safe_text};

/// The certificates for a key.
#[derive(Default)]
pub(super) struct Certificates {
    /// Those that can be shown to a server.
    pub(super) usable: Vec<Certificate>,
    /// Why others are not shown.
    pub(super) unusable: Vec<String>,
}

/// The files that may have a certificate for a key file. As with `ssh`, the one beside it counts if none is named.
pub(super) fn files(login: &Login, key: Option<&KeyFile>) -> Vec<PathBuf> {
    if !login.certificates.is_empty() {
        return login.certificates.clone();
    }
    key.map(|key| beside(&key.path)).into_iter().collect()
}

/// `x-cert.pub` for `x` and `x.pub`.
fn beside(key: &Path) -> PathBuf {
    let bare = if key_text::is_public(key) { key.with_extension("") } else { key.to_owned() };
    if bare.to_string_lossy().ends_with("-cert") {
        return key.to_owned();
    }
    let mut name = bare.into_os_string();
    name.push("-cert.pub");
    name.into()
}

/// The certificates for a key in these files. Files that do not exist or are for another key are ignored.
pub(super) fn of(key: &KeyData, files: &[PathBuf], now: SystemTime) -> Certificates {
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let mut found = Certificates::default();
    for file in files {
        let Some(certificate) = key_files::certificate(file).filter(|certificate| certificate.public_key() == key)
        else {
            continue;
        };
        match problem(&certificate, now) {
            None => found.usable.push(certificate),
            Some(problem) => {
                found.unusable.push(format!("the certificate {} {problem}", safe_text::existing_path(file)));
            }
        }
    }
    found
}

/// Why a server would refuse a certificate, as far as it shows.
fn problem(certificate: &Certificate, now: u64) -> Option<String> {
    if certificate.cert_type() != CertType::User {
        return Some("is one of a host and none of a user".to_owned());
    }
    if now < certificate.valid_after() {
        return Some(format!("is not valid before {}", moment(certificate.valid_after())));
    }
    (now >= certificate.valid_before()).then(|| format!("expired at {}", moment(certificate.valid_before())))
}

/// A time in a certificate, in seconds since 1970, for people.
pub(super) fn moment(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    time.map_or_else(|| "a time far away".to_owned(), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use russh::keys::{Algorithm, PrivateKey, ssh_key::certificate::Builder};

    use super::*;

    fn key() -> PrivateKey {
        PrivateKey::random(&mut rand::rng(), Algorithm::Ed25519).unwrap()
    }

    fn certificate(key: &PrivateKey, kind: CertType, (after, before): (u64, u64)) -> String {
        let mut builder = Builder::new_with_random_nonce(&mut rand::rng(), key.public_key(), after, before).unwrap();
        builder.cert_type(kind).unwrap().valid_principal("ops").unwrap();
        builder.sign(&self::key()).unwrap().to_openssh().unwrap()
    }

    #[test]
    fn the_certificates_of_a_key_are_those_that_a_server_may_accept() {
        let folder = tempfile::tempdir().unwrap();
        let (ours, other) = (key(), key());
        let file = |name: &str| folder.path().join(name);
        for (name, text) in [
            ("good", certificate(&ours, CertType::User, (100, 200))),
            ("windows", format!("\u{feff}{}\r\n", certificate(&ours, CertType::User, (100, 200)))),
            ("early", certificate(&ours, CertType::User, (160, 200))),
            ("late", certificate(&ours, CertType::User, (100, 150))),
            ("host", certificate(&ours, CertType::Host, (100, 200))),
            ("other", certificate(&other, CertType::User, (100, 200))),
            ("plain", ours.public_key().to_openssh().unwrap()),
        ] {
            std::fs::write(file(name), text).unwrap();
        }
        let files = ["good", "windows", "early", "late", "host", "other", "plain", "missing"].map(file);
        let found = of(ours.public_key().key_data(), &files, UNIX_EPOCH + Duration::from_secs(150));
        assert_eq!(found.usable.len(), 2);
        let shown = found.unusable.join("\n").replace(&folder.path().display().to_string(), "DIR");
        assert_eq!(
            shown,
            "the certificate DIR/early is not valid before 1970-01-01T00:02:40Z\n\
             the certificate DIR/late expired at 1970-01-01T00:02:30Z\n\
             the certificate DIR/host is one of a host and none of a user"
        );
    }

    #[test]
    fn the_certificate_beside_a_key_has_its_name() {
        for (key, expected) in [
            ("/a/x", "/a/x-cert.pub"),
            ("/a/x.pub", "/a/x-cert.pub"),
            ("/a/x-cert.pub", "/a/x-cert.pub"),
            ("/a/x.pem", "/a/x.pem-cert.pub"),
        ] {
            assert_eq!(beside(Path::new(key)), Path::new(expected), "{key}");
        }
    }
}
