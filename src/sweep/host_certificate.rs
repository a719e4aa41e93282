//! Whether the certificate of a host is valid for it. Pure. Which authorities are trusted for a host is in
//! [`super::known_hosts`].

use std::fmt;

use russh::keys::{
    Algorithm, Certificate, HashAlg,
    ssh_key::{certificate::CertType, public::KeyData},
};

use super::{certificates::moment, known_hosts::is_like};

/// Why a certificate of a host is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum BadCertificate {
    /// No authority for this host has signed it. The fingerprint of the one that did.
    Authority(String),
    /// It is one of a user.
    Kind,
    /// It is for other hosts.
    Names(Vec<String>),
    /// It is not valid yet, or not any more: the time in seconds since 1970.
    NotBefore(u64),
    /// See [`NotBefore`](Self::NotBefore).
    Expired(u64),
    /// It has a condition that is not known.
    Condition(String),
    /// It is signed with SHA-1.
    Sha1,
    /// The signature is wrong.
    Signature,
}

impl fmt::Display for BadCertificate {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Authority(fingerprint) => {
                write!(out, "its certificate is signed by {fingerprint}, which no line names as an authority for it")
            }
            Self::Kind => out.write_str("its certificate is one of a user and none of a host"),
            Self::Names(names) if names.is_empty() => out.write_str("its certificate names no host"),
            Self::Names(names) => write!(out, "its certificate is for {}", names.join(", ")),
            Self::NotBefore(seconds) => write!(out, "its certificate is not valid before {}", moment(*seconds)),
            Self::Expired(seconds) => write!(out, "its certificate expired at {}", moment(*seconds)),
            Self::Condition(name) => write!(out, "its certificate has the condition `{name}`, which is not known"),
            Self::Sha1 => out.write_str("its certificate is signed with SHA-1"),
            Self::Signature => out.write_str("the signature of its certificate is wrong"),
        }
    }
}

/// The most names of hosts that an error shows.
const MOST_NAMES: usize = 5;

/// Checks the certificate of the host `name` with the keys of the authorities for it, at `now` in seconds since 1970.
///
/// # Errors
/// Why it is refused.
pub(super) fn check(
    certificate: &Certificate,
    name: &str,
    authorities: &[KeyData],
    now: u64,
) -> Result<(), BadCertificate> {
    let authority = certificate.signature_key();
    let fingerprint = authority.fingerprint(HashAlg::Sha256);
    // Before the signature is verified: the work depends on a key that we trust.
    if !authorities.contains(authority) {
        return Err(BadCertificate::Authority(fingerprint.to_string()));
    }
    if certificate.cert_type() != CertType::Host {
        return Err(BadCertificate::Kind);
    }
    if matches!(certificate.signature().algorithm(), Algorithm::Rsa { hash: None } | Algorithm::Dsa) {
        return Err(BadCertificate::Sha1);
    }
    if now < certificate.valid_after() {
        return Err(BadCertificate::NotBefore(certificate.valid_after()));
    }
    if now >= certificate.valid_before() {
        return Err(BadCertificate::Expired(certificate.valid_before()));
    }
    // Checks the time again, and the signature.
    if certificate.validate_at(now, [&fingerprint]).is_err() {
        return Err(BadCertificate::Signature);
    }
    // From here on, the text is that of the authority.
    let names = certificate.valid_principals();
    if !names.iter().any(|pattern| is_like(name.as_bytes(), pattern.to_ascii_lowercase().as_bytes())) {
        return Err(BadCertificate::Names(names.iter().take(MOST_NAMES).cloned().collect()));
    }
    match certificate.critical_options().iter().next() {
        Some((name, _)) => Err(BadCertificate::Condition(name.clone())),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use russh::keys::{PrivateKey, ssh_key::certificate::Builder};

    use super::{check as check_at, *};

    fn key() -> PrivateKey {
        PrivateKey::random(&mut rand::rng(), Algorithm::Ed25519).unwrap()
    }

    #[test]
    fn each_wrong_certificate_is_refused_with_its_reason() {
        let (authority, other) = (key(), key());
        let signed = |by: &PrivateKey, change: &dyn Fn(&mut Builder)| {
            let mut builder =
                Builder::new_with_random_nonce(&mut rand::rng(), key().public_key(), 100_u64, 200_u64).unwrap();
            change(&mut builder);
            builder.sign(by).unwrap()
        };
        let named = |names: &'static [&'static str]| {
            move |builder: &mut Builder| {
                builder.cert_type(CertType::Host).unwrap();
                for name in names {
                    builder.valid_principal(*name).unwrap();
                }
            }
        };
        let of = named(&["web", "db.example.com"]);
        let good = signed(&authority, &of);
        let mut bytes = good.to_bytes().unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        let forged = Certificate::from_bytes(&bytes).unwrap();
        let conditioned = signed(&authority, &|builder| {
            of(builder);
            builder.critical_option("force-command", "x").unwrap();
        });
        let of_user = signed(&authority, &|builder| {
            builder.cert_type(CertType::User).unwrap().valid_principal("web").unwrap();
        });
        let keys = [authority.public_key().key_data().clone()];
        let check = |certificate: &Certificate, name: &str, now: u64, expected: &str| {
            let outcome = check_at(certificate, name, &keys, now);
            assert_eq!(outcome.err().map(|bad| bad.to_string()).unwrap_or_default(), expected, "{name} at {now}");
        };
        check(&good, "db.example.com", 100, "");
        check(&good, "web", 199, "");
        check(&good, "db", 150, "its certificate is for web, db.example.com");
        check(&good, "web", 99, "its certificate is not valid before 1970-01-01T00:01:40Z");
        check(&good, "web", 200, "its certificate expired at 1970-01-01T00:03:20Z");
        check(&signed(&authority, &named(&["*.Example.com"])), "db.example.com", 150, "");
        check(
            &signed(&authority, &|builder| {
                builder.cert_type(CertType::Host).unwrap().all_principals_valid().unwrap();
            }),
            "web",
            150,
            "its certificate names no host",
        );
        check(&forged, "web", 150, "the signature of its certificate is wrong");
        check(&conditioned, "web", 150, "its certificate has the condition `force-command`, which is not known");
        check(&of_user, "web", 150, "its certificate is one of a user and none of a host");
        let by = other.public_key().fingerprint(HashAlg::Sha256);
        check(
            &signed(&other, &of),
            "web",
            150,
            &format!("its certificate is signed by {by}, which no line names as an authority for it"),
        );
    }
}
