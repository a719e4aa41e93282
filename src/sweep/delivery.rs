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
mod windows;

use russh::{Channel, client::Msg};

use super::{agents::Agent, platform::Platform, session::Session};
use crate::{
    config::AgentKeeping,
    fleet::{Failure, Stage},
};

/// What a client is to do: have the agent, and run it.
pub(super) struct Order<'a> {
    /// The account there; names the private directory.
    pub(super) username: &'a str,
    /// Whether the agent stays; on Windows it never does.
    pub(super) keeping: AgentKeeping,
    /// The platform that the agent is for.
    pub(super) platform: &'a Platform,
    /// The agent for it.
    pub(super) agent: &'a Agent,
    /// Directories that have shown to be of no use.
    pub(super) unfit: Unfit,
    /// The agent's one argument.
    pub(super) request: &'a str,
}

/// One of the directories that are tried, by its number in [`script`]'s order, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place(u8);

/// Directories of a client that are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Unfit(u8);

impl Unfit {
    /// As many as there are.
    pub(super) const MOST: usize = script::PLACES;

    /// The same and one more.
    #[must_use]
    pub(super) fn and(self, place: Place) -> Self {
        Self(self.0 | 1 << place.0)
    }

    fn contains(self, place: Place) -> bool {
        self.0 & 1 << place.0 != 0
    }
}

/// How the first half of a visit ended: getting the agent there.
pub(super) enum Started {
    /// The agent is being executed.
    Running(Running),
    /// The client is of another platform than the agent is for: what its `uname -sm` says.
    OtherPlatform(String),
    /// The agent did not fit into this directory.
    Unfit(Place, Failure),
}

/// How the second half ended: running it.
pub(super) enum Finished {
    /// The agent ran to its end: everything that was printed since it was started.
    Answered(Vec<u8>),
    /// The agent is there and cannot be executed: not in this directory.
    Unfit(Place, Failure),
    /// The agent was there and has gone before it could be executed: somebody else removed it, such as `clean`, or
    /// another collector that uses the same account and brings another version.
    Vanished(Failure),
}

/// An agent that is being executed.
pub(super) struct Running(Way);

enum Way {
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
    order: &Order<'_>,
) -> Result<Started, Failure> {
    let channel = match channel {
        Some(channel) => channel,
        None => session.channel(Stage::Upload).await?,
    };
    let way = match order.platform {
        Platform::Unix(unix) => match posix::start(session, channel, unix, order).await? {
            posix::Started::Running(running) => Way::Posix(running),
            posix::Started::OtherPlatform(uname) => return Ok(Started::OtherPlatform(uname)),
            posix::Started::Unfit(place, failure) => return Ok(Started::Unfit(place, failure)),
        },
        Platform::Windows(windows) => {
            Way::Windows(Box::new(windows::start(session, channel, windows, order.agent, order.request).await?))
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
            Way::Posix(running) => running.finish(session).await,
            Way::Windows(running) => running.finish(session).await.map(Finished::Answered),
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
