//! An SSH server that misbehaves in one way at a time. Up to its fault it is honest: it logs everyone in and executes
//! what it is told, as the user of the test. It ends with the test.

mod fault;
mod session;
mod wire;

use std::{
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

use base64ct::{Base64, Encoding};
use ring::{rand::SystemRandom, signature::Ed25519KeyPair};

pub use fault::{Fault, Flood, Prints};

/// A running server.
#[derive(Debug)]
pub struct HostileSsh {
    address: SocketAddr,
    shared: Arc<Shared>,
}

/// What its connections have in common.
#[derive(Debug)]
struct Shared {
    fault: Fault,
    host_key: Vec<u8>,
    is_over: AtomicBool,
    connections: Mutex<Vec<TcpStream>>,
    /// Connections that have ended.
    ended: AtomicU64,
    /// Messages of floods that were sent.
    flooded: AtomicU64,
}

impl HostileSsh {
    /// Starts one on a free port of 127.0.0.1.
    ///
    /// # Panics
    /// Where there is none.
    pub fn start(fault: Fault) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let host_key = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("a host key").as_ref().to_vec();
        let shared = Arc::new(Shared {
            fault,
            host_key,
            is_over: AtomicBool::new(false),
            connections: Mutex::default(),
            ended: AtomicU64::new(0),
            flooded: AtomicU64::new(0),
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for tcp in listener.incoming().map_while(Result::ok) {
                if accepting.is_over.load(Ordering::SeqCst) {
                    break;
                }
                accepting.lock().extend(tcp.try_clone());
                let shared = Arc::clone(&accepting);
                thread::spawn(move || {
                    // How it ended is the collector's to say.
                    let _ = session::serve(&tcp, &shared);
                    let _ = tcp.shutdown(Shutdown::Both);
                    shared.ended.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        Self { address, shared }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its host key, as `known_hosts` has it after the name.
    pub fn host_key(&self) -> String {
        format!("ssh-ed25519 {}", Base64::encode_string(&wire::Keys::new(&self.shared.host_key).host_key()))
    }

    /// How many connections it was asked for.
    pub fn connections(&self) -> usize {
        self.shared.lock().len()
    }

    /// How many of them have ended.
    pub fn ended(&self) -> u64 {
        self.shared.ended.load(Ordering::SeqCst)
    }

    /// How many messages of its flood were sent.
    pub fn flooded(&self) -> u64 {
        self.shared.flooded.load(Ordering::SeqCst)
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<TcpStream>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for HostileSsh {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        for tcp in self.shared.lock().drain(..) {
            // It may have ended by itself.
            let _ = tcp.shutdown(Shutdown::Both);
        }
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
    }
}
