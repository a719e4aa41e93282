//! The program: arguments, run mode, exit code.

use std::process::ExitCode;

use fleetsweep::{app, cli::Invocation};

fn main() -> color_eyre::Result<ExitCode> {
    app::process::memory::keep_private();
    color_eyre::install()?;
    match Invocation::parse(std::env::args_os()) {
        Ok(invocation) => Ok(app::run(invocation).into()),
        Err(error) => error.exit(),
    }
}
