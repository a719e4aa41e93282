//! The threads on which SSH sessions live, and the places for costly steps of key exchanges on them. Not which
//! steps are costly: that is for [`super::handshake`] to say.
//!
//! The library runs each session as a task, and some steps of a key exchange keep their thread busy for many
//! milliseconds. So sessions have threads of their own, beside those that serve the database, the mails and the
//! screen, and never all of them at costly steps: such a step waits for a place. Each size of group has its own
//! places: clients that insist on a large group keep only each other waiting. A client that says nothing holds no
//! place, since a place is taken for the step itself.

use std::{
    num::NonZeroUsize,
    sync::{Arc, LazyLock},
    thread::available_parallelism,
};

use tokio::{
    runtime::{Builder, Runtime},
    sync::Semaphore,
    task::{JoinError, JoinHandle},
};
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;

use super::algorithms::Effort;

/// One for the whole process: it is never dropped, because that may not be done by a task.
static THREADS: LazyLock<Threads> = LazyLock::new(Threads::start);

struct Threads {
    /// `None` where the system gave no threads: then sessions live on those of whoever opens them.
    runtime: Option<Runtime>,
    group: Arc<Semaphore>,
    large_group: Arc<Semaphore>,
}

impl Threads {
    fn start() -> Self {
        let cores = available_parallelism().map_or(1, NonZeroUsize::get);
        // For each size of group; the remaining cores are for everybody else.
        let places = (cores / 4).max(1);
        let runtime = Builder::new_multi_thread()
            .worker_threads(cores + 2 * places)
            .thread_name("ssh")
            .enable_all()
            .build()
            .inspect_err(|error| tracing::error!(%error, "no threads for SSH sessions: the sweep may be slow"));
        Self {
            runtime: runtime.ok(),
            group: Arc::new(Semaphore::new(places)),
            large_group: Arc::new(Semaphore::new(places)),
        }
    }
}

/// Does something on the threads of SSH sessions; whatever it spawns lives there too. It ends with this future, and its
/// lines in the log belong to the span of the caller.
///
/// # Errors
/// Where it panicked.
pub(super) async fn run<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Result<T, JoinError> {
    let work = work.in_current_span();
    let task: JoinHandle<T> = match &THREADS.runtime {
        Some(runtime) => runtime.spawn(work),
        None => tokio::spawn(work),
    };
    AbortOnDropHandle::new(task).await
}

/// Where a step of this effort waits for its place; `None` where it need not.
pub(super) fn places(effort: Effort) -> Option<Arc<Semaphore>> {
    match effort {
        Effort::Light => None,
        Effort::Group => Some(Arc::clone(&THREADS.group)),
        Effort::LargeGroup => Some(Arc::clone(&THREADS.large_group)),
    }
}
