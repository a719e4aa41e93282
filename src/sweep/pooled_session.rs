//! One session with a bastion, and how many connections it carries. Which sessions there are is in
//! [`super::bastion_pool`].

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use russh::{ChannelStream, client::Msg};

use super::{
    forwarding::{CarriedChannel, ForwardError},
    session::Session,
};
use crate::fleet::ClientId;

/// How long the answer to the request to open a connection is awaited, after which the session gets no more of them. An
/// honest server answers when its own attempt has ended, which takes a bit more than two minutes with Linux.
const ANSWER_WITHIN: Duration = Duration::from_secs(10 * 60);
/// A session, with the number of connections in it.
pub(super) struct PooledSession {
    pub(super) session: Session,
    /// Connections that are open, or being opened.
    connections: AtomicUsize,
    /// Whether it left a request unanswered, so that it gets no further one.
    is_retired: AtomicBool,
}

impl PooledSession {
    /// Without connections.
    pub(super) fn new(session: Session) -> Self {
        Self { session, connections: AtomicUsize::new(0), is_retired: AtomicBool::new(false) }
    }

    /// How many connections are open, or being opened.
    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Whether it can get further connections, apart from a limit on their number.
    pub(super) fn is_usable(&self) -> bool {
        self.session.is_open() && !self.is_retired.load(Ordering::Relaxed)
    }

    /// Opens a connection to a client; `bastion` is the name in errors.
    ///
    /// # Errors
    /// [`ForwardError`]
    pub(super) async fn forward(
        &self,
        client: &ClientId,
        bastion: &str,
    ) -> Result<(ChannelStream<Msg>, CarriedChannel), ForwardError> {
        tokio::time::timeout(ANSWER_WITHIN, self.session.forward(client, bastion)).await.unwrap_or_else(|_| {
            self.is_retired.store(true, Ordering::Relaxed);
            Err(ForwardError::Ended)
        })
    }
}

/// A connection in a session. Dropping it lowers the number of the session.
pub(super) struct Connection(pub(super) Arc<PooledSession>);

impl Connection {
    /// One more connection.
    pub(super) fn begin(session: &Arc<PooledSession>) -> Self {
        session.connections.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(session))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}
