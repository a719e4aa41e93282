//! `agents`: lists the agents that can be sent to clients, and writes them to a directory, so that an administrator can
//! allow them by hash. It contacts nothing and needs no configuration.

use std::{
    fs,
    io::{self, Write as _},
    path::Path,
};

use comfy_table::{CellAlignment, Table, presets};

use super::output_file::{Audience, Output, OutputError};
use crate::{
    app::error::RunError,
    cli::Exit,
    sweep::{SweepError, agents::Agent, collector},
};

/// The file with the hashes, in the format of `sha256sum`.
const SUMS: &str = "SHA256SUMS";

/// Lists the agents: those in the directory of the environment variable before the embedded ones. Writes them to
/// `directory` first, if there is one.
///
/// # Errors
/// [`RunError`] if the directory of agents cannot be read or `directory` cannot be written.
pub fn run(directory: Option<&Path>) -> Result<Exit, RunError> {
    let agents = collector::agents().map_err(SweepError::Agents)?;
    let agents: Vec<&Agent> = agents.iter().collect();
    if let Some(directory) = directory {
        write(directory, &agents)?;
    }
    writeln!(io::stdout(), "{}", list(&agents))?;
    Ok(Exit::Success)
}

fn list(agents: &[&Agent]) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(["PLATFORM", "VERSION", "BYTES", "SHA-256"]);
    if let Some(bytes) = table.column_mut(2) {
        bytes.set_cell_alignment(CellAlignment::Right);
    }
    for agent in agents {
        table.add_row([
            agent.triple.clone(),
            agent.version().unwrap_or("unknown").to_owned(),
            agent.image.len().to_string(),
            agent.sha256().to_owned(),
        ]);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

fn write(directory: &Path, agents: &[&Agent]) -> Result<(), OutputError> {
    fs::create_dir_all(directory)
        .map_err(|source| OutputError::NotBegun { file: directory.display().to_string(), source })?;
    let whole = |name: &str, bytes: &[u8], audience: Audience| {
        let mut file = Output::create(&directory.join(name), audience)?;
        file.write(bytes)?;
        file.finish()
    };
    let mut sums = String::new();
    for agent in agents {
        whole(&agent.file_name(), &agent.image, Audience::EveryoneToExecute)?;
        sums += &format!("{}  {}\n", agent.sha256(), agent.file_name());
    }
    whole(SUMS, sums.as_bytes(), Audience::Everyone)
}
