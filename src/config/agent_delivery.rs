//! `agent` and `agent-path` of a client together: where its agent comes from, and where it is.

use super::{
    agent_path::AgentPath,
    choices::{AgentChoice, AgentKeeping},
    safe_text::{SafeText, words},
    value_error::ValueError,
};

/// The directory of the package `fleetsweep-agent`.
const PACKAGE_DIRECTORY: &str = "/usr/lib/fleetsweep";

/// How the agent comes to a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AgentDelivery {
    /// It is uploaded.
    Uploaded {
        /// Whether it stays.
        keeping: AgentKeeping,
        /// The directory for it; `None` for the usual ones.
        path: Option<AgentPath>,
    },
    /// An administrator has installed it there. Nothing is uploaded.
    Installed(InstalledAgent),
}

/// An agent that is installed on a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstalledAgent {
    program: String,
    system: System,
}

/// The kind of system that an agent runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum System {
    /// A system with a POSIX shell.
    Unix,
    /// Windows.
    Windows,
}

impl System {
    /// Whether security events are requested. If the configuration does not say, only from Windows machines.
    #[must_use]
    pub fn is_asked_for_events(self, configured: Option<bool>) -> bool {
        configured.unwrap_or(match self {
            Self::Unix => false,
            Self::Windows => true,
        })
    }
}

impl Default for AgentDelivery {
    fn default() -> Self {
        Self::Uploaded { keeping: AgentKeeping::Keep, path: None }
    }
}

impl AgentDelivery {
    /// The delivery that the two attributes mean.
    pub(super) fn of(choice: AgentChoice, path: Option<AgentPath>) -> Result<Self, ValueError> {
        match choice {
            AgentChoice::Uploaded(keeping) => Ok(Self::Uploaded { keeping, path }),
            AgentChoice::Installed => InstalledAgent::of(path.as_ref()).map(Self::Installed),
        }
    }

    /// The directory for an agent that is uploaded, if the configuration names one.
    #[must_use]
    pub fn upload_path(&self) -> Option<&AgentPath> {
        match self {
            Self::Uploaded { path, .. } => path.as_ref(),
            Self::Installed(_) => None,
        }
    }
}

impl InstalledAgent {
    /// The agent in a directory; `None` is the one of the package. The path is a part of the command line, so it is limited
    /// to characters that no shell changes.
    fn of(path: Option<&AgentPath>) -> Result<Self, ValueError> {
        let (program, system) = match path {
            None => (format!("{PACKAGE_DIRECTORY}/agent"), System::Unix),
            Some(AgentPath::Unix(directory)) => (format!("{directory}/agent"), System::Unix),
            Some(AgentPath::Windows(directory)) => (format!("{directory}\\agent.exe"), System::Windows),
        };
        // `forced_command` of the agent accepts these characters.
        if program.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/\\:._-".contains(&byte)) {
            return Ok(Self { program, system });
        }
        Err(ValueError::new(
            "an installed agent cannot be in a directory with such a name",
            words![
                "use a directory whose path has letters, digits, `.`, `_` and `-` alone, such as ",
                PACKAGE_DIRECTORY
            ],
        ))
    }

    /// Its full path on the client: letters, digits, `.`, `_`, `-` and the separators of paths.
    #[must_use]
    pub fn program(&self) -> &str {
        &self.program
    }

    /// The system that the path belongs to.
    #[must_use]
    pub fn system(&self) -> System {
        self.system
    }

    /// The path, as messages show it.
    pub(super) fn shown(&self) -> SafeText {
        super::safe_text::path(std::path::Path::new(&self.program))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_alone_is_asked_for_events_where_the_configuration_is_silent() {
        for (system, configured, expected) in [
            (System::Unix, None, false),
            (System::Unix, Some(true), true),
            (System::Unix, Some(false), false),
            (System::Windows, None, true),
            (System::Windows, Some(true), true),
            (System::Windows, Some(false), false),
        ] {
            assert_eq!(system.is_asked_for_events(configured), expected, "{system:?} {configured:?}");
        }
    }

    #[test]
    fn an_installed_agent_is_in_a_directory_that_every_shell_leaves_as_it_is() {
        for (path, expected) in [
            ("", Some("/usr/lib/fleetsweep/agent")),
            ("/opt/fleet_sweep-1.0", Some("/opt/fleet_sweep-1.0/agent")),
            ("C:\\fleetsweep", Some("C:\\fleetsweep\\agent.exe")),
            ("/opt/my tools", None),
            ("/opt/$HOME", None),
            ("/opt/a;b", None),
            ("C:\\Program Files\\fleetsweep", None),
        ] {
            let path = AgentPath::parse(path).unwrap();
            let delivery = AgentDelivery::of(AgentChoice::Installed, path);
            let program = delivery.ok().map(|delivery| match delivery {
                AgentDelivery::Installed(agent) => agent.program().to_owned(),
                AgentDelivery::Uploaded { .. } => panic!("{delivery:?}"),
            });
            assert_eq!(program.as_deref(), expected);
        }
    }
}
