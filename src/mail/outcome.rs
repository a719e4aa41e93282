//! What a try to send a mail ended with: taken, or why not and whom that concerns. Pure; neither the dialogue with
//! the server nor the decision when to try again.

pub use classify::refusal;
pub use enhanced::EnhancedCode;

mod classify;
mod enhanced;

/// The server's answer to a mail that it took, cleaned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer(pub String);

/// Why a mail was not taken. `words` are the server's own where it answered: the status code, then its
/// text, cleaned; never a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Not now: another try may end better.
    #[error("not now, {at}: {words}", at = during.at())]
    Deferred {
        /// What went on.
        during: Phase,
        /// Whom it concerns.
        concerns: DeferralScope,
        /// What the server or the system said.
        words: String,
    },
    /// The server takes no mail of this size. Nothing else is known to be wrong with it.
    #[error("the mail is too large for the server{limit}: {words}", limit = Limit(*limit_bytes))]
    TooLarge {
        /// The largest mail that the server takes, as it announced; `None` where it did not.
        limit_bytes: Option<u64>,
        /// What the server said.
        words: String,
    },
    /// Never: the server refuses this recipient or this mail for good.
    #[error("{what} was refused: {words}", what = during.what())]
    Refused {
        /// What was refused.
        during: Phase,
        /// What the server said.
        words: String,
    },
}

/// Whom a deferral concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeferralScope {
    /// The server: no mail gets through now. It will pass without anybody's doing.
    Server,
    /// Us: the server refuses our login, our name, our sender address, or to relay for us. It lasts until somebody
    /// corrects the configuration, ours or the server's.
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
    /// Proving who we are.
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

    /// Whether every mail passes through this part in the same way, so that none gets through where one does not.
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
