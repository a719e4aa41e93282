//! The faults of a hostile SSH server, as data.

use std::time::Duration;

use super::wire::Message;

/// A fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// No fault.
    None,
    /// Sends these bytes in place of its identification, with a pause after each, then nothing.
    Greets(&'static str, Duration),
    /// Sends these bytes in place of its identification and closes the connection.
    GreetsAndCloses(&'static str),
    /// Repeats these bytes without end in place of its identification.
    GreetsForEver(&'static str),
    /// Offers only these key exchanges and answers with a random value of the correct length.
    Exchanges(&'static str),
    /// Chooses a Diffie-Hellman group with a prime of this many bytes and this last byte.
    ChoosesGroup(usize, u8),
    /// Answers a key exchange in group 14 with this public value, which no correct server computes.
    AnswersGroup14With(&'static [u8]),
    /// Sends a packet with this length field.
    SendsPacketOf(u32),
    /// Sends ignored packets in place of its part of the key exchange.
    NeverExchanges,
    /// Offers algorithm names of this many bytes.
    OffersBytes(usize),
    /// Sends banners without end during the login.
    Banners,
    /// Answers a login with partial failures without end.
    RefusesForEver,
    /// Refuses the login, names these authentication methods, and closes the connection.
    Refuses(&'static str),
    /// Refuses the login with a disconnect message with this reason code of RFC 4253 and this text.
    Disconnects(u32, &'static str),
    /// Sends keyboard-interactive questions without end.
    AsksForEver,
    /// Sends this many keyboard-interactive questions at once.
    AsksAtOnce(u32),
    /// Shows the password that it got, and ends the session.
    ShowsPassword(Place),
    /// Answers the password with the request for a new one (RFC 4252, section 8).
    WantsNewPassword,
    /// Accepts packets of at most this size, bytes.
    TakesPacketsOf(u32),
    /// Opens its window by one byte at a time.
    TakesByteByByte,
    /// Prints this in place of executing a command.
    Prints(Prints),
    /// Sends these messages without end during the first command.
    Floods(Flood),
    /// Sends these messages without end after a command, while the session is idle.
    FloodsWhenIdle(Flood),
    /// Closes the connection on the first command.
    HangsUp,
    /// Forwards connections like this.
    Forwards(Forwarding),
}

/// How a bastion forwards connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forwarding {
    /// Correctly, at most this many at a time in one session. Others are refused for lack of resources.
    AtMost(u32),
    /// Correctly, until so many are open at a time. Others cannot be connected, for this reason.
    Until(u32, &'static str),
    /// Does not answer.
    NeverAnswers,
    /// Refuses with this text, repeated this many times.
    Refuses(&'static str, usize),
    /// Refuses, and goes on to refuse what nobody asked for.
    RefusesForEver,
    /// Opens the connection, and sends standard error in it without end.
    PrintsErrors,
    /// Opens the connection to nowhere, and sends nothing.
    Nowhere,
    /// Opens the connection to nowhere, and sends data in it without end once it is closed.
    GoesOnAfterTheEnd,
    /// Opens the connection, and ends the session.
    HangsUp,
}

/// Where a password is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In a banner.
    Banner,
    /// In a banner, with blanks between its letters.
    SpelledOut,
    /// In a banner that is longer than an error quotes, so that the end of the password is missing.
    CutOff,
    /// In a keyboard-interactive question, its title and its instructions.
    Question,
    /// In the message with which the session ends. All the others but `Question` do that, too.
    End,
}

/// The output in place of a command's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prints {
    /// The beginning of an answer without an end, one byte per message, without end.
    Crumbs,
    /// Like `Crumbs`, with a pause after each byte.
    SlowCrumbs(Duration),
    /// Large pieces of standard error without end.
    Errors,
    /// Standard error, one byte per message, without end.
    ErrorCrumbs,
    /// One piece of this size, bytes.
    Piece(usize),
}

/// An unsolicited message that is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flood {
    /// Opens a channel of this type.
    Channels(&'static str),
    /// A global request that wants a reply.
    Requests(&'static str),
    /// Announces host keys.
    HostKeys,
    /// `SSH_MSG_IGNORE`.
    Ignored,
    /// `SSH_MSG_UNIMPLEMENTED`.
    NotUnderstood,
    /// Replies to requests that were not made.
    Answers,
    /// A request on the channel of the command that wants a reply.
    ChannelRequests(&'static str),
    /// The exit status of the command.
    ExitStatus,
    /// Window adjustments.
    WindowAdjusts,
    /// Output on a closed channel.
    Output,
    /// A message with an unused number.
    Unknown,
    /// Key exchanges.
    Keys,
}

impl Flood {
    /// The message; `channel` is that of the last command. Key exchanges consist of more than one message.
    pub(super) fn message(self, channel: u32) -> Message {
        match self {
            Self::Channels(kind) => {
                let open = Message::new(90).string(kind).number(7).number(1 << 20).number(1 << 15);
                match kind {
                    "forwarded-tcpip" | "direct-tcpip" => open.string("a").number(1).string("b").number(2),
                    "x11" => open.string("a").number(1),
                    "forwarded-streamlocal@openssh.com" => open.string("/a").string(""),
                    "direct-streamlocal@openssh.com" => open.string("/a").string("").number(0),
                    _ => open,
                }
            }
            Self::Requests(name) => Message::new(80).string(name).byte(1),
            Self::HostKeys => {
                let key = Message::default().string("ssh-ed25519").string([9; 32]).0;
                (0..50).fold(Message::new(80).string("hostkeys-00@openssh.com").byte(0), |all, _| all.string(&key))
            }
            Self::Ignored => Message::new(2).string("ignored"),
            Self::NotUnderstood => Message::new(3).number(1),
            Self::Answers => Message::new(81),
            Self::ChannelRequests(name) => Message::new(98).number(channel).string(name).byte(1),
            Self::ExitStatus => Message::new(98).number(channel).string("exit-status").byte(0).number(0),
            Self::WindowAdjusts => Message::new(93).number(channel).number(1),
            Self::Output => Message::new(94).number(channel).string("late"),
            Self::Unknown => Message::new(200),
            Self::Keys => Message::default(),
        }
    }
}
