//! Clients of other platforms: the agents for them, executed here, and their delivery through a real sshd whose login
//! shell imitates the other platform. Not what is the same on every platform.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test says what failed by panicking"
)]

mod arm;
mod windows;
mod wine;

fn main() -> std::process::ExitCode {
    let trials = [arm::trials(), windows::trials(), wine::trials()];
    let ended = support::run(trials.into_iter().flatten().collect());
    wine::end();
    ended
}
