//! The reasons why an SMTP client cannot be created.

use std::path::PathBuf;

use crate::config::{ca::CaError, safe_text};

/// The reason why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// TLS cannot be set up.
    #[error("TLS for the SMTP server {host} cannot be set up: {reason}")]
    Tls {
        /// The server.
        host: String,
        /// The error of the TLS library.
        reason: String,
    },
    /// The certificate file cannot be used.
    #[error("the certificates of ca=\"{}\" on <smtp> cannot be used", safe_text::path(.path))]
    Ca {
        /// The file.
        path: PathBuf,
        /// The error.
        #[source]
        source: CaError,
    },
}
