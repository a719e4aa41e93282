//! The connections for queries. They are replaced when the file is opened again, and there are none while it is away.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::{Duration, Instant},
};

use super::{
    classify::is_crowded,
    connect,
    deadlines::CONNECT_DEADLINE,
    error::StoreError,
    file::Identity,
    pool::{Pool, Transaction},
    target::{Kind, Target},
};

/// How long queries use the connection of the writer after the server did not accept a further connection.
const CROWDED: Duration = Duration::from_secs(60);

/// Connections for queries; cheap to clone. All clones use new connections after a replacement.
#[derive(Debug, Clone)]
pub(super) struct ReadPool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    state: RwLock<State>,
    /// Until when the server counts as having too few connections.
    crowded_until: Mutex<Option<Instant>>,
    /// The file of a reader without a writer, which must reopen the file itself.
    alone: Option<(PathBuf, Target)>,
}

#[derive(Debug, Clone)]
enum State {
    Open {
        pool: Pool,
        /// The connection of the writer, for a server that does not accept more.
        spare: Option<Pool>,
        /// The file that a reader without a writer has opened.
        seen: Option<Identity>,
    },
    Away(StoreError),
}

impl ReadPool {
    /// These connections, and that of the writer if they are not sufficient.
    pub(super) fn new(pool: Pool, spare: Option<Pool>) -> Self {
        Self::of(State::Open { pool, spare, seen: None }, None)
    }

    /// The connections of a reader without a writer. If another file replaces the opened one, it reads that.
    pub(super) fn alone(pool: Pool, target: &Target) -> Self {
        let path = match &target.kind {
            Kind::Sqlite { options, .. } => Some(options.get_filename().to_owned()),
            Kind::Server(_) => None,
        };
        let seen = path.as_deref().and_then(|path| Identity::of(path).ok());
        Self::of(State::Open { pool, spare: None, seen }, path.map(|path| (path, target.clone())))
    }

    fn of(state: State, alone: Option<(PathBuf, Target)>) -> Self {
        Self(Arc::new(Inner { state: RwLock::new(state), crowded_until: Mutex::new(None), alone }))
    }

    /// Replaces the connections.
    pub(super) fn exchange(&self, pool: Pool) {
        self.set(State::Open { pool, spare: None, seen: None });
    }

    /// Removes the connections for this reason, and returns them for closing.
    pub(super) fn shut(&self, why: StoreError) -> Option<Pool> {
        match self.set(State::Away(why)) {
            State::Open { pool, .. } => Some(pool),
            State::Away(_) => None,
        }
    }

    fn set(&self, state: State) -> State {
        std::mem::replace(&mut self.0.state.write().unwrap_or_else(PoisonError::into_inner), state)
    }

    fn state(&self) -> State {
        self.0.state.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A transaction that only reads.
    pub(super) async fn begin_read(&self) -> Result<Transaction, sqlx::Error> {
        let (pool, spare, seen) = match self.state() {
            State::Open { pool, spare, seen } => (pool, spare, seen),
            State::Away(why) => return Err(sqlx::Error::Io(io::Error::new(io::ErrorKind::NotFound, why))),
        };
        if let (Some((path, target)), Some(seen)) = (&self.0.alone, seen)
            && Identity::of(path).is_ok_and(|found| found != seen)
        {
            return self.open_anew(path, target).begin_read().await;
        }
        let Some(spare) = spare else { return pool.begin_read().await };
        if self.is_crowded() {
            return spare.begin_read().await;
        }
        match tokio::time::timeout(CONNECT_DEADLINE, pool.begin_read()).await {
            Ok(Err(error)) if !is_crowded(&error) => Err(error),
            Ok(Ok(begun)) => Ok(begun),
            // The server did not accept a connection, or a pooler makes it wait.
            Ok(Err(_)) | Err(_) => {
                *self.0.crowded_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + CROWDED);
                spare.begin_read().await
            }
        }
    }

    fn is_crowded(&self) -> bool {
        let until = *self.0.crowded_until.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| Instant::now() < until)
    }

    /// Opens the current file. The connections to the other one end when they are no longer used.
    fn open_anew(&self, path: &Path, target: &Target) -> Pool {
        let pool = connect::for_reading(target);
        self.set(State::Open { pool: pool.clone(), spare: None, seen: Identity::of(path).ok() });
        pool
    }

    /// Closes all connections, including those of clones.
    pub(super) async fn close(&self) {
        if let State::Open { pool, .. } = self.state() {
            pool.close().await;
        }
    }
}
