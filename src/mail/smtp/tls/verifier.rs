//! Decides whether a server's certificate is trusted: it was issued by a trusted authority for the server's name, or it
//! is one of the trusted certificates, is valid now and is for that name. The second case is for self-signed
//! certificates: OpenSSL creates them as certificates of an authority, which the first check never accepts for a
//! server.

use std::{net::IpAddr, sync::Arc};

use rustls::{
    CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    crypto::CryptoProvider,
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::ParsedCertificate,
};
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// Verifies the certificates of servers.
#[derive(Debug)]
pub(super) struct Verifier {
    trusted: Vec<CertificateDer<'static>>,
    /// `None` if none of the trusted certificates can be that of an authority.
    by_authority: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    pub(super) fn new(trusted: Vec<CertificateDer<'static>>, provider: &Arc<CryptoProvider>) -> Result<Self, Error> {
        let mut roots = RootCertStore::empty();
        let (_, unusable) = roots.add_parsable_certificates(trusted.iter().cloned());
        if unusable > 0 {
            tracing::debug!("{unusable} of the trusted certificates are not of a form that can be used");
        }
        let by_authority = if roots.is_empty() {
            None
        } else {
            let builder = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
            Some(builder.build().map_err(|error| Error::General(error.to_string()))?)
        };
        Ok(Self { trusted, by_authority, provider: Arc::clone(provider) })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.trusted.iter().any(|trusted| trusted == end_entity) {
            verify_itself(end_entity, server_name, now)?;
            return Ok(ServerCertVerified::assertion());
        }
        match &self.by_authority {
            Some(verifier) => verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now),
            None => Err(CertificateError::UnknownIssuer.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Verifies a trusted certificate that a server presents as its own: valid now and for its name.
fn verify_itself(certificate: &CertificateDer<'_>, name: &ServerName<'_>, now: UnixTime) -> Result<(), Error> {
    let (_, parsed) = X509Certificate::from_der(certificate).map_err(|_| CertificateError::BadEncoding)?;
    let unix = |time: x509_parser::time::ASN1Time| {
        UnixTime::since_unix_epoch(std::time::Duration::from_secs(u64::try_from(time.timestamp()).unwrap_or_default()))
    };
    let (not_before, not_after) = (unix(parsed.validity().not_before), unix(parsed.validity().not_after));
    if now.as_secs() < not_before.as_secs() {
        return Err(CertificateError::NotValidYetContext { time: now, not_before }.into());
    }
    if now.as_secs() > not_after.as_secs() {
        return Err(CertificateError::ExpiredContext { time: now, not_after }.into());
    }
    if matches!(parsed.subject_alternative_name(), Ok(None)) {
        // `openssl req -x509` only puts the name there.
        return verify_common_name(&parsed, name);
    }
    verify_server_name(&ParsedCertificate::try_from(certificate)?, name)
}

fn verify_common_name(certificate: &X509Certificate<'_>, name: &ServerName<'_>) -> Result<(), Error> {
    let names: Vec<&str> = certificate.subject().iter_common_name().filter_map(|name| name.as_str().ok()).collect();
    let fits = |common: &&str| match name {
        ServerName::DnsName(wanted) => fits_dns_name(common, wanted.as_ref()),
        ServerName::IpAddress(wanted) => common.parse::<IpAddr>().is_ok_and(|address| address == IpAddr::from(*wanted)),
        _ => false,
    };
    if names.iter().any(fits) {
        return Ok(());
    }
    Err(CertificateError::NotValidForNameContext {
        expected: name.to_owned(),
        presented: names.into_iter().map(str::to_owned).collect(),
    }
    .into())
}

/// Not case-sensitive. A `*` as the first label matches one label.
fn fits_dns_name(pattern: &str, name: &str) -> bool {
    let pattern = pattern.trim_end_matches('.');
    match (pattern.strip_prefix("*."), name.split_once('.')) {
        (Some(domain), Some((_, rest))) => domain.contains('.') && rest.eq_ignore_ascii_case(domain),
        (Some(_), None) => false,
        (None, _) => pattern.eq_ignore_ascii_case(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_fits_without_case_and_a_wildcard_is_one_label() {
        for (pattern, name, expected) in [
            ("mail.example.com", "MAIL.example.com", true),
            ("mail.example.com.", "mail.example.com", true),
            ("mail.example.com", "mail.example.org", false),
            ("*.example.com", "mail.example.com", true),
            ("*.example.com", "a.mail.example.com", false),
            ("*.example.com", "example.com", false),
            ("*.com", "example.com", false),
            ("*", "mail", false),
            ("", "mail", false),
        ] {
            assert_eq!(fits_dns_name(pattern, name), expected, "{pattern} {name}");
        }
    }
}
