//! TLS to the server: which certificates are trusted, and error messages with the solution.

use std::sync::Arc;

use rustls::{
    CertificateError, ClientConfig, ClientConnection,
    crypto::ring,
    pki_types::{CertificateDer, ServerName},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{failure::Failure, metered::Metered, setup::SetupError};
use crate::config::{Smtp, ca};

use failure::TlsFailure;
use verifier::Verifier;

pub(super) mod failure;
mod verifier;

/// The TLS settings for a server.
#[derive(Clone)]
pub(super) struct Tls {
    connector: TlsConnector,
    name: ServerName<'static>,
    host: String,
    trusts_nobody: bool,
    begins_at_once: bool,
}

impl Tls {
    /// TLS as configured in `smtp`. Trusts the certificates in `ca`, or those of the system.
    pub(super) fn new(smtp: &Smtp, begins_at_once: bool) -> Result<Self, SetupError> {
        let trusted = match &smtp.ca {
            Some(path) => ca::read(path).map_err(|source| SetupError::Ca { path: path.clone(), source })?,
            None => of_the_system(),
        };
        let trusts_nobody = trusted.is_empty();
        let bare = smtp.host.split('%').next().unwrap_or_default().trim_end_matches('.').to_owned();
        let not_usable = |reason: String| SetupError::Tls { host: smtp.host.clone(), reason };
        let name = ServerName::try_from(bare).map_err(|error| not_usable(error.to_string()))?;
        let config = client_config(trusted).map_err(|error| not_usable(error.to_string()))?;
        let connector = TlsConnector::from(Arc::new(config));
        Ok(Self { connector, name, host: smtp.host.clone(), trusts_nobody, begins_at_once })
    }

    /// Whether TLS begins with the first byte and not with STARTTLS.
    pub(super) fn begins_at_once(&self) -> bool {
        self.begins_at_once
    }

    /// Performs the TLS handshake.
    pub(super) async fn handshake(&self, stream: Metered) -> Result<TlsStream<Metered>, Failure> {
        let (error, stream) = match self.connector.connect(self.name.clone(), stream).into_fallible().await {
            Ok(stream) => return Ok(stream),
            Err(failed) => failed,
        };
        let first = stream.first();
        let is_tls = first.starts_with(&[HANDSHAKE]) || first.starts_with(&[ALERT]);
        if !first.is_empty() && !is_tls {
            // After STARTTLS, the data may come from an attacker in the network.
            return Err(if self.begins_at_once {
                let line = first.split(|byte| *byte == b'\n').next().unwrap_or_default();
                Box::new(TlsFailure::Clear(String::from_utf8_lossy(line).trim_end().to_owned())).into()
            } else {
                Failure::Injection
            });
        }
        let failure = match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(rustls::Error::InvalidCertificate(problem)) => TlsFailure::Certificate(self.words_of(problem)),
            Some(rustls::Error::PeerIncompatible(reason)) => TlsFailure::Incompatible(format!("{reason:?}")),
            Some(rustls::Error::AlertReceived(alert)) if is_version_or_cipher(*alert) => {
                TlsFailure::Incompatible(format!("{alert:?}"))
            }
            Some(other) => TlsFailure::Other(other.clone()),
            None => TlsFailure::Broken(error),
        };
        Err(Box::new(failure).into())
    }

    /// The problem with the server's certificate, and the solution.
    #[expect(clippy::wildcard_enum_match_arm, reason = "rustls adds variants; its own words serve for those")]
    fn words_of(&self, problem: &CertificateError) -> String {
        let host = &self.host;
        let at = |time: rustls::pki_types::UnixTime| {
            let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
            jiff::Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |time| time.to_string())
        };
        match problem {
            CertificateError::ExpiredContext { not_after, .. } => format!(
                "the certificate of {host} expired at {}: renew it on the server, or set the clock of this machine",
                at(*not_after)
            ),
            CertificateError::Expired => format!("the certificate of {host} has expired: renew it on the server"),
            CertificateError::NotValidYetContext { not_before, .. } => format!(
                "the certificate of {host} is not valid before {}: set the clock of this machine or of the server",
                at(*not_before)
            ),
            CertificateError::NotValidYet => {
                format!("the certificate of {host} is not valid yet: set the clock of this machine or of the server")
            }
            CertificateError::NotValidForNameContext { presented, .. } if !presented.is_empty() => {
                let names: Vec<&str> = presented.iter().map(|name| bare_name(name)).collect();
                format!(
                    "the certificate of {host} is for another name ({}): write that name as host of <smtp>, or give \
                     the server a certificate for {host}",
                    names.join(", ")
                )
            }
            CertificateError::NotValidForNameContext { .. } | CertificateError::NotValidForName => format!(
                "the certificate of {host} is for no name at all (it has no subjectAltName): give the server one for \
                 {host}, or name this very certificate with ca=\"FILE\" on <smtp>"
            ),
            CertificateError::UnknownIssuer => self.unknown("is issued by an authority that is not trusted here"),
            // Also the case of a self-signed certificate that was renewed with another key.
            CertificateError::BadSignature => {
                self.unknown("is signed with another key than that of the authority it names, and is not trusted here")
            }
            // Only webpki reports this: the certificate of an authority, as `openssl req -x509` creates it, used by a
            // server.
            CertificateError::Other(other) if other.to_string() == "CaUsedAsEndEntity" => {
                self.unknown("is self-signed, and not trusted here")
            }
            other => format!("the certificate of {host} cannot be trusted: {other}"),
        }
    }

    fn unknown(&self, what: &str) -> String {
        if self.trusts_nobody {
            return format!(
                "the certificate of {} cannot be checked, because this machine has no trusted certificates: install the \
                 package ca-certificates, or write ca=\"FILE\" on <smtp>",
                self.host
            );
        }
        format!(
            "the certificate of {} {what}: write ca=\"FILE\" on <smtp> with the certificate of that authority, or the \
             server's own where it is self-signed",
            self.host
        )
    }
}

/// The TLS record types with which a server may begin.
const HANDSHAKE: u8 = 0x16;
const ALERT: u8 = 0x15;

/// Whether bytes are the beginning of a TLS record.
pub(super) fn is_record(bytes: &[u8]) -> bool {
    matches!(bytes, [HANDSHAKE | ALERT, 0x03, ..])
}

/// A ClientHello, to probe whether the server uses TLS.
pub(super) fn client_hello() -> Option<Vec<u8>> {
    let config = client_config(Vec::new()).ok()?;
    let name = ServerName::try_from("localhost").ok()?;
    let mut connection = ClientConnection::new(Arc::new(config), name).ok()?;
    let mut hello = Vec::new();
    connection.write_tls(&mut hello).ok()?;
    Some(hello)
}

fn client_config(trusted: Vec<CertificateDer<'static>>) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(ring::default_provider());
    let verifier = Arc::new(Verifier::new(trusted, &provider)?);
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

/// The authorities that the system trusts. `SSL_CERT_FILE` and `SSL_CERT_DIR` set others.
fn of_the_system() -> Vec<CertificateDer<'static>> {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::debug!("some certificates of the system cannot be read: {error}");
    }
    found.certs
}

fn is_version_or_cipher(alert: rustls::AlertDescription) -> bool {
    use rustls::AlertDescription as Alert;
    [Alert::ProtocolVersion, Alert::HandshakeFailure, Alert::InsufficientSecurity].contains(&alert)
}

/// The name in `DnsName("mail.example.com")`, which is the form in webpki's errors.
fn bare_name(name: &str) -> &str {
    name.split_once("(\"").and_then(|(_, rest)| rest.strip_suffix("\")")).unwrap_or(name)
}
