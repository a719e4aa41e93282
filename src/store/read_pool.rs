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

/// How long the writer's connection answers questions after the server let no further one in.
const CROWDED: Duration = Duration::from_secs(60);

/// Connections for questions; cheap to clone, and every clone sees when they are exchanged.
#[derive(Debug, Clone)]
pub(super) struct ReadPool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    state: RwLock<State>,
    /// Until when the server counts as crowded.
    crowded_until: Mutex<Option<Instant>>,
    /// The file of a reader on its own, which nobody opens anew for it.
    alone: Option<(PathBuf, Target)>,
}

#[derive(Debug, Clone)]
enum State {
    Open {
        pool: Pool,
        /// The writer's connection, for a server that lets in no more.
        spare: Option<Pool>,
        /// The file that was opened, of a reader on its own.
        seen: Option<Identity>,
    },
    Away(StoreError),
}

impl ReadPool {
    /// These connections, and the writer's where they do not suffice.
    pub(super) fn new(pool: Pool, spare: Option<Pool>) -> Self {
        Self::of(State::Open { pool, spare, seen: None }, None)
    }

    /// The connections of a reader on its own. Where another file comes to lie in the place of the one that was opened,
    /// that one is read.
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

    /// From now on these.
    pub(super) fn exchange(&self, pool: Pool) {
        self.set(State::Open { pool, spare: None, seen: None });
    }

    /// From now on none, for this reason; gives those that were there, for closing.
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
            // Let in by nobody; or by a pooler that has us wait.
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

    /// Reads the file that lies there now. The connections to the other one end when nothing uses them any more.
    fn open_anew(&self, path: &Path, target: &Target) -> Pool {
        let pool = connect::for_reading(target);
        self.set(State::Open { pool: pool.clone(), spare: None, seen: Identity::of(path).ok() });
        pool
    }

    /// Ends every connection, those of every clone too.
    pub(super) async fn close(&self) {
        if let State::Open { pool, .. } = self.state() {
            pool.close().await;
        }
    }
}
