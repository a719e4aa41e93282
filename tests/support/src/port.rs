//! Free ports for servers that cannot choose one themselves.

use std::{
    net::{Ipv4Addr, TcpListener},
    sync::atomic::{AtomicU16, Ordering},
};

/// The range of ports. It is below the ephemeral ports, because an outgoing connection could otherwise take one between
/// the search and its use.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// The number of ports that this process has used, so that no two tests get the same.
static GIVEN: AtomicU16 = AtomicU16::new(0);

/// A port that is free on all addresses and that no other test of this process gets.
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
