//! How a demo server behaves: a closed list of healthy and misbehaving machines, and what each does to the
//! output of a command. Pure; the network around it is in [`super::server`] and [`super::command`].

use std::time::Duration;

use bytes::Bytes;

use crate::fleet::Stage;

/// How one demo server behaves. It can be changed while the server runs and holds from the next connection on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Behaviour {
    /// As a well-kept machine.
    #[default]
    Healthy,
    /// Its login scripts print to both streams, without a final line end, before every command.
    Noisy,
    /// Everything works, but greeting and each command begin late by this much.
    Slow(Duration),
    /// Accepts TCP connections and never sends a byte.
    Silent,
    /// Answers as a web server does, and closes.
    GarbageBanner,
    /// Sends lines for ever where its SSH identification should be.
    EndlessBanner,
    /// Shows another host key at each connection.
    ChangesHostKey,
    /// Refuses every credential.
    RefusesLogin,
    /// Ends the connection as soon as a login has succeeded.
    ClosesAfterLogin,
    /// Opens channels, but executes nothing.
    RefusesCommands,
    /// Stops reading from the network once a command has been sent 64 KiB of input.
    StallsMidUpload,
    /// Passes on the first KiB of a command's output, then nothing more.
    StallsMidAnswer,
    /// Kills a command with SIGKILL after the first KiB of its output.
    KillsMidAnswer,
    /// Changes one letter or digit of a command's output after the first KiB.
    AltersAnswer,
    /// Follows the first KiB of a command's output with letters for ever.
    EndlessAnswer,
}

/// How much of a command's output passes before a misbehaving server interferes: more than any start of a
/// conversation, less than any report.
const ANSWER_BEGUN_BYTES: usize = 1024;

/// After how much input [`Behaviour::StallsMidUpload`] reads no more: less than any agent is long.
const UPLOAD_BEGUN_BYTES: u32 = 64 * 1024;

impl Behaviour {
    /// Every behaviour, `Slow` with a delay of one second.
    pub const ALL: [Self; 15] = [
        Self::Healthy,
        Self::Noisy,
        Self::Slow(Duration::from_secs(1)),
        Self::Silent,
        Self::GarbageBanner,
        Self::EndlessBanner,
        Self::ChangesHostKey,
        Self::RefusesLogin,
        Self::ClosesAfterLogin,
        Self::RefusesCommands,
        Self::StallsMidUpload,
        Self::StallsMidAnswer,
        Self::KillsMidAnswer,
        Self::AltersAnswer,
        Self::EndlessAnswer,
    ];

    /// The stage in which a first collection from such a server fails; `None` where it succeeds.
    ///
    /// [`Self::ChangesHostKey`] fails from the second connection on, once the first key is pinned.
    #[must_use]
    pub fn fails_at(self) -> Option<Stage> {
        self.conduct().fails_at
    }

    /// What it comes to, part by part.
    pub(super) fn conduct(self) -> Conduct {
        let healthy = Conduct::HEALTHY;
        let connect = Conduct { fails_at: Some(Stage::Connect), ..healthy };
        let authenticate = Conduct { fails_at: Some(Stage::Authenticate), ..healthy };
        let upload = Conduct { fails_at: Some(Stage::Upload), ..healthy };
        let execute = Conduct { fails_at: Some(Stage::Execute), ..healthy };
        let decrypt = Conduct { fails_at: Some(Stage::Decrypt), ..healthy };
        match self {
            Self::Healthy => healthy,
            Self::Noisy => Conduct { noisy: true, ..healthy },
            Self::Slow(delay) => Conduct { delay, ..healthy },
            Self::Silent => Conduct { greeting: Greeting::Nothing, ..connect },
            Self::GarbageBanner => Conduct { greeting: Greeting::Garbage, ..connect },
            Self::EndlessBanner => Conduct { greeting: Greeting::Endless, ..connect },
            Self::ChangesHostKey => Conduct { changes_host_key: true, ..connect },
            Self::RefusesLogin => Conduct { refuses_login: true, ..authenticate },
            Self::ClosesAfterLogin => Conduct { closes_after_login: true, ..upload },
            Self::RefusesCommands => Conduct { refuses_commands: true, ..upload },
            Self::StallsMidUpload => Conduct { reads_at_most_bytes: Some(UPLOAD_BEGUN_BYTES), ..upload },
            Self::StallsMidAnswer => Conduct { interference: Some(Interference::Stall), ..execute },
            Self::KillsMidAnswer => Conduct { interference: Some(Interference::Kill), ..execute },
            Self::EndlessAnswer => Conduct { interference: Some(Interference::Flood), ..execute },
            Self::AltersAnswer => Conduct { interference: Some(Interference::Alter), ..decrypt },
        }
    }
}

/// A behaviour, part by part: each place in the server asks for its own part alone.
#[derive(Debug, Clone, Copy)]
pub(super) struct Conduct {
    /// What a new connection is shown.
    pub(super) greeting: Greeting,
    /// How long the greeting and each command are put off.
    pub(super) delay: Duration,
    /// Whether each connection sees another host key.
    pub(super) changes_host_key: bool,
    /// Whether every credential is refused.
    pub(super) refuses_login: bool,
    /// Whether a login ends the connection.
    pub(super) closes_after_login: bool,
    /// Whether nothing is executed.
    pub(super) refuses_commands: bool,
    /// After how much input the session reads no more.
    pub(super) reads_at_most_bytes: Option<u32>,
    /// Whether login scripts print.
    pub(super) noisy: bool,
    interference: Option<Interference>,
    fails_at: Option<Stage>,
}

impl Conduct {
    const HEALTHY: Self = Self {
        greeting: Greeting::Ssh,
        delay: Duration::ZERO,
        changes_host_key: false,
        refuses_login: false,
        closes_after_login: false,
        refuses_commands: false,
        reads_at_most_bytes: None,
        noisy: false,
        interference: None,
        fails_at: None,
    };
}

/// What a new connection is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Greeting {
    /// The SSH protocol.
    Ssh,
    /// Nothing at all.
    Nothing,
    /// The answer of a web server.
    Garbage,
    /// Lines without end.
    Endless,
}

/// What happens to an answer once it has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Interference {
    Stall,
    Kill,
    Alter,
    Flood,
}

/// What follows after a piece of output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// The next piece.
    Continue,
    /// Nothing, for as long as the channel is open.
    Stall,
    /// The end of the command by SIGKILL.
    Kill,
    /// Letters, for as long as the channel is open.
    Flood,
}

/// Passes one output of one command, piece by piece, as a behaviour has it.
#[derive(Debug)]
pub(super) struct Shaping {
    interference: Option<Interference>,
    passed_bytes: usize,
}

impl Shaping {
    /// The shaping of a command's output.
    pub(super) fn new(conduct: Conduct) -> Self {
        Self { interference: conduct.interference, passed_bytes: 0 }
    }

    /// Passes everything.
    pub(super) fn none() -> Self {
        Self { interference: None, passed_bytes: 0 }
    }

    /// What is passed on of a piece, and what follows it.
    pub(super) fn pass(&mut self, piece: Bytes) -> (Bytes, Next) {
        let room = ANSWER_BEGUN_BYTES.saturating_sub(self.passed_bytes);
        self.passed_bytes = self.passed_bytes.saturating_add(piece.len());
        let Some(interference) = self.interference else { return (piece, Next::Continue) };
        if self.passed_bytes <= ANSWER_BEGUN_BYTES {
            return (piece, Next::Continue);
        }
        let begun = piece.slice(..room.min(piece.len()));
        match interference {
            Interference::Stall => (begun, Next::Stall),
            Interference::Kill => (begun, Next::Kill),
            Interference::Flood => (begun, Next::Flood),
            Interference::Alter => match alter(&piece, room) {
                Some(altered) => {
                    self.interference = None;
                    (altered, Next::Continue)
                }
                None => (piece, Next::Continue),
            },
        }
    }
}

/// The piece with its first letter or digit at or after `from` changed into another one.
fn alter(piece: &Bytes, from: usize) -> Option<Bytes> {
    let mut altered = piece.to_vec();
    let byte = altered.iter_mut().skip(from).find(|byte| byte.is_ascii_alphanumeric())?;
    *byte = if *byte == b'A' { b'B' } else { b'A' };
    Some(altered.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a client sees of 600 + 600 + 600 bytes of `x` with a line end at byte 1024.
    fn check(behaviour: Behaviour, expected_bytes: usize, expected_next: Next) -> Vec<u8> {
        let mut output = vec![b'x'; 1800];
        output[1024] = b'\n';
        let mut shaping = Shaping::new(behaviour.conduct());
        let mut seen = Vec::new();
        let mut last = Next::Continue;
        for piece in output.chunks(600) {
            let (piece, next) = shaping.pass(Bytes::copy_from_slice(piece));
            seen.extend_from_slice(&piece);
            last = next;
            if next != Next::Continue {
                break;
            }
        }
        assert_eq!((seen.len(), last), (expected_bytes, expected_next), "{behaviour:?}");
        seen
    }

    #[test]
    fn a_healthy_server_passes_everything_and_others_interfere_after_the_first_kib() {
        check(Behaviour::Healthy, 1800, Next::Continue);
        check(Behaviour::Noisy, 1800, Next::Continue);
        check(Behaviour::StallsMidAnswer, 1024, Next::Stall);
        check(Behaviour::KillsMidAnswer, 1024, Next::Kill);
        check(Behaviour::EndlessAnswer, 1024, Next::Flood);
    }

    #[test]
    fn an_altered_answer_differs_in_one_letter_and_keeps_its_lines() {
        let seen = check(Behaviour::AltersAnswer, 1800, Next::Continue);
        let changed: Vec<usize> = (0..seen.len()).filter(|&at| seen[at] != b'x').collect();
        assert_eq!(changed, [1024, 1025]);
        assert_eq!((seen[1024], seen[1025]), (b'\n', b'A'));
    }

    #[test]
    fn only_healthy_noisy_and_slow_servers_can_be_collected_from() {
        let collected: Vec<_> = Behaviour::ALL.into_iter().filter(|b| b.fails_at().is_none()).collect();
        assert_eq!(collected, [Behaviour::Healthy, Behaviour::Noisy, Behaviour::Slow(Duration::from_secs(1))]);
    }
}
