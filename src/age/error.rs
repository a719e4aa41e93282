//! Why a file in the format of age cannot be decrypted.

use std::fmt;

/// The type of a recipient, as an error names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecipientKind {
    /// An X25519 key, `age1…`.
    X25519,
    /// A passphrase.
    Passphrase,
    /// An SSH key.
    Ssh,
    /// A post-quantum key, `age1pq1…`.
    PostQuantum,
    /// Anything else, such as a plugin.
    Other,
}

impl RecipientKind {
    /// The type of a stanza.
    pub(super) fn of(word: &str) -> Self {
        match word {
            "X25519" => Self::X25519,
            "scrypt" => Self::Passphrase,
            "ssh-ed25519" | "ssh-rsa" => Self::Ssh,
            "mlkem768x25519" => Self::PostQuantum,
            _ => Self::Other,
        }
    }

    /// The type with its article.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::X25519 => "an age key",
            Self::Passphrase => "a passphrase",
            Self::Ssh => "an SSH key",
            Self::PostQuantum => "a post-quantum key",
            Self::Other => "a plugin or an unknown type of key",
        }
    }
}

impl fmt::Display for RecipientKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

/// Why a file cannot be decrypted. Messages contain nothing of the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AgeError {
    /// It does not begin as such files do.
    #[error("it is not a file of age")]
    NotAge,
    /// It is larger than [`LARGEST_BYTES`](super::LARGEST_BYTES).
    #[error("it is too large")]
    TooLarge,
    /// It is of another version of the format.
    #[error("it has an unknown version of the format")]
    Version,
    /// The text around the binary form, or its base64, is damaged.
    #[error("its ASCII armour is damaged")]
    Armor,
    /// The header is damaged.
    #[error("its header is damaged")]
    Header,
    /// None of the identities is a recipient; the types of the recipients, each once.
    #[error("no identity is a recipient")]
    NoMatch(Vec<RecipientKind>),
    /// The header was changed after the file was written.
    #[error("its header was changed")]
    Mac,
    /// The payload is damaged, cut short or followed by something else.
    #[error("its content is damaged or cut short")]
    Payload,
}
