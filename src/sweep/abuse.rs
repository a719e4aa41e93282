//! Behaviour that no honest SSH server shows and that ends the session. It is detected in [`super::allowance`] and
//! [`super::handshake`].

use fleetsweep_agent::envelope::MAX_ANSWER_BYTES;

use super::algorithms::MOST_RSA_BITS;
use crate::fleet::FailureKind;

/// The most output of one command on both streams, bytes.
pub(super) const MOST_OUTPUT_BYTES: u64 = 2 * MAX_ANSWER_BYTES as u64;

/// How many channels a server may open before the session ends. None is ever accepted.
pub(super) const MOST_CHANNELS: u32 = 8;

/// The smallest maximum packet size that a server may set, bytes.
pub(super) const LEAST_PACKET_BYTES: u32 = 256;

/// The behaviour that ends a session.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Abuse {
    /// Too much unsolicited data.
    #[error("it sent more than {} KiB {when}", bytes / 1024)]
    Unasked {
        /// The limit.
        bytes: u64,
        /// The phase of the session.
        when: &'static str,
    },
    /// The output of a command has too many pieces.
    #[error("it sent {bytes} bytes of output in {messages} messages")]
    Crumbs {
        /// The number of pieces.
        messages: u64,
        /// Their size, bytes.
        bytes: u64,
    },
    /// A command printed too much.
    #[error("it sent more than {MOST_OUTPUT_BYTES} bytes of output")]
    Output,
    /// A message is too long.
    #[error("it sent {0} bytes of output in one message, more than it was told to")]
    LongMessage(usize),
    /// It opened too many channels.
    #[error("it opened {MOST_CHANNELS} channels to us, which were all refused")]
    Channels,
    /// Too many key exchanges.
    #[error("it wanted new keys again and again")]
    Rekeys,
    /// It only accepts tiny packets.
    #[error("it takes packets of {0} bytes at the most, and less than {LEAST_PACKET_BYTES} is not sent")]
    SmallPackets(u32),
    /// Its host key is larger than the largest one that is verified.
    #[error("its RSA host key has {0} bits, and keys above {MOST_RSA_BITS} bits are not verified: give it another one")]
    HostKeySize(usize),
    /// The key exchange contains something that an honest server never sends.
    #[error("its key exchange is not sound: {0}")]
    KeyExchange(&'static str),
}

impl Abuse {
    /// The failure that it causes.
    pub(super) fn kind(&self) -> FailureKind {
        match self {
            Self::Output => FailureKind::AnswerTooLarge,
            Self::HostKeySize(_) => FailureKind::NotSsh,
            Self::Unasked { .. }
            | Self::Crumbs { .. }
            | Self::LongMessage(_)
            | Self::Channels
            | Self::Rekeys
            | Self::SmallPackets(_)
            | Self::KeyExchange(_) => FailureKind::Misbehaved,
        }
    }
}
