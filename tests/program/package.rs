//! The Debian package in a root of its own: installed, run as its unit says, upgraded, removed and purged. And the unit
//! itself, as systemd reads it.
//!
//! The root is an overlay over that of this machine, so that nothing has to be downloaded; systemd does not run in it.
//! `FLEETSWEEP_BARE_ROOT=DIR` names another one: `debootstrap --variant=minbase bookworm DIR`.

use std::{
    ffi::OsStr,
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use fleetsweep::demo::Behaviour;
use support::{SOON, Trial, own_mounts, path_of, wait_until};
use tempfile::TempDir;

use crate::site::{Fleet, UNDER};

pub(crate) fn trials() -> Vec<Trial> {
    support::trial_list! {
        needs(SystemdAnalyze) => systemd_understands_every_line_of_the_unit;
        needs(Root, Dpkg, Binutils, Namespaces) =>
            the_package_is_installed_swept_with_upgraded_removed_and_purged;
    }
}

const UNIT: &str = "/usr/lib/systemd/system/fleetsweep.service";
const CONFIGURATION: &str = "/etc/fleetsweep/config.xml";
const STATE: &str = "/var/lib/fleetsweep";

/// Mounts the root `$1/root` over `$2` in a namespace of its own, prints the process id of the namespace, and waits for
/// the end of its input. With the last process of the namespace, everything in it ends and is unmounted.
const HOLDER: &str = r#"
    set -e
    read -r pid rest </proc/self/stat
    mount -t tmpfs -o mode=755 tmpfs "$1"
    mkdir "$1/upper" "$1/work" "$1/root"
    mount -t overlay -o "lowerdir=$2,upperdir=$1/upper,workdir=$1/work" overlay "$1/root"
    mount -t proc proc "$1/root/proc"
    mount --rbind /dev "$1/root/dev"
    mount -t tmpfs -o mode=755 tmpfs "$1/root/run"
    mount -t tmpfs -o mode=1777 tmpfs "$1/root/tmp"
    echo "$pid"
    exec cat
"#;

/// A root in which packages can be installed. Its processes and mounts end with it, or with this process.
struct Root {
    holder: Child,
    process: String,
    directory: TempDir,
}

impl Root {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let lower = std::env::var_os("FLEETSWEEP_BARE_ROOT").unwrap_or_else(|| "/".into());
        let mut holder = own_mounts()
            .args(["--pid", "--fork", "--kill-child", "sh", "-c", HOLDER, "sh"])
            .arg(directory.path())
            .arg(lower)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut process = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut process).unwrap();
        assert!(process.ends_with('\n'), "the root was not mounted: see the messages above");
        Self { holder, process: process.trim().to_owned(), directory }
    }

    /// A path in it, as this process can open it.
    fn path(&self, inside: &str) -> PathBuf {
        self.outside("root").join(inside.trim_start_matches('/'))
    }

    /// A directory beside it: `upper` has what is different from the machine.
    fn outside(&self, name: &str) -> PathBuf {
        let here = self.directory.path().strip_prefix("/").unwrap();
        Path::new("/proc").join(&self.process).join("root").join(here).join(name)
    }

    /// A command in it, by root.
    fn command<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Command {
        let mut command = Command::new(path_of("nsenter"));
        command
            .args(["--target", &self.process, "--root", "--mount", "--pid", "chroot"])
            .arg(self.directory.path().join("root"))
            .args(["/usr/bin/env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C.UTF-8"])
            .arg("DEBIAN_FRONTEND=noninteractive")
            .args(arguments)
            .stdin(Stdio::null());
        command
    }

    fn run(&self, line: &str) -> Output {
        self.command(["sh", "-c", line]).output().unwrap()
    }

    /// The output of a shell command that succeeds.
    fn must(&self, line: &str) -> String {
        let output = self.run(line);
        assert!(output.status.success(), "{line}\n{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Mode, owner and group of a path.
    fn access(&self, path: &str) -> String {
        self.must(&format!("stat -c '%a %U %G' {path}")).trim_end().to_owned()
    }

    fn install(&self, package: &Path) {
        fs::copy(package, self.path("/tmp/fleetsweep.deb")).unwrap();
        self.must("dpkg --force-unsafe-io --install /tmp/fleetsweep.deb");
    }

    /// What remains of the package: the files and directories with its name in which the root differs from the machine.
    fn traces(&self) -> Vec<String> {
        let found = Command::new("find").arg(self.outside("upper")).args(["!", "-type", "c"]).output().unwrap();
        let upper = self.outside("upper").display().to_string();
        let paths = String::from_utf8(found.stdout).unwrap();
        let paths = paths.lines().map(|path| path.trim_start_matches(&upper).to_owned());
        paths.filter(|path| path.contains("fleetsweep")).collect()
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        let _ended = self.holder.wait();
    }
}

/// The value of a setting of the unit.
fn setting<'a>(unit: &'a str, name: &str) -> &'a str {
    let value = unit.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    value.unwrap_or_else(|| panic!("the unit has no {name}:\n{unit}"))
}

/// A shell command that does what systemd does for the unit, with these arguments in place of `--headless`.
fn as_the_unit_says(unit: &str, arguments: &str) -> String {
    let [user, group, state, runtime] =
        ["User", "Group", "StateDirectory", "RuntimeDirectory"].map(|name| setting(unit, name));
    format!(
        "install -d -m {} -o {user} -g {group} /run/{runtime} && cd {} && umask {} && \
         exec setpriv --reuid {user} --regid {group} --init-groups --no-new-privs \
         env HOME=/var/lib/{state} STATE_DIRECTORY=/var/lib/{state} RUNTIME_DIRECTORY=/run/{runtime} {}",
        setting(unit, "RuntimeDirectoryMode"),
        setting(unit, "WorkingDirectory"),
        setting(unit, "UMask"),
        setting(unit, "ExecStart").replace("--headless", arguments),
    )
}

/// Builds the package of a debug build with this revision.
fn package(revision: &str, into: &Path) -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/release/package");
    let output = Command::new(script)
        .args(["--quick", "--revision", revision, "--binary", env!("CARGO_BIN_EXE_fleetsweep"), "--into"])
        .arg(into)
        .args(["--notices", concat!(env!("CARGO_MANIFEST_DIR"), "/LICENSE"), "deb"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim_end().into()
}

/// The documents are those of the source, where other files are beside them.
fn no_document_has_a_dead_link(root: &Root) {
    let mut links = 0;
    for page in root.must("find /usr/share/doc/fleetsweep -name '*.md'").lines() {
        let text = fs::read_to_string(root.path(page)).unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next()) {
            if target.contains("://") || target.is_empty() {
                continue;
            }
            links += 1;
            let file = Path::new(page).parent().unwrap().join(target);
            assert!(root.run(&format!("test -e {}", file.display())).status.success(), "{page} links to {target}");
        }
    }
    assert!(links > 50, "{links}");
}

async fn the_package_is_installed_swept_with_upgraded_removed_and_purged() {
    let packages = tempfile::tempdir().unwrap();
    let [first, second] = ["1", "2"].map(|revision| package(revision, packages.path()));
    let root = Root::new();
    // The machine may have a user of this name already.
    root.run("userdel fleetsweep; groupdel fleetsweep; rm -rf /etc/fleetsweep /var/lib/fleetsweep");
    // Otherwise, each installation makes an index of all manual pages of this machine.
    root.run("rm -f /var/lib/man-db/auto-update");

    root.install(&first);
    assert_eq!(root.access(CONFIGURATION), "640 root fleetsweep");
    assert_eq!(root.access("/etc/fleetsweep"), "750 root fleetsweep");
    assert_eq!(root.access(STATE), "700 fleetsweep fleetsweep");
    let account = root.must("getent passwd fleetsweep");
    assert!(account.ends_with(":/var/lib/fleetsweep:/usr/sbin/nologin\n"), "{account}");
    assert!(root.must("fleetsweep --version").starts_with("fleetsweep "));
    for file in ["man/man1/fleetsweep.1.gz", "bash-completion/completions/fleetsweep", "doc/fleetsweep/copyright"] {
        assert!(fs::metadata(root.path("/usr/share").join(file)).unwrap().len() > 500, "{file}");
    }

    no_document_has_a_dead_link(&root);

    // Before it is configured, it sweeps nothing and says what to do. It is not started again and again.
    let unit = fs::read_to_string(root.path(UNIT)).unwrap();
    let unconfigured = root.run(&as_the_unit_says(&unit, "--headless"));
    let said = String::from_utf8_lossy(&unconfigured.stderr).into_owned();
    assert!(unconfigured.status.code() == Some(2) && said.contains("defines no client"), "{unconfigured:?}");
    assert_eq!(setting(&unit, "RestartPreventExitStatus"), "2");

    let fleet = Fleet::of(&[Behaviour::Healthy; 2]).await;
    let text = fleet.config(UNDER).text();
    fs::write(root.path(CONFIGURATION), &text).unwrap();
    root.must("chmod 600 /etc/fleetsweep/config.xml && chown fleetsweep /etc/fleetsweep/config.xml");
    let service = format!("echo $$ > /run/service.pid && {}", as_the_unit_says(&unit, "--headless"));
    let mut service = root.command(["sh", "-c", &service]).stderr(Stdio::null()).spawn().unwrap();
    // The lines of its export without the heading. Until the first sweep, it fails.
    let exported = || root.run(&as_the_unit_says(&unit, "export --since 1h")).stdout;
    let samples = || String::from_utf8(exported()).unwrap().lines().count().saturating_sub(1);
    let database = root.path("/var/lib/fleetsweep/fleet.db");
    wait_until("two sweeps", SOON, async || database.exists() && samples() >= 4).await;
    root.must("kill $(cat /run/service.pid)");
    assert_eq!(service.wait().unwrap().code(), Some(0));
    assert_eq!(root.access("/var/lib/fleetsweep/fleet.db"), "600 fleetsweep fleetsweep");

    // The configuration, its owner and mode, and the rows survive an upgrade.
    let before = samples();
    root.install(&second);
    let installed = root.must("dpkg-query --show --showformat='${Version}' fleetsweep");
    assert!(installed.ends_with("-2"), "{installed}");
    assert_eq!(fs::read_to_string(root.path(CONFIGURATION)).unwrap(), text);
    assert_eq!(root.access(CONFIGURATION), "600 fleetsweep fleetsweep");
    root.must(&as_the_unit_says(&unit, "--once"));
    assert_eq!(samples(), before + 2);

    root.must("dpkg --remove fleetsweep");
    assert!(!root.path("/usr/bin/fleetsweep").exists() && !root.path(UNIT).exists());
    assert_eq!(fs::read_to_string(root.path(CONFIGURATION)).unwrap(), text);
    assert!(database.exists());
    root.must("getent passwd fleetsweep");

    root.must("dpkg --purge fleetsweep");
    for gone in ["getent passwd fleetsweep", "getent group fleetsweep", "dpkg-query --status fleetsweep"] {
        assert!(!root.run(gone).status.success(), "{gone}");
    }
    assert_eq!(root.traces(), [""; 0]);
}

/// Versions before 253 do not know `Type=notify-reload`: the unit of fleetsweep could not be reloaded on them.
async fn systemd_understands_every_line_of_the_unit() {
    let unit = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/fleetsweep.service");
    let verified = Command::new(path_of("systemd-analyze")).args(["verify", "--man=no", unit]).output().unwrap();
    let said = String::from_utf8(verified.stderr).unwrap();
    // With the number of a line. Other messages are about what is not installed here: the program, for example.
    let line_of = |message: &str| {
        message
            .split_once("fleetsweep.service:")
            .map(|(_, rest)| rest.starts_with(|digit: char| digit.is_ascii_digit()))
    };
    let misread: Vec<&str> = said.lines().filter(|line| line_of(line) == Some(true)).collect();
    assert!(misread.is_empty(), "{said}");
}
