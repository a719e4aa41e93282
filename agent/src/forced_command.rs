//! The request in a forced command: a key with `command="/usr/lib/fleetsweep/agent"` in `authorized_keys` executes the agent
//! without an argument, whatever was asked for, and sshd passes what was asked for in an environment variable. Nothing
//! of it is executed. It is only accepted in the form that the collector sends.

use fleetsweep_agent::request::{Request, RequestError};

/// The environment variable in which sshd passes the command.
pub(crate) const VARIABLE: &str = "SSH_ORIGINAL_COMMAND";

/// Why a request is refused. Nothing of the command is repeated.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// The request is not valid.
    #[error(transparent)]
    Request(RequestError),
    /// The command is something else than the path of an agent and a request.
    #[error("this login may only ask for a report of fleetsweep, and for nothing else")]
    OtherCommand,
}

/// The request of a command: the path of an agent, which has no meaning here, one blank, and a request.
///
/// # Errors
/// [`Refusal`] for anything else.
pub(crate) fn request(command: &str) -> Result<Request, Refusal> {
    let (program, request) = command.split_once(' ').ok_or(Refusal::OtherCommand)?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/\\:._-".contains(&byte);
    if program.is_empty() || !program.bytes().all(is_plain) {
        return Err(Refusal::OtherCommand);
    }
    match Request::parse(request) {
        Ok(request) => Ok(request),
        // Whoever sends such a text does not mean a request.
        Err(RequestError::Malformed("version") | RequestError::TooLong(_)) => Err(Refusal::OtherCommand),
        Err(error) => Err(Refusal::Request(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use fleetsweep_agent::{
        SysRng, envelope,
        request::{EventsWanted, Questions},
    };
    use uuid::Uuid;

    use super::*;

    #[test]
    fn nothing_but_the_path_of_an_agent_and_a_request_is_accepted() {
        let wanted = Request {
            collection: Uuid::from_u128(7),
            server_key: envelope::fresh_secret(&mut SysRng).unwrap().public_key(),
            window: Duration::from_millis(250),
            deadline: Duration::from_secs(20),
            events: EventsWanted::No,
            questions: Questions::default(),
        };
        let argument = wanted.to_argument();
        let other = |command: String| (command, Err(Refusal::OtherCommand));
        let malformed = |command: String, part| (command, Err(Refusal::Request(RequestError::Malformed(part))));
        for (command, expected) in [
            (format!("/usr/lib/fleetsweep/agent {argument}"), Ok(wanted.clone())),
            (format!("C:\\fleetsweep\\agent.exe {argument}"), Ok(wanted.clone())),
            other(String::new()),
            other(argument.clone()),
            other("/usr/lib/fleetsweep/agent".to_owned()),
            other("/usr/lib/fleetsweep/agent --version".to_owned()),
            other(format!(" {argument}")),
            other(format!("/usr/lib/fleetsweep/agent  {argument}")),
            other(format!("agent;reboot {argument}")),
            other(format!("$(reboot) {argument}")),
            other(format!("sh -c {argument}")),
            other(format!("agent\n{argument}")),
            other("internal-sftp".to_owned()),
            other("scp -t /tmp".to_owned()),
            other(format!("agent {}", "1".repeat(100_000))),
            malformed(format!("agent {argument};reboot"), "wish for events"),
            malformed(format!("agent {argument} x"), "wish for events"),
            malformed(format!("agent {argument}\n"), "wish for events"),
            (
                format!("agent {}", argument.replacen(&format!("{}.", fleetsweep_agent::VERSION), "9.", 1)),
                Err(Refusal::Request(RequestError::OtherVersion(9))),
            ),
        ] {
            assert_eq!(request(&command), expected, "{command}");
        }
    }
}
