//! Why a dialogue with the server ended early, in words that name the problem and what to do about it. Pure.

use std::{io, time::Duration};

use crate::mail::outcome::{DeferralScope, Phase, SendError, refusal};

use super::{
    reply::{MalformedReply, Reply},
    tls::failure::TlsFailure,
};

/// Why a dialogue ended early.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The server refuses something, or answers with a code that has no place there.
    #[error("{}", .0.words())]
    Refused(Reply),
    /// What it sends is no reply.
    #[error(transparent)]
    Malformed(#[from] MalformedReply),
    /// It closed the connection.
    #[error("the server closed the connection{}", if *in_reply { " in the middle of a reply" } else { "" })]
    Closed {
        /// Whether a reply had begun.
        in_reply: bool,
    },
    /// The connection broke.
    #[error("{0}")]
    Broken(#[from] io::Error),
    /// It answers too slowly, or not at all.
    #[error("no answer within {}", humantime::format_duration(*.0))]
    TimedOut(Duration),
    /// It sends what nobody asked for.
    #[error("the server sends replies that nobody asked for: the session was ended")]
    TalksUnasked,
    /// It has said more in clear behind its reply to STARTTLS.
    #[error(
        "text follows the reply to STARTTLS in clear (response injection): somebody may sit between us and the server; \
         the session was ended and nothing was believed"
    )]
    Injection,
    /// The configured way to it is not that of the port.
    #[error("this port speaks TLS from the first byte: set security=\"tls\" on <smtp>")]
    SpeaksTls,
    /// STARTTLS is wanted and not offered.
    #[error(
        "the server does not offer STARTTLS, and nothing is sent without it: check host and port of <smtp>, and \
         whether a firewall on the way removes it"
    )]
    NoStartTls,
    /// TLS failed.
    #[error(transparent)]
    Tls(#[from] Box<TlsFailure>),
    /// A login is configured and not offered.
    #[error("the server offers no login{}", if *behind_tls { " before TLS: set security=\"starttls\" on <smtp>" } else {
        ": remove username and password from <smtp>, or check its port (587 and 465 are usual for logins)" })]
    NoLogin {
        /// Whether it may offer one behind TLS, which it offers.
        behind_tls: bool,
    },
    /// None of its ways of login is known.
    #[error(
        "the server offers only {} for the login, of which none is supported (PLAIN, LOGIN and CRAM-MD5 are): use \
         another account or a relay that takes one of those", .0.join(", ")
    )]
    NoMechanism(Vec<String>),
    /// It asks for something that has no place in the login.
    #[error("the server asks for something in the {mechanism} login that cannot be answered")]
    BadChallenge {
        /// Which login.
        mechanism: &'static str,
    },
    /// The mail is larger than the server takes.
    #[error("the mail has {bytes} bytes, and the server takes no more than {limit_bytes}")]
    TooLarge {
        /// Of the mail.
        bytes: u64,
        /// Of the server.
        limit_bytes: u64,
    },
    /// An address needs what the server does not offer.
    #[error(
        "the address `{address}` is not ASCII before its @, and the server does not take such addresses (no SMTPUTF8): \
         use another address or another server"
    )]
    NoSmtpUtf8 {
        /// The address.
        address: String,
        /// Whether it is the sender's.
        is_sender: bool,
    },
}

impl Failure {
    /// Whether the connection can be used for another mail.
    pub(super) fn leaves_connection(&self) -> bool {
        match self {
            Self::Refused(reply) => reply.code() != 421,
            Self::TooLarge { .. } | Self::NoSmtpUtf8 { .. } => true,
            Self::Malformed(_)
            | Self::Closed { .. }
            | Self::Broken(_)
            | Self::TimedOut(_)
            | Self::TalksUnasked
            | Self::Injection
            | Self::SpeaksTls
            | Self::NoStartTls
            | Self::Tls(_)
            | Self::NoLogin { .. }
            | Self::NoMechanism(_)
            | Self::BadChallenge { .. } => false,
        }
    }

    /// What it means for the mail. `speakable` makes words that can be shown, `server` says where it is, `limit_bytes`
    /// is the size that the server announced.
    pub(super) fn told(
        &self,
        during: Phase,
        server: &str,
        limit_bytes: Option<u64>,
        speakable: impl Fn(&str) -> String,
    ) -> SendError {
        let at_server = || speakable(&format!("{server}: {self}"));
        let waits = |concerns| SendError::Deferred { during, concerns, words: at_server() };
        match self {
            Self::Refused(reply) => {
                let words = speakable(&reply.words());
                refusal(during, reply.code(), reply.enhanced(), &reply.text(), words, limit_bytes)
            }
            Self::TimedOut(limit) => {
                let words = format!("no answer from {server} within {}", humantime::format_duration(*limit));
                SendError::Deferred { during, concerns: DeferralScope::Server, words }
            }
            Self::Malformed(_)
            | Self::Closed { .. }
            | Self::Broken(_)
            | Self::TalksUnasked
            | Self::Injection
            | Self::NoStartTls
            | Self::BadChallenge { .. } => waits(DeferralScope::Server),
            Self::SpeaksTls | Self::NoLogin { .. } | Self::NoMechanism(_) => waits(DeferralScope::Us),
            Self::Tls(failure) => waits(if failure.is_lasting() { DeferralScope::Us } else { DeferralScope::Server }),
            Self::TooLarge { limit_bytes, .. } => {
                SendError::TooLarge { limit_bytes: Some(*limit_bytes), words: at_server() }
            }
            Self::NoSmtpUtf8 { is_sender: true, .. } => {
                SendError::Deferred { during: Phase::Sender, concerns: DeferralScope::Us, words: at_server() }
            }
            Self::NoSmtpUtf8 { is_sender: false, .. } => {
                SendError::Refused { during: Phase::Recipient, words: at_server() }
            }
        }
    }
}
