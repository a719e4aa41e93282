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

/// The variable in the syntax of `cmd.exe`.
const FOR_CMD: &str = "%PROCESSOR_ARCHITECTURE%";
/// The variable in the syntax of PowerShell.
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
    /// The beginning of the answer.
    mark: String,
    command: Command,
}

impl Question {
    /// A single word, so that `echo` of every shell prints it as one.
    fn new(random: u64) -> Self {
        let mark = format!("fleetsweep-{random:016x}-");
        let line = format!("echo {mark}{FOR_CMD}-{FOR_POWERSHELL}");
        Self { mark, command: Command { nonce: String::new(), line } }
    }
}

/// Finds the answer in the output, which may contain other text of login scripts.
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
            // cmd.exe replaces the first form.
            ("M-AMD64-$env:PROCESSOR_ARCHITECTURE\r\n", windows(WindowsShell::Cmd, "AMD64")),
            // PowerShell replaces the second one. Its profile may print text before it.
            ("Loading profile...\r\nM-%PROCESSOR_ARCHITECTURE%-ARM64\r\n", windows(WindowsShell::PowerShell, "ARM64")),
            // PowerShell on Linux does not have the variable.
            ("M-%PROCESSOR_ARCHITECTURE%-\n", None),
            // POSIX shells expand `$env`, which is empty.
            ("M-%PROCESSOR_ARCHITECTURE%-:PROCESSOR_ARCHITECTURE\n", None),
            // A shell that prints it unchanged.
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
