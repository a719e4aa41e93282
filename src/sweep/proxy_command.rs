//! A `ProxyCommand`: a process whose input and output are the connection to a client. Not which command it is.

use std::{
    io,
    pin::Pin,
    process::Stdio,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    process::{Child, ChildStdin, ChildStdout, Command},
};

/// A running command. It ends when this is dropped.
pub(super) struct ProxyCommand {
    input: ChildStdin,
    output: ChildStdout,
    _process: Process,
}

/// The process group of a command.
struct Process(Child);

impl ProxyCommand {
    /// Starts a command for a shell. What it writes to its standard error is dropped.
    ///
    /// # Errors
    /// Those of the operating system.
    pub(super) fn start(command: &str) -> io::Result<Self> {
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(command).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        // A signal to end the program is not for it, and everything that it starts ends with it.
        let mut process = shell.process_group(0).kill_on_drop(true).spawn()?;
        let (input, output) = (process.stdin.take(), process.stdout.take());
        let process = Process(process);
        match (input, output) {
            (Some(input), Some(output)) => Ok(Self { input, output, _process: process }),
            (None, _) | (_, None) => Err(io::Error::other("the command has no input or output")),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Without an id it has ended and was waited for: the number may be another process's by now.
        let group = self.0.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
        if let Some(group) = group {
            let _ended = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    }
}

impl AsyncRead for ProxyCommand {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().output).poll_read(context, buffer)
    }
}

impl AsyncWrite for ProxyCommand {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().input).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().input).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().input).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn a_command_is_a_stream_and_ends_with_it() {
        let mut command = ProxyCommand::start("echo $$; exec cat").unwrap();
        command.write_all(b"there and back\n").await.unwrap();
        let mut came = Vec::new();
        while !came.ends_with(b"back\n") {
            assert_ne!(command.read_buf(&mut came).await.unwrap(), 0, "{came:?}");
        }
        let text = String::from_utf8(came).unwrap();
        let (process, echo) = text.split_once('\n').unwrap();
        assert_eq!(echo, "there and back\n");
        drop(command);
        let process = rustix::process::Pid::from_raw(process.parse().unwrap()).unwrap();
        while rustix::process::test_kill_process(process).is_ok() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }
}
