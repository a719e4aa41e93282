//! The host key that a server has shown, alone or in a certificate. Not whether it is accepted.

use std::borrow::Cow;

use russh::keys::{Certificate, PublicKey};

/// What a server has shown. It has proved to own the key.
#[derive(Debug, Clone)]
pub(super) enum ServerKey {
    /// A key.
    Key(PublicKey),
    /// A certificate, which nobody has checked yet.
    Certificate(Box<Certificate>),
}

impl ServerKey {
    /// The key.
    pub(super) fn key(&self) -> Cow<'_, PublicKey> {
        match self {
            Self::Key(key) => Cow::Borrowed(key),
            Self::Certificate(certificate) => Cow::Owned(PublicKey::from(certificate.public_key().clone())),
        }
    }
}
