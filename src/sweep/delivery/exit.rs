//! The exit status of a command on a client.

use fleetsweep_agent::exit;
use russh::Sig;

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Exit {
    /// By itself, with this status.
    Status(u32),
    /// A signal, named without `SIG`.
    Signal(String),
}

impl Exit {
    /// By this signal.
    pub(super) fn of_signal(signal: Sig) -> Self {
        Self::Signal(name(signal))
    }

    /// As text. A shell reports a command that was killed by a signal as 128 plus the signal's number.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Signal(name) => killed(name),
            Self::Status(126) => "exit status 126: the agent cannot be executed".to_owned(),
            Self::Status(127) => "exit status 127: the command was not found".to_owned(),
            // Windows exit codes, for example for a missing library, are known in hexadecimal form.
            Self::Status(status @ 0x8000_0000..) => format!("exit status 0x{status:08X}"),
            Self::Status(status) => {
                let signal = status.checked_sub(128).and_then(signal_name);
                let words = u8::try_from(*status).ok().and_then(exit::words);
                match (signal, words) {
                    (Some(signal), _) => killed(signal),
                    (None, Some(words)) => format!("exit status {status}: {words}"),
                    (None, None) => format!("exit status {status}"),
                }
            }
        }
    }
}

/// Signals that have the same number on every Unix and that may end an agent.
fn signal_name(number: u32) -> Option<&'static str> {
    Some(match number {
        1 => "HUP",
        4 => "ILL",
        6 => "ABRT",
        8 => "FPE",
        9 => "KILL",
        11 => "SEGV",
        13 => "PIPE",
        14 => "ALRM",
        15 => "TERM",
        _ => return None,
    })
}

fn killed(signal: &str) -> String {
    match signal {
        "KILL" => "killed by SIGKILL (out of memory?)".to_owned(),
        other => format!("killed by SIG{other}"),
    }
}

fn name(signal: Sig) -> String {
    match signal {
        Sig::Custom(name) => name,
        named @ (Sig::ABRT
        | Sig::ALRM
        | Sig::FPE
        | Sig::HUP
        | Sig::ILL
        | Sig::INT
        | Sig::KILL
        | Sig::PIPE
        | Sig::QUIT
        | Sig::SEGV
        | Sig::TERM
        | Sig::USR1) => format!("{named:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_told_in_words() {
        for (exit, expected) in [
            (Exit::Status(1), "exit status 1"),
            (Exit::Status(67), "exit status 67: the agent ran into its deadline"),
            (Exit::Status(126), "exit status 126: the agent cannot be executed"),
            (Exit::Status(137), "killed by SIGKILL (out of memory?)"),
            (Exit::Status(139), "killed by SIGSEGV"),
            (Exit::Status(255), "exit status 255"),
            (Exit::Status(0xC000_0135), "exit status 0xC0000135"),
            (Exit::of_signal(Sig::KILL), "killed by SIGKILL (out of memory?)"),
            (Exit::of_signal(Sig::SEGV), "killed by SIGSEGV"),
            (Exit::of_signal(Sig::Custom("XCPU".to_owned())), "killed by SIGXCPU"),
        ] {
            assert_eq!(exit.words(), expected);
        }
    }
}
