//! `agent-path`: the directory on a client in which the agent is put. It is a path of the client, so it cannot be
//! checked here whether it exists.

use std::{fmt, path::Path};

use super::{
    safe_text::{self, words},
    value_error::ValueError,
};

/// A directory of clients, as a full path without special components.
#[derive(Clone, PartialEq, Eq)]
pub enum AgentPath {
    /// Of clients with a POSIX shell: `/opt/fleetsweep`.
    Unix(String),
    /// Of Windows machines: `C:\Program Files\fleetsweep`.
    Windows(String),
}

/// The longest path, in characters. Windows allows 260 including the file names.
const LONGEST: usize = 200;
/// The characters that no file name of Windows contains, other than the separators.
const NOT_IN_WINDOWS: [char; 7] = ['"', '<', '>', '|', '?', '*', ':'];

impl AgentPath {
    /// Parses the value. An empty one is `None`: the usual directories.
    pub(super) fn parse(text: &str) -> Result<Option<Self>, ValueError> {
        const FULL: &str = "write the full path, like `/opt/fleetsweep`, or `C:\\ProgramData\\fleetsweep` on Windows";
        let refuse = |problem: &'static str, hint: &'static str| Err(ValueError::new(problem, hint));
        if text.is_empty() {
            return Ok(None);
        }
        if text.chars().any(char::is_control) {
            return refuse("the path contains control characters", "write it on one line");
        }
        if text.chars().nth(LONGEST).is_some() {
            return Err(ValueError::new("the path is too long", words!["write at most ", LONGEST, " characters"]));
        }
        if text.starts_with('~') {
            return refuse("`~` is not expanded on the client", FULL);
        }
        let (root, rest, separators): (_, _, &[char]) = match (text.strip_prefix('/'), drive(text)) {
            (Some(rest), _) => (None, rest, &['/']),
            (None, Some((drive, rest))) => (Some(drive), rest, &['/', '\\']),
            (None, None) if text.contains('%') => return refuse("variables are not expanded on the client", FULL),
            (None, None) => return refuse("this is no full path", FULL),
        };
        let names: Vec<&str> = rest.split(separators).filter(|name| !name.is_empty()).collect();
        if names.iter().any(|name| matches!(*name, "." | "..")) {
            return refuse("the path contains `.` or `..`", "write it without them");
        }
        if names.is_empty() {
            return refuse("this is the root directory", "write a directory in it");
        }
        let Some(drive) = root else { return Ok(Some(Self::Unix(format!("/{}", names.join("/"))))) };
        if rest.contains('%') {
            return refuse("a path with `%` is not supported on Windows: variables are not expanded", FULL);
        }
        if rest.contains(NOT_IN_WINDOWS) {
            return refuse("the path contains a character that Windows does not allow in names", FULL);
        }
        Ok(Some(Self::Windows(format!("{drive}:\\{}", names.join("\\")))))
    }

    /// The path, if messages may show it.
    #[must_use]
    pub fn shown(&self) -> safe_text::SafeText {
        let (Self::Unix(path) | Self::Windows(path)) = self;
        safe_text::path(Path::new(path))
    }
}

impl fmt::Debug for AgentPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.shown(), f)
    }
}

/// The drive of a full path of Windows, and the rest after its root.
fn drive(text: &str) -> Option<(char, &str)> {
    let (drive, rest) = text.split_once(':')?;
    let mut letters = drive.chars();
    match (letters.next(), letters.next()) {
        (Some(letter), None) if letter.is_ascii_alphabetic() => Some((letter, rest.strip_prefix(['/', '\\'])?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_full_or_refused_with_its_reason() {
        let parsed = |text: &str| match AgentPath::parse(text) {
            Ok(Some(AgentPath::Unix(path))) => format!("Unix {path}"),
            Ok(Some(AgentPath::Windows(path))) => format!("Windows {path}"),
            Ok(None) => "the usual directories".to_owned(),
            Err(wrong) => format!("{}: {}", wrong.problem, wrong.hint),
        };
        let long = format!("/{}", "x".repeat(LONGEST));
        let table: String = [
            "",
            "/opt/fleetsweep",
            "/opt//my dir/",
            "/opt/a'b\"c$d`e\\f!g%h",
            "/opt/ü",
            "/.hidden",
            "C:\\ProgramData\\fleetsweep",
            "d:/Tools/x y/",
            "C:\\O'Neil $HOME & (x86) ^!",
            "relative/dir",
            "./here",
            "~/agents",
            "~ops/agents",
            "$HOME/agents",
            "/opt/a\nb",
            "/opt/a\tb",
            "/opt/../etc",
            "/",
            "//",
            "C:\\",
            "C:",
            "C:relative",
            "\\\\server\\share",
            "%ProgramData%\\fleetsweep",
            "C:\\100%\\x",
            "C:\\a\"b",
            "C:\\a:b",
            "CC:\\a",
            long.as_str(),
        ]
        .iter()
        .map(|text| format!("{text:?}\n    {}\n", parsed(text)))
        .collect();
        insta::assert_snapshot!(table);
    }
}
