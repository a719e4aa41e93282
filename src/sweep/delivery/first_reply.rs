//! The first reply of a script, or why there is none: the login shell did not run the command, because a startup file or
//! the server's configuration put something in its place.
//!
//! Something that reads its input in place of the command (another shell, a menu) would wait until the
//! deadline. After a part of the time its input is closed, and it shows itself.

use std::time::Duration;

use fleetsweep_agent::exit;
use tokio::time::timeout;

use super::{super::session::Session, exit::Exit, remote_command::RemoteCommand, script::ScriptReply, visit::Patience};
use crate::fleet::{Failure, FailureKind, Stage};

/// The exit status of sshd where `/etc/nologin` exists and PAM is not used. The text of the file is on standard error.
const NO_LOGIN: u32 = 254;
/// What programs say that need a terminal, such as tmux and screen.
const NEEDS_TERMINAL: [&str; 5] =
    ["not a terminal", "not a tty", "connected to a terminal", "no tty present", "without a terminal"];
/// What sshd says if it starts `passwd` in place of the command, for which it needs a terminal.
const PASSWORD_EXPIRED: [&str; 2] = ["password change required", "password has expired"];
const ASKS_FOR_EVER: &str = "something in its place asks for input without end";

/// A menu that waits for an answer has printed less than this.
const MENU_BYTES: usize = 2 << 10;

/// How a command ended without a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    ByItself,
    /// When its input was closed.
    AtEndOfInput,
}

/// The first reply of a script.
///
/// # Errors
/// [`FailureKind::CommandNotRun`], [`FailureKind::CommandRefused`], [`FailureKind::AuthenticationRefused`] if the account
/// may not log in, [`FailureKind::TimedOut`], and all failures of a command.
pub(super) async fn first_reply(
    remote: &mut RemoteCommand,
    session: &Session,
    stage: Stage,
    patience: Patience,
) -> Result<ScriptReply, Failure> {
    if let Ok(reply) = timeout(patience.reply, remote.reply(session, stage)).await {
        return reply?.ok_or_else(|| not_run(remote, stage, Ended::ByItself));
    }
    let not_run_because = |why: &str| Failure::new(stage, FailureKind::CommandNotRun).because(why);
    let printed = remote.printed_bytes();
    // A menu asks again and again once its input has ended. Before, it waited; what printed without end then is no menu.
    let may_be_menu = printed < MENU_BYTES;
    remote.end_input(session, stage).await?;
    match timeout(patience.end, remote.reply(session, stage)).await {
        Ok(Ok(Some(_))) => Err(not_run_because("a startup file of the account waits for input before it")),
        Ok(Ok(None)) => Err(not_run(remote, stage, Ended::AtEndOfInput)),
        Ok(Err(Failure { kind: FailureKind::AnswerTooLarge | FailureKind::Misbehaved, .. })) if may_be_menu => {
            Err(remote.explain_with_output(not_run_because(ASKS_FOR_EVER)))
        }
        Err(_) if may_be_menu && remote.printed_bytes() > 2 * printed => {
            Err(remote.explain_with_output(not_run_because(ASKS_FOR_EVER)))
        }
        Ok(Err(failure)) => Err(failure),
        Err(_) => {
            let whole = humantime::format_duration(Duration::from_secs((patience.reply + patience.end).as_secs()));
            Err(remote.explain_with_output(Failure::new(stage, FailureKind::TimedOut).because(format!(
                "`{stage}` was not done within {whole}: the login shell has not run the command (a startup file or a home \
                 directory that hangs?)"
            ))))
        }
    }
}

/// The failure of a command that ended before the first reply of its script.
fn not_run(remote: &RemoteCommand, stage: Stage, ended: Ended) -> Failure {
    let explained = |stage, kind| remote.explain_with_output(Failure::new(stage, kind));
    match cause(remote.exit(), &remote.said(), ended) {
        Cause::NoLogin => explained(Stage::Authenticate, FailureKind::AuthenticationRefused),
        Cause::NotRun(why) => remote.explain_with_output(Failure::new(stage, FailureKind::CommandNotRun).because(why)),
        Cause::Refused => explained(stage, FailureKind::CommandRefused),
    }
}

/// Why a command ended before the first reply of its script.
#[derive(Debug, PartialEq, Eq)]
enum Cause {
    /// The account may not log in.
    NoLogin,
    NotRun(&'static str),
    /// The server or the shell refuses commands.
    Refused,
}

/// Whether sshd ended a command because the account may not log in.
pub(super) fn forbids_login(exit: Option<&Exit>, said: &str) -> bool {
    let said = said.to_ascii_lowercase();
    matches!(exit, Some(Exit::Status(NO_LOGIN))) && !said.trim().is_empty()
        || PASSWORD_EXPIRED.iter().any(|part| said.contains(part))
}

fn cause(exit: Option<&Exit>, said: &str, ended: Ended) -> Cause {
    let needs_terminal = || {
        let said = said.to_ascii_lowercase();
        NEEDS_TERMINAL.iter().any(|part| said.contains(part))
    };
    match exit {
        _ if forbids_login(exit, said) => Cause::NoLogin,
        _ if ended == Ended::AtEndOfInput => Cause::NotRun("something in its place reads its input"),
        _ if needs_terminal() => Cause::NotRun("a startup file of the account starts something that needs a terminal"),
        Some(Exit::Status(status)) if *status == u32::from(exit::ANSWERED) => {
            Cause::NotRun("the login shell ended before it, without an error")
        }
        Some(Exit::Status(_) | Exit::Signal(_)) | None => Cause::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_command_that_did_not_run_tells_why() {
        let status = |status| Some(Exit::Status(status));
        let terminal = "a startup file of the account starts something that needs a terminal";
        let silent = "the login shell ended before it, without an error";
        let reads = "something in its place reads its input";
        for (exit, said, ended, expected) in [
            (status(0), "", Ended::ByItself, Cause::NotRun(silent)),
            (status(0), "Welcome!\n", Ended::ByItself, Cause::NotRun(silent)),
            (status(0), "", Ended::AtEndOfInput, Cause::NotRun(reads)),
            (status(1), "1) shell\n2) quit\n", Ended::AtEndOfInput, Cause::NotRun(reads)),
            (status(1), "open terminal failed: not a terminal\n", Ended::ByItself, Cause::NotRun(terminal)),
            (status(1), "Must be connected to a terminal.\n", Ended::ByItself, Cause::NotRun(terminal)),
            (status(1), "This account is currently not available.\n", Ended::ByItself, Cause::Refused),
            (status(1), "This service allows sftp connections only.\n", Ended::ByItself, Cause::Refused),
            (status(1), "", Ended::ByItself, Cause::Refused),
            (status(127), "exec: /bin/sh: not found\n", Ended::ByItself, Cause::Refused),
            (None, "", Ended::ByItself, Cause::Refused),
            (status(254), "The system is down for maintenance\n", Ended::ByItself, Cause::NoLogin),
            (status(254), "", Ended::ByItself, Cause::Refused),
            (
                status(1),
                "WARNING: Your password has expired.\nPassword change required but no TTY available.\n",
                Ended::ByItself,
                Cause::NoLogin,
            ),
        ] {
            assert_eq!(cause(exit.as_ref(), said, ended), expected, "{exit:?} {said}");
        }
    }

    #[test]
    fn a_first_reply_and_what_follows_fit_into_the_stage() {
        let Patience { reply, end } = Patience::within(Duration::from_secs(20));
        assert_eq!((reply, end), (Duration::from_secs(12), Duration::from_secs(3)));
        assert!(reply + 2 * end < Duration::from_secs(20));
    }
}
