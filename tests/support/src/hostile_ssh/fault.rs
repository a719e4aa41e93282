//! The faults of a hostile SSH server: a closed list, as data. Not what is done with them.

use std::time::Duration;

use super::wire::Message;

/// What a server does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// Sends these bytes in place of its identification, each after a pause, and then says nothing.
    Greets(&'static str, Duration),
    /// Sends them, and closes.
    GreetsAndCloses(&'static str),
    /// Repeats them for ever, in place of its identification.
    GreetsForEver(&'static str),
    /// Offers these key exchanges alone, and answers with nonsense of the right length.
    Exchanges(&'static str),
    /// Chooses a group of so many bytes, whose last one is this.
    ChoosesGroup(usize, u8),
    /// Answers an exchange in the group 14 with this number, which no honest server computes.
    AnswersGroup14With(&'static [u8]),
    /// Sends a packet that says it is that long.
    SendsPacketOf(u32),
    /// Sends packets that mean nothing, in place of its part of the key exchange.
    NeverExchanges,
    /// Offers so many bytes of names.
    OffersBytes(usize),
    /// Sends banners for ever when a login is wanted.
    Banners,
    /// Says for ever that the login was refused, though not quite.
    RefusesForEver,
    /// Refuses the login, names these methods as what it takes, and closes.
    Refuses(&'static str),
    /// Refuses the login by ending the session, with this reason code of RFC 4253 and these words.
    Disconnects(u32, &'static str),
    /// Asks for ever.
    AsksForEver,
    /// Asks so many questions at once.
    AsksAtOnce(u32),
    /// Takes packets of at most so many bytes.
    TakesPacketsOf(u32),
    /// Lets itself be sent one byte at a time.
    TakesByteByByte,
    /// Prints this in place of executing a command.
    Prints(Prints),
    /// Sends these messages for ever, beside the output of the first command.
    Floods(Flood),
    /// Sends them once a command is over and nothing more is asked of it.
    FloodsWhenIdle(Flood),
    /// Dies with the first command.
    HangsUp,
}

/// What is printed in place of a command's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prints {
    /// The beginning of a word that never ends, and then a byte in each message, for ever.
    Crumbs,
    /// The same with a pause after each byte.
    SlowCrumbs(Duration),
    /// Standard error in large pieces, for ever.
    Errors,
    /// Standard error, a byte in each message, for ever.
    ErrorCrumbs,
    /// A piece of so many bytes.
    Piece(usize),
}

/// A message that nobody asked for, repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flood {
    /// A channel of this type is opened.
    Channels(&'static str),
    /// A global request that wants an answer.
    Requests(&'static str),
    /// Host keys are announced.
    HostKeys,
    /// To be ignored.
    Ignored,
    /// Says that something was not understood.
    NotUnderstood,
    /// Answers to requests that nobody made.
    Answers,
    /// A request on the channel of the command, which wants an answer.
    ChannelRequests(&'static str),
    /// The status with which the command ended.
    ExitStatus,
    /// More may be sent.
    WindowAdjusts,
    /// Output on a channel that is closed.
    Output,
    /// A message with a number that is not used.
    Unknown,
    /// New keys.
    Keys,
}

impl Flood {
    /// One message of it; `channel` is that of the last command. New keys are more than a message.
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
