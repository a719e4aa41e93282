//! The service manager's end of the notification socket. Needs no systemd.

use std::{path::Path, time::Duration};

use tokio::{net::UnixDatagram, time::timeout};

/// The longest notification that is read.
const MAX_BYTES: usize = 4096;

/// A socket for `NOTIFY_SOCKET`.
#[derive(Debug)]
pub struct NotifySocket(UnixDatagram);

impl NotifySocket {
    /// Listens at a path that does not exist yet.
    ///
    /// # Panics
    /// If that fails.
    pub fn bind(path: impl AsRef<Path>) -> Self {
        Self(UnixDatagram::bind(path).expect("a socket for notifications"))
    }

    /// Waits for the next notification: its lines, such as `READY=1`.
    ///
    /// # Panics
    /// If none arrives in time.
    pub async fn next(&self, within: Duration) -> Vec<String> {
        let mut bytes = vec![0; MAX_BYTES];
        let length = timeout(within, self.0.recv(&mut bytes))
            .await
            .unwrap_or_else(|_elapsed| panic!("waited {within:?} in vain for a notification"))
            .expect("a notification");
        bytes.truncate(length);
        String::from_utf8(bytes).expect("a notification in UTF-8").lines().map(str::to_owned).collect()
    }
}
