//! Certificates for test servers, valid and invalid ones.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, date_time_ymd};

/// A certificate of a server with its key, in PEM.
#[derive(Debug, Clone)]
pub struct TestCertificate {
    /// The certificate.
    pub certificate_pem: String,
    /// Its key.
    pub key_pem: String,
    /// The certificate of the issuing authority; the same certificate if it is self-signed.
    pub authority_pem: String,
}

impl TestCertificate {
    /// A self-signed certificate for these names.
    ///
    /// # Panics
    /// If one of them is not a valid name.
    pub fn of_names(names: &[&str]) -> Self {
        Self::self_signed(params(names))
    }

    /// A self-signed certificate with the defaults of `openssl req -x509`: it is an authority, and the name is only in
    /// the subject.
    ///
    /// # Panics
    /// If it cannot be made.
    pub fn as_by_openssl(name: &str) -> Self {
        let mut params = params(&[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        Self::self_signed(params)
    }

    /// A self-signed certificate that has expired.
    ///
    /// # Panics
    /// If it cannot be made.
    pub fn expired(name: &str) -> Self {
        let mut params = params(&[name]);
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
        Self::self_signed(params)
    }

    /// A self-signed certificate that is not valid yet.
    ///
    /// # Panics
    /// If it cannot be made.
    pub fn not_yet_valid(name: &str) -> Self {
        let mut params = params(&[name]);
        params.not_before = date_time_ymd(2190, 1, 1);
        params.not_after = date_time_ymd(2191, 1, 1);
        Self::self_signed(params)
    }

    /// A certificate that an authority issued for these names.
    ///
    /// # Panics
    /// If one of them is not a valid name.
    pub fn by_authority(names: &[&str]) -> Self {
        let mut authority = params(&[]);
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.distinguished_name.push(DnType::CommonName, "a test authority");
        let authority_key = KeyPair::generate().expect("a key");
        let authority_pem = authority.self_signed(&authority_key).expect("a certificate").pem();
        let key = KeyPair::generate().expect("a key");
        let issuer = Issuer::new(authority, authority_key);
        let certificate = params(names).signed_by(&key, &issuer).expect("a certificate");
        Self { certificate_pem: certificate.pem(), key_pem: key.serialize_pem(), authority_pem }
    }

    fn self_signed(params: CertificateParams) -> Self {
        let key = KeyPair::generate().expect("a key");
        let certificate_pem = params.self_signed(&key).expect("a certificate").pem();
        Self { authority_pem: certificate_pem.clone(), certificate_pem, key_pem: key.serialize_pem() }
    }
}

fn params(names: &[&str]) -> CertificateParams {
    CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).expect("names")
}

/// Writes `certificate.pem` and `key.pem` for this machine to a directory and returns their paths. Only the owner can
/// read the key.
pub(crate) fn write(directory: &Path) -> (PathBuf, PathBuf) {
    let made = TestCertificate::of_names(&["localhost", "127.0.0.1"]);
    let [certificate, key] = ["certificate.pem", "key.pem"].map(|name| directory.join(name));
    fs::write(&certificate, made.certificate_pem).expect("a certificate's file");
    fs::write(&key, made.key_pem).expect("a key's file");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("rights of a key");
    (certificate, key)
}
