//! Uploads the agent to a client and executes it; its output is the answer. The platform of the client is determined
//! before, by [`super::recognition`] with the commands in [`probe`].
//!
//! There are three implementations: [`installed`] executes what is on the client already, [`posix`] runs a [`script`] as a [`remote_command`] and finds its replies in the
//! [`command_output`], the first one by [`first_reply`]; [`windows`] uses [`sftp`] over a [`bounded_stream`]. [`exit`]
//! describes how a command ended, and [`blocked`] recognises that the client refuses to execute the agent.

mod blocked;
mod bounded_stream;
mod command_output;
mod exit;
mod first_reply;
#[cfg(any(test, fuzzing))]
pub(super) mod fuzzing;
pub(super) mod installed;
mod posix;
pub(super) mod probe;
mod remote_command;
mod script;
mod sftp;
mod visit;
mod windows;

use russh::{Channel, client::Msg};

pub(super) use self::visit::{Directory, Finished, Patience, UnusableDirectories, Visit};
use super::{platform::Platform, session::Session};
use crate::{
    config::Client,
    fleet::{Failure, Stage},
};

/// The result of the upload.
pub(super) enum Started {
    /// The agent is being executed.
    Running(Running),
    /// The client has another platform than the agent is for; this is its `uname -sm`.
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

/// Uploads the agent to the client and starts it. `channel` is an open channel to use, if there is one.
///
/// # Errors
/// Any failure of the stage `upload`. The caller sets the deadline.
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
            Backend::Windows(Box::new(windows::start(session, channel, windows, visit).await?))
        }
    };
    Ok(Started::Running(Running(way)))
}

impl Running {
    /// Waits until the agent ends.
    ///
    /// # Errors
    /// Any failure of the stage `execute`. The caller sets the deadline.
    pub(super) async fn finish(self, session: &Session) -> Result<Finished, Failure> {
        match self.0 {
            Backend::Posix(running) => running.finish(session).await,
            Backend::Windows(running) => running.finish(session).await.map(Finished::Answered),
        }
    }
}

/// Removes the files that are kept on a client for its account. Returns the removed directories.
///
/// # Errors
/// Any failure of the stage `execute`. The caller sets the deadline.
pub(super) async fn clean(
    session: &Session,
    platform: &Platform,
    client: &Client,
    patience: Patience,
) -> Result<Vec<String>, Failure> {
    match platform {
        Platform::Unix(_) => posix::clean(session, client, patience).await,
        Platform::Windows(_) => windows::clean(session, client).await,
    }
}
