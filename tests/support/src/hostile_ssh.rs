//! An SSH server with one fault. Apart from the fault it is correct: it accepts every login and executes commands as
//! the user of the test. It ends with the test.

mod fault;
mod forwarding;
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

pub use fault::{Fault, Flood, Forwarding, Place, Prints};

/// A running server.
#[derive(Debug)]
pub struct HostileSsh {
    address: SocketAddr,
    shared: Arc<Shared>,
}

/// The state that all connections share.
#[derive(Debug)]
struct Shared {
    fault: Fault,
    host_key: Vec<u8>,
    is_over: AtomicBool,
    connections: Mutex<Vec<TcpStream>>,
    /// The number of connections that have ended.
    ended: AtomicU64,
    /// The number of messages of floods that were sent.
    flooded: AtomicU64,
}

impl HostileSsh {
    /// Starts a server on a free port of 127.0.0.1.
    ///
    /// # Panics
    /// If there is no free port.
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
                    // Errors are expected: the collector ends most connections.
                    let _ = session::serve(&tcp, &shared);
                    let _ = tcp.shutdown(Shutdown::Both);
                    shared.ended.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        Self { address, shared }
    }

    /// The address on which it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its host key as in a line of `known_hosts`, without the name.
    pub fn host_key(&self) -> String {
        format!("ssh-ed25519 {}", Base64::encode_string(&wire::Keys::new(&self.shared.host_key).host_key()))
    }

    /// The number of connections that it has accepted.
    pub fn connections(&self) -> usize {
        self.shared.lock().len()
    }

    /// The number of connections that have ended.
    pub fn ended(&self) -> u64 {
        self.shared.ended.load(Ordering::SeqCst)
    }

    /// The number of messages of its flood that were sent.
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
            // The connection may have ended already.
            let _ = tcp.shutdown(Shutdown::Both);
        }
        // Wakes the accepting thread.
        let _ = TcpStream::connect(self.address);
    }
}
