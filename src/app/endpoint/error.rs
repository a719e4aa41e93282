//! Why the metrics endpoint cannot listen, with what to do.

use std::{io, net::SocketAddr, path::PathBuf};

/// Why the endpoint cannot listen.
#[derive(Debug, thiserror::Error)]
#[error("{}: <metrics listen=\"{listen}\">: {problem}", file.display())]
pub struct EndpointError {
    file: PathBuf,
    listen: SocketAddr,
    problem: &'static str,
    source: io::Error,
}

impl EndpointError {
    /// The error of the operating system, with the place in the configuration and what to do.
    #[must_use]
    pub fn new(file: PathBuf, listen: SocketAddr, source: io::Error) -> Self {
        let kind = source.kind();
        let problem = if kind == io::ErrorKind::AddrInUse {
            "another program listens there: end it (`ss -ltnp` names it), or write another port"
        } else if kind == io::ErrorKind::AddrNotAvailable {
            "no network interface of this machine has this address: write 127.0.0.1, or the address of one of them"
        } else if kind == io::ErrorKind::PermissionDenied {
            "this process may not use that port: write one from 1024 on"
        } else {
            "cannot listen: write another address or port"
        };
        Self { file, listen, problem, source }
    }
}
