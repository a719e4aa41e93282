//! Asks for a line on the terminal, which is shown while it is typed. Secrets are asked for in [`super::hidden_input`].

use std::{
    fmt::Display,
    io::{self, IsTerminal as _, Write as _},
};

use tokio_util::sync::CancellationToken;

use super::hidden_input::{self, InputError};

/// Whether somebody can be asked, and sees what is asked.
#[must_use]
pub fn is_possible() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks for a line. The answer is without blanks around it, and `usual` if nothing was typed.
///
/// # Errors
/// [`InputError`]; also if the operator ends the input.
pub async fn ask(question: &str, usual: &str, stop: &CancellationToken) -> Result<String, InputError> {
    let asked = if usual.is_empty() { format!("{question}: ") } else { format!("{question} [{usual}]: ") };
    let stop = stop.clone();
    let reading = tokio::task::spawn_blocking(move || {
        write!(io::stderr(), "{asked}")?;
        let line = hidden_input::line(&stop)?;
        if !line.ends_with(b"\n") {
            writeln!(io::stderr())?;
            return Err(InputError::Stopped);
        }
        Ok(String::from_utf8_lossy(&line).trim().to_owned())
    });
    let answer = reading.await.map_err(io::Error::from)??;
    Ok(if answer.is_empty() { usual.to_owned() } else { answer })
}

/// Asks for a line until `check` takes it, and says each time why it does not.
///
/// # Errors
/// As [`ask`].
pub async fn ask_until<T, E: Display>(
    question: &str,
    usual: &str,
    check: impl Fn(&str) -> Result<T, E>,
    stop: &CancellationToken,
) -> Result<T, InputError> {
    loop {
        match check(&ask(question, usual, stop).await?) {
            Ok(value) => return Ok(value),
            Err(refused) => writeln!(io::stderr(), "{refused}")?,
        }
    }
}

/// Asks for yes or no, until one of them is typed. `usual` is meant if nothing is typed.
///
/// # Errors
/// As [`ask`].
pub async fn confirm(question: &str, usual: bool, stop: &CancellationToken) -> Result<bool, InputError> {
    let question = format!("{question} {}", if usual { "[Y/n]" } else { "[y/N]" });
    loop {
        match ask(&question, "", stop).await?.to_lowercase().as_str() {
            "" => return Ok(usual),
            "y" | "yes" => return Ok(true),
            "n" | "no" => return Ok(false),
            _ => {}
        }
    }
}
