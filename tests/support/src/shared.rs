//! Database servers that all tests of a binary share: started by the first that asks, ended with the binary. Each
//! test makes a database of its own there.

use std::{
    sync::{Mutex, OnceLock, PoisonError, mpsc},
    thread::{self, JoinHandle},
};

use crate::{Access, Mariadb, Postgres};

/// Where each of them is; an error where it did not start.
static POSTGRES: OnceLock<Result<Access, String>> = OnceLock::new();
static MARIADB: OnceLock<Result<Access, String>> = OnceLock::new();

/// Those that run.
static KEEPERS: Mutex<Vec<Keeper>> = Mutex::new(Vec::new());

/// Whoever keeps a server. A thread of its own: where the whole process is killed, the system ends the server with
/// the thread that started it, and those of the tests come and go.
struct Keeper {
    end: mpsc::Sender<()>,
    thread: JoinHandle<()>,
}

/// The PostgreSQL of this binary.
pub(crate) fn postgres() -> Access {
    found(POSTGRES.get_or_init(|| keep(async || Postgres::start(false).await, Postgres::access)))
}

/// The MariaDB of this binary.
pub(crate) fn mariadb() -> Access {
    found(MARIADB.get_or_init(|| keep(async || Mariadb::start(false).await, Mariadb::access)))
}

fn found(started: &Result<Access, String>) -> Access {
    started.clone().unwrap_or_else(|why| panic!("{why}"))
}

fn keep<S: 'static>(
    start: impl AsyncFnOnce() -> S + Send + 'static,
    access: impl FnOnce(&S) -> Access + Send + 'static,
) -> Result<Access, String> {
    let (end, ended) = mpsc::channel();
    let (ready, started) = mpsc::channel();
    let thread = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let server = runtime.block_on(start());
        ready.send(access(&server)).expect("somebody who waits for it");
        // An error is the end as well.
        let _ = ended.recv();
    });
    let access = started.recv().map_err(|_| "the server that the tests share did not start: see above".to_owned())?;
    KEEPERS.lock().unwrap_or_else(PoisonError::into_inner).push(Keeper { end, thread });
    Ok(access)
}

/// Ends them all, at the same time: to remove thousands of files takes some disks several seconds.
pub(crate) fn end() {
    let keepers: Vec<Keeper> = KEEPERS.lock().unwrap_or_else(PoisonError::into_inner).drain(..).collect();
    let threads: Vec<_> = keepers
        .into_iter()
        .map(|Keeper { end, thread }| {
            drop(end);
            thread
        })
        .collect();
    for thread in threads {
        if thread.join().is_err() {
            eprintln!("a server that the tests share did not end well");
        }
    }
}
