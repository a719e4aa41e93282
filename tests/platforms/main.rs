//! Clients of other platforms: their agents run here, and are uploaded through a real sshd with a login shell that
//! imitates the other platform. Only tests what differs between platforms.
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
