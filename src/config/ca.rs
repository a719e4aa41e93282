//! Reads the PEM file of certificates that `ca` of `<smtp>` names. The file size is limited, and each certificate must
//! parse. What the certificates are used for is decided elsewhere.

use std::{
    fs,
    io::{self, Read as _},
    path::Path,
};

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};

use super::{
    safe_text::{self, SafeText, words},
    shape::Element,
    source::Findings,
    values,
};

/// The largest file that is read. The bundle of all authorities of a system has less than 1 MiB.
const LARGEST_BYTES: u64 = 4 << 20;

/// Why no certificates can be read from a file.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// It cannot be read.
    #[error("{0}")]
    Unreadable(#[from] io::Error),
    /// It is not a regular file.
    #[error("it is not a regular file")]
    NotAFile,
    /// It is too large.
    #[error("it is larger than {} MiB", LARGEST_BYTES >> 20)]
    TooLarge,
    /// There is no certificate in it.
    #[error("it contains no certificate (no `-----BEGIN CERTIFICATE-----`)")]
    Empty,
    /// A certificate in it does not parse.
    #[error("certificate number {number} in it cannot be read")]
    Malformed {
        /// Counts from 1.
        number: usize,
    },
}

impl CaError {
    /// The same text for a diagnostic of the configuration.
    fn problem(&self) -> SafeText {
        match self {
            Self::Unreadable(error) => safe_text::io_error(error),
            Self::NotAFile => "it is not a regular file".into(),
            Self::TooLarge => words!["it is larger than ", LARGEST_BYTES >> 20, " MiB"],
            Self::Empty => "it contains no certificate (no `-----BEGIN CERTIFICATE-----`)".into(),
            Self::Malformed { number } => words!["certificate number ", *number, " in it cannot be read"],
        }
    }
}

/// Reports an error if the file that `ca` of `<smtp>` names cannot be used.
pub(super) fn inspect(root: &Element, home: Option<&Path>, findings: &mut Findings) {
    for smtp in root.children.iter().filter(|element| element.name.text == "smtp") {
        let Some(attribute) = smtp.attribute("ca") else { continue };
        // A wrong value is reported elsewhere.
        let Ok(path) = values::path(&attribute.value.text, home) else { continue };
        let Err(error) = read(&path) else { continue };
        let shown = safe_text::path(&path);
        let file = if shown == SafeText::hidden() { "the file".into() } else { shown };
        findings.error(
            attribute.value.at.clone(),
            words!["`ca`: ", file, " cannot be used: ", error.problem()],
            "name a readable PEM file of certificates, for example ca=\"/etc/ssl/certs/mail.pem\"",
        );
    }
}

/// Reads the certificates of a file. There is at least one.
///
/// # Errors
/// [`CaError`]
pub fn read(path: &Path) -> Result<Vec<CertificateDer<'static>>, CaError> {
    // Opening a pipe would block until somebody writes to it.
    if !fs::metadata(path)?.is_file() {
        return Err(CaError::NotAFile);
    }
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(LARGEST_BYTES + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > LARGEST_BYTES) {
        return Err(CaError::TooLarge);
    }
    parse(&bytes)
}

fn parse(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, CaError> {
    let mut certificates = Vec::new();
    for (number, certificate) in (1..).zip(CertificateDer::pem_slice_iter(pem)) {
        let certificate = certificate.map_err(|_| CaError::Malformed { number })?;
        RootCertStore::empty().add(certificate.clone()).map_err(|_| CaError::Malformed { number })?;
        certificates.push(certificate);
    }
    if certificates.is_empty() { Err(CaError::Empty) } else { Ok(certificates) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate() -> String {
        support::TestCertificate::of_names(&["localhost"]).certificate_pem
    }

    #[test]
    fn a_bundle_gives_its_certificates_or_says_why_not() {
        let (one, two) = (certificate(), certificate());
        let shorter = one.lines().enumerate().filter(|(number, _)| *number != 3).map(|(_, line)| line);
        let shorter = shorter.collect::<Vec<_>>().join("\n");
        for (text, expected) in [
            (one.clone(), Ok(1)),
            (format!("# a comment\n{one}\nbetween\n{two}"), Ok(2)),
            (one.replace('\n', "\r\n"), Ok(1)),
            (String::new(), Err("it contains no certificate")),
            (
                "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n".to_owned(),
                Err("it contains no certificate"),
            ),
            (format!("{two}{shorter}\n"), Err("certificate number 2 in it cannot be read")),
            (one.replace("-----END CERTIFICATE-----", ""), Err("certificate number 1 in it cannot be read")),
        ] {
            let found =
                parse(text.as_bytes()).map(|certificates| certificates.len()).map_err(|error| error.to_string());
            match (&found, expected) {
                (Ok(found), Ok(expected)) => assert_eq!(*found, expected, "{text}"),
                (Err(found), Err(expected)) => assert!(found.contains(expected), "{found}"),
                (_, expected) => panic!("{found:?}, expected {expected:?}: {text}"),
            }
        }
    }

    #[test]
    fn a_file_that_is_none_is_not_waited_for() {
        for (path, expected) in
            [("/nonexistent/ca.pem", "No such file"), ("/dev/zero", "not a regular file"), ("/", "not a regular file")]
        {
            let error = read(Path::new(path)).unwrap_err().to_string();
            assert!(error.contains(expected), "{path}: {error}");
        }
    }
}
