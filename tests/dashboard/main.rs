//! The dashboard as operators use it: the program in a real terminal. Checks what it shows, its actions, how it ends
//! and what it leaves behind.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test says what failed by panicking"
)]

use std::process::ExitCode;

mod acting;
mod company;
mod keys;
mod leaving;
mod looking;
mod losing;
mod site;
mod takeover;
mod time_travel;

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some(losing::PANIC) {
        losing::panic_behind_a_screen();
    }
    let rooms = [
        looking::trials(),
        acting::trials(),
        keys::trials(),
        leaving::trials(),
        losing::trials(),
        company::trials(),
        takeover::trials(),
        time_travel::trials(),
    ];
    support::run(rooms.into_iter().flatten().collect())
}
