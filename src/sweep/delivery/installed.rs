//! An agent that an administrator has installed on the client: it is executed by its path, and its output is the answer.
//! Nothing is uploaded and no other command runs, so that an account suffices whose key may only run the agent.

use fleetsweep_agent::{envelope, exit};
use russh::{Channel, client::Msg};

use super::{
    super::session::Session, exit::Exit, first_reply::forbids_login, remote_command::RemoteCommand, script::Command,
};
use crate::{
    config::InstalledAgent,
    fleet::{Failure, FailureKind, Stage},
};

/// An installed agent that is being executed.
pub(in crate::sweep) struct Running {
    remote: RemoteCommand,
}

/// Starts the agent. `channel` is an open channel to use, if there is one.
///
/// # Errors
/// Any failure of the stage `upload`. The caller sets the deadline.
pub(in crate::sweep) async fn start(
    session: &Session,
    channel: Option<Channel<Msg>>,
    agent: &InstalledAgent,
    request: &str,
) -> Result<Running, Failure> {
    let channel = match channel {
        Some(channel) => channel,
        None => session.channel(Stage::Upload).await?,
    };
    let command = Command { nonce: String::new(), line: format!("{} {request}", agent.program()) };
    Ok(Running { remote: RemoteCommand::start(channel, session, Stage::Upload, command).await? })
}

impl Running {
    /// Waits until the agent ends, and returns its output.
    ///
    /// # Errors
    /// Any failure of the stage `execute`. The caller sets the deadline.
    pub(in crate::sweep) async fn finish(mut self, session: &Session) -> Result<Vec<u8>, Failure> {
        const STAGE: Stage = Stage::Execute;
        self.remote.finish(session, STAGE).await?;
        if self.remote.holds(envelope::BEGIN) && matches!(self.remote.exit(), None | Some(Exit::Status(0))) {
            return Ok(self.remote.into_output());
        }
        let (stage, kind) = failure(self.remote.exit(), &self.remote.said());
        let failure = Failure::new(stage, kind);
        let is_other_version = kind == FailureKind::AgentVersion;
        let ours = is_other_version.then_some(concat!("this is fleetsweep ", env!("CARGO_PKG_VERSION")));
        Err(self.remote.explain_with_output(ours.into_iter().fold(failure, Failure::because)))
    }
}

/// What it means that there is no answer.
fn failure(exit: Option<&Exit>, said: &str) -> (Stage, FailureKind) {
    if forbids_login(exit, said) {
        return (Stage::Authenticate, FailureKind::AuthenticationRefused);
    }
    let kind = match exit {
        Some(Exit::Status(status)) => match u8::try_from(*status) {
            Ok(exit::ANSWERED) => FailureKind::NoAnswer,
            Ok(exit::OTHER_VERSION) => FailureKind::AgentVersion,
            Ok(exit::DEADLINE) => FailureKind::TimedOut,
            Ok(code) if exit::words(code).is_some() => FailureKind::AgentFailed,
            // The shell says that a signal killed it.
            Ok(129..=159) => FailureKind::AgentFailed,
            // Shells agree neither on the status nor on the words for a program that is not there.
            Ok(_) | Err(_) => FailureKind::AgentNotInstalled,
        },
        Some(Exit::Signal(_)) => FailureKind::AgentFailed,
        None => FailureKind::NoAnswer,
    };
    (Stage::Execute, kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_an_answer_the_end_of_the_command_tells_why() {
        use FailureKind::{AgentFailed, AgentNotInstalled, AgentVersion, AuthenticationRefused, NoAnswer, TimedOut};
        for (status, said, expected) in [
            (Some(127), "sh: 1: /usr/lib/fleetsweep/agent: not found", AgentNotInstalled),
            (Some(126), "sh: 1: /usr/lib/fleetsweep/agent: Permission denied", AgentNotInstalled),
            (Some(1), "/usr/lib/fleetsweep/agent: Command not found.", AgentNotInstalled),
            (Some(1), "The system cannot find the path specified.", AgentNotInstalled),
            (Some(1), "This account is currently not available.", AgentNotInstalled),
            (Some(9009), "", AgentNotInstalled),
            (Some(137), "Killed", AgentFailed),
            (Some(0), "", NoAnswer),
            (Some(64), "fleetsweep-agent: the request's spelling is not well formed", AgentFailed),
            (Some(67), "fleetsweep-agent: the deadline passed", TimedOut),
            (Some(70), "fleetsweep-agent: the request speaks version 2, this agent version 1", AgentVersion),
            (Some(254), "The system is down for maintenance", AuthenticationRefused),
            (None, "", NoAnswer),
        ] {
            let exit = status.map(Exit::Status);
            assert_eq!(failure(exit.as_ref(), said).1, expected, "{status:?} {said}");
        }
    }
}
