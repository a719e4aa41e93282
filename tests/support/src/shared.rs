//! Database servers that all tests of a binary share. The first test that needs one starts it, and it ends with the
//! binary. Each test creates its own database.

use std::{
    sync::{Mutex, OnceLock, PoisonError, mpsc},
    thread::{self, JoinHandle},
};

use crate::{Access, Mariadb, Postgres};

/// The address and account of each server, or the error if it did not start.
static POSTGRES: OnceLock<Result<Access, String>> = OnceLock::new();
static MARIADB: OnceLock<Result<Access, String>> = OnceLock::new();

/// The running servers.
static SERVERS: Mutex<Vec<SharedServer>> = Mutex::new(Vec::new());

/// The thread that owns a server. It needs its own thread, because the servers end with the thread that started them
/// (`--pdeathsig`), and the threads of tests end earlier.
struct SharedServer {
    end: mpsc::Sender<()>,
    thread: JoinHandle<()>,
}

/// The PostgreSQL server of this binary.
pub(crate) fn postgres() -> Access {
    found(POSTGRES.get_or_init(|| keep(async || Postgres::start(false).await, Postgres::access)))
}

/// The MariaDB server of this binary.
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
        // An error means the end, too.
        let _ = ended.recv();
    });
    let access = started.recv().map_err(|_| "the server that the tests share did not start: see above".to_owned())?;
    SERVERS.lock().unwrap_or_else(PoisonError::into_inner).push(SharedServer { end, thread });
    Ok(access)
}

/// Ends all servers at the same time, because removing thousands of files takes several seconds on some disks.
pub(crate) fn end() {
    let servers: Vec<SharedServer> = SERVERS.lock().unwrap_or_else(PoisonError::into_inner).drain(..).collect();
    let threads: Vec<_> = servers
        .into_iter()
        .map(|SharedServer { end, thread }| {
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
