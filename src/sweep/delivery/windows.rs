//! Delivery to Windows machines: the agent is written by SFTP to our directory in the profile's temporary directory,
//! executed by its relative path with one argument, and removed.
//!
//! The agent is not kept: any other program of the account could replace it, and reading it back to verify it costs as
//! much as sending it. Windows cannot remove a running program, so a later visit removes what an interrupted visit left
//! behind.
//!
//! Commands run in the profile directory, where SFTP also starts, and end with the session. Standard input is a pipe
//! that may close at any time, so nothing is sent through it.

use std::time::{Duration, Instant};

use fleetsweep_agent::{envelope, exit};
use rand::RngExt;
use russh::{Channel, client::Msg};

use super::{
    super::{
        agents::Agent,
        platform::{Windows, WindowsShell},
        session::Session,
    },
    exit::Exit,
    remote_command::RemoteCommand,
    script::Command,
    sftp::{self, Listed, Sftp},
};
use crate::fleet::{Failure, FailureKind, Stage};

/// The temporary directory, relative to the profile.
const TEMPORARY: &str = "AppData/Local/Temp";
/// Our directory in it. The temporary directory may contain thousands of files, so only ours is listed.
const DIRECTORY: &str = "AppData/Local/Temp/fleetsweep";
/// The file name extension of programs.
const SUFFIX: &str = ".exe";
/// The number of hexadecimal digits before it.
const NAME_DIGITS: usize = 16;

/// A file that is this much older than ours is from an interrupted visit. A slower visit is not disturbed, because
/// Windows does not remove a file that is being written or executed.
const STALE_AFTER_S: u32 = 600;
/// The limits per visit for directory entries that are read and stale files that are removed.
const MOST_LISTED: usize = 256;

/// How often creating the directory is tried.
const DIRECTORY_TRIES: usize = 4;

/// How long the removal may take after the agent has ended.
const REMOVAL_PATIENCE: Duration = Duration::from_secs(2);
/// The pause between attempts to remove the agent. Windows holds a program file for a moment after the program has
/// ended.
const REMOVAL_PAUSE: Duration = Duration::from_millis(50);

/// An agent that is being executed on a Windows machine.
pub(super) struct Running {
    remote: RemoteCommand,
    sftp: Sftp,
    /// The agent's file name.
    name: String,
}

/// Writes the agent and starts it.
///
/// # Errors
/// Any failure of the stage `upload`. The caller sets the deadline.
pub(super) async fn start(
    session: &Session,
    channel: Channel<Msg>,
    windows: &Windows,
    agent: &Agent,
    request: &str,
) -> Result<Running, Failure> {
    const STAGE: Stage = Stage::Upload;
    let sftp = Sftp::start(channel, session, STAGE).await?;
    let name = fresh_name();
    write(&sftp, &path(&name), agent).await?;
    let starting = async {
        let channel = session.channel(STAGE).await?;
        RemoteCommand::start(channel, session, STAGE, command(windows.shell, &name, request)).await
    };
    match starting.await {
        Ok(remote) => Ok(Running { remote, sftp, name }),
        Err(failure) => {
            remove(&sftp, &path(&name)).await;
            Err(failure)
        }
    }
}

/// Writes the agent's file and creates the directory if it is missing. Other visits may create it at the same time, and
/// remove it when it is empty.
async fn write(sftp: &Sftp, path: &str, agent: &Agent) -> Result<(), Failure> {
    let failed = |kind, what: &str, error: &_| {
        Failure::new(Stage::Upload, kind).because(format!("{what}: {}", sftp::words(error)))
    };
    let mut last = Failure::new(Stage::Upload, FailureKind::UploadFailed);
    for _ in 0..DIRECTORY_TRIES {
        match sftp.write(path, &agent.image).await {
            Ok(()) => return Ok(()),
            Err(error) if sftp::is_absent(&error) => last = failed(FailureKind::UploadFailed, path, &error),
            Err(error) => {
                remove(sftp, path).await;
                return Err(failed(FailureKind::UploadFailed, path, &error));
            }
        }
        if let Err(error) = sftp.make_directory(DIRECTORY).await {
            last = failed(FailureKind::NoDirectory, TEMPORARY, &error);
        }
    }
    Err(last)
}

impl Running {
    /// Waits until the agent ends, removes it and returns its output. Meanwhile, files of interrupted visits are
    /// removed.
    ///
    /// # Errors
    /// Any failure of the stage `execute`. The caller sets the deadline.
    pub(super) async fn finish(self, session: &Session) -> Result<Vec<u8>, Failure> {
        const STAGE: Stage = Stage::Execute;
        let Self { mut remote, sftp, name } = self;
        let (finished, ()) = tokio::join!(remote.finish(session, STAGE), remove_stale(&sftp, &name));
        if finished.is_ok() {
            remove_patiently(&sftp, &name).await;
        }
        finished?;
        let failed = |kind| remote.explain(Failure::new(STAGE, kind));
        match remote.exit() {
            Some(Exit::Status(status)) if *status == u32::from(exit::DEADLINE) => Err(failed(FailureKind::TimedOut)),
            Some(Exit::Status(status)) if *status != u32::from(exit::ANSWERED) => Err(failed(FailureKind::AgentFailed)),
            Some(Exit::Signal(_)) => Err(failed(FailureKind::AgentFailed)),
            Some(Exit::Status(_)) | None if !remote.holds(envelope::BEGIN) => {
                Err(remote.explain_with_output(Failure::new(STAGE, FailureKind::NoAnswer)))
            }
            Some(Exit::Status(_)) | None => Ok(remote.into_output()),
        }
    }
}

/// Removes all of our files. Returns the removed directories.
///
/// # Errors
/// Any failure of the stage `execute`. The caller sets the deadline.
pub(super) async fn clean(session: &Session) -> Result<Vec<String>, Failure> {
    const STAGE: Stage = Stage::Execute;
    let refused = |what: &str, error: &_| {
        Failure::new(STAGE, FailureKind::CommandRefused).because(format!("{what}: {}", sftp::words(error)))
    };
    let sftp = Sftp::start(session.channel(STAGE).await?, session, STAGE).await?;
    let listed = match sftp.list(DIRECTORY, MOST_LISTED).await {
        Ok(listed) => listed,
        Err(error) if sftp::is_absent(&error) => return Ok(Vec::new()),
        Err(error) => return Err(refused(&format!("{DIRECTORY} cannot be listed"), &error)),
    };
    for Listed { name, .. } in listed.iter().filter(|file| is_entry(&file.name)) {
        let path = path(name);
        sftp.remove(&path).await.map_err(|error| refused(&format!("{path} cannot be removed"), &error))?;
    }
    let removed = sftp.remove_directory(DIRECTORY).await;
    removed.map_err(|error| refused(&format!("{DIRECTORY} cannot be removed"), &error))?;
    Ok(vec![DIRECTORY.to_owned()])
}

async fn remove(sftp: &Sftp, path: &str) {
    match sftp.remove(path).await {
        Ok(()) => {}
        Err(error) if sftp::is_absent(&error) => {}
        // A later visit removes it.
        Err(error) => tracing::debug!("{path} stays on the client: {}", sftp::words(&error)),
    }
}

/// Removes the agent as soon as the system allows it, and the directory if it is then empty.
async fn remove_patiently(sftp: &Sftp, name: &str) {
    let begun = Instant::now();
    loop {
        match sftp.remove(&path(name)).await {
            Ok(()) => break,
            Err(error) if sftp::is_absent(&error) => break,
            Err(error) if begun.elapsed() >= REMOVAL_PATIENCE => {
                tracing::debug!("{name} stays on the client until a later visit: {}", sftp::words(&error));
                return;
            }
            Err(_) => tokio::time::sleep(REMOVAL_PAUSE).await,
        }
    }
    // This fails if another visit is in progress.
    if let Err(error) = sftp.remove_directory(DIRECTORY).await {
        tracing::trace!("{DIRECTORY} stays on the client: {}", sftp::words(&error));
    }
}

/// Removes files of interrupted visits. Its failures do not fail the collection.
async fn remove_stale(sftp: &Sftp, name: &str) {
    match sftp.list(DIRECTORY, MOST_LISTED).await {
        Ok(listed) => {
            for name in stale(&listed, name) {
                remove(sftp, &path(name)).await;
            }
        }
        Err(error) => tracing::debug!("{DIRECTORY} cannot be listed: {}", sftp::words(&error)),
    }
}

/// Those of our files that are from interrupted visits. Ages are measured with the client's own clock, relative to the
/// file that was just written.
fn stale<'a>(listed: &'a [Listed], current: &str) -> Vec<&'a str> {
    let Some(now) = listed.iter().find(|file| file.name == current).map(|file| file.written_unix_s) else {
        return Vec::new();
    };
    listed
        .iter()
        .filter(|file| is_ours(&file.name) && file.written_unix_s < now.saturating_sub(STALE_AFTER_S))
        .map(|file| &*file.name)
        .collect()
}

fn fresh_name() -> String {
    format!("{:016x}{SUFFIX}", rand::rng().random::<u64>())
}

/// Whether [`fresh_name`] can have made this name. A client may list any name.
fn is_ours(name: &str) -> bool {
    name.strip_suffix(SUFFIX)
        .is_some_and(|stem| stem.len() == NAME_DIGITS && stem.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Whether a name is a file in the directory and not a path out of it.
fn is_entry(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && !name.contains(['/', '\\', ':'])
}

fn path(name: &str) -> String {
    format!("{DIRECTORY}/{name}")
}

/// The command that runs the agent. It contains no special characters of either shell, so it needs no quotes. `cmd.exe`
/// would not accept a quote at the start.
fn command(shell: WindowsShell, name: &str, request: &str) -> Command {
    let program = path(name).replace('/', "\\");
    let line = match shell {
        WindowsShell::Cmd => format!("{program} {request}"),
        // Without this, PowerShell exits with 0 or 1, whatever the exit code of the program.
        WindowsShell::PowerShell => format!("{program} {request}; exit $LASTEXITCODE"),
    };
    Command { nonce: String::new(), line }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_agent_is_run_by_its_relative_path_without_a_quote() {
        for (shell, expected) in [
            (WindowsShell::Cmd, r"AppData\Local\Temp\fleetsweep\0123456789abcdef.exe 1.a-b_c"),
            (
                WindowsShell::PowerShell,
                r"AppData\Local\Temp\fleetsweep\0123456789abcdef.exe 1.a-b_c; exit $LASTEXITCODE",
            ),
        ] {
            assert_eq!(command(shell, "0123456789abcdef.exe", "1.a-b_c").line, expected);
        }
    }

    #[test]
    fn names_are_fresh_and_ours_alone_is_ours() {
        assert_ne!(fresh_name(), fresh_name());
        assert!(is_ours(&fresh_name()));
        for name in ["", ".", "..", "x.exe", "0123456789abcdef", "../../0123456789.exe", "0123456789abcdef.exe/.."] {
            assert!(!is_ours(name), "{name}");
        }
        assert!(is_entry("notes.txt") && is_entry(&fresh_name()));
        for name in ["", ".", "..", "../x", r"..\x", "C:x", "a/b"] {
            assert!(!is_entry(name), "{name}");
        }
    }

    #[test]
    fn what_is_stale_is_measured_by_the_clients_own_clock() {
        let listed = [
            (".", 1),
            ("notes.txt", 1),
            ("000000000000000a.exe", 10_000),
            ("000000000000000b.exe", 9_400),
            ("000000000000000c.exe", 9_399),
            ("000000000000000d.exe", 0),
            ("000000000000000e.exe", 99_999),
        ]
        .map(|(name, written_unix_s)| Listed { name: name.to_owned(), written_unix_s });
        for (current, expected) in [
            ("000000000000000a.exe", &["000000000000000c.exe", "000000000000000d.exe"][..]),
            ("000000000000000d.exe", &[]),
            ("0000000000000000.exe", &[]),
        ] {
            assert_eq!(stale(&listed, current), expected, "{current}");
        }
    }
}
