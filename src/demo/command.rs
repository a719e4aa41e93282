//! One command of a demo server: a child process that is connected to an SSH channel and ends with it at the latest.

use std::{
    ffi::OsStr,
    io,
    os::unix::{ffi::OsStrExt, process::ExitStatusExt},
    path::PathBuf,
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use russh::{
    ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Sig,
    server::{Handle, Msg},
};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    process::{Child, ChildStdin, Command},
};
use tokio_util::sync::CancellationToken;

use super::{
    behaviour::{BehaviourSettings, Next, OutputFilter},
    simulated_agent::{self, SimulatedAgent},
};

/// The largest piece of output that is read at once, in bytes.
const PIECE_BYTES: usize = 32 * 1024;

/// The most bytes of a [`Recording`]. Later ones are dropped.
const RECORDED_BYTES: usize = 8 * 1024 * 1024;

/// The SSH data type of a command's error stream.
const STDERR: u32 = 1;

/// The output of all commands of a server, before encryption by SSH.
#[derive(Debug, Clone, Default)]
pub(super) struct Recording(Arc<Mutex<Vec<u8>>>);

impl Recording {
    fn add(&self, piece: &[u8]) {
        let mut bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = RECORDED_BYTES.saturating_sub(bytes.len());
        bytes.extend(piece.iter().take(room));
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The server's data for a command.
#[derive(Debug, Clone)]
pub(super) struct CommandContext {
    /// The account's name.
    pub(super) username: String,
    /// Its home directory; also its `TMPDIR` and `XDG_RUNTIME_DIR`.
    pub(super) home: PathBuf,
    /// The behaviour of the server.
    pub(super) settings: BehaviourSettings,
    /// Answers for the agent, if the server has a simulated host.
    pub(super) agent: Option<Arc<SimulatedAgent>>,
    /// Keeps the output.
    pub(super) recording: Recording,
}

/// A channel on which a command was requested.
pub(super) struct Request {
    /// The command line for the shell.
    pub(super) command: Vec<u8>,
    /// Input from the client.
    pub(super) reader: ChannelReadHalf,
    /// Output to the client.
    pub(super) writer: ChannelWriteHalf<Msg>,
    /// The session of the channel.
    pub(super) session: Handle,
    /// Cancelled when the channel or its session has ended.
    pub(super) over: CancellationToken,
}

/// Runs a command until it ends or its channel is closed.
pub(super) async fn run(context: CommandContext, request: Request) {
    let Request { command, reader, writer, session, over } = request;
    let delays = context.agent.as_ref().map(|agent| agent.delays()).unwrap_or_default();
    tokio::select! {
        () = tokio::time::sleep(context.settings.delay + delays.command) => (),
        () = over.cancelled() => return,
    }
    let id = writer.id();
    let line =
        if context.agent.is_some() { simulated_agent::without_events(&command) } else { command.as_slice().into() };
    let mut child = match spawn(&line, &context) {
        Ok(child) => child,
        Err(error) => {
            tracing::warn!(%error, "a demo server cannot start a shell");
            tell(writer.extended_data_bytes(STDERR, format!("sh: {error}\n")).await);
            tell(writer.exit_status(127).await);
            tell(writer.close().await);
            return;
        }
    };
    // Read before the child is waited for. Afterwards, the process id could belong to another process.
    let group = child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
    let run = async {
        let status = carry_streams(&mut child, reader, &writer, &context, group).await?;
        if let (true, Some(agent)) = (status.success(), &context.agent) {
            send_simulated_answer(agent, &command, &writer, &context, delays.answer).await?;
        }
        Ok::<_, io::Error>(status)
    };
    let ended = tokio::select! {
        ended = run => ended,
        () = over.cancelled() => {
            end(&mut child, group).await;
            return;
        }
    };
    match ended {
        Ok(status) => {
            tell(writer.eof().await);
            match status.signal() {
                None => tell(
                    writer.exit_status(status.code().and_then(|code| u32::try_from(code).ok()).unwrap_or(255)).await,
                ),
                Some(signal) => {
                    let told = session
                        .exit_signal_request(
                            id,
                            signal_name(signal),
                            status.core_dumped(),
                            String::new(),
                            String::new(),
                        )
                        .await;
                    tell(told);
                }
            }
        }
        Err(error) => {
            tracing::debug!(%error, "the streams of a demo command failed");
            end(&mut child, group).await;
        }
    }
    tell(writer.close().await);
}

/// Ignores the error of sending to a session that has ended.
fn tell<E>(told: Result<(), E>) {
    if told.is_err() {
        tracing::trace!("a demo command outlived its session");
    }
}

/// Starts `/bin/sh -c` in its own process group. Of our environment, it only gets `PATH`.
fn spawn(command: &[u8], context: &CommandContext) -> io::Result<Child> {
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
    let home = &context.home;
    Command::new("/bin/sh")
        .arg("-c")
        .arg(OsStr::from_bytes(command))
        .current_dir(home)
        .env_clear()
        .env("PATH", path)
        .env("SHELL", "/bin/sh")
        .env("USER", &context.username)
        .env("LOGNAME", &context.username)
        .env("HOME", home)
        .env("TMPDIR", home)
        .env("XDG_RUNTIME_DIR", home)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
}

/// Kills the whole process group of a command and waits for the command itself.
async fn end(child: &mut Child, group: Option<Pid>) {
    kill(group);
    if let Err(error) = child.wait().await {
        tracing::warn!(%error, "a demo command could not be waited for");
    }
}

fn kill(group: Option<Pid>) {
    let Some(group) = group else { return };
    match kill_process_group(group, Signal::KILL) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => (),
        Err(error) => tracing::warn!(%error, "a demo command could not be killed"),
    }
}

/// Copies the streams until both outputs have ended, then waits for the command.
async fn carry_streams(
    child: &mut Child,
    reader: ChannelReadHalf,
    writer: &ChannelWriteHalf<Msg>,
    context: &CommandContext,
    group: Option<Pid>,
) -> io::Result<ExitStatus> {
    let (Some(stdin), Some(stdout), Some(stderr)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(io::Error::other("a stream of the command is missing"));
    };
    if context.settings.noisy {
        let noise = Bytes::from_static(b"Last login: never\n\x1b]0;noise\x07You have new mail.\nprompt> ");
        context.recording.add(&noise);
        writer.data_bytes(noise).await.map_err(io::Error::other)?;
        writer.extended_data_bytes(STDERR, "stty: not a terminal").await.map_err(io::Error::other)?;
    }
    let input = carry_input(reader, stdin);
    let outputs = async {
        tokio::try_join!(
            carry_output(stdout, writer, None, OutputFilter::new(context.settings), context, group),
            carry_output(stderr, writer, Some(STDERR), OutputFilter::none(), context, group),
        )
    };
    tokio::pin!(input, outputs);
    // A command can end before its input.
    let carried = tokio::select! {
        carried = &mut outputs => carried?,
        () = &mut input => outputs.await?,
    };
    let status = child.wait().await?;
    Ok(match carried {
        (Carried::Whole, Carried::Whole) => status,
        // It may have ended by itself just before it was killed.
        (Carried::Killed, _) | (_, Carried::Killed) => ExitStatus::from_raw(Signal::KILL.as_raw()),
    })
}

/// Sends the simulated answer after a command that succeeded.
async fn send_simulated_answer(
    agent: &SimulatedAgent,
    command: &[u8],
    writer: &ChannelWriteHalf<Msg>,
    context: &CommandContext,
    after: Duration,
) -> io::Result<()> {
    let Some(block) = agent.answer(command) else { return Ok(()) };
    tokio::time::sleep(after).await;
    // Filtered like the answer of the real agent. Otherwise this one would replace an altered answer.
    let (block, _) = OutputFilter::new(context.settings).pass(block);
    context.recording.add(&block);
    writer.data_bytes(block).await.map_err(io::Error::other)
}

/// How the copying of an output ended.
enum Carried {
    /// The output ended.
    Whole,
    /// The command was killed because of the server's behaviour.
    Killed,
}

/// Copies the client's input to the command until the input ends or the command stops reading. Dropping the pipe ends
/// the input of the command.
///
/// If a command does not read, the buffer of its channel becomes full. Then the session stops reading, and TCP flow
/// control stops the client.
async fn carry_input(mut reader: ChannelReadHalf, mut stdin: ChildStdin) {
    while let Some(message) = reader.wait().await {
        #[expect(clippy::wildcard_enum_match_arm, reason = "a foreign enum that may grow; the rest is no input")]
        match message {
            ChannelMsg::Data { data } => {
                if let Err(error) = stdin.write_all(&data).await {
                    tracing::trace!(%error, "a demo command reads no more");
                    return;
                }
            }
            ChannelMsg::Eof | ChannelMsg::Close => return,
            _ => (),
        }
    }
}

async fn carry_output(
    mut stream: impl AsyncRead + Unpin,
    writer: &ChannelWriteHalf<Msg>,
    extended: Option<u32>,
    mut filter: OutputFilter,
    context: &CommandContext,
    group: Option<Pid>,
) -> io::Result<Carried> {
    let send = async |piece: Bytes| {
        context.recording.add(&piece);
        match extended {
            None => writer.data_bytes(piece).await,
            Some(kind) => writer.extended_data_bytes(kind, piece).await,
        }
        .map_err(io::Error::other)
    };
    loop {
        let mut piece = BytesMut::with_capacity(PIECE_BYTES);
        if stream.read_buf(&mut piece).await? == 0 {
            return Ok(Carried::Whole);
        }
        let (piece, next) = filter.pass(piece.freeze());
        send(piece).await?;
        match next {
            Next::Continue => (),
            Next::Stall => std::future::pending().await,
            Next::Kill => {
                kill(group);
                return Ok(Carried::Killed);
            }
            Next::Flood => loop {
                send(Bytes::from_static(&[b'A'; PIECE_BYTES])).await?;
            },
        }
    }
}

/// The name of a signal in SSH.
fn signal_name(number: i32) -> Sig {
    match Signal::from_named_raw(number) {
        Some(Signal::ABORT) => Sig::ABRT,
        Some(Signal::ALARM) => Sig::ALRM,
        Some(Signal::FPE) => Sig::FPE,
        Some(Signal::HUP) => Sig::HUP,
        Some(Signal::ILL) => Sig::ILL,
        Some(Signal::INT) => Sig::INT,
        Some(Signal::KILL) => Sig::KILL,
        Some(Signal::PIPE) => Sig::PIPE,
        Some(Signal::QUIT) => Sig::QUIT,
        Some(Signal::SEGV) => Sig::SEGV,
        Some(Signal::TERM) => Sig::TERM,
        Some(Signal::USR1) => Sig::USR1,
        Some(_) | None => Sig::Custom(format!("SIG{number}@fleetsweep")),
    }
}
