//! The behaviours of a demo server, healthy and faulty, and their effect on the output of a command. Pure. The network
//! part is in [`super::server`] and [`super::command`].

use std::time::Duration;

use bytes::Bytes;

use crate::fleet::Stage;

/// How a demo server behaves. A change applies from the next connection on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Behaviour {
    /// Without faults.
    #[default]
    Healthy,
    /// Login scripts print to both streams, without a final line end, before every command.
    Noisy,
    /// The greeting and each command are delayed by this time.
    Slow(Duration),
    /// Accepts TCP connections and never sends a byte.
    Silent,
    /// Answers like a web server and closes the connection.
    GarbageBanner,
    /// Sends lines without end in place of the SSH identification.
    EndlessBanner,
    /// Has another host key in each connection.
    ChangesHostKey,
    /// Refuses every credential.
    RefusesLogin,
    /// Ends the connection after a successful login.
    ClosesAfterLogin,
    /// Opens channels, but executes no commands.
    RefusesCommands,
    /// Stops reading from the network after 64 KiB of input for a command.
    StallsMidUpload,
    /// Sends the first KiB of a command's output, then nothing more.
    StallsMidAnswer,
    /// Kills a command with SIGKILL after the first KiB of its output.
    KillsMidAnswer,
    /// Changes one letter or digit of a command's output after the first KiB.
    AltersAnswer,
    /// Sends letters without end after the first KiB of a command's output.
    EndlessAnswer,
}

/// How much of a command's output is sent before a server interferes: more than the first lines of an agent, less than
/// any report.
const ANSWER_BEGUN_BYTES: usize = 1024;

/// How much input [`Behaviour::StallsMidUpload`] reads: less than the size of any agent.
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

    /// The stage in which a first collection from such a server fails; `None` if it succeeds.
    ///
    /// [`Self::ChangesHostKey`] only fails from the second connection on, when the first key is pinned.
    #[must_use]
    pub fn fails_at(self) -> Option<Stage> {
        self.settings().fails_at
    }

    /// The settings of this behaviour.
    pub(super) fn settings(self) -> BehaviourSettings {
        let healthy = BehaviourSettings::HEALTHY;
        let connect = BehaviourSettings { fails_at: Some(Stage::Connect), ..healthy };
        let authenticate = BehaviourSettings { fails_at: Some(Stage::Authenticate), ..healthy };
        let upload = BehaviourSettings { fails_at: Some(Stage::Upload), ..healthy };
        let execute = BehaviourSettings { fails_at: Some(Stage::Execute), ..healthy };
        let decrypt = BehaviourSettings { fails_at: Some(Stage::Decrypt), ..healthy };
        match self {
            Self::Healthy => healthy,
            Self::Noisy => BehaviourSettings { noisy: true, ..healthy },
            Self::Slow(delay) => BehaviourSettings { delay, ..healthy },
            Self::Silent => BehaviourSettings { greeting: Greeting::Nothing, ..connect },
            Self::GarbageBanner => BehaviourSettings { greeting: Greeting::Garbage, ..connect },
            Self::EndlessBanner => BehaviourSettings { greeting: Greeting::Endless, ..connect },
            Self::ChangesHostKey => BehaviourSettings { changes_host_key: true, ..connect },
            Self::RefusesLogin => BehaviourSettings { refuses_login: true, ..authenticate },
            Self::ClosesAfterLogin => BehaviourSettings { closes_after_login: true, ..upload },
            Self::RefusesCommands => BehaviourSettings { refuses_commands: true, ..upload },
            Self::StallsMidUpload => BehaviourSettings { reads_at_most_bytes: Some(UPLOAD_BEGUN_BYTES), ..upload },
            Self::StallsMidAnswer => BehaviourSettings { interference: Some(Interference::Stall), ..execute },
            Self::KillsMidAnswer => BehaviourSettings { interference: Some(Interference::Kill), ..execute },
            Self::EndlessAnswer => BehaviourSettings { interference: Some(Interference::Flood), ..execute },
            Self::AltersAnswer => BehaviourSettings { interference: Some(Interference::Alter), ..decrypt },
        }
    }
}

/// A behaviour as separate settings for the parts of the server.
#[derive(Debug, Clone, Copy)]
pub(super) struct BehaviourSettings {
    /// What is sent to a new connection.
    pub(super) greeting: Greeting,
    /// The delay of the greeting and of each command.
    pub(super) delay: Duration,
    /// Whether each connection has another host key.
    pub(super) changes_host_key: bool,
    /// Whether every credential is refused.
    pub(super) refuses_login: bool,
    /// Whether a successful login ends the connection.
    pub(super) closes_after_login: bool,
    /// Whether no commands are executed.
    pub(super) refuses_commands: bool,
    /// The most input that a session reads, bytes.
    pub(super) reads_at_most_bytes: Option<u32>,
    /// Whether login scripts print.
    pub(super) noisy: bool,
    interference: Option<Interference>,
    fails_at: Option<Stage>,
}

impl BehaviourSettings {
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

/// What is sent to a new connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Greeting {
    /// The SSH protocol.
    Ssh,
    /// Nothing.
    Nothing,
    /// The answer of a web server.
    Garbage,
    /// Lines without end.
    Endless,
}

/// What happens to an answer after its first KiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Interference {
    Stall,
    Kill,
    Alter,
    Flood,
}

/// What follows a piece of output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// The next piece.
    Continue,
    /// Nothing, as long as the channel is open.
    Stall,
    /// The end of the command by SIGKILL.
    Kill,
    /// Letters, as long as the channel is open.
    Flood,
}

/// Applies a behaviour to one output stream of a command.
#[derive(Debug)]
pub(super) struct OutputFilter {
    interference: Option<Interference>,
    passed_bytes: usize,
}

impl OutputFilter {
    /// The filter for a command's output.
    pub(super) fn new(settings: BehaviourSettings) -> Self {
        Self { interference: settings.interference, passed_bytes: 0 }
    }

    /// A filter that changes nothing.
    pub(super) fn none() -> Self {
        Self { interference: None, passed_bytes: 0 }
    }

    /// What is sent for a piece, and what follows it.
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

/// The piece with its first letter or digit at or after `from` replaced by another one.
fn alter(piece: &Bytes, from: usize) -> Option<Bytes> {
    let mut altered = piece.to_vec();
    let byte = altered.iter_mut().skip(from).find(|byte| byte.is_ascii_alphanumeric())?;
    *byte = if *byte == b'A' { b'B' } else { b'A' };
    Some(altered.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a client receives of 600 + 600 + 600 bytes of `x` with a line end at byte 1024.
    fn check(behaviour: Behaviour, expected_bytes: usize, expected_next: Next) -> Vec<u8> {
        let mut output = vec![b'x'; 1800];
        output[1024] = b'\n';
        let mut filter = OutputFilter::new(behaviour.settings());
        let mut seen = Vec::new();
        let mut last = Next::Continue;
        for piece in output.chunks(600) {
            let (piece, next) = filter.pass(Bytes::copy_from_slice(piece));
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
