//! Recognises that a client refuses to execute the agent: because of a policy, or because a virus scanner took the file.
//! Pure. Exit codes are compared before messages, because messages are translated.

use fleetsweep_agent::exit;

/// The errors of Windows for a program that may not be started. PowerShell passes them on as exit codes.
const REFUSALS: [(u32, &str); 6] = [
    (5, "access is denied"),
    (225, "a virus scanner refuses it"),
    (226, "a virus scanner removed it"),
    (577, "its signature is required by a policy"),
    (1260, "a group policy such as AppLocker refuses it"),
    (4551, "an Application Control policy refuses it"),
];
/// The exit code of `cmd.exe`, and of PowerShell, if a program could not be started. The agent itself never has it.
const NOT_STARTED: u32 = 1;
/// The upper half of an error of Windows in its other form, an HRESULT.
const HRESULT: u32 = 0x8007_0000;

/// Why a Windows machine did not execute the agent, if it refused; `None` if the reason is another one. `gone` says
/// whether the file had disappeared, `messages` is what the shell printed.
pub(super) fn by_windows(status: Option<u32>, gone: bool, messages: &str) -> Option<&'static str> {
    let code = status.map(|status| if status & 0xFFFF_0000 == HRESULT { status & 0xFFFF } else { status });
    if let Some((_, words)) = REFUSALS.iter().find(|(refusal, _)| Some(*refusal) == code) {
        return Some(words);
    }
    let is_of_the_agent = code
        .and_then(|code| u8::try_from(code).ok())
        .is_some_and(|code| code != exit::ANSWERED && exit::words(code).is_some());
    if is_of_the_agent {
        return None;
    }
    if gone {
        return Some("its file was removed before it was executed");
    }
    (code == Some(NOT_STARTED) && !messages.contains("is not recognized")).then_some("the shell cannot start it")
}

/// Whether a shell says that it was refused to execute the agent. The script has executed an empty program in the same
/// directory before, so the directory is not mounted `noexec`.
pub(super) fn by_unix(errors: &str) -> bool {
    errors.contains("Permission denied") || errors.contains("Operation not permitted")
}

/// Whether a shell says that it was refused to execute the empty program of the script. `noexec` has another error.
pub(super) fn probe_by_unix(errors: &str) -> bool {
    errors.lines().any(|line| line.ends_with(".part: Operation not permitted") && !line.starts_with("chmod"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_of_windows_is_known_by_its_code_in_every_language() {
        for (status, gone, messages, expected) in [
            (Some(1260), false, "", Some("a group policy such as AppLocker refuses it")),
            (Some(0x8007_04EC), false, "", Some("a group policy such as AppLocker refuses it")),
            (Some(4551), false, "", Some("an Application Control policy refuses it")),
            (Some(225), false, "", Some("a virus scanner refuses it")),
            (Some(225), true, "", Some("a virus scanner refuses it")),
            (Some(5), false, "Zugriff verweigert", Some("access is denied")),
            (Some(1), false, "This program is blocked by group policy.", Some("the shell cannot start it")),
            (
                Some(1),
                false,
                "Dieses Programm wurde durch eine Gruppenrichtlinie blockiert.",
                Some("the shell cannot start it"),
            ),
            (Some(1), true, "'x.exe' is not recognized", Some("its file was removed before it was executed")),
            (Some(0), true, "", Some("its file was removed before it was executed")),
            (None, true, "", Some("its file was removed before it was executed")),
            (Some(1), false, "'x.exe' is not recognized as an internal or external command", None),
            (Some(3), false, "", None),
            (Some(0xC000_0135), false, "", None),
            (Some(67), true, "", None),
            (None, false, "", None),
        ] {
            assert_eq!(by_windows(status, gone, messages), expected, "{status:?} {gone} {messages}");
        }
    }

    #[test]
    fn a_refusal_of_linux_is_no_mount_and_no_file_system_without_rights() {
        assert!(by_unix("fleetsweep: 1: exec: /tmp/x/agent-0: Operation not permitted"));
        assert!(by_unix("fleetsweep: 1: exec: /tmp/x/agent-0: Permission denied"));
        assert!(!by_unix("fleetsweep: 1: exec: /tmp/x/agent-0: Exec format error"));
        assert!(probe_by_unix("fleetsweep: 1: /tmp/x/0.part: Operation not permitted"));
        assert!(!probe_by_unix("fleetsweep: 1: /tmp/x/0.part: Permission denied"));
        assert!(!probe_by_unix("chmod: changing permissions of '/tmp/x/0.part': Operation not permitted"));
        assert!(!probe_by_unix("chmod: /tmp/x/0.part: Operation not permitted"));
    }
}
