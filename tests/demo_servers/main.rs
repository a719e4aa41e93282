//! The demo servers, visited by a client that is not ours: the `async-ssh2-tokio` library logs in, executes,
//! uploads and leaves. And the mail sink, handed mails by lettre.
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
