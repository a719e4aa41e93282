//! What a test needs of the machine: a program or root. A test whose tool is missing is ignored and says what
//! to install.

use std::path::{Path, PathBuf};

/// Which package brings which program.
const PACKAGES: &str = include_str!("../../packages");

/// Where servers and systemd's own programs are installed, which is not in everyone's search path.
const SYSTEM_DIRECTORIES: [&str; 4] = ["/usr/local/sbin", "/usr/sbin", "/sbin", "/lib/systemd"];

/// Where Debian's Python looks for what its packages bring.
const PYTHON_MODULES: &str = "/usr/lib/python3/dist-packages";

/// Names the folder of agents for other platforms: the same at build time, for what the program carries.
const AGENTS: &str = "FLEETSWEEP_AGENTS_DIR";

/// The target of the agent for 64-bit ARM.
pub const ARM: &str = "aarch64-unknown-linux-gnu";

/// The target of the agent for Windows.
pub const WINDOWS: &str = "x86_64-pc-windows-gnu";

/// Something a test needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// OpenSSH's server, and `ssh-keygen`.
    Sshd,
    /// The small SSH server of routers.
    Dropbear,
    /// The mail server of Debian.
    Exim,
    /// Another one, see [`Postfix`](crate::Postfix).
    Postfix,
    /// The right to add users, to mount, and to become them.
    Root,
    /// A login shell that is not POSIX.
    Fish,
    /// Another one.
    Tcsh,
    /// A login shell that nearly is.
    Zsh,
    /// What runs a program in a pseudo-terminal.
    Script,
    /// A terminal that can be asked what it shows.
    Tmux,
    /// The PostgreSQL server.
    Postgres,
    /// The MariaDB server.
    Mariadb,
    /// The pooler for PostgreSQL.
    Pgbouncer,
    /// What gives a program another clock.
    Faketime,
    /// The parser of Prometheus' own library for Python.
    PrometheusParser,
    /// What runs a program for 64-bit ARM.
    Qemu,
    /// What runs a program for Windows.
    Wine,
    /// The C compiler for Windows: it makes the parts of Windows that Wine lacks.
    Mingw,
    /// systemd's journal, and what makes one out of text.
    Journal,
    /// The agent for 64-bit ARM, see [`agent`].
    ArmAgent,
    /// The agent for Windows, likewise.
    WindowsAgent,
}

impl Tool {
    /// Why it is not there and how to get it; `None` where it is.
    pub fn missing(self) -> Option<String> {
        let programs: &[&str] = match self {
            Self::Root => {
                return (!rustix::process::geteuid().is_root()).then(|| "needs root: run the tests as root".to_owned());
            }
            Self::PrometheusParser => {
                let there = Path::new(PYTHON_MODULES).join("prometheus_client").exists();
                let package = package("prometheus_client");
                return (!there).then(|| format!("needs prometheus_client: apt-get install {package}"));
            }
            Self::Postfix => {
                let how = "(cd target && apt-get download postfix && dpkg -x postfix_*.deb postfix)";
                return crate::postfix::unpacked().is_none().then(|| format!("needs Postfix, unpacked: {how}"));
            }
            Self::ArmAgent => return missing_agent(ARM),
            Self::WindowsAgent => return missing_agent(WINDOWS),
            Self::Qemu => &["qemu-aarch64-static"],
            Self::Wine => &["wine"],
            Self::Mingw => &["x86_64-w64-mingw32-gcc"],
            Self::Journal => &["journalctl", "systemd-journal-remote"],
            Self::Sshd => &["sshd", "ssh-keygen"],
            Self::Dropbear => &["dropbear"],
            Self::Exim => &["exim4"],
            Self::Fish => &["fish"],
            Self::Tcsh => &["tcsh"],
            Self::Zsh => &["zsh"],
            Self::Script => &["script"],
            Self::Tmux => &["tmux"],
            Self::Postgres => &["initdb", "postgres", "setpriv"],
            Self::Mariadb => &["mariadb-install-db", "mariadbd", "setpriv"],
            Self::Pgbouncer => &["pgbouncer", "setpriv"],
            Self::Faketime => &["faketime"],
        };
        programs
            .iter()
            .find(|program| find(program).is_none())
            .map(|program| format!("needs {program}: apt-get install {}", package(program)))
    }
}

/// The library that gives a program another clock.
///
/// # Panics
/// Where it is not installed.
pub fn faketime() -> PathBuf {
    let libraries = std::fs::read_dir("/usr/lib").into_iter().flatten().filter_map(Result::ok);
    let mut found =
        libraries.map(|entry| entry.path().join("faketime/libfaketimeMT.so.1")).filter(|file| file.is_file());
    found.next().expect("the library of faketime")
}

fn missing_agent(triple: &str) -> Option<String> {
    agent(triple).is_none().then(|| {
        format!("needs the agent for {triple}: build it with agent/build-agents and name its folder in {AGENTS}")
    })
}

/// The agent for another platform, where `FLEETSWEEP_AGENTS_DIR` names a folder with one. Then the program under test
/// carries it, too.
pub fn agent(triple: &str) -> Option<PathBuf> {
    let folder = PathBuf::from(std::env::var_os(AGENTS)?);
    [triple.to_owned(), format!("{triple}.exe")].iter().map(|name| folder.join(name)).find(|file| file.is_file())
}

/// The package that brings a program.
fn package(program: &str) -> &'static str {
    PACKAGES
        .lines()
        .filter_map(|line| line.split_once(char::is_whitespace))
        .find(|(name, _)| *name == program)
        .map(|(_, package)| package.trim())
        .unwrap_or_else(|| panic!("tests/packages does not say which package brings {program}"))
}

/// Where Debian keeps PostgreSQL: its versions stand beside each other, and none of them in the search path.
const POSTGRES_VERSIONS: &str = "/usr/lib/postgresql";

/// The directories of its programs, the newest version first.
fn postgres_directories() -> Vec<PathBuf> {
    let versions = std::fs::read_dir(POSTGRES_VERSIONS).into_iter().flatten().filter_map(Result::ok);
    let mut versions: Vec<(u32, PathBuf)> = versions
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .collect();
    versions.sort_by(|(one, _), (other, _)| other.cmp(one));
    versions.into_iter().map(|(_, directory)| directory).collect()
}

/// Where a program is installed.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(SYSTEM_DIRECTORIES.map(PathBuf::from))
        .chain(postgres_directories())
        .map(|directory| directory.join(program))
        .find(|file| file.is_file())
}

/// Where a program is installed that a test has named as its tool.
///
/// # Panics
/// Where it is not.
pub fn path_of(program: &str) -> PathBuf {
    find(program).unwrap_or_else(|| panic!("{program} is missing: name its tool in `needs(…)` of the test"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tool_knows_its_package() {
        for (program, expected) in [
            ("sshd", "openssh-server"),
            ("exim4", "exim4-daemon-light"),
            ("mariadbd", "mariadb-server"),
            ("prometheus_client", "python3-prometheus-client"),
        ] {
            assert_eq!(package(program), expected);
        }
    }
}
