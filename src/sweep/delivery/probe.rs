//! A command that every shell of a Windows machine answers and no other shell does. The answer contains the shell and
//! the processor.

use rand::RngExt;

use super::{
    super::{
        platform::{Windows, WindowsShell, is_word},
        session::Session,
    },
    remote_command::RemoteCommand,
    script::Command,
};
use crate::fleet::{Failure, Stage};

/// The variable that `cmd.exe` replaces by the processor.
const FOR_CMD: &str = "%PROCESSOR_ARCHITECTURE%";
/// The same for PowerShell.
const FOR_POWERSHELL: &str = "$env:PROCESSOR_ARCHITECTURE";

/// Asks a client whether it is a Windows machine; `None` if it is not, or has another shell.
///
/// # Errors
/// Any failure of a command. The caller sets the deadline.
pub(in crate::sweep) async fn ask(session: &Session, stage: Stage) -> Result<Option<Windows>, Failure> {
    let Question { mark, command } = Question::new(rand::rng().random());
    let mut remote = RemoteCommand::start(session.channel(stage).await?, session, stage, command).await?;
    remote.finish(session, stage).await?;
    Ok(answer(&mark, &String::from_utf8_lossy(&remote.into_output())))
}

struct Question {
    /// What the answer begins with.
    mark: String,
    command: Command,
}

impl Question {
    /// One word, so that `echo` of every shell prints it in one piece.
    fn new(random: u64) -> Self {
        let mark = format!("fleetsweep-{random:016x}-");
        let line = format!("echo {mark}{FOR_CMD}-{FOR_POWERSHELL}");
        Self { mark, command: Command { nonce: String::new(), line } }
    }
}

/// Reads the answer, in whatever else a login script prints.
fn answer(mark: &str, output: &str) -> Option<Windows> {
    let said = output.split(mark).nth(1)?.split_whitespace().next()?;
    let (shell, machine) = match (said.strip_prefix(FOR_CMD), said.strip_suffix(FOR_POWERSHELL)) {
        (None, Some(rest)) => (WindowsShell::Cmd, rest.strip_suffix('-')?),
        (Some(rest), None) => (WindowsShell::PowerShell, rest.strip_prefix('-')?),
        (Some(_), Some(_)) | (None, None) => return None,
    };
    is_word(machine).then(|| Windows { shell, machine: machine.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_shell_answers_in_its_own_way() {
        let question = Question::new(7);
        assert_eq!(
            question.command.line,
            "echo fleetsweep-0000000000000007-%PROCESSOR_ARCHITECTURE%-$env:PROCESSOR_ARCHITECTURE"
        );
        let windows = |shell, machine: &str| Some(Windows { shell, machine: machine.to_owned() });
        for (output, expected) in [
            // cmd.exe knows the first form.
            ("M-AMD64-$env:PROCESSOR_ARCHITECTURE\r\n", windows(WindowsShell::Cmd, "AMD64")),
            // PowerShell the second one, after what a profile prints.
            ("Loading profile...\r\nM-%PROCESSOR_ARCHITECTURE%-ARM64\r\n", windows(WindowsShell::PowerShell, "ARM64")),
            // PowerShell on Linux knows no such variable.
            ("M-%PROCESSOR_ARCHITECTURE%-\n", None),
            // POSIX shells know a variable `env`, and it is empty.
            ("M-%PROCESSOR_ARCHITECTURE%-:PROCESSOR_ARCHITECTURE\n", None),
            // A shell that takes it all as it stands.
            ("M-%PROCESSOR_ARCHITECTURE%-$env:PROCESSOR_ARCHITECTURE\n", None),
            ("M-AMD64&calc-$env:PROCESSOR_ARCHITECTURE\r\n", None),
            ("M-", None),
            ("This account is currently not available.\n", None),
            ("", None),
        ] {
            let output = output.replace("M-", &question.mark);
            assert_eq!(answer(&question.mark, &output), expected, "{output:?}");
        }
    }
}
