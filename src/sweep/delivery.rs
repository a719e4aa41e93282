//! How the agent gets onto a client and is run there; what it prints is the answer. Which platform the
//! client is of is found out before: in [`super::recognition`], with the question in [`probe`].
//!
//! There are two ways: [`posix`] runs a [`script`] as a [`remote_command`] and finds its words in the
//! [`command_output`]; [`windows`] uses [`sftp`] over a [`bounded_stream`]. How a command ended is in [`exit`].

mod bounded_stream;
mod command_output;
mod exit;
#[cfg(any(test, fuzzing))]
pub(super) mod fuzzing;
mod posix;
pub(super) mod probe;
mod remote_command;
mod script;
mod sftp;
mod visit;
mod windows;

use russh::{Channel, client::Msg};

pub(super) use self::visit::{Directory, Finished, UnusableDirectories, Visit};
use super::{platform::Platform, session::Session};
use crate::fleet::{Failure, Stage};

/// How the first half of a visit ended: getting the agent there.
pub(super) enum Started {
    /// The agent is being executed.
    Running(Running),
    /// The client is of another platform than the agent is for: what its `uname -sm` says.
    OtherPlatform(String),
    /// The agent could not be written into this directory.
    Unusable(Directory, Failure),
}

/// An agent that is being executed.
pub(super) struct Running(Backend);

enum Backend {
    Posix(posix::Running),
    Windows(Box<windows::Running>),
}

/// Gets the agent onto the client and has it started. `channel` is used where there is one already.
///
/// # Errors
/// Everything that fails in the stage `upload`; the caller sets its deadline.
pub(super) async fn start(
    session: &Session,
    channel: Option<Channel<Msg>>,
    visit: &Visit<'_>,
) -> Result<Started, Failure> {
    let channel = match channel {
        Some(channel) => channel,
        None => session.channel(Stage::Upload).await?,
    };
    let way = match visit.platform {
        Platform::Unix(unix) => match posix::start(session, channel, unix, visit).await? {
            posix::Started::Running(running) => Backend::Posix(running),
            posix::Started::OtherPlatform(uname) => return Ok(Started::OtherPlatform(uname)),
            posix::Started::Unusable(directory, failure) => return Ok(Started::Unusable(directory, failure)),
        },
        Platform::Windows(windows) => {
            Backend::Windows(Box::new(windows::start(session, channel, windows, visit.agent, visit.request).await?))
        }
    };
    Ok(Started::Running(Running(way)))
}

impl Running {
    /// Waits for the agent's end.
    ///
    /// # Errors
    /// Everything that fails in the stage `execute`; the caller sets its deadline.
    pub(super) async fn finish(self, session: &Session) -> Result<Finished, Failure> {
        match self.0 {
            Backend::Posix(running) => running.finish(session).await,
            Backend::Windows(running) => running.finish(session).await.map(Finished::Answered),
        }
    }
}

/// Removes what was kept on a client for an account. Gives the directories that are gone.
///
/// # Errors
/// Everything that fails in the stage `execute`; the caller sets its deadline.
pub(super) async fn clean(session: &Session, platform: &Platform, username: &str) -> Result<Vec<String>, Failure> {
    match platform {
        Platform::Unix(_) => posix::clean(session, username).await,
        Platform::Windows(_) => windows::clean(session).await,
    }
}
