//! A file of certificates in PEM (`ca` of `<smtp>`): read within bounds, every certificate in it checked for its form.
//! Not what the certificates are good for.

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

/// Larger than the authorities of every system together.
const LARGEST_BYTES: u64 = 4 << 20;

/// Why a file gives no certificates.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// It cannot be read.
    #[error("{0}")]
    Unreadable(#[from] io::Error),
    /// It is no file.
    #[error("it is not a regular file")]
    NotAFile,
    /// It is too large.
    #[error("it is larger than {} MiB", LARGEST_BYTES >> 20)]
    TooLarge,
    /// There is no certificate in it.
    #[error("it holds no certificate (no `-----BEGIN CERTIFICATE-----`)")]
    Empty,
    /// Something in it is no certificate.
    #[error("its certificate number {number} cannot be read")]
    Malformed {
        /// Counts from 1.
        number: usize,
    },
}

impl CaError {
    /// The same for a message about a configuration.
    fn problem(&self) -> SafeText {
        match self {
            Self::Unreadable(error) => safe_text::io_error(error),
            Self::NotAFile => "it is not a regular file".into(),
            Self::TooLarge => words!["it is larger than ", LARGEST_BYTES >> 20, " MiB"],
            Self::Empty => "it holds no certificate (no `-----BEGIN CERTIFICATE-----`)".into(),
            Self::Malformed { number } => words!["its certificate number ", *number, " cannot be read"],
        }
    }
}

/// Looks at the file that `ca` of `<smtp>` names.
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
            "name a readable file of certificates in PEM, as in ca=\"/etc/ssl/certs/mail.pem\"",
        );
    }
}

/// The certificates of a file, at least one.
///
/// # Errors
/// [`CaError`]
pub fn read(path: &Path) -> Result<Vec<CertificateDer<'static>>, CaError> {
    // Opening a pipe would wait for its other end.
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
            (String::new(), Err("it holds no certificate")),
            (
                "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n".to_owned(),
                Err("it holds no certificate"),
            ),
            (format!("{two}{shorter}\n"), Err("its certificate number 2 cannot be read")),
            (one.replace("-----END CERTIFICATE-----", ""), Err("its certificate number 1 cannot be read")),
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
