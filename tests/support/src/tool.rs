//! The programs and privileges that tests need. A test without its tool is ignored and names the package to install.

use std::path::{Path, PathBuf};

/// Which package contains which program.
const PACKAGES: &str = include_str!("../../packages");

/// The directories of servers and systemd's programs, which are often not in `PATH`.
const SYSTEM_DIRECTORIES: [&str; 4] = ["/usr/local/sbin", "/usr/sbin", "/sbin", "/lib/systemd"];

/// The module directory of Debian's Python packages.
const PYTHON_MODULES: &str = "/usr/lib/python3/dist-packages";

/// The variable with the directory of agents for other platforms. The program under test embeds these agents at build
/// time.
const AGENTS: &str = "FLEETSWEEP_AGENTS_DIR";

/// The target of the agent for 64-bit ARM.
pub const ARM: &str = "aarch64-unknown-linux-gnu";

/// The target of the agent for Windows.
pub const WINDOWS: &str = "x86_64-pc-windows-gnu";

/// A program or privilege that a test needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// age, which encrypts files.
    Age,
    /// OpenSSH's client.
    Ssh,
    /// The OpenSSH server and `ssh-keygen`.
    Sshd,
    /// The SSH server Dropbear.
    Dropbear,
    /// The SSH server TinySSH.
    Tinyssh,
    /// The mail server Exim.
    Exim,
    /// The mail server [`Postfix`](crate::Postfix).
    Postfix,
    /// The privilege to add users, to mount, and to run programs as other users.
    Root,
    /// The kernel's interface for file systems that are programs.
    Fuse,
    /// fish, a login shell that is not POSIX-compatible.
    Fish,
    /// tcsh, a login shell that is not POSIX-compatible.
    Tcsh,
    /// zsh, a login shell that is mostly POSIX-compatible.
    Zsh,
    /// `script`, which runs a program in a pseudo-terminal.
    Script,
    /// tmux.
    Tmux,
    /// The PostgreSQL server.
    Postgres,
    /// The MariaDB server.
    Mariadb,
    /// The connection pooler for PostgreSQL.
    Pgbouncer,
    /// libfaketime, which changes the clock of a program.
    Faketime,
    /// Prometheus and its tool.
    Prometheus,
    /// The parser of Prometheus' Python library.
    PrometheusParser,
    /// QEMU, which runs programs for 64-bit ARM.
    Qemu,
    /// Wine, which runs programs for Windows.
    Wine,
    /// The C compiler for Windows. It compiles the parts of Windows that Wine lacks.
    Mingw,
    /// `xmllint`, which validates XML.
    Xmllint,
    /// `dpkg-deb`, which builds Debian packages.
    Dpkg,
    /// `objdump`, which reads what a program needs.
    Binutils,
    /// `unshare` and `nsenter`, for mounts and processes that end with a test.
    Namespaces,
    /// `systemd-analyze`, which reads units.
    SystemdAnalyze,
    /// The PAM module that asks for a time-based code.
    CodePam,
    /// systemd's journal, and the program that creates a journal from text.
    Journal,
    /// The agent for 64-bit ARM. See [`agent`].
    ArmAgent,
    /// The agent for Windows. See [`agent`].
    WindowsAgent,
}

impl Tool {
    /// Why it is missing and how to install it; `None` if it is there.
    pub fn missing(self) -> Option<String> {
        let programs: &[&str] = match self {
            Self::Root => {
                return (!rustix::process::geteuid().is_root()).then(|| "needs root: run the tests as root".to_owned());
            }
            Self::Fuse => {
                let is_there = Path::new("/dev/fuse").exists();
                return (!is_there).then(|| "needs /dev/fuse: modprobe fuse".to_owned());
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
            Self::Xmllint => &["xmllint"],
            Self::Dpkg => &["dpkg-deb"],
            Self::Binutils => &["objdump"],
            Self::Namespaces => &["unshare", "nsenter", "setpriv"],
            Self::SystemdAnalyze => &["systemd-analyze"],
            Self::CodePam => &["google-authenticator"],
            Self::Journal => &["journalctl", "systemd-journal-remote"],
            Self::Age => &["age", "age-keygen"],
            Self::Prometheus => &["prometheus", "promtool", "setpriv"],
            Self::Ssh => &["ssh"],
            Self::Sshd => &["sshd", "ssh-keygen"],
            Self::Dropbear => &["dropbear"],
            Self::Tinyssh => &["tinysshd", "tinysshd-makekey"],
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

/// The path of libfaketime.
///
/// # Panics
/// If it is not installed.
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

/// The agent for another platform in the directory of `FLEETSWEEP_AGENTS_DIR`. The program under test then also embeds
/// it.
pub fn agent(triple: &str) -> Option<PathBuf> {
    let folder = PathBuf::from(std::env::var_os(AGENTS)?);
    [triple.to_owned(), format!("{triple}.exe")].iter().map(|name| folder.join(name)).find(|file| file.is_file())
}

/// The package that contains a program.
fn package(program: &str) -> &'static str {
    PACKAGES
        .lines()
        .filter_map(|line| line.split_once(char::is_whitespace))
        .find(|(name, _)| *name == program)
        .map(|(_, package)| package.trim())
        .unwrap_or_else(|| panic!("tests/packages does not say which package brings {program}"))
}

/// The directory of PostgreSQL versions on Debian. Their programs are not in `PATH`.
const POSTGRES_VERSIONS: &str = "/usr/lib/postgresql";

/// The directories of PostgreSQL's programs, the newest version first.
fn postgres_directories() -> Vec<PathBuf> {
    let versions = std::fs::read_dir(POSTGRES_VERSIONS).into_iter().flatten().filter_map(Result::ok);
    let mut versions: Vec<(u32, PathBuf)> = versions
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .collect();
    versions.sort_by(|(one, _), (other, _)| other.cmp(one));
    versions.into_iter().map(|(_, directory)| directory).collect()
}

/// The path of a program, if it is installed.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(SYSTEM_DIRECTORIES.map(PathBuf::from))
        .chain(postgres_directories())
        .map(|directory| directory.join(program))
        .find(|file| file.is_file())
}

/// The path of a program that the test needs as a [`Tool`].
///
/// # Panics
/// If it is not installed.
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
            ("promtool", "prometheus"),
            ("prometheus_client", "python3-prometheus-client"),
        ] {
            assert_eq!(package(program), expected);
        }
    }
}
