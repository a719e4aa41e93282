//! The state that all collections share.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::{
    access::Access,
    agents::Agents,
    bastions::{Bastions, Route},
    connect::ChannelBuffer,
    deadline::Deadlines,
    host_key::HostKeyPurpose,
    known_clients::KnownClients,
    login_marks::LoginMarks,
    session::{KeptSessions, Session},
};
use crate::{
    bus::Publisher,
    config::Client,
    fleet::{Failure, Stage},
};

/// The state that all collections share.
pub(super) struct Shared {
    pub(super) publisher: Publisher,
    pub(super) access: Arc<Access>,
    pub(super) bastions: Bastions,
    pub(super) agents: Agents,
    pub(super) sessions: KeptSessions,
    /// Limits the collections that request further reports at the same time, because each takes some memory. If the
    /// limit is reached, the next collection continues.
    pub(super) reading_on: Semaphore,
    pub(super) known_clients: KnownClients,
    pub(super) marks: LoginMarks,
}

impl Shared {
    /// A new session over a route, with a checked host key.
    ///
    /// # Errors
    /// Any failure of the stage `connect`.
    pub(super) async fn connect(
        &self,
        client: &Client,
        route: &Route,
        deadlines: &Deadlines<'_>,
    ) -> Result<Session, Failure> {
        let opening = route.open(client, deadlines.of(Stage::Connect));
        let purpose = HostKeyPurpose::Enter(self.access.host_keys);
        self.access.connect(client, opening, deadlines, purpose, ChannelBuffer::Commands).await
    }
}
