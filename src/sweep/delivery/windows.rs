//! Delivery to Windows machines: the agent is written by SFTP to our directory in the profile's temporary directory or in
//! that of the configuration, executed with one argument, and removed.
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
    Visit, blocked,
    exit::Exit,
    remote_command::RemoteCommand,
    script::{self, Command},
    sftp::{self, Listed, Sftp},
};
use crate::{
    config::{AgentPath, Client},
    fleet::{Failure, FailureKind, Stage},
};

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

/// Our directory for agents on a Windows machine. The directory that contains it may have thousands of files, so only
/// ours is listed.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    /// The directory that contains it, as messages name it.
    shown: String,
    /// The same for SFTP.
    parent: String,
    /// Ours, for SFTP.
    directory: String,
    /// Ours, for the shell.
    program_directory: String,
    /// Whether the shell needs quotes.
    quoted: bool,
}

impl Place {
    /// The temporary directory, relative to the profile.
    fn temporary() -> Self {
        let (parent, directory) = ("AppData/Local/Temp".to_owned(), "AppData/Local/Temp/fleetsweep".to_owned());
        let program_directory = directory.replace('/', "\\");
        Self { shown: parent.clone(), parent, directory, program_directory, quoted: false }
    }

    /// The directory that the configuration names. Accounts may share it, so ours is named after the account.
    ///
    /// # Errors
    /// [`FailureKind::NoDirectory`] if it is a path of another platform.
    fn of(path: Option<&AgentPath>, username: &str, stage: Stage) -> Result<Self, Failure> {
        let path = match path {
            None => return Ok(Self::temporary()),
            Some(AgentPath::Windows(path)) => path,
            Some(AgentPath::Unix(_)) => {
                let words = "`agent-path` is no path of Windows, and the client runs Windows";
                return Err(Failure::new(stage, FailureKind::NoDirectory).because(words));
            }
        };
        let name = script::directory(username).replacen('.', "", 1);
        let parent = format!("/{}", path.replace('\\', "/"));
        let directory = format!("{parent}/{name}");
        Ok(Self { shown: path.clone(), parent, directory, program_directory: format!("{path}\\{name}"), quoted: true })
    }

    /// The path of an agent for SFTP.
    fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.directory)
    }

    /// The command that runs the agent. `cmd.exe` removes a quote at the start, so another character is before it, and in
    /// quotes it expands nothing but `%`, which [`AgentPath`] excludes. PowerShell expands nothing in single quotes; it
    /// takes typographic ones for the same, and two of them for one. It exits with 0 or 1 whatever the exit code of the
    /// program, unless it is told otherwise, and with the error of Windows if the program cannot be started.
    fn command(&self, shell: WindowsShell, name: &str, request: &str) -> Command {
        let program = format!("{}\\{name}", self.program_directory);
        let line = match (shell, self.quoted) {
            (WindowsShell::Cmd, false) => format!("{program} {request}"),
            (WindowsShell::Cmd, true) => format!("@\"{program}\" {request}"),
            (WindowsShell::PowerShell, _) => {
                let quotes = ['\'', '\u{2018}', '\u{2019}', '\u{201a}', '\u{201b}'];
                let program =
                    quotes.iter().fold(program, |text, quote| text.replace(*quote, &format!("{quote}{quote}")));
                format!(
                    "try{{& '{program}' {request}}}catch{{$_;exit $_.Exception.InnerException.NativeErrorCode}};exit \
                     $LASTEXITCODE"
                )
            }
        };
        Command { nonce: String::new(), line }
    }
}

/// An agent that is being executed on a Windows machine.
pub(super) struct Running {
    remote: RemoteCommand,
    sftp: Sftp,
    place: Place,
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
    visit: &Visit<'_>,
) -> Result<Running, Failure> {
    const STAGE: Stage = Stage::Upload;
    let place = Place::of(visit.path, visit.username, STAGE)?;
    let sftp = Sftp::start(channel, session, STAGE).await?;
    let name = fresh_name();
    write(&sftp, &place, &name, visit.agent).await?;
    let starting = async {
        let channel = session.channel(STAGE).await?;
        RemoteCommand::start(channel, session, STAGE, place.command(windows.shell, &name, visit.request)).await
    };
    match starting.await {
        Ok(remote) => Ok(Running { remote, sftp, place, name }),
        Err(failure) => {
            remove(&sftp, &place.path(&name)).await;
            Err(failure)
        }
    }
}

/// Writes the agent's file and creates the directory if it is missing. Other visits may create it at the same time, and
/// remove it when it is empty.
async fn write(sftp: &Sftp, place: &Place, name: &str, agent: &Agent) -> Result<(), Failure> {
    let failed = |kind, what: &str, error: &_| {
        Failure::new(Stage::Upload, kind).because(format!("{what}: {}", sftp::words(error)))
    };
    let path = place.path(name);
    let mut last = Failure::new(Stage::Upload, FailureKind::UploadFailed);
    for _ in 0..DIRECTORY_TRIES {
        match sftp.write(&path, &agent.image).await {
            Ok(()) => return Ok(()),
            Err(error) if sftp::is_absent(&error) => last = failed(FailureKind::UploadFailed, &path, &error),
            Err(error) => {
                remove(sftp, &path).await;
                return Err(failed(FailureKind::UploadFailed, &path, &error));
            }
        }
        if let Err(error) = make_directories(sftp, place).await {
            last = failed(FailureKind::NoDirectory, &place.shown, &error);
        }
    }
    Err(last)
}

/// Creates our directory, and the one of the configuration if it is missing. The temporary directory belongs to the
/// system.
async fn make_directories(sftp: &Sftp, place: &Place) -> sftp::SftpResult<()> {
    match sftp.make_directory(&place.directory).await {
        Err(error) if place.quoted && sftp::is_absent(&error) => {
            sftp.make_directory(&place.parent).await?;
            sftp.make_directory(&place.directory).await
        }
        made => made,
    }
}

impl Running {
    /// Waits until the agent ends, removes it and returns its output. Meanwhile, files of interrupted visits are
    /// removed.
    ///
    /// # Errors
    /// Any failure of the stage `execute`. The caller sets the deadline.
    pub(super) async fn finish(self, session: &Session) -> Result<Vec<u8>, Failure> {
        const STAGE: Stage = Stage::Execute;
        let Self { mut remote, sftp, place, name } = self;
        let (finished, ()) = tokio::join!(remote.finish(session, STAGE), remove_stale(&sftp, &place, &name));
        let was_gone = finished.is_ok() && remove_patiently(&sftp, &place, &name).await;
        finished?;
        let failed = |kind| remote.explain(Failure::new(STAGE, kind));
        let status = match remote.exit() {
            Some(Exit::Status(status)) => Some(*status),
            Some(Exit::Signal(_)) => return Err(failed(FailureKind::AgentFailed)),
            None => None,
        };
        let has_answered = remote.holds(envelope::BEGIN);
        match status {
            Some(status) if status == u32::from(exit::DEADLINE) => Err(failed(FailureKind::TimedOut)),
            Some(status) if !has_answered || status != u32::from(exit::ANSWERED) => {
                Err(unanswered(&remote, status, was_gone))
            }
            None if !has_answered => Err(remote.explain_with_output(Failure::new(STAGE, FailureKind::NoAnswer))),
            Some(_) | None => Ok(remote.into_output()),
        }
    }
}

/// The failure of an agent that ended with an exit code and did not answer. `was_gone` says whether its file had
/// disappeared.
fn unanswered(remote: &RemoteCommand, status: u32, was_gone: bool) -> Failure {
    const STAGE: Stage = Stage::Execute;
    let messages = remote.errors() + &remote.printed();
    if let Some(words) = blocked::by_windows(Some(status), was_gone, &messages) {
        return remote.explain_with_output(Failure::new(STAGE, FailureKind::AgentBlocked).because(words));
    }
    match status {
        0 => remote.explain_with_output(Failure::new(STAGE, FailureKind::NoAnswer)),
        _ => remote.explain(Failure::new(STAGE, FailureKind::AgentFailed)),
    }
}

/// Removes all of our files, also from the temporary directory if the configuration names another one. Returns the
/// removed directories.
///
/// # Errors
/// Any failure of the stage `execute`. The caller sets the deadline.
pub(super) async fn clean(session: &Session, client: &Client) -> Result<Vec<String>, Failure> {
    const STAGE: Stage = Stage::Execute;
    let sftp = Sftp::start(session.channel(STAGE).await?, session, STAGE).await?;
    let mut gone = Vec::new();
    let named = client.agent.upload_path().map(|path| Place::of(Some(path), &client.username, STAGE)).transpose()?;
    for place in named.into_iter().chain([Place::temporary()]) {
        gone.extend(clean_place(&sftp, &place, STAGE).await?);
    }
    Ok(gone)
}

async fn clean_place(sftp: &Sftp, place: &Place, stage: Stage) -> Result<Option<String>, Failure> {
    let refused = |what: &str, error: &_| {
        Failure::new(stage, FailureKind::CommandRefused).because(format!("{what}: {}", sftp::words(error)))
    };
    let directory = &place.directory;
    let listed = match sftp.list(directory, MOST_LISTED).await {
        Ok(listed) => listed,
        Err(error) if sftp::is_absent(&error) => return Ok(None),
        Err(error) => return Err(refused(&format!("{directory} cannot be listed"), &error)),
    };
    for Listed { name, .. } in listed.iter().filter(|file| is_entry(&file.name)) {
        let path = place.path(name);
        sftp.remove(&path).await.map_err(|error| refused(&format!("{path} cannot be removed"), &error))?;
    }
    let removed = sftp.remove_directory(directory).await;
    removed.map_err(|error| refused(&format!("{directory} cannot be removed"), &error))?;
    Ok(Some(directory.clone()))
}

async fn remove(sftp: &Sftp, path: &str) {
    match sftp.remove(path).await {
        Ok(()) => {}
        Err(error) if sftp::is_absent(&error) => {}
        // A later visit removes it.
        Err(error) => tracing::debug!("{path} stays on the client: {}", sftp::words(&error)),
    }
}

/// Removes the agent as soon as the system allows it, and the directory if it is then empty. Returns whether the file had
/// disappeared before.
async fn remove_patiently(sftp: &Sftp, place: &Place, name: &str) -> bool {
    let begun = Instant::now();
    let was_gone = loop {
        match sftp.remove(&place.path(name)).await {
            Ok(()) => break false,
            Err(error) if sftp::is_absent(&error) => break true,
            Err(error) if begun.elapsed() >= REMOVAL_PATIENCE => {
                tracing::debug!("{name} stays on the client until a later visit: {}", sftp::words(&error));
                return false;
            }
            Err(_) => tokio::time::sleep(REMOVAL_PAUSE).await,
        }
    };
    // This fails if another visit is in progress.
    if let Err(error) = sftp.remove_directory(&place.directory).await {
        tracing::trace!("{} stays on the client: {}", place.directory, sftp::words(&error));
    }
    was_gone
}

/// Removes files of interrupted visits. Its failures do not fail the collection.
async fn remove_stale(sftp: &Sftp, place: &Place, name: &str) {
    match sftp.list(&place.directory, MOST_LISTED).await {
        Ok(listed) => {
            for name in stale(&listed, name) {
                remove(sftp, &place.path(name)).await;
            }
        }
        Err(error) => tracing::debug!("{} cannot be listed: {}", place.directory, sftp::words(&error)),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_agent_is_run_as_each_shell_wants_it() {
        let lines: String = [None, Some("C:\\ProgramData\\fleetsweep"), Some("D:\\O'Neil \u{2019}$HOME & (x86) ^!")]
            .iter()
            .flat_map(|path| [(path, WindowsShell::Cmd), (path, WindowsShell::PowerShell)])
            .map(|(path, shell)| {
                let path = path.map(|path| AgentPath::Windows(path.to_owned()));
                let place = Place::of(path.as_ref(), "DOM\\ops", Stage::Upload).unwrap();
                let Command { line, .. } = place.command(shell, "0123456789abcdef.exe", "1.a-b_c");
                format!("{}\n{line}\n", place.path("0123456789abcdef.exe"))
            })
            .collect();
        insta::assert_snapshot!(lines);
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
