//! The result of an attempt to send a mail: accepted, or why not and whom that concerns. Pure.

pub use classify::refusal;
pub use enhanced::EnhancedCode;

mod classify;
mod enhanced;

/// The server's answer to an accepted mail, without control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer(pub String);

/// Why a mail was not accepted. If the server answered, `words` is its status code and text, without control characters
/// and never with a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Deferred: another attempt may succeed.
    #[error("not now, {at}: {words}", at = during.at())]
    Deferred {
        /// The part of the dialogue.
        during: Phase,
        /// Whom it concerns.
        concerns: DeferralScope,
        /// The message of the server or the system.
        words: String,
    },
    /// The server does not accept a mail of this size, or the configuration does not allow it.
    #[error("the mail is too large{limit}: {words}", limit = Limit(*limit_bytes))]
    TooLarge {
        /// The maximum size that is announced or configured; `None` if there is none.
        limit_bytes: Option<u64>,
        /// The message of the server.
        words: String,
    },
    /// Permanently refused: the server refuses this recipient or this mail.
    #[error("{what} was refused: {words}", what = during.what())]
    Refused {
        /// What was refused.
        during: Phase,
        /// The message of the server.
        words: String,
    },
}

/// Whom a deferral concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeferralScope {
    /// The server: no mail gets through now. This ends by itself.
    Server,
    /// Us: the server refuses our login, our name, our sender address, or to relay for us. This lasts until somebody
    /// corrects our configuration or the server's.
    Us,
    /// This mail: its recipient's mailbox is full, greylisted, and the like.
    Mail,
}

/// A part of the dialogue with the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Connecting, TLS from the first byte, greeting, `EHLO`.
    Connect,
    /// The upgrade to TLS.
    StartTls,
    /// The login.
    Login,
    /// Naming the sender.
    Sender,
    /// Naming the recipient.
    Recipient,
    /// Handing over the mail.
    Content,
}

impl Phase {
    fn at(self) -> &'static str {
        match self {
            Self::Connect => "at connecting",
            Self::StartTls => "at STARTTLS",
            Self::Login => "at the login",
            Self::Sender => "at the sender",
            Self::Recipient => "at the recipient",
            Self::Content => "at the mail's content",
        }
    }

    fn what(self) -> &'static str {
        match self {
            Self::Connect => "the connection",
            Self::StartTls => "STARTTLS",
            Self::Login => "the login",
            Self::Sender => "the sender",
            Self::Recipient => "the recipient",
            Self::Content => "the mail",
        }
    }

    /// Whether this part is the same for every mail, so that no mail gets through if one fails there.
    #[must_use]
    pub fn is_common_to_all_mails(self) -> bool {
        match self {
            Self::Connect | Self::StartTls | Self::Login | Self::Sender => true,
            Self::Recipient | Self::Content => false,
        }
    }
}

/// A limit as an error shows it.
struct Limit(Option<u64>);

impl std::fmt::Display for Limit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(bytes) => write!(f, ", which takes {bytes} bytes"),
            None => Ok(()),
        }
    }
}
