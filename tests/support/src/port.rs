//! Free ports for servers that cannot choose one themselves.

use std::{
    net::{Ipv4Addr, TcpListener},
    sync::atomic::{AtomicU16, Ordering},
};

/// The ports that are tried: below those that the system gives to outgoing connections, which could otherwise
/// take one between the search and its use.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// Counts the ports given out by this process, so that no two tests get the same.
static GIVEN: AtomicU16 = AtomicU16::new(0);

/// A port on which nothing listens at any address, and which no other test of this process is given.
pub fn free_port() -> u16 {
    let start = (std::process::id().wrapping_mul(97) % u32::from(COUNT)) as u16;
    for _ in 0..COUNT {
        let port = FIRST + (start + GIVEN.fetch_add(1, Ordering::Relaxed) % COUNT) % COUNT;
        if TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok() {
            return port;
        }
    }
    panic!("no port from {FIRST} to {} is free", FIRST + COUNT - 1)
}
