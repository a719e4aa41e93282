//! The platform of a client: which agent runs there, and which shell starts it. Pure; [`super::recognition`] determines
//! it.

use crate::config::System;

/// The platform of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Platform {
    /// It has a POSIX shell.
    Unix(Unix),
    /// It is a Windows machine with Microsoft's OpenSSH server, or one that works like it.
    Windows(Windows),
}

/// The output of `uname -sm`: two words without special characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unix {
    /// Such as `Linux`.
    pub(super) system: String,
    /// Such as `x86_64`.
    pub(super) machine: String,
}

/// The properties of a Windows machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Windows {
    /// The shell that runs commands.
    pub(super) shell: WindowsShell,
    /// Such as `AMD64`, without special characters.
    pub(super) machine: String,
}

/// The default shell of a Windows machine's SSH server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WindowsShell {
    /// `cmd.exe`, the default.
    Cmd,
    /// Windows PowerShell or PowerShell 7.
    PowerShell,
}

impl Platform {
    /// The platform that is assumed at first.
    pub(super) fn most_common() -> Self {
        Self::Unix(Unix { system: "Linux".to_owned(), machine: "x86_64".to_owned() })
    }

    /// Its name in two words, for [`Agents::lookup`](super::agents::Agents::lookup).
    pub(super) fn name(&self) -> String {
        match self {
            Self::Unix(Unix { system, machine }) => format!("{system} {machine}"),
            Self::Windows(Windows { machine, .. }) => format!("Windows {machine}"),
        }
    }

    /// The kind of system.
    pub(super) fn system(&self) -> System {
        match self {
            Self::Unix(_) => System::Unix,
            Self::Windows(_) => System::Windows,
        }
    }
}

impl Unix {
    /// The platform for this output of `uname -sm`; `None` if it is invalid.
    pub(super) fn parse(uname: &str) -> Option<Self> {
        let (system, machine) = uname.split_once(' ')?;
        (is_word(system) && is_word(machine)).then(|| Self { system: system.to_owned(), machine: machine.to_owned() })
    }
}

/// Whether this is a valid name of a system or a machine.
pub(super) fn is_word(word: &str) -> bool {
    !word.is_empty() && word.len() <= 64 && word.chars().all(is_harmless)
}

/// Characters without a meaning for any shell.
pub(super) fn is_harmless(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '.' | '_' | '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unix_is_two_harmless_words() {
        for (uname, valid) in [
            ("Linux x86_64", true),
            ("FreeBSD amd64", true),
            ("Linux", false),
            ("Linux ", false),
            ("Linux x86 64", false),
            ("Linux $(reboot)", false),
            ("", false),
        ] {
            let name = Unix::parse(uname).map(|unix| Platform::Unix(unix).name());
            assert_eq!(name, valid.then(|| uname.to_owned()));
        }
    }
}
