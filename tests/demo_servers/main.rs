//! The demo servers with clients of other libraries: the SSH server with `async-ssh2-tokio`, the mail sink with lettre.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test says what failed by panicking")]

use std::process::ExitCode;

mod faults;
mod fixture;
mod sessions;
mod sink;
mod whole;

fn main() -> ExitCode {
    let parts = [sessions::trials(), faults::trials(), whole::trials(), sink::trials()];
    support::run(parts.into_iter().flatten().collect())
}
