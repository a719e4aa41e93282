//! The program as users run it: real machines, a failing mail server, the command line, the service, and `kill -9`.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test says what failed by panicking"
)]

use std::process::ExitCode;

mod age;
mod agents;
mod beside;
mod command_line;
mod crash;
mod descriptors;
mod endpoint;
mod events;
mod exit;
mod export;
mod hostile_smtp;
mod init;
mod long_export;
mod mail_outcome;
mod metrics;
mod package;
mod pipeline;
mod schema;
mod secrets;
mod service;
mod site;
mod smtp;
mod troubles;

fn main() -> ExitCode {
    let rooms = [
        pipeline::trials(),
        smtp::trials(),
        mail_outcome::trials(),
        troubles::trials(),
        hostile_smtp::trials(),
        command_line::trials(),
        exit::trials(),
        export::trials(),
        long_export::trials(),
        metrics::trials(),
        endpoint::trials(),
        secrets::trials(),
        service::trials(),
        crash::trials(),
        events::trials(),
        descriptors::trials(),
        agents::trials(),
        age::trials(),
        beside::trials(),
        package::trials(),
        init::trials(),
        schema::trials(),
    ];
    support::run(rooms.into_iter().flatten().collect())
}
