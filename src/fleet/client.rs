//! The identity of a client: its configured address and port.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

/// The identity of a client everywhere: in events, in the database, on the screen.
///
/// The address is the text of the configuration's `ip` attribute: an IPv4 or IPv6 address or a host
/// name. Written `address:port`, an IPv6 address in brackets.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClientId {
    address: Arc<str>,
    port: u16,
}

impl ClientId {
    /// An identity from an address and a port.
    #[must_use]
    pub fn new(address: impl Into<Arc<str>>, port: u16) -> Self {
        Self { address: address.into(), port }
    }

    /// The address as configured, an IPv6 address without brackets.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The TCP port of its SSH server.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.address.contains(':') {
            write!(f, "[{}]:{}", self.address, self.port)
        } else {
            write!(f, "{}:{}", self.address, self.port)
        }
    }
}

/// Why a text is not a [`ClientId`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not written address:port")]
pub struct InvalidClientId(pub String);

impl FromStr for ClientId {
    type Err = InvalidClientId;

    fn from_str(text: &str) -> Result<Self, InvalidClientId> {
        let refuse = || InvalidClientId(text.to_owned());
        let (address, port) = text.rsplit_once(':').ok_or_else(refuse)?;
        let bare = match address.strip_prefix('[') {
            Some(rest) => rest.strip_suffix(']').ok_or_else(refuse)?,
            None if address.contains(':') => return Err(refuse()),
            None => address,
        };
        if bare.is_empty() {
            return Err(refuse());
        }
        Ok(Self::new(bare, port.parse().map_err(|_| refuse())?))
    }
}

impl TryFrom<String> for ClientId {
    type Error = InvalidClientId;

    fn try_from(text: String) -> Result<Self, InvalidClientId> {
        text.parse()
    }
}

impl From<ClientId> for String {
    fn from(id: ClientId) -> Self {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_survives_its_text() {
        for id in [ClientId::new("10.0.0.1", 22), ClientId::new("fe80::1", 2222), ClientId::new("db.example.com", 1)] {
            assert_eq!(id.to_string().parse(), Ok(id));
        }
    }

    #[test]
    fn what_is_no_identity_is_refused() {
        for text in ["", "10.0.0.1", "10.0.0.1:", ":22", "fe80::1:22", "[fe80::1:22", "a:99999"] {
            assert_eq!(text.parse::<ClientId>(), Err(InvalidClientId(text.to_owned())), "{text}");
        }
    }
}
