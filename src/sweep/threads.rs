//! The threads of SSH sessions, and the slots for expensive steps of key exchanges on them. [`super::handshake`]
//! determines which steps are expensive.
//!
//! The library runs each session as a task, and some steps of a key exchange keep a thread busy for many milliseconds.
//! Sessions therefore have threads of their own, separate from those of the database, the mails and the screen.
//! Expensive steps wait for a slot, so that they never occupy all of these threads. Each size of group has its own
//! slots, so that clients with a large group only delay each other. A slot is taken only for the step itself, so a
//! silent client does not occupy one.

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

/// One for the whole process. It is never dropped, because a task must not drop a runtime.
static THREADS: LazyLock<Threads> = LazyLock::new(Threads::start);

struct Threads {
    /// `None` if the threads could not be started. Sessions then run on the threads of the caller.
    runtime: Option<Runtime>,
    group: Arc<Semaphore>,
    large_group: Arc<Semaphore>,
}

impl Threads {
    fn start() -> Self {
        let cores = available_parallelism().map_or(1, NonZeroUsize::get);
        // For each size of group. The other cores are left for the rest of the program.
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

/// Runs a future on the threads of SSH sessions; tasks that it spawns run there, too. It ends with this future, and its
/// log lines belong to the span of the caller.
///
/// # Errors
/// If it panicked.
pub(super) async fn run<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Result<T, JoinError> {
    let work = work.in_current_span();
    let task: JoinHandle<T> = match &THREADS.runtime {
        Some(runtime) => runtime.spawn(work),
        None => tokio::spawn(work),
    };
    AbortOnDropHandle::new(task).await
}

/// The semaphore for a step of this effort; `None` if it need not wait.
pub(super) fn places(effort: Effort) -> Option<Arc<Semaphore>> {
    match effort {
        Effort::Light => None,
        Effort::Group => Some(Arc::clone(&THREADS.group)),
        Effort::LargeGroup => Some(Arc::clone(&THREADS.large_group)),
    }
}
