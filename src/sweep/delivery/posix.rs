//! Delivery to clients with a POSIX shell, over one channel: the [`script`] reports whether the client has the agent,
//! receives it if not, and executes it; its output is the answer.

use fleetsweep_agent::{envelope, exit};
use russh::{Channel, client::Msg};

use super::{
    super::{platform::Unix, session::Session},
    Directory, Finished, Visit, blocked,
    exit::Exit,
    first_reply::first_reply,
    remote_command::RemoteCommand,
    script::{self, ScriptReply},
    visit::{DIRECTORIES, Patience},
};
use crate::{
    config::{AgentPath, Client},
    fleet::{Failure, FailureKind, Stage},
};

/// The exit status of a shell if a command cannot be executed (POSIX).
const CANNOT_EXECUTE: u32 = 126;

/// The exit status of a shell if a command was not found (POSIX).
const NOT_FOUND: u32 = 127;

/// The result of the upload.
pub(super) enum Started {
    /// The agent is being executed.
    Running(Running),
    /// The client has another platform than the agent is for; this is its `uname -sm`.
    OtherPlatform(String),
    /// The agent did not fit into this directory.
    Unusable(Directory, Failure),
}

/// An agent that is being executed.
pub(super) struct Running {
    remote: RemoteCommand,
    directory: Directory,
    /// Whether the agent was just uploaded.
    is_fresh: bool,
    /// The directory that the configuration names.
    path: Option<AgentPath>,
}

/// Uploads the agent to the client and starts it. `channel` is an open channel to use, if there is one.
///
/// # Errors
/// Any failure of the stage `upload`. The caller sets the deadline.
pub(super) async fn start(
    session: &Session,
    channel: Channel<Msg>,
    unix: &Unix,
    visit: &Visit<'_>,
) -> Result<Started, Failure> {
    const STAGE: Stage = Stage::Upload;
    if let Some(AgentPath::Windows(_)) = visit.path {
        let words = format!("`agent-path` is a path of Windows, and the client runs {}", unix.system);
        return Err(Failure::new(STAGE, FailureKind::NoDirectory).because(words));
    }
    let failed = |kind| named(Failure::new(STAGE, kind), visit.path);
    let mut remote = RemoteCommand::start(channel, session, STAGE, script::run(unix, visit)).await?;
    let mut sent = false;
    let mut next = Some(first_reply(&mut remote, session, STAGE, visit.patience).await?);
    loop {
        match next {
            None => return Err(ended_astray(&remote, STAGE)),
            Some(ScriptReply::Other(uname)) => return Ok(Started::OtherPlatform(uname)),
            Some(ScriptReply::Have(directory) | ScriptReply::Ok(directory)) => {
                return Ok(Started::Running(Running { remote, directory, is_fresh: sent, path: visit.path.cloned() }));
            }
            Some(ScriptReply::Need) if !sent => {
                sent = true;
                remote.send(visit.agent.image.clone(), session, STAGE).await?;
            }
            Some(ScriptReply::Short(directory)) => {
                remote.finish(session, STAGE).await?;
                let kind = if remote.says_disk_full() { FailureKind::DiskFull } else { FailureKind::UploadFailed };
                return Ok(Started::Unusable(directory, remote.explain(failed(kind))));
            }
            Some(ScriptReply::NoDirectory) => {
                remote.finish(session, STAGE).await?;
                let kind = match remote.errors() {
                    _ if remote.says_disk_full() => FailureKind::DiskFull,
                    errors if blocked::probe_by_unix(&errors) => FailureKind::AgentBlocked,
                    _ => FailureKind::NoDirectory,
                };
                return Err(remote.explain(failed(kind)));
            }
            Some(ScriptReply::Need | ScriptReply::Gone(_) | ScriptReply::Done) => {
                return Err(Failure::new(STAGE, FailureKind::UploadFailed).because("the client's script ran astray"));
            }
        }
        next = remote.reply(session, STAGE).await?;
    }
}

impl Running {
    /// Waits until the agent ends.
    ///
    /// # Errors
    /// Any failure of the stage `execute`. The caller sets the deadline.
    pub(super) async fn finish(mut self, session: &Session) -> Result<Finished, Failure> {
        const STAGE: Stage = Stage::Execute;
        self.remote.finish(session, STAGE).await?;
        let failed = |kind| self.remote.explain(Failure::new(STAGE, kind));
        let placed = |kind| self.remote.explain(named(Failure::new(STAGE, kind), self.path.as_ref()));
        match self.remote.exit() {
            Some(Exit::Status(CANNOT_EXECUTE)) => {
                let is_blocked = blocked::by_unix(&self.remote.errors());
                let kind = if is_blocked { FailureKind::AgentBlocked } else { FailureKind::NoDirectory };
                Ok(Finished::Unusable(self.directory, placed(kind)))
            }
            // The file existed a moment ago, and the agent itself never exits with this.
            Some(Exit::Status(NOT_FOUND)) if self.is_fresh => Ok(Finished::Vanished(placed(FailureKind::AgentBlocked))),
            Some(Exit::Status(NOT_FOUND)) => Ok(Finished::Vanished(placed(FailureKind::AgentFailed))),
            Some(Exit::Status(status)) if *status == u32::from(exit::DEADLINE) => Err(failed(FailureKind::TimedOut)),
            Some(Exit::Status(status)) if *status == u32::from(exit::OTHER_VERSION) => {
                Err(failed(FailureKind::AgentVersion))
            }
            Some(Exit::Status(status)) if *status != u32::from(exit::ANSWERED) => Err(failed(FailureKind::AgentFailed)),
            Some(Exit::Signal(_)) => Err(failed(FailureKind::AgentFailed)),
            Some(Exit::Status(_)) | None if !self.remote.holds(envelope::BEGIN) => Err(failed(FailureKind::NoAnswer)),
            Some(Exit::Status(_)) | None => Ok(Finished::Answered(self.remote.into_output())),
        }
    }
}

/// Removes the files that are kept on a client for its account. Returns the removed directories.
///
/// # Errors
/// Any failure of the stage `execute`. The caller sets the deadline.
pub(super) async fn clean(session: &Session, client: &Client, patience: Patience) -> Result<Vec<String>, Failure> {
    const STAGE: Stage = Stage::Execute;
    let mut remote =
        RemoteCommand::start(session.channel(STAGE).await?, session, STAGE, script::clean_up(client)).await?;
    let mut gone = Vec::new();
    let mut next = Some(first_reply(&mut remote, session, STAGE, patience).await?);
    loop {
        match next {
            None => return Err(ended_astray(&remote, STAGE)),
            Some(ScriptReply::Gone(directory)) if gone.len() < DIRECTORIES * 64 => gone.push(directory),
            Some(ScriptReply::Done) => break,
            Some(
                ScriptReply::Gone(_)
                | ScriptReply::Other(_)
                | ScriptReply::Have(_)
                | ScriptReply::Ok(_)
                | ScriptReply::Need
                | ScriptReply::Short(_)
                | ScriptReply::NoDirectory,
            ) => {
                return Err(Failure::new(STAGE, FailureKind::NoAnswer).because("the client's script ran astray"));
            }
        }
        next = remote.reply(session, STAGE).await?;
    }
    remote.finish(session, STAGE).await?;
    Ok(gone)
}

/// A failure that names the directory of the configuration, if there is one.
fn named(failure: Failure, path: Option<&AgentPath>) -> Failure {
    match path {
        Some(path) => failure.because(format!("in {}", path.shown())),
        None => failure,
    }
}

/// The script ended between two replies. The output gives the reason.
fn ended_astray(remote: &RemoteCommand, stage: Stage) -> Failure {
    remote.explain_with_output(Failure::new(stage, FailureKind::CommandRefused))
}
