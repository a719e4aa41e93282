//! The reasons why a dialogue with the server ends early, with messages that name the problem and the solution. Pure.

use std::{io, time::Duration};

use crate::mail::outcome::{DeferralScope, Phase, SendError, refusal};

use super::{
    reply::{MalformedReply, Reply},
    tls::failure::TlsFailure,
};

/// The reason why a dialogue ended early.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The server refuses a command, or replies with an unexpected code.
    #[error("{}", .0.words())]
    Refused(Reply),
    /// The server sends something that is not a reply.
    #[error(transparent)]
    Malformed(#[from] MalformedReply),
    /// The server closed the connection.
    #[error("the server closed the connection{}", if *in_reply { " in the middle of a reply" } else { "" })]
    Closed {
        /// Whether this was within a reply.
        in_reply: bool,
    },
    /// The connection failed.
    #[error("{0}")]
    Broken(#[from] io::Error),
    /// The server replies too slowly or not at all.
    #[error("no answer within {}", humantime::format_duration(*.0))]
    TimedOut(Duration),
    /// The server sends unsolicited data.
    #[error("the server sends replies that nobody asked for: the session was ended")]
    TalksUnasked,
    /// There was more data after the reply to STARTTLS.
    #[error(
        "text follows the reply to STARTTLS in clear (response injection): somebody may sit between us and the server; \
         the session was ended and nothing was believed"
    )]
    Injection,
    /// The `security` setting does not match the port.
    #[error("this port speaks TLS from the first byte: set security=\"tls\" on <smtp>")]
    SpeaksTls,
    /// STARTTLS is configured but not offered.
    #[error(
        "the server does not offer STARTTLS, and nothing is sent without it: check host and port of <smtp>, and \
         whether a firewall on the way removes it"
    )]
    NoStartTls,
    /// TLS failed.
    #[error(transparent)]
    Tls(#[from] Box<TlsFailure>),
    /// A login is configured but not offered.
    #[error("the server offers no login{}", if *behind_tls { " before TLS: set security=\"starttls\" on <smtp>" } else {
        ": remove username and password from <smtp>, or check its port (587 and 465 are usual for logins)" })]
    NoLogin {
        /// Whether STARTTLS is offered, after which a login may be offered.
        behind_tls: bool,
    },
    /// None of the offered login mechanisms is supported.
    #[error(
        "the server offers only {} for the login, of which none is supported (PLAIN, LOGIN and CRAM-MD5 are): use \
         another account or a relay that takes one of those", .0.join(", ")
    )]
    NoMechanism(Vec<String>),
    /// The server sends a challenge that is not part of the mechanism.
    #[error("the server asks for something in the {mechanism} login that cannot be answered")]
    BadChallenge {
        /// The mechanism.
        mechanism: &'static str,
    },
    /// The mail is larger than the server accepts, or than the configuration allows.
    #[error("the mail has {bytes} bytes, and {} no more than {limit_bytes}", if *is_ours { "`mail-size` allows" } else { "the server takes" })]
    TooLarge {
        /// The size of the mail.
        bytes: u64,
        /// The limit.
        limit_bytes: u64,
        /// Whether the limit is that of the configuration.
        is_ours: bool,
    },
    /// An address needs a capability that the server does not offer.
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
    /// Whether the connection can still be used.
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

    /// The meaning for the mail. `speakable` makes texts safe for display, `server` names the server, and `limit_bytes`
    /// is the size that it announced.
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
