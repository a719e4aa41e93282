//! The reasons why TLS with the server failed, with messages that name the solution.

/// The reason why TLS failed.
#[derive(Debug, thiserror::Error)]
pub(in crate::mail::smtp) enum TlsFailure {
    /// The certificate is not trusted.
    #[error("{0}")]
    Certificate(String),
    /// The server replies in clear text where TLS is expected.
    #[error(
        "the server answers in clear (`{0}`), not with TLS: this port does not speak TLS from the first byte; set \
         security=\"starttls\" on <smtp>, or another port (465 is usual for security=\"tls\")"
    )]
    Clear(String),
    /// There is no common version or cipher.
    #[error("the server speaks no version of TLS that is safe: it must offer TLS 1.2 or 1.3 with modern ciphers ({0})")]
    Incompatible(String),
    /// Other errors.
    #[error("TLS failed: {0}")]
    Other(rustls::Error),
    /// The connection failed or was closed.
    #[error("the connection broke while TLS began: {0}")]
    Broken(std::io::Error),
}

impl TlsFailure {
    /// Whether it lasts until somebody changes the configuration.
    pub(in crate::mail::smtp) fn is_lasting(&self) -> bool {
        match self {
            Self::Certificate(_) | Self::Clear(_) | Self::Incompatible(_) => true,
            Self::Other(_) | Self::Broken(_) => false,
        }
    }
}
